"""Gathered: what is found out of every step and at points, until somebody looks at all lanes.

Letters: L lanes.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from lrscope.training.lanes import Lanes
from lrscope.training.looks import Looks
from lrscope.training.step import Measured, Step, Stretch


class Measure(Protocol):
    """Measures the tensors of some lanes, wherever they are trained; made at their first step."""

    def __call__(self, step: Step, *, due: bool) -> None:
        """See what follows a point that was due, at the step after it; and a point that is due."""
        ...

    def taken(self) -> Sequence[Measured]:
        """What was found since this was asked before."""
        ...


MakeMeasure: TypeAlias = Callable[[Step], Measure]


class Gathered:
    """What lanes leave behind on their way from look to look.

    Args:
        lanes: what is trained.
        looks: the first step and the last are looked at anyway.
        make: makes what measures the lanes at points; None where nothing does.
    """

    def __init__(self, lanes: Lanes, looks: Looks, make: MakeMeasure | None) -> None:
        self._lanes, self._looks, self._make = lanes, looks, make
        self._measure: Measure | None = None
        self._losses: list[Tensor] = []
        self._tracked: list[Tensor] = []
        self._rates: list[tuple[int, list[float]]] = []
        self._ahead = looks(-1).within(0)
        self._stop = 0

    def look(self, index: int) -> bool:
        """Whether all lanes are looked at at a step."""
        return index >= self._ahead.look

    def stop(self, index: int) -> bool:
        """Whether anything more than a step's losses and tracked scalars is wanted."""
        return index >= self._stop

    def add(self, losses_L: Tensor | None) -> None:
        """A step's losses, before its update; None where there are none any more."""
        if losses_L is not None:
            self._losses.append(losses_L)
        self._tracked.append(self._lanes.tracked())

    def at(self, step: Step) -> Iterator[Step]:
        """Measure what is due at a stop; give the step, with all that was gathered, where it is looked at."""
        due = step.index in self._ahead.points
        if self._make is not None:
            if self._measure is None:
                self._measure = self._make(step)
            self._measure(step, due=due)
        if step.losses is not None and step.index in self._ahead.rates:
            self._rates.append((step.index, step.rates()))
        if step.losses is None or self.look(step.index):
            yield dataclasses.replace(step, stretch=self._taken(step.index))
            if step.losses is not None:
                self._ahead = self._looks(step.index)
        # The update that follows a point is measured right after it.
        self._stop = step.index + 1 if due else self._ahead.stop_after(step.index)

    def _taken(self, index: int) -> Stretch:
        """All of it, up to the step of this index; from here on other is gathered."""
        count = len(self._lanes)
        losses_nL = torch.stack(self._losses).detach() if self._losses else torch.empty(0, count)
        tracked_mkL = torch.stack(self._tracked).reshape(len(self._tracked), -1, count)
        first = index + 1 - len(tracked_mkL)
        measured = () if self._measure is None else tuple(self._measure.taken())
        stretch = Stretch(first, losses_nL, tracked_mkL, measured, tuple(self._rates))
        self._losses, self._tracked, self._rates = [], [], []
        return stretch
