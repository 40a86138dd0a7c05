"""Share: some lanes of a course, trained as far as one is told, and the stacks that processes share.

Letters: L lanes, l of a share, n elements.
"""

import mmap
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from lrscope.errors import TrainingError
from lrscope.plan import LaneKey
from lrscope.training.lanes import Lanes
from lrscope.training.looks import Ahead, Looks
from lrscope.training.step import Question, Step, Stretch

Stacks: TypeAlias = dict[str, Tensor]
"""name -> [L, ...] or [l, ...], of the weights or of their gradients."""

Train: TypeAlias = Callable[[Lanes, Looks], Generator[Step]]
"""Trains lanes, and gives the steps that are looked at."""


def shared_stacks(module: nn.Module, lanes: int) -> Stacks:
    """Stacks [L, ...] for the parameters of a module, which processes forked later see as well.

    Anonymous: nothing is left behind, however a process ends, and no size of a file system bounds it.
    """
    return {name: _shared((lanes, *p.shape), p.dtype) for name, p in module.named_parameters()}


def _shared(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    count = torch.Size(shape).numel()
    if not count:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(mmap.mmap(-1, count * dtype.itemsize), dtype=dtype, count=count).view(shape)


def flat(stack: Tensor) -> Tensor:
    """A view of a stack, a row a lane: [L, n]."""
    return stack.view(len(stack), -1)


class Go(NamedTuple):
    """An order: train shares, by number, without these lanes, up to the next look."""

    shares: tuple[int, ...]
    ahead: Ahead
    leaving: frozenset[int]


class Arrived(NamedTuple):
    """A share at a step that is looked at.

    Attributes:
        done: updates.
        keys, losses, validation, stretch: as in Step, of the share.
        rates: of its lanes.
        notes: sentences that are new.
        failure: why none of its lanes can go on, as of `Lanes`.
    """

    done: int
    keys: tuple[LaneKey, ...]
    losses: Tensor | None
    validation: Mapping[str, Tensor]
    stretch: Stretch
    rates: list[float]
    notes: Sequence[str]
    failure: TrainingError | None


class Share:
    """Some lanes, trained in this process as far as one is told.

    Args:
        lanes: the lanes.
        train: trains them.
        gradients: stacks [l, ...] into which gradients that are asked for are written.
        notes: what is said meanwhile.
    """

    def __init__(self, lanes: Lanes, train: Train, gradients: Stacks, notes: Sequence[str]) -> None:
        self._lanes, self._gradients = lanes, gradients
        self._notes, self._told = notes, len(notes)
        self._ahead = Ahead(0)
        self._steps = train(lanes, lambda _: self._ahead)
        self._step: Step | None = None

    def go(self, order: Go) -> Arrived | None:
        """Train; None where no lane is finite any more."""
        self._ahead = order.ahead
        self._lanes.leave(order.leaving)
        self._step = step = next(self._steps, None)
        if step is None:
            return None
        told, self._told = self._told, len(self._notes)
        notes = self._notes[told:]
        rates, failure = step.rates(), self._lanes.failure
        return Arrived(
            step.index, step.keys, step.losses, step.validation, step.stretch, rates, notes, failure
        )

    @property
    def step(self) -> Step | None:
        """The step to be looked at, where there is one."""
        return self._step

    def write_gradients(self, elements: Mapping[str, Tensor]) -> tuple[str, ...]:
        """Write those of the step into the first rows and columns of the stacks; of which tensors.

        Args:
            elements: as of `Step.gradients`.
        """
        found = {} if self._step is None else self._step.gradients(elements)
        for name, gradient in found.items():
            own_ln = gradient.reshape(len(gradient), -1)
            flat(self._gradients[name])[: len(own_ln), : own_ln.shape[1]] = own_ln
        return tuple(found)


class Shares:
    """The shares of a process, by number.

    Each is trained up to the step that is looked at before the next one is: its weights stay in the cache.
    """

    def __init__(self, shares: Mapping[int, Share]) -> None:
        self._shares = dict(shares)

    def go(self, order: Go) -> dict[int, Arrived]:
        """Train; those that came to a step."""
        arrived = {
            number: self._shares[number].go(order) for number in order.shares if number in self._shares
        }
        return {number: one for number, one in arrived.items() if one is not None}

    def write_gradients(self, elements: Mapping[str, Tensor]) -> tuple[str, ...]:
        """As of each share at a step; of which tensors."""
        names: tuple[str, ...] = ()
        for share in self._shares.values():
            if share.step is not None:
                names = share.write_gradients(elements)
        return names

    def answers(self, question: Question, argument: Any) -> dict[int, Any]:
        """What each share at a step answers."""
        steps = {number: share.step for number, share in self._shares.items()}
        return {number: question(step, argument) for number, step in steps.items() if step is not None}
