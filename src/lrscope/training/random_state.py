"""RandomState: the global random number generators at one moment (torch, CUDA, Python, NumPy)."""

import contextlib
import copy
import random
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader


class RandomState(NamedTuple):
    """A snapshot of every global generator a model, loss or dataset can draw from."""

    torch_state: Tensor
    cuda_states: tuple[Tensor, ...]
    python_state: Any
    numpy_state: Any

    @classmethod
    def now(cls) -> Self:
        """Take the snapshot. CUDA counts only where something has used it already."""
        cuda = tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
        return cls(torch.get_rng_state(), cuda, random.getstate(), np.random.get_state())

    def restore(self) -> None:
        """Put every generator back to where it was."""
        torch.set_rng_state(self.torch_state)
        if self.cuda_states:
            torch.cuda.set_rng_state_all(list(self.cuda_states))
        random.setstate(self.python_state)
        np.random.set_state(self.numpy_state)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Restore this state on leaving the block."""
        try:
            yield
        finally:
            self.restore()

    def differs_from(self, other: "RandomState") -> bool:
        """Whether anything was drawn between the two."""
        return (
            not torch.equal(self.torch_state, other.torch_state)
            or len(self.cuda_states) != len(other.cuda_states)
            or any(not torch.equal(a, b) for a, b in zip(self.cuda_states, other.cuda_states, strict=True))
            or self.python_differs_from(other)
        )

    def python_differs_from(self, other: "RandomState") -> bool:
        """Whether anything was drawn between the two by other means than torch."""
        return (
            self.python_state != other.python_state
            or self.numpy_state[2] != other.numpy_state[2]
            or not np.array_equal(self.numpy_state[1], other.numpy_state[1])
        )


class Stream:
    """A random stream of its own, entered and left: what is drawn inside continues where it was left.

    Args:
        start: where it begins.
        loader: a DataLoader whose own generators, as they are now, belong to the stream as well.
    """

    def __init__(self, start: RandomState, loader: Any = None) -> None:
        self._state = start
        self._generators = list({id(found): found for found in generators_of(loader)}.values())
        self._states = [generator.get_state() for generator in self._generators]

    def state(self) -> dict[str, Any]:
        """Return where it is, as plain data and tensors."""
        return {
            "torch": self._state.torch_state,
            "cuda": list(self._state.cuda_states),
            "python": self._state.python_state,
            "numpy": tuple(self._state.numpy_state),
            "generators": list(self._states),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put it where another stream of the same generators was."""
        self._state = RandomState(state["torch"], tuple(state["cuda"]), state["python"], state["numpy"])
        self._states = list(state["generators"])

    def copy(self) -> "Stream":
        """Another stream that goes on from where this one is."""
        return copy.copy(self)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """The stream that `torch.manual_seed(seed)` starts; Python's and NumPy's are seeded likewise."""
        outside = RandomState.now()
        try:
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            return cls(RandomState.now())
        finally:
            outside.restore()

    @contextlib.contextmanager
    def entered(self, *, keep: bool = True) -> Iterator[None]:
        """Draw from this stream inside the block.

        The draws do not count with keep=False, nor if the block raises: it may then be tried again.
        """
        outside = RandomState.now()
        theirs = [generator.get_state() for generator in self._generators]
        self._state.restore()
        for generator, state in zip(self._generators, self._states, strict=True):
            generator.set_state(state)
        try:
            yield
            if keep:
                self._state = RandomState.now()
                self._states = [generator.get_state() for generator in self._generators]
        finally:
            outside.restore()
            for generator, state in zip(self._generators, theirs, strict=True):
                generator.set_state(state)


@contextlib.contextmanager
def undisturbed(*data: Any) -> Iterator[int]:
    """Train inside without leaving a trace outside, and without being disturbed by what is set there.

    Gives the number of threads that were set outside. Inside there is one: of a small operation two threads
    make a longer one, and on a busy machine a far longer one: they wait for each other.

    On leaving, also by an exception, the global generators, those of the DataLoaders in `data`, the number of
    threads and what becomes of denormal numbers are as they were. Inside, gradients are on, and the warning
    that an operator is vectorised by a loop is off: the dry run has made sure that the result is right.
    Denormal numbers (below 1.2e-38 in float32) read 0: a momentum that decays without end would otherwise
    make a step up to twenty times slower.
    """
    generators = {id(found): found for loader in data for found in generators_of(loader)}
    states = {key: generator.get_state() for key, generator in generators.items()}
    outside = RandomState.now()
    threads = torch.get_num_threads()
    flushed = denormals_read_zero()
    try:
        torch.set_flush_denormal(True)
        torch.set_num_threads(1)
        with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
            warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet")
            yield threads
    finally:
        outside.restore()
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)
        for key, generator in generators.items():
            generator.set_state(states[key])


def denormals_read_zero() -> bool:
    """Whether this thread takes denormal numbers for 0."""
    smallest = torch.full((1,), torch.finfo(torch.float32).tiny)
    return not bool((smallest / 2 * 2).any())


def generators_of(loader: Any) -> Iterator[torch.Generator]:
    """The generators that belong to a DataLoader, its sampler and its batch sampler."""
    if isinstance(loader, DataLoader):
        batch_sampler = getattr(loader, "batch_sampler", None)
        for owner in (loader, loader.sampler, batch_sampler, getattr(batch_sampler, "sampler", None)):
            generator = getattr(owner, "generator", None)
            if isinstance(generator, torch.Generator):
                yield generator
