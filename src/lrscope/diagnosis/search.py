"""Search: which lanes to train next, and how far, to find the best rate within a budget.

Lanes first run a short way at rates half a decade apart; the better ones run on, rates around the best are
added, and only few run to the end, on more than one seed. Rates are places on a grid of 8 a decade.
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

LOWEST, HIGHEST = 1e-10, 1e4
"""Rates that are never left behind."""

BELOW, ABOVE = 5, 3
"""Half decades below and above the range test's suggestion that are tried at first. More below: the best
rate falls with the length of the run, and a range test is a very short one."""


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

    def train(self, lanes: Sequence[tuple[float, int]], until: int) -> None:
        """Bring these lanes, (rate, seed), to so many updates; others that could go on with them leave."""


def rate_at(place: int) -> float:
    """The rate of a place of the grid, to three digits."""
    return float(f"{10 ** (place / PER_DECADE):.2e}")


def place_of(rate: float) -> int:
    """The place nearest to a rate."""
    return round(math.log10(rate) * PER_DECADE)


class Search:
    """A search on its way.

    Args:
        lab: trains the lanes.
        budget: in full training runs, lanes counted, what was spent before included.
        seeds: one after another, as many as may come to be needed.
        centre: where to begin, None where nothing is known.
    """

    def __init__(self, lab: Lab, budget: float, seeds: Sequence[int], centre: float | None) -> None:
        self.lab, self.budget, self.seeds = lab, budget, seeds
        self._first = seeds[0]
        self._centre = place_of(centre) if centre is not None else None
        steps = lab.plan.steps
        share = min(1.0, budget / 8)
        self.short = max(min(40, steps), round(steps / 16 * share))
        self.middle = max(self.short, round(steps / 4 * share))
        self.rungs = (self.short, self.middle)

    @property
    def spent(self) -> float:
        """In full training runs."""
        plan = self.lab.plan
        return (plan.scouted + sum(curve.steps for curve in self.lab.curves)) / plan.steps

    def run(self) -> None:
        """Spend the budget."""
        self._coarse()
        best = self._best(self.short)
        if best is None:
            return
        if self.middle > self.short:
            best = self._on(best)
        self._to_the_end(best)
        self._more_seeds()

    # What is known

    def _at(self, steps: int) -> Comparison:
        return compare(self.lab.curves, self.lab.plan, steps=steps, at_end=True)

    def _values(self, steps: int) -> dict[int, float]:
        """place -> what rates are compared by, after so many steps, where every seed came through."""
        return {place_of(one.rate): one.value for one in self._at(steps).standings}

    def _tried(self, steps: int) -> set[int]:
        """Places known after so many steps, failures included."""
        return {
            place_of(curve.rate)
            for curve in self.lab.curves
            if curve.steps >= steps or curve.stopped_step is not None
        }

    def _best(self, steps: int) -> int | None:
        values = self._values(steps)
        return min(values, key=values.__getitem__) if values else None

    def _affords(self, places: Sequence[int], steps: int, seed: int, keep: float = 0.0) -> bool:
        """Whether the budget allows to bring these places to so many steps, with so much of it kept back."""
        return self.spent + self._cost(places, steps, seed) <= self.budget - keep + 0.05

    def _cost(self, places: Sequence[int], steps: int, seed: int) -> float:
        done = {place_of(one.rate): one.steps for one in self.lab.curves if one.seed == seed}
        missing = (max(0, steps - (done.get(place, 0) if self._goes_on(place, seed) else 0)) for place in places)
        return sum(missing) / self.lab.plan.steps

    def _goes_on(self, place: int, seed: int) -> bool:
        return (rate_at(place), seed) in self.lab.open

    # Stages

    def _coarse(self) -> None:
        """Half decades, a short way; wider until the best of them has a worse one on each side."""
        if self._centre is None:
            places = list(range(-6 * PER_DECADE, PER_DECADE + 1, HALF))
        else:
            centre = round(self._centre / HALF) * HALF
            places = list(range(centre - BELOW * HALF, centre + ABOVE * HALF + 1, HALF))
        self._train(places, self.short, self._first)
        while self.spent < self.budget / 3:
            values, tried = self._values(self.short), sorted(self._tried(self.short))
            best = min(values, key=values.__getitem__) if values else tried[0]
            if best <= tried[1] and LOWEST < rate_at(tried[0]):
                more = [tried[0] - 2 * HALF, tried[0] - HALF]
            elif best >= tried[-1] and rate_at(tried[-1]) < HIGHEST:
                more = [tried[-1] + HALF, tried[-1] + 2 * HALF]
            else:
                return
            self._train(more, self.short, self._first)

    def _on(self, best: int) -> int:
        """The best and its neighbours to a quarter of the way, lower ones more: the best rate falls."""
        sound = self._values(self.short)
        places = [place for place in range(best - 3 * HALF, best + HALF + 1, HALF) if place in sound]
        while len(places) > 2 and not self._affords(places, self.middle, self._first, keep=self.budget / 2):
            places.pop(0)
        self._train(places, self.middle, self._first)
        return self._best(self.middle) or best

    def _to_the_end(self, best: int) -> None:
        """Three rates around where the best one is expected to the end; more until it is bracketed."""
        steps = self.lab.plan.steps
        sound = self._values(self.middle)
        places = [best - HALF, best, best + HALF]
        if best + HALF not in sound and best + HALF in self._tried(self.short):
            places = [best - HALF, best]
        order = sorted(places, key=lambda place: sound.get(place, math.inf))
        chosen: list[int] = []
        for place in order:
            if self._affords([*chosen, place], steps, self._first) or not chosen:
                chosen.append(place)
        self._train(sorted(chosen), steps, self._first)
        while True:
            values, tried = self._values(steps), self._tried(steps)
            leader = min(values, key=values.__getitem__) if values else min(chosen)
            missing = [place for place in (leader - HALF, leader + HALF) if place not in tried]
            if not missing or not self._affords(missing[:1], steps, self._first):
                return
            self._train(missing[:1], steps, self._first)

    def _more_seeds(self) -> None:
        """The rates that may be the best, on further seeds."""
        steps = self.lab.plan.steps
        for seed in self.seeds[1:]:
            values = self._values(steps)
            order = sorted(values, key=values.__getitem__)[:3]
            while order and not self._affords(order, steps, seed):
                order.pop()
            if not order:
                return
            self._train(sorted(order), steps, seed)

    def _train(self, places: Sequence[int], until: int, seed: int) -> None:
        self.lab.train([(rate_at(place), seed) for place in sorted(set(places))], until)
