"""Gathered: what is found out of every step and at points, until somebody looks at all lanes.

Letters: L lanes.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor

from lrscope.training.lanes import Lanes
from lrscope.training.looks import Looks
from lrscope.training.losses import Losses
from lrscope.training.step import Measured, Step, Stretch


class Keeper(Protocol):
    """Keeps what is to be measured of some lanes, where they are trained."""

    def __call__(self, step: Step, *, due: bool) -> None:
        """See what follows a point that was due, at the step after it; and a point that is due."""
        ...

    def taken(self, *, complete: bool) -> Sequence[Any]:
        """What was kept since this was asked before; or of that only the points whose update has followed."""
        ...


class Measures(Protocol):
    """Measures lanes at points, wherever they are trained."""

    def keeper(self, start: Step) -> Any:
        """A `Keeper` of lanes that are at their start."""
        ...

    def full(self, keeper: Any) -> bool:
        """Whether so much is kept that it has to be measured."""
        ...

    def measured(self, taken: Sequence[Sequence[Any]]) -> list[list[Measured]]:
        """What was found of lanes side by side, given what the keeper of each gave."""
        ...


def measured(stretches: Sequence[Stretch], measures: Measures | None) -> list[Stretch]:
    """The same stretches of lanes side by side, with what was kept of them measured."""
    if measures is None:
        return list(stretches)
    found = measures.measured([stretch.kept for stretch in stretches])
    return [
        stretch._replace(kept=(), measured=sorted((*stretch.measured, *own), key=lambda one: one[:2]))
        for stretch, own in zip(stretches, found, strict=True)
    ]


class Gathered:
    """What lanes leave behind on their way from look to look.

    Args:
        lanes: what is trained.
        looks: the first step and the last are looked at anyway.
        measures: what measures the lanes at points; None where nothing does. By it is measured here only what
            there is no room to keep.
        one_by_one: whether every lane has a pass of its own, between which little is to be left in memory.
    """

    def __init__(
        self, lanes: Lanes, looks: Looks, measures: Measures | None, *, one_by_one: bool = False
    ) -> None:
        self._lanes, self._looks, self._measures = lanes, looks, measures
        self._keeper: Keeper | None = None
        self._found: list[Measured] = []
        self._losses = Losses(at_once=one_by_one)
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
            self._losses.add(losses_L)
        self._lanes.tracked.add()

    def at(self, step: Step) -> Iterator[Step]:
        """Measure what is due at a stop; give the step, with all that was gathered, where it is looked at."""
        due = step.index in self._ahead.points
        if self._measures is not None:
            if self._keeper is None:
                self._keeper = self._measures.keeper(step)
            self._keeper(step, due=due)
            if self._measures.full(self._keeper):
                self._found += self._measures.measured([self._keeper.taken(complete=True)])[0]
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
        losses_nL = self._losses.taken(len(self._lanes))
        tracked_mkL = self._lanes.tracked.taken()
        first = index + 1 - len(tracked_mkL)
        kept = () if self._keeper is None else self._keeper.taken(complete=False)
        stretch = Stretch(first, losses_nL, tracked_mkL, self._found, tuple(self._rates), kept)
        self._rates, self._found = [], []
        return stretch
