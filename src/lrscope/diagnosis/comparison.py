"""Comparison: the lanes of a study side by side after equally many steps. Which rates are as good as the best.

Letters: R rates that came through on every seed, S seeds.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from lrscope.diagnosis.curve import Curve, Floats
from lrscope.diagnosis.facts import Facts, baseline
from lrscope.diagnosis.objective import FINAL_TRAINING, Objective, choose_objective
from lrscope.diagnosis.progress import first_reach, regret
from lrscope.diagnosis.symptoms import is_sound
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.plan import Plan


@dataclasses.dataclass(frozen=True)
class Standing:
    """How one rate that came through on every seed compares with the best.

    Attributes:
        rate: the rate.
        value: the objective, mean over seeds.
        regret: share of what the best rate learned that is missing, mean over seeds; 0 at the best.
        worst_regret: of the worst seed.
        error: standard error of the difference in regret; None with one seed.
        near: as good as the best, within what can be told.
        near_by_noise: near only because the seeds differ so much.
    """

    rate: float
    value: float
    regret: float
    worst_regret: float
    error: float | None
    near: bool
    near_by_noise: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """All lanes of a study after equally many steps.

    Attributes:
        steps: how many.
        rates: every rate that was tested, rising, also where all its lanes stopped.
        seeds: the seeds compared.
        objective: what is compared.
        facts: of every lane that can be judged here, by lane.
        standings: the rates that came through on every seed, rising.
        best: the best of them; None where there is none or `hindrance` says why it means nothing.
        near_optimal: the rates around the best, without a gap, that are as good.
        hindrance: why there is no best rate to compare with: "broken", "nothing", "constant", "one_rate"; or None.
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

    def standing(self, rate: float) -> Standing | None:
        """The standing of a rate, None if it did not come through on every seed."""
        return next((one for one in self.standings if one.rate == rate), None)

    def at(self, rate: float, seed: int) -> Facts | None:
        """The facts of a lane."""
        lanes = self.facts.values()
        return next((one for one in lanes if one.curve.rate == rate and one.curve.seed == seed), None)

    @property
    def too_noisy(self) -> bool:
        """Whether rates over more decades than help anybody are as good only because seeds differ so much."""
        noisy = any(one.near_by_noise for one in self.standings if one.rate in self.near_optimal)
        return noisy and decades(self.near_optimal) > DEFAULT.widest

    def good_rates(self) -> tuple[float, ...]:
        """Rates called good: those that are near for another reason than noise where there is too much of that."""
        return tuple(one.rate for one in self.standings if one.near and not (self.too_noisy and one.near_by_noise))

    def fastest(self, seed: int, target: float) -> tuple[float, int] | None:
        """Rate and step of the good lane of a seed that first reached a loss, None where none did."""
        good = [self.at(rate, seed) for rate in self.good_rates()]
        reached = [(first_reach(one.levels, target), one.curve.rate) for one in good if one is not None]
        steps = [(step, rate) for step, rate in reached if step is not None]
        return (min(steps)[1], min(steps)[0]) if steps else None


def decades(rates: Sequence[float]) -> float:
    """How far rising rates span, in powers of ten."""
    return math.log10(rates[-1] / rates[0]) if rates else 0.0


def horizons(curves: Sequence[Curve], thresholds: Thresholds = DEFAULT) -> tuple[int, ...]:
    """The different lengths of the lanes that did not stop by themselves, rising; lanes too short left out."""
    alive = {curve.steps for curve in curves if curve.stopped_step is None}
    return tuple(sorted(steps for steps in alive if steps >= thresholds.least_steps))


def compare(
    curves: Sequence[Curve], plan: Plan, thresholds: Thresholds = DEFAULT, steps: int | None = None
) -> Comparison:
    """Compare all lanes that did so many steps, as they were then, and those that stopped before.

    Args:
        curves: of all lanes.
        plan: of the study.
        thresholds: see `Thresholds`.
        steps: after which the lanes are compared; those of the longest lane unless given.
    """
    if steps is None:
        steps = max(horizons(curves, thresholds), default=0)
    known = [curve for curve in curves if curve.stopped_step is not None or curve.steps >= steps]
    cut = [curve.until(steps) if curve.stopped_step is None else curve for curve in known]
    facts: dict[int, Facts] = {}
    for seed in sorted({curve.seed for curve in cut}):
        lanes = [curve for curve in cut if curve.seed == seed]
        base = baseline(lanes, plan, thresholds)
        if base is not None:
            facts |= {curve.lane: Facts(curve, base, plan, thresholds) for curve in lanes}
    rates = tuple(sorted({curve.rate for curve in cut}))
    through = _came_through(facts.values())
    table = [[one for one in facts.values() if one.curve.rate == rate] for rate in through]
    common = sorted(set.intersection(*({one.curve.seed for one in row} for row in table)) if table else set())
    compared = [[one for one in row if one.curve.seed in common] for row in table] if common else []
    objective = choose_objective([one for row in compared for one in row], thresholds)
    standings = _standings(compared, objective, thresholds)
    best = min(standings, key=lambda one: (one.regret, one.rate), default=None)
    hindrance = _hindrance(facts, compared, best, objective, len(rates), thresholds)
    return Comparison(
        steps=steps,
        rates=rates,
        seeds=tuple(common),
        objective=objective if compared else FINAL_TRAINING,
        facts=facts,
        standings=standings,
        best=None if hindrance else best,
        near_optimal=() if hindrance or best is None else _around(best.rate, rates, standings),
        hindrance=hindrance,
    )


def _came_through(facts: Sequence[Facts] | object) -> list[float]:
    """Rates all of whose lanes are sound, rising."""
    lanes = list(facts)  # type: ignore[call-overload]
    broken = {one.curve.rate for one in lanes if not is_sound(one)}
    return sorted({one.curve.rate for one in lanes} - broken)
