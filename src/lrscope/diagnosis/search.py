"""Search: which lanes to train next, and how far, to find the best rate within a budget.

Lanes first run a short way at rates half a decade apart; the better ones run on, rates around the best are
added, and only few run to the end, on more than one seed. Rates are places on a grid of 8 a decade.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from lrscope.diagnosis.comparison import Comparison, compare
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.thresholds import DEFAULT
from lrscope.plan import Plan

PER_DECADE = 8
"""Places of the grid in a decade."""

HALF, QUARTER = PER_DECADE // 2, PER_DECADE // 4
"""Half and quarter of a decade, in places."""

LOWEST, HIGHEST, USUAL = 1e-10, 1e4, 10.0
"""Rates at which widening ends; above the usual ones only where it has led to something so far."""

BELOW, ABOVE = 5, 3
"""Half decades below and above the range test's suggestion that are tried at first. More below: the best
rate falls with the length of the run, and a range test is a very short one."""

FULL_LENGTH_FROM = 6.0
"""Full training runs a budget must have for lanes to be trained to the end."""

WAITED_FOR = 4
"""Lanes at most that go to the end where nothing has learned yet."""

SHORTEST = 40
"""Steps of the first look, unless a fifth of the run is less: before, a good lane may be above its start (2
of 350 lanes at step 43, measured)."""

SCOUT_SHARE, SCOUT_MOST = 1 / 64, 100
"""Of the budget that goes into each seed of the range test; and its steps at most."""


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


class Search:
    """A search on its way.

    Args:
        lab: trains the lanes.
        budget: in full training runs, lanes and the range test counted.
        seeds: one after another, as many as may come to be needed.
    """

    def __init__(self, lab: Lab, budget: float, seeds: Sequence[int]) -> None:
        self.lab, self.budget, self.seeds = lab, budget, seeds
        self._first = seeds[0]
        steps = lab.plan.steps
        # What does not pay for a few lanes to the end of a run, beside the looks, looks at a shorter one.
        self.full = max(1, round(steps * min(1.0, budget / FULL_LENGTH_FROM)))
        least = min(SHORTEST, max(DEFAULT.least_steps, self.full // 5))
        self.short = min(self.full, max(least, self.full // 16))
        self.middle = max(self.short, self.full // 4)
        self.rungs = (self.short, self.middle, steps // 4, steps // 2, self.full)

    @property
    def spent(self) -> float:
        """In full training runs."""
        plan = self.lab.plan
        return (plan.scouted + sum(curve.steps for curve in self.lab.curves)) / plan.steps

    def run(self) -> None:
        """Spend the budget."""
        self._coarse()
        if self._at(self.short).best is None:
            self._wait(self.middle, keep=self.budget / 2)
        elif self.middle > self.short:
            self._on()
        if self._at(self.middle).best is None:
            self._wait(self.full, keep=0.0, most=WAITED_FOR)
        best = self._best(self.middle)
        best = self._best(self.full) if best is None else best
        if best is not None:
            self._to_the_end(best)
            self._settle()

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

    def _lost(self, steps: int) -> set[int]:
        """Places that were not sound after so many steps, when others were."""
        sound = self._values(steps)
        return self._tried(steps) - set(sound) if sound else set()

    def _wait(self, until: int, keep: float, most: int | None = None) -> None:
        """Nothing has learned yet, so which is the best is chance: go on with all that the budget allows.

        The lowest are left out first: how long a start in which nothing learns takes goes with 1 / rate.
        """
        tried = sorted({place_of(curve.rate) for curve in self.lab.curves})
        places = [place for place in tried if not self._broke(place)]
        places = places[-(most or len(places)) :]
        while len(places) > 1 and not self._affords(places, until, self._first, keep):
            places.pop(0)
        if places and self._affords(places, until, self._first):
            self._train(places, until, self._first)

    def _broke(self, place: int) -> bool:
        """Whether a lane at this rate stopped, or ended above where it began."""
        return any(_rose(curve) for curve in self.lab.curves if place_of(curve.rate) == place)

    def _best(self, steps: int) -> int | None:
        values = self._values(steps)
        return min(values, key=values.__getitem__) if values else None

    def _affords(self, places: Sequence[int], steps: int, seed: int, keep: float = 0.0) -> bool:
        """Whether the budget allows to bring these places to so many steps, with so much of it kept back."""
        return self.spent + self._cost(places, steps, seed) <= self.budget - keep + 0.05

    def _cost(self, places: Sequence[int], steps: int, seed: int) -> float:
        done = {place_of(one.rate): one.steps for one in self.lab.curves if one.seed == seed}
        missing = (
            max(0, steps - (done.get(place, 0) if self._goes_on(place, seed) else 0)) for place in places
        )
        return sum(missing) / self.lab.plan.steps

    def _goes_on(self, place: int, seed: int) -> bool:
        return (rate_at(place), seed) in self.lab.open

    # Stages

    def _coarse(self) -> None:
        """Half decades, a short way; wider until the best of them has a worse one on each side."""
        suggestion = self.lab.scout(min(SCOUT_MOST, int(self.lab.plan.steps * self.budget * SCOUT_SHARE)))
        if suggestion is None:
            apart = HALF if self.full == self.lab.plan.steps else 2 * HALF
            places = list(range(-6 * PER_DECADE, PER_DECADE + 1, apart))
        else:
            centre = round(place_of(suggestion) / HALF) * HALF
            places = list(range(centre - BELOW * HALF, centre + ABOVE * HALF + 1, HALF))
        self._train(places, self.short, self._first)
        while self.spent < self.budget / 2:
            comparison, tried = self._at(self.short), sorted(self._tried(self.short))
            if comparison.best is not None:
                best = place_of(comparison.best.rate)
            elif self._broke(tried[0]):
                best = tried[0]
            elif not self._broke(tried[-1]):
                best = tried[-1]
            else:  # nothing has learned yet, and rates that are too high are known
                return
            if best <= tried[1] and rate_at(tried[0]) > LOWEST:
                more = [tried[0] - 2 * HALF, tried[0] - HALF]
            elif best >= tried[-1] and rate_at(tried[-1]) < (HIGHEST if comparison.best else USUAL):
                more = [tried[-1] + HALF, tried[-1] + 2 * HALF]
            else:
                return
            self._train(more, self.short, self._first)

    def _on(self) -> None:
        """The best and its neighbours to a quarter of the way, lower ones more: the best rate falls."""
        sound = self._values(self.short)
        best = min(sound, key=sound.__getitem__)
        # What is left out first, where the budget is small, comes last.
        order = [best + apart * HALF for apart in (0, -1, 1, -2, -3)]
        places = [place for place in order if place in sound]
        while len(places) > 2 and not self._affords(places, self.middle, self._first, keep=self.budget / 2):
            places.pop()
        self._train(places, self.middle, self._first)

    def _to_the_end(self, best: int) -> None:
        """The best rates to the end, and more of them until the best has a worse one on each side."""
        steps, known = self.full, self._values(self.middle)
        places = [best]
        # A neighbour that already lost everything brackets the best as well as any.
        lost = (self._lost(self.short) | self._lost(self.middle)) - set(known)
        places += [side for side in (best - HALF, best + HALF) if side not in lost]
        places.sort(key=lambda place: known.get(place, math.inf))
        while len(places) > 1 and not self._affords(places, steps, self._first):
            places.pop()
        self._train(places, steps, self._first)
        while True:
            values, tried = self._values(steps), self._tried(steps)
            leader = min(values, key=values.__getitem__) if values else min(places)
            missing = [place for place in (leader - HALF, leader + HALF) if place not in tried]
            if not missing or not self._affords(missing[:1], steps, self._first):
                return
            self._train(missing[:1], steps, self._first)
            places += missing[:1]

    def _settle(self) -> None:
        """What is left goes where it tells most: a rate between two, or further seeds for the best ones."""
        steps = self.full
        for seed in self.seeds[1:]:
            between = self._between()
            if between is not None and self._affords([between], steps, self._first, keep=2.0):
                self._train([between], steps, self._first)
            contenders = self._contenders()
            while contenders and not self._affords(contenders, steps, seed):
                contenders.pop()
            if not contenders:
                return
            self._train(contenders, steps, seed)

    def _between(self) -> int | None:
        """A quarter of a decade beside the best, on the better side, where half a decade matters."""
        comparison = self._at(self.full)
        if comparison.best is None:
            return None
        best = place_of(comparison.best.rate)
        tried = self._tried(self.full)
        if {best - QUARTER, best + QUARTER} & tried:
            return None
        sides = {place: self._regret(place, comparison) for place in (best - HALF, best + HALF)}
        if max(sides.values()) <= comparison.thresholds.regret:
            return None
        better = min(sides, key=sides.__getitem__)
        return (best + better) // 2

    def _regret(self, place: int, comparison: Comparison) -> float:
        """What a rate is short of the best one, also where something was the matter with a lane of it."""
        value, best = comparison.objective.value, comparison.best
        lanes = [one for one in comparison.facts.values() if place_of(one.curve.rate) == place]
        if best is None or not lanes or any(one.curve.stopped_step is not None for one in lanes):
            return math.inf
        short = sum(map(value, lanes)) / len(lanes) - best.value
        start = comparison.objective.start(lanes[0])
        return short / max(start - best.value, 1e-300)

    def _contenders(self) -> list[int]:
        """The rates that may be the best, at most three and two at least, the best first."""
        comparison = self._at(self.full)
        order = sorted(comparison.standings, key=lambda one: one.value)
        close = [one for one in order if one.near or one.regret <= comparison.thresholds.safe_regret]
        return [place_of(one.rate) for one in (close if len(close) > 1 else order[:2])[:3]]

    def _train(self, places: Sequence[int], until: int, seed: int) -> None:
        self.lab.train([(rate_at(place), seed) for place in sorted(set(places))], until)


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
