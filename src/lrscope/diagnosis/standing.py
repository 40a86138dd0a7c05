"""Standing: how a rate that came through on every seed compares with the best one.

Letters: R rates that came through on every seed, S seeds.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrscope.diagnosis.curve import Floats
from lrscope.diagnosis.facts import Facts
from lrscope.diagnosis.objective import Objective
from lrscope.diagnosis.thresholds import Thresholds


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


class Ranking(NamedTuple):
    """Every rate's standing.

    Attributes:
        standings: rates rising.
        best: the best of them, None where there is none.
        near_zero: the best loss has come down to next to nothing, from where no rate can gain more in loss.
    """

    standings: tuple[Standing, ...]
    best: Standing | None
    near_zero: bool


def rank(lanes_RS: Sequence[Sequence[Facts]], objective: Objective, thresholds: Thresholds) -> Ranking:
    """Compare rates by the mean of an objective over seeds.

    Two rates are as good as each other if the logarithms of their losses differ by no more than ln 1.05 and
    twice the standard error of the difference, seeds being paired. The logarithm means nothing where a loss
    is negative, and next to zero it tells seeds apart, not rates: there, differences of the loss itself, as
    a share of what the best rate learned, take its place.

    Args:
        lanes_RS: for each rate, rising, its lanes, the same seeds in the same order.
        objective: what they are compared by.
        thresholds: see `Thresholds`.
    """
    if not lanes_RS:
        return Ranking((), None, False)
    values_RS = np.array([[objective.value(one) for one in row] for row in lanes_RS])
    starts_S = np.array([objective.start(one) for one in lanes_RS[0]])
    nonnegative = bool((values_RS >= 0).all() and (starts_S > 0).all())
    with np.errstate(divide="ignore", invalid="ignore"):
        logs_RS = np.log(values_RS)
    means_R = np.exp(logs_RS.mean(axis=1)) if nonnegative else values_RS.mean(axis=1)
    near_zero = nonnegative and bool(means_R.min() <= thresholds.interpolating * starts_S.mean())
    if near_zero:
        means_R = values_RS.mean(axis=1)
    best = int(np.argmin(means_R))
    descent = max(float((starts_S - values_RS[best]).mean()), 0.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        regrets_RS = np.nan_to_num((values_RS - values_RS[best]) / descent)
    decades_R = np.log10([row[0].curve.rate for row in lanes_RS])
    neighbours_R = np.abs(np.arange(len(lanes_RS)) - best) <= 1
    window_R = neighbours_R | (np.abs(decades_R - decades_R[best]) <= thresholds.noise_window)
    error = _paired_error(regrets_RS[window_R])
    regrets_R = regrets_RS.mean(axis=1)
    if nonnegative and not near_zero:
        excess_R, tolerance = logs_RS.mean(axis=1) - logs_RS[best].mean(), thresholds.tolerance
        slack = thresholds.errors * (_paired_error(logs_RS[window_R]) or 0.0)
    else:
        excess_R, tolerance = regrets_R, thresholds.regret
        slack = thresholds.errors * (error or 0.0)
    plainly_R = (regrets_R <= thresholds.regret) | (excess_R <= tolerance)
    allowed_R = (regrets_R <= thresholds.regret_most) & _beats_constant(lanes_RS, thresholds)
    near_R = (plainly_R | (excess_R <= tolerance + slack)) & allowed_R
    standings = tuple(
        Standing(
            rate=row[0].curve.rate,
            value=float(means_R[index]),
            regret=float(regrets_R[index]),
            worst_regret=float(regrets_RS[index].max()),
            # Of the difference of two rates, each with the error of its mean.
            error=None if error is None else math.sqrt(2) * error,
            near=bool(near_R[index]),
            near_by_noise=bool(near_R[index] and not plainly_R[index]),
        )
        for index, row in enumerate(lanes_RS)
    )
    return Ranking(standings, standings[best], near_zero)


def _beats_constant(lanes_RS: Sequence[Sequence[Facts]], thresholds: Thresholds) -> NDArray[np.bool_]:
    """Whether a rate beats a constant answer, [R]: a start far above that makes every regret small."""
    constant = lanes_RS[0][0].plan.constant_loss
    ends_R = np.array([np.mean([one.end for one in row]) for row in lanes_RS])
    return ends_R < (thresholds.no_progress * constant if constant else math.inf)


def _paired_error(metric_RS: Floats) -> float | None:
    """Standard error of a rate's mean over seeds, what is common to a seed taken out; None with one seed.

    Pooled over rates: the residuals of a two-way layout without interaction have (R - 1)(S - 1) degrees of
    freedom. None for a single rate, too.
    """
    rates, seeds = metric_RS.shape
    if seeds < 2 or rates < 2:
        return None
    residuals = metric_RS - metric_RS.mean(axis=0) - metric_RS.mean(axis=1, keepdims=True) + metric_RS.mean()
    variance = float((residuals**2).sum()) / ((rates - 1) * (seeds - 1))
    return math.sqrt(variance / seeds)
