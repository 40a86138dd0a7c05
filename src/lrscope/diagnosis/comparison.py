"""Comparison: the lanes of a study side by side after equally many steps, and which rates are good.

Letters: R rates that came through on every seed, S seeds.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis.baseline import baseline
from lrscope.diagnosis.constant_predictor import BesideConstant, beside_constant
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.objective import Objective, choose_objective
from lrscope.diagnosis.progress import first_reach
from lrscope.diagnosis.rate_score import Standing, rank
from lrscope.diagnosis.symptoms import invalid, is_sound
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.plan import Plan


class Pace(NamedTuple):
    """How many steps a lane took to a loss, beside the fastest good lane."""

    target: float
    steps: int
    fastest_rate: float
    fastest_steps: int

    @property
    def ratio(self) -> float:
        """How many times more steps."""
        return max(self.steps, 1) / max(self.fastest_steps, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """All lanes of a study after equally many steps.

    Attributes:
        steps: how many.
        rates: every rate that was tested, rising, also where all its lanes stopped, or are known to fail.
        seeds: the seeds compared.
        objective: what is compared.
        facts: of every lane that can be judged here, by lane.
        standings: the rates that came through on every seed, rising.
        best: the best of them; None where there is none or `hindrance` says why it means nothing.
        near_optimal: the rates around the best, without a gap, that are as good.
        hindrance: why there is no best rate to compare with: "broken" (none came through on every seed),
            "nothing" (none learned), "constant" (none beats a constant answer), "one_rate"; or None.
        near_zero: the best loss has come down to next to nothing, from where no rate can gain more in loss.
        beats_constant: the best rate did better than a constant answer, or that is not known.
        thresholds: what the rules compare with.
        failing: rates known to fail on lanes that were too short to be compared.
    """

    steps: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    objective: Objective
    facts: Mapping[int, Facts]
    standings: tuple[Standing, ...]
    best: Standing | None
    near_optimal: tuple[float, ...]
    hindrance: str | None
    near_zero: bool
    beats_constant: bool
    thresholds: Thresholds
    failing: frozenset[float] = frozenset()

    @property
    def depth(self) -> int:
        """On how many seeds the best rate was trained; seeds whose lanes are bitwise alike count as one."""
        if self.best is None:
            return len(self.seeds)
        lanes = [one for one in self.facts.values() if one.curve.rate == self.best.rate]
        return max(1, len({one.curve.measured for one in lanes}))

    @property
    def rates_alike(self) -> bool:
        """Whether lanes of different rates are bitwise alike on every seed: the rate changed nothing."""
        rows: dict[int, set[bytes]] = {}
        for one in self.facts.values():
            rows.setdefault(one.curve.seed, set()).add(one.curve.measured)
        several = len({one.curve.rate for one in self.facts.values()}) > 1
        return several and all(len(row) == 1 for row in rows.values())

    def standing(self, rate: float) -> Standing | None:
        """The standing of a rate, None if it did not come through on every seed."""
        return next((one for one in self.standings if one.rate == rate), None)

    def at(self, rate: float, seed: int) -> Facts | None:
        """The facts of a lane."""
        return self._by_key.get((rate, seed))

    @functools.cached_property
    def _by_key(self) -> dict[tuple[float, int], Facts]:
        return {(one.curve.rate, one.curve.seed): one for one in self.facts.values()}

    @functools.cached_property
    def too_noisy(self) -> bool:
        """Whether rates over more decades than help anybody are as good only because seeds differ so much."""
        noisy = any(one.near_by_noise for one in self.standings if one.rate in self.near_optimal)
        return noisy and decades(self.near_optimal) > self.thresholds.widest

    @functools.cached_property
    def good_rates(self) -> tuple[float, ...]:
        """Rates called good: all that are near, but for those near only by noise where there is too much."""
        if self.best is None:
            return ()
        good = (one for one in self.standings if one.near and not (self.too_noisy and one.near_by_noise))
        return tuple(one.rate for one in good)

    @property
    def leader(self) -> float | None:
        """The rate no other does better than: the best, or of those that come down to nothing the fastest."""
        if self.best is None or not self.near_zero:
            return self.best.rate if self.best else None
        return min(self.near_optimal, key=lambda rate: (self.steps_ratio(rate), rate))

    def steps_ratio(self, rate: float) -> float:
        """How many times more steps than the fastest good lane a good rate took, on its slowest seed."""
        ratios = [1.0]
        for seed in self.seeds:
            pace = self.pace(rate, seed)
            if pace is not None:
                ratios.append(pace.ratio)
        return max(ratios)

    def pace(self, rate: float, seed: int) -> "Pace | None":
        """How fast a lane came to the lowest training loss that all good lanes of its seed reached."""
        facts, target = self.at(rate, seed), self._common_levels.get(seed)
        if facts is None or target is None:
            return None
        own, fastest = first_reach(facts.levels, target), self.fastest(seed, target)
        if own is None or fastest is None:
            return None
        return Pace(target, own, *fastest)

    @functools.cached_property
    def _common_levels(self) -> dict[int, float]:
        """The lowest training loss that all good lanes of a seed reached."""
        every = {seed for _, seed in self._by_key}
        lanes = {seed: [self.at(rate, seed) for rate in self.good_rates] for seed in every}
        lows = {seed: [float(one.levels.min()) for one in row if one] for seed, row in lanes.items()}
        return {seed: max(values) for seed, values in lows.items() if values}

    def fastest(self, seed: int, target: float) -> tuple[float, int] | None:
        """Rate and step of the good lane of a seed that first reached a loss, None where none did."""
        good = [self.at(rate, seed) for rate in self.good_rates]
        reached = [(first_reach(one.levels, target), one.curve.rate) for one in good if one is not None]
        steps = [(step, rate) for step, rate in reached if step is not None]
        return (min(steps)[1], min(steps)[0]) if steps else None


def decades(rates: Sequence[float]) -> float:
    """How far rising rates span, in powers of ten."""
    return math.log10(rates[-1] / rates[0]) if rates else 0.0


def horizons(curves: Sequence[Curve], thresholds: Thresholds = DEFAULT) -> tuple[int, ...]:
    """The lengths, rising, of the lanes that did not stop by themselves and are not too short."""
    alive = {curve.steps for curve in curves if curve.stopped_step is None}
    return tuple(sorted(steps for steps in alive if steps >= thresholds.least_steps))


def compare(
    curves: Sequence[Curve],
    plan: Plan,
    thresholds: Thresholds = DEFAULT,
    steps: int | None = None,
    failing: Collection[float] = (),
    *,
    at_end: bool = False,
) -> Comparison:
    """Compare all lanes that did so many steps, as they were then, and those that stopped before.

    Args:
        curves: of all lanes.
        plan: of the study.
        thresholds: see `Thresholds`.
        steps: after which the lanes are compared; those of the longest lane unless given.
        failing: rates known to fail on lanes that were too short to be compared.
        at_end: compare lanes as they ended, also where they overfit; see `choose_objective`.
    """
    if steps is None:
        steps = max(horizons(curves, thresholds), default=max((curve.steps for curve in curves), default=0))
    known = [curve for curve in curves if curve.stopped_step is not None or curve.steps >= steps]
    cut = [curve.until(steps) if curve.stopped_step is None else curve for curve in known]
    facts: dict[int, Facts] = {}
    for seed in sorted({curve.seed for curve in cut}):
        lanes = [curve for curve in cut if curve.seed == seed and curve.steps]
        if lanes:
            base = baseline(lanes, plan, thresholds)
            facts |= {curve.lane: Facts(curve, base, plan, thresholds) for curve in lanes}
    rates = tuple(sorted({curve.rate for curve in cut} | set(failing)))
    compared = _came_through(facts.values(), failing)
    there = [one for row in compared for one in row if one is not None]
    objective = choose_objective(there, curves, at_end=at_end, thresholds=thresholds)
    standings, best, near_zero = rank(compared, objective, thresholds)
    leading = [one for one in there if best is not None and one.curve.rate == best.rate]
    beside = beside_constant(leading, objective, thresholds) if leading else None
    hindrance: str | None
    if best is None:
        hindrance = "broken" if any(one.learned for one in facts.values()) else "nothing"
    else:
        alone = len(rates) == 1
        hindrance = _hindrance(leading, beside, objective, thresholds, at_end=at_end, alone=alone)
    return Comparison(
        steps=steps,
        rates=rates,
        seeds=tuple(sorted({one.curve.seed for row in compared for one in row if one is not None})),
        objective=objective,
        facts=facts,
        standings=standings,
        best=None if hindrance else best,
        near_optimal=() if hindrance or best is None else _around(best.rate, rates, standings),
        hindrance=hindrance,
        near_zero=near_zero,
        beats_constant=beside is None or beside.beaten,
        thresholds=thresholds,
        failing=frozenset(failing),
    )


def _came_through(facts: Iterable[Facts], failing: Collection[float]) -> list[list[Facts | None]]:
    """The lanes of each rate all of whose lanes are sound, rates rising, seed by seed; None where a rate was
    not trained on a seed."""
    lanes = [one for one in facts if not invalid(one)]
    broken = {one.curve.rate for one in lanes if not is_sound(one)}
    rates = sorted({one.curve.rate for one in lanes} - broken - set(failing))
    rows = [{one.curve.seed: one for one in lanes if one.curve.rate == rate} for rate in rates]
    seeds = sorted(set().union(*rows))
    return [[row.get(seed) for seed in seeds] for row in rows]


def _hindrance(
    leading: Sequence[Facts],
    beside: BesideConstant | None,
    objective: Objective,
    thresholds: Thresholds,
    *,
    at_end: bool,
    alone: bool,
) -> str | None:
    """Why the best rate, whose lanes these are, means nothing; None where it does mean something."""
    start = float(np.mean([objective.start(one) for one in leading]))
    value = float(np.mean([objective.value(one) for one in leading]))
    if start - value <= thresholds.least_descent * abs(start):
        return "nothing"
    if beside is not None and not beside.beaten and not (at_end and beside.came_from_far(thresholds)):
        return "constant"
    if alone and not (min(start, value) >= 0 and value <= thresholds.regret * start):
        return "one_rate"
    return None


def _around(best: float, rates: Sequence[float], standings: Sequence[Standing]) -> tuple[float, ...]:
    """The near rates around the best one, with no other tested rate between them."""
    near = {one.rate for one in standings if one.near}
    below = list(itertools.takewhile(near.__contains__, reversed([rate for rate in rates if rate < best])))
    above = list(itertools.takewhile(near.__contains__, [rate for rate in rates if rate > best]))
    return (*reversed(below), best, *above)
