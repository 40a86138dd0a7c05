"""Search: which lanes to train next, and how far, to find the best rate within a budget.

Lanes first run a short way at rates half a decade apart; the better ones run on, rates around the best are
added, and only few run to the end, on more than one seed. A small budget begins with rates a decade apart,
compares rates at a part of the run, and trains the one that is likely to be the best to the end. Rates are
places on a grid of 8 a decade.
"""

import math
import operator
from collections.abc import Sequence

from lrscope.diagnosis.estimate import for_whole_run, good_interval
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.recommend import recommend
from lrscope.diagnosis.searched import HALF, PER_DECADE, QUARTER, Lab, Searched, place_of, rate_at
from lrscope.diagnosis.thresholds import DEFAULT

LOWEST, HIGHEST, USUAL = 1e-10, 1e4, 10.0
"""Rates at which widening ends; above the usual ones only where it has led to something so far."""

AROUND = (0, -1, 1, -2, 2, -3, 3, -4, -5)
"""Places, in half decades from the range test's suggestion, that are tried at first, the likeliest first.
More of them lie below: the best rate falls with the length of the run, and a range test is short."""

AROUND_SMALL = (0, -1, 1, -2, -3)
"""The same in powers of ten, for a small budget."""

UNGUIDED = (-2, -3, -1, -4, 0, -5, 1, -6)
"""Powers of ten that are tried at first where no range test tells more, the likeliest first."""

FEWEST = 3
"""Rates that a first look compares at least, where the budget allows: fewer bracket nothing."""

COMPARED_AT_END = 6.0
"""Full training runs from which rates are compared at the end of the run. A smaller budget compares them at a
shorter length, and then trains the likeliest rate to the end."""

SHARES = (1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3)
"""Of the full run: the lengths at which a small budget may compare rates."""

ONE_FULL_RUN_FROM = 1.5
"""Full training runs from which one of them is kept back: the rate that is recommended goes to the end."""

SMALL_PART = 0.08
"""Of a full run: each first look of a small budget, where that is less than `SHORTEST`."""

WAITED_FOR = 4
"""Lanes at most that go to the end where nothing has learned yet."""

SHORTEST = 40
"""Steps of the first look, unless a fifth of the run is less: before, a good lane may be above its start (2
of 350 lanes at step 43, measured)."""

SCOUT_SHARE, SCOUT_MOST = 1 / 64, 100
"""Of the budget that goes into each seed of the range test; and its steps at most."""

SCOUT_FEWEST, SCOUT_COST, SCOUT_SEEDS = 20, 1 / 4, 2
"""Steps of a range test at least; the largest share of the budget that it may take; and its seeds."""

SLACK = 0.05
"""Full training runs by which a budget may be exceeded, for the rounding of lengths."""


def scout_steps(steps: int, budget: float) -> int:
    """Return how long the range test of a search is, in steps of each seed; 0 where it would cost too much.

    Args:
        steps: of a full run.
        budget: of the search, in full runs.
    """
    wanted = max(SCOUT_FEWEST, min(SCOUT_MOST, int(steps * budget * SCOUT_SHARE)))
    return wanted if SCOUT_SEEDS * wanted <= SCOUT_COST * steps * budget else 0


