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
from lrscope.training.gathered import Measures, measured
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
        self._step = None  # the last step is over, also where no further one comes
        step = next(self._steps, None)
        if step is None:
            return None
        self._step = step
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

    def end(self) -> None:
        """Stand at no step any more: all lanes have left."""
        self._step = None

    def write_gradients(self) -> tuple[str, ...]:
        """Write those of the step into the first rows of the stacks; of which tensors."""
        found = {} if self._step is None else self._step.gradients()
        for name, gradient in found.items():
            self._gradients[name][: len(gradient)] = gradient
        return tuple(found)


class Shares:
    """The shares of a process, by number.

    Each is trained up to the step that is looked at before the next one is: its weights stay in the cache.
    What can wait until then is done of all of them at once.

    Args:
        shares: lanes that follow each other.
        weights: stacks of the weights of all of them.
        measures: what they keep of points on the way.
    """

    def __init__(self, shares: Mapping[int, Share], weights: Stacks, measures: Measures | None) -> None:
        self._shares = dict(shares)
        self._weights, self._measures = weights, measures

    def go(self, order: Go) -> dict[int, Arrived]:
        """Train; those that came to a step."""
        for number in [number for number in self._shares if number not in order.shares]:
            del self._shares[number]  # all of its lanes have left: nobody asks it again
        arrived = {number: share.go(order) for number, share in self._shares.items()}
        there = {number: one for number, one in arrived.items() if one is not None}
        stretches = measured([one.stretch for one in there.values()], self._measures)
        pairs = zip(there.items(), stretches, strict=True)
        return {number: one._replace(stretch=stretch) for (number, one), stretch in pairs}

    def write_gradients(self) -> tuple[str, ...]:
        """As of each share at a step; of which tensors."""
        names: tuple[str, ...] = ()
        for share in self._shares.values():
            if share.step is not None:
                names = share.write_gradients()
        return names

    def answer(self, question: Question, argument: Any) -> list[Any]:
        """What is to be said of the lanes at a step, in a list; an empty one where there are none."""
        steps = [share.step for share in self._shares.values() if share.step is not None]
        if not steps:
            return []
        keys = tuple(key for step in steps for key in step.keys)
        weights = self._weights
        if len(keys) < len(next(iter(weights.values()))):
            weights = {name: torch.cat([step.weights[name] for step in steps]) for name in weights}
        return [question(keys, weights, argument)]
