"""Standing: how a rate that came through on every seed compares with the best one.

Letters: R rates that came through on every seed they were trained on, S seeds.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrscope.diagnosis.constant_predictor import beside_constant
from lrscope.diagnosis.curve import Floats
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.objective import Objective
from lrscope.diagnosis.paired import Paired, paired
from lrscope.diagnosis.progress import came_down
from lrscope.diagnosis.thresholds import Thresholds


@dataclasses.dataclass(frozen=True)
class Standing:
    """How one rate that came through on every seed compares with the best.

    Attributes:
        rate: the rate.
        seeds: how many it was trained on.
        value: the objective, mean over seeds.
        regret: share of what the best rate learned that is missing, mean over seeds; 0 at the best.
        worst_regret: of the worst seed.
        error: standard error of its difference in regret to the best; None with one seed.
        near: as good as the best, within what can be told.
        excess: how far it is above the best, over what still counts as good: 1 is the border.
        near_by_noise: near only because the seeds differ so much.
    """

    rate: float
    seeds: int
    value: float
    regret: float
    worst_regret: float
    error: float | None
    near: bool
    excess: float
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


def rank(lanes_RS: Sequence[Sequence[Facts | None]], objective: Objective, thresholds: Thresholds) -> Ranking:
    """Compare rates by an objective over seeds.

    Two rates are as good as each other if the logarithms of their losses differ by no more than ln 1.05 and
    twice the standard error of the difference, seeds being paired. The logarithm means nothing where a loss
    is negative, and next to zero it tells seeds apart, not rates: there, differences of the loss itself, as
    a share of what the best rate learned, take its place.

    Args:
        lanes_RS: for each rate, rising, its lanes by seed, the seeds in the same order; None where a rate was
            not trained on a seed.
        objective: what they are compared by.
        thresholds: see `Thresholds`.
    """
    if not lanes_RS:
        return Ranking((), None, False)
    values_RS = np.array(
        [[math.nan if one is None else objective.value(one) for one in row] for row in lanes_RS]
    )
    known_RS = np.isfinite(values_RS)
    starts_S = np.array(
        [
            objective.start(next(one for one in column if one is not None))
            for column in zip(*lanes_RS, strict=True)
        ]
    )
    nonnegative = bool((values_RS[known_RS] >= 0).all() and (starts_S > 0).all())
    with np.errstate(divide="ignore", invalid="ignore"):
        logs_RS = np.log(np.maximum(values_RS, np.finfo(np.float64).tiny) if nonnegative else values_RS)
    plain = paired(values_RS)
    means_R = np.exp(paired(logs_RS).means) if nonnegative else plain.means
    near_zero = nonnegative and bool(means_R.min() <= thresholds.interpolating * starts_S.mean())
    if near_zero:
        means_R = plain.means
    best = int(np.argmin(means_R))
    descent = max(float(starts_S.mean() - plain.means[best]), 0.0)
    decades_R = np.log10([next(one for one in row if one is not None).curve.rate for row in lanes_RS])
    neighbours_R = np.abs(np.arange(len(lanes_RS)) - best) <= 1
    window_R = neighbours_R | (np.abs(decades_R - decades_R[best]) <= thresholds.noise_window)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        regrets_R = np.nan_to_num((plain.means - plain.means[best]) / descent)
        worst_R = np.nan_to_num((values_RS - _at_best(values_RS, plain, best)) / descent)
        worst_R = np.where(known_RS, worst_R, -np.inf).max(axis=1)
        errors_R = plain.errors(best, window_R)
        if errors_R is not None:
            errors_R = np.nan_to_num(errors_R / descent)
    if nonnegative and not near_zero:
        logs = paired(logs_RS)
        excess_R, tolerance = logs.means - logs.means[best], thresholds.tolerance
        log_errors_R = logs.errors(best, window_R)
        slack_R = 0.0 if log_errors_R is None else thresholds.errors * log_errors_R
    else:
        excess_R, tolerance = regrets_R, thresholds.regret
        slack_R = 0.0 if errors_R is None else thresholds.errors * errors_R
    plainly_R = (regrets_R <= thresholds.regret) | (excess_R <= tolerance)
    beats_R = _beats_constant(lanes_RS, objective, thresholds)
    allowed_R = (regrets_R <= thresholds.regret_most) & (beats_R | ~beats_R[best])
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        border_R = np.minimum(excess_R / (tolerance + slack_R), regrets_R / thresholds.regret)
        border_R = np.nan_to_num(border_R, nan=np.inf)
    near_R = (plainly_R | (excess_R <= tolerance + slack_R)) & allowed_R
    standings = tuple(
        Standing(
            rate=float(next(one for one in row if one is not None).curve.rate),
            seeds=int(known_RS[index].sum()),
            value=float(means_R[index]),
            regret=float(regrets_R[index]),
            worst_regret=float(worst_R[index]),
            error=None if errors_R is None else math.sqrt(2) * float(errors_R[index]),
            near=bool(near_R[index]),
            excess=max(float(border_R[index]), 0.0),
            near_by_noise=bool(near_R[index] and not plainly_R[index]),
        )
        for index, row in enumerate(lanes_RS)
    )
    return Ranking(standings, standings[best], near_zero)


def _at_best(values_RS: Floats, plain: Paired, best: int) -> Floats:
    """What the best rate reached, or would have reached, on every seed, [S]."""
    expected_S = plain.means[best] + plain.of_seeds
    reached_S: Floats = np.where(np.isfinite(values_RS[best]), values_RS[best], expected_S)
    return reached_S


def _beats_constant(
    lanes_RS: Sequence[Sequence[Facts | None]], objective: Objective, thresholds: Thresholds
) -> NDArray[np.bool_]:
    """Whether a rate beats a constant answer, [R]: a start far above that makes every regret small.

    Not by more than chance: of two rates just as good that must not let one pass and keep the other back.
    """
    rows = [[one for one in row if one is not None] for row in lanes_RS]
    besides = [beside_constant(row, objective, thresholds) for row in rows]
    return np.array([one is None or came_down(one.constant, one.reached, thresholds) for one in besides])