class Search:
    """A search on its way.

    Args:
        lab: trains the lanes.
        budget: in full training runs, lanes and the range test counted.
        seeds: one after another, as many as may come to be needed.

    Attributes:
        steps: of a full run.
        short, middle: steps after which rates are first compared.
        compared: steps after which the best ones and their neighbours are; the full run, or less where the
            budget is small.
        rungs: all of these.
    """

    def __init__(self, lab: Lab, budget: float, seeds: Sequence[int]) -> None:
        self.lab, self.budget, self.seeds = lab, budget, seeds
        self.lanes = Searched(lab)
        self._first = seeds[0]
        self.steps = steps = lab.plan.steps
        # One run at the rate that is recommended is kept back; what is left compares rates.
        self.reserve = 1.0 if budget >= ONE_FULL_RUN_FROM else 0.0
        self.small = budget < COMPARED_AT_END
        part = round(steps * SMALL_PART) if self.small else steps // 5
        least = min(SHORTEST, max(DEFAULT.least_steps, part))
        self.short = min(steps, max(least, steps // (32 if self.small else 16)))
        self.middle = self.short if self.small else max(self.short, steps // 4)
        self.compared = steps
        lengths = {max(self.short, round(steps * share)) for share in SHARES} if self.small else set()
        self.rungs = tuple(sorted({self.short, self.middle, steps // 4, steps // 2, steps} | lengths))
        self._apart = 2 * HALF if self.small else HALF

    @property
    def spent(self) -> float:
        """In full training runs."""
        return self.lanes.spent

    def run(self) -> None:
        """Spend the budget."""
        if self.steps < DEFAULT.least_steps:
            self._whole()
            return
        self._coarse()
        known = self.middle
        if self.small:
            known = self._shorten()
        elif self.lanes.at(self.short).best is None:
            self._wait(self.middle, keep=self._kept)
        elif self.middle > self.short:
            self._on()
        self._compare(known, self.compared, keep=self.reserve if self.compared < self.steps else 0.0)
        if self.reserve and self.compared < self.steps:
            self._compare(self.compared, self.steps, keep=0.0)
        self._settle()

    def _shorten(self) -> int:
        """Choose the length at which a small budget compares rates; after how many steps some stand already.

        Where the budget pays for four rates to a quarter of the run and three of them to its end, that.
        """
        best, quarter = self.lanes.best(self.short), max(self.short, self.steps // 4)
        if best is not None and self._telling(self.short):
            places = [best + apart * HALF for apart in (0, -1, 1, -2)]
            if self._affords(places, quarter, self._first, 3 * (1 - quarter / self.steps)):
                lost = self.lanes.lost(self.short)
                self._train([one for one in places if one not in lost], quarter, self._first)
                return quarter
        self.compared = self._length()
        return self.short

    def _telling(self, steps: int) -> bool:
        """Whether rates can be told apart after so many steps; a small budget cannot wait until a constant
        answer is beaten."""
        comparison = self.lanes.at(steps)
        return comparison.best is not None or (self.small and comparison.hindrance == "constant")

    def _length(self) -> int:
        """The length to which what is left brings three rates, and one of them to the end."""
        left = (self.budget + SLACK - self.reserve - self.spent) * self.steps + self.short
        lengths = [rung for rung in self.rungs if self.short <= rung < self.steps]
        lanes = 2 if self.reserve else 3
        return max((rung for rung in lengths if lanes * rung <= left), default=min(self.short, self.steps))

    def _compare(self, known: int, until: int, keep: float) -> None:
        """Bring the rates that were best after some steps to more steps, with so much kept back."""
        if not self._telling(known):
            self._wait(until, keep, most=WAITED_FOR)
        best = self._likeliest() if until > self.compared else self.lanes.best(known)
        best = self.lanes.best(until) if best is None else best
        if best is not None:
            self._to_the_end(best, known, until, keep)

    @property
    def _kept(self) -> float:
        """What first looks leave to later ones, in full training runs."""
        return max(self.reserve, self.budget / 2)

    def _wait(self, until: int, keep: float, most: int | None = None) -> None:
        """Nothing has learned yet, so which is the best is chance: go on with all that the budget allows.

        The lowest are left out first: how long a start in which nothing learns takes goes with 1 / rate.
        """
        tried = sorted({place_of(curve.rate) for curve in self.lab.curves})
        places = [place for place in tried if not self.lanes.broke(place)]
        places = places[-(most or len(places)) :]
        while len(places) > 1 and not self._affords(places, until, self._first, keep):
            places.pop(0)
        if places and self._affords(places, until, self._first, min(keep, self.reserve)):
            self._train(places, until, self._first)

    def _affords(self, places: Sequence[int], steps: int, seed: int, keep: float = 0.0) -> bool:
        """Whether the budget allows to bring these places to so many steps, with so much of it kept back."""
        return self.spent + self._cost(places, steps, seed) <= self.budget - keep + SLACK

    def _cost(self, places: Sequence[int], steps: int, seed: int) -> float:
        done = {place_of(one.rate): one.steps for one in self.lab.curves if one.seed == seed}
        missing = (
            max(0, steps - (done.get(place, 0) if self.lanes.goes_on(place, seed) else 0)) for place in places
        )
        return sum(missing) / self.lab.plan.steps

    def _whole(self) -> None:
        """Whole lanes a decade apart: a run too short to be judged can only be looked at."""
        places = [power * PER_DECADE for power in UNGUIDED]
        self._train(self._affordable(places, self.steps, keep=0.0), self.steps, self._first)

    def _affordable(self, places: Sequence[int], until: int, keep: float, fewest: int = 0) -> list[int]:
        """The first of some places, as many as the budget allows to train, or so many at least."""
        chosen = list(places)
        while len(chosen) > fewest and not self._affords(chosen, until, self._first, keep):
            chosen.pop()
        return chosen

    def _coarse(self) -> None:
        """Half decades, a short way; wider until the best of them has a worse one on each side."""
        steps = scout_steps(self.steps, self.budget)
        suggestion = self.lab.scout(steps) if steps else None
        if suggestion is None:
            self._apart = 2 * HALF
            order = [power * PER_DECADE for power in UNGUIDED]
            halves = order + [place + HALF for place in order[:-1]]
            if not self.small and self._affords(halves, self.short, self._first, self._kept):
                order, self._apart = halves, HALF
        else:
            middle = round(place_of(suggestion) / HALF) * HALF
            order = [middle + self._apart * apart for apart in (AROUND_SMALL if self.small else AROUND)]
        places = self._affordable(order, self.short, self._kept, FEWEST)
        self._train(self._affordable(places, self.short, self.reserve), self.short, self._first)
        while self.lab.curves and self.spent < self.budget - self._kept:
            more = self._affordable(self._beyond()[: 1 if self.small else 2], self.short, self.reserve)
            if not more:
                return
            self._train(more, self.short, self._first)

    def _beyond(self) -> list[int]:
        """Places beyond those tried, on the side on which the best may lie, the nearest first."""
        comparison, tried = self.lanes.at(self.short), sorted(self.lanes.tried(self.short))
        if comparison.best is not None:
            best = place_of(comparison.best.rate)
        elif self.lanes.broke(tried[0]):
            best = tried[0]
        elif not self.lanes.broke(tried[-1]):
            best = tried[-1]
        else:  # nothing has learned yet, and rates that are too high are known
            return []
        if best <= tried[min(1, len(tried) - 1)] and rate_at(tried[0]) > LOWEST:
            return [tried[0] - self._apart, tried[0] - 2 * self._apart]
        if best >= tried[-1] and rate_at(tried[-1]) < (HIGHEST if comparison.best else USUAL):
            return [tried[-1] + self._apart, tried[-1] + 2 * self._apart]
        return []

    def _on(self) -> None:
        """The best and its neighbours to a quarter of the way, lower ones more: the best rate falls."""
        sound = self.lanes.values(self.short)
        best = min(sound, key=sound.__getitem__)
        # What is left out first, where the budget is small, comes last.
        order = [best + apart * self._apart for apart in (0, -1, 1, -2, -3)]
        places = self._affordable([place for place in order if place in sound], self.middle, self._kept, 2)
        self._train(self._affordable(places, self.middle, self.reserve), self.middle, self._first)

    def _likeliest(self) -> int | None:
        """The place at which the best rate of a full run is likely to lie, after shorter lanes.

        The centre of those that were as good as the best, taken down as the best rate falls with the steps; a
        lane that stands there, or next to it, is preferred to a new one.
        """
        comparison = self.lanes.at(self.compared)
        if comparison.best is None:
            return None
        limits = comparison.thresholds
        interval = good_interval(comparison, limits)
        good = [one for one in comparison.standings if one.rate in interval]
        weights = [math.exp(-limits.centring * one.excess) for one in good]
        logs = [math.log10(one.rate) for one in good]
        centre = sum(map(operator.mul, weights, logs)) / sum(weights)
        fallen = for_whole_run(10**centre, self.compared, self.steps, limits.drift)
        place = place_of(fallen)
        standing = [one for one in self.lanes.values(self.compared) if self.lanes.goes_on(one, self._first)]
        nearest = min(standing, key=lambda one: abs(one - place), default=place)
        new = abs(nearest - place) > 1 and self._affords([place], self.steps, self._first)
        return place if new else nearest

    def _to_the_end(self, best: int, known: int, until: int, keep: float) -> None:
        """The best rates on, and more of them until the best has a worse one on each side."""
        values = self.lanes.values(known)
        places = [best]
        if until <= self.compared:
            # A neighbour that already lost everything brackets the best as well as any.
            lost = (self.lanes.lost(self.short) | self.lanes.lost(self.middle)) - set(values)
            places += [side for side in (best - HALF, best + HALF) if side not in lost]
        places.sort(key=lambda place: values.get(place, math.inf))
        self._train(self._affordable(places, until, keep), until, self._first)
        while True:
            values, tried = self.lanes.values(until), self.lanes.tried(until)
            leader = min(values, key=values.__getitem__) if values else min(places)
            missing = [place for place in (leader - HALF, leader + HALF) if place not in tried]
            if not missing or not self._affords(missing[:1], until, self._first, keep):
                return
            self._train(missing[:1], until, self._first)
            places += missing[:1]

    def _settle(self) -> None:
        """What is left goes where it tells most: a rate between two, or further seeds for the best ones."""
        steps = self.steps
        for seed in self.seeds[1:]:
            between = self._between()
            if between is not None and self._affords([between], steps, self._first, keep=2.0):
                self._train([between], steps, self._first)
            preferred = self._preferred()
            if preferred is not None and self._affords([preferred], steps, self._first):
                self._train([preferred], steps, self._first)
            contenders = self._contenders()
            while contenders and not self._affords(contenders, steps, seed):
                contenders.pop()
            if not contenders:
                return
            self._train(contenders, steps, seed)

    def _between(self) -> int | None:
        """A quarter of a decade beside the best, on the better side, where half a decade matters."""
        comparison = self.lanes.at(self.steps)
        if comparison.best is None:
            return None
        best = place_of(comparison.best.rate)
        tried = self.lanes.tried(self.steps)
        if {best - QUARTER, best + QUARTER} & tried:
            return None
        sides = {place: self.lanes.regret(place, comparison) for place in (best - HALF, best + HALF)}
        if max(sides.values()) <= comparison.thresholds.regret:
            return None
        better = min(sides, key=sides.__getitem__)
        return (best + better) // 2

    def _preferred(self) -> int | None:
        """The place at which the lanes say that the best rate lies, where it was not trained to the end."""
        plan, curves = self.lab.plan, self.lab.curves
        rate = recommend(curves, judge(curves, plan), plan).preferred_rate
        if rate is None or place_of(rate) in self.lanes.tried(self.steps):
            return None
        return place_of(rate)

    def _contenders(self) -> list[int]:
        """The rates that may be the best, at most three and two at least, the best first."""
        comparison = self.lanes.at(self.steps)
        order = sorted(comparison.standings, key=lambda one: one.value)
        close = [one for one in order if one.near or one.regret <= comparison.thresholds.safe_regret]
        return [place_of(one.rate) for one in (close if len(close) > 1 else order[:2])[:3]]

    def _train(self, places: Sequence[int], until: int, seed: int) -> None:
        if places:
            self.lab.train([(rate_at(place), seed) for place in sorted(set(places))], until)
