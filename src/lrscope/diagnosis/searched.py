"""Searched: what the lanes of a search have shown so far, by place of a grid of rates.

Rates are places on a grid of 8 a decade.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from lrscope.diagnosis.comparison import Comparison, compare
from lrscope.diagnosis.curve import Curve
from lrscope.plan import Plan

PER_DECADE = 8
"""Places of the grid in a decade."""

HALF, QUARTER = PER_DECADE // 2, PER_DECADE // 4
"""Half and quarter of a decade, in places."""


class Lab(Protocol):
    """Where lanes are trained."""

    @property
    def plan(self) -> Plan:
        """The plan with all lanes begun so far."""

    @property
    def curves(self) -> Sequence[Curve]:
        """All lanes begun so far, as far as they went."""

    @property
    def open(self) -> frozenset[tuple[float, int]]:
        """Lanes, (rate, seed), that may go on from where they are."""

    def scout(self, steps: int) -> float | None:
        """The suggestion of a range test of so many steps, None where it has none."""

    def train(self, lanes: Sequence[tuple[float, int]], until: int) -> None:
        """Bring these lanes, (rate, seed), to so many updates; others that could go on with them leave."""


def rate_at(place: int) -> float:
    """The rate of a place of the grid, to three digits."""
    return float(f"{10 ** (place / PER_DECADE):.2e}")


def place_of(rate: float) -> int:
    """The place nearest to a rate."""
    return round(math.log10(rate) * PER_DECADE)


class Searched:
    """The lanes of a search, as far as they have come.

    Args:
        lab: trains the lanes.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._compared: dict[int, tuple[Sequence[Curve], Comparison]] = {}

    @property
    def spent(self) -> float:
        """In full training runs."""
        plan = self.lab.plan
        return (plan.scouted + sum(curve.steps for curve in self.lab.curves)) / plan.steps

    def at(self, steps: int) -> Comparison:
        """All lanes side by side after so many steps."""
        curves = self.lab.curves
        known = self._compared.get(steps)
        if known is None or known[0] is not curves:  # something was trained since
            known = self._compared[steps] = curves, compare(curves, self.lab.plan, steps=steps, at_end=True)
        return known[1]

    def values(self, steps: int) -> dict[int, float]:
        """place -> what rates are compared by, after so many steps, where every seed came through."""
        return {place_of(one.rate): one.value for one in self.at(steps).standings}

    def tried(self, steps: int) -> set[int]:
        """Places known after so many steps, failures included."""
        return {
            place_of(curve.rate)
            for curve in self.lab.curves
            if curve.steps >= steps or curve.stopped_step is not None
        }

    def lost(self, steps: int) -> set[int]:
        """Places that were not sound after so many steps, when others were."""
        sound = self.values(steps)
        return self.tried(steps) - set(sound) if sound else set()

    def broke(self, place: int) -> bool:
        """Whether a lane at this rate stopped, or ended above where it began."""
        return any(_rose(curve) for curve in self.lab.curves if place_of(curve.rate) == place)

    def best(self, steps: int) -> int | None:
        """The place of the lowest value after so many steps; None where no lane came through."""
        values = self.values(steps)
        return min(values, key=values.__getitem__) if values else None

    def goes_on(self, place: int, seed: int) -> bool:
        """Whether the lane at a place can be trained on from where it is."""
        return (rate_at(place), seed) in self.lab.open

    def regret(self, place: int, comparison: Comparison) -> float:
        """What a rate is short of the best one, also where something was the matter with a lane of it."""
        value, best = comparison.objective.value, comparison.best
        lanes = [one for one in comparison.facts.values() if place_of(one.curve.rate) == place]
        if best is None or not lanes or any(one.curve.stopped_step is not None for one in lanes):
            return math.inf
        short = sum(map(value, lanes)) / len(lanes) - best.value
        start = comparison.objective.start(lanes[0])
        return short / max(start - best.value, 1e-300)


def _rose(curve: Curve) -> bool:
    """Whether a lane stopped, or ended above where it began.

    By the validation loss where there is one: single batches differ by more than a lane that stands still.
    """
    if curve.stopped_step is not None:
        return True
    quarter = max(1, curve.steps // 4)
    began, ended = float(curve.loss[:quarter].mean()), float(curve.loss[-quarter:].mean())
    if len(curve.val.values) > 1:
        began, ended = float(curve.val.values[0]), float(curve.val.values[-1])
    return not ended <= began + 0.1 * abs(began)
