"""Baseline: what the lanes of one seed have in common, measured on the slowest and the best of them.

All lanes of a seed start from the same weights and see the same batches. So the slowest lane, which hardly
moves, tells what the loss was before training, and how far batches alone move it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis import figures, progress, stability
from lrscope.diagnosis.curve import Curve, Floats
from lrscope.diagnosis.thresholds import Thresholds
from lrscope.plan import Plan

_FEWEST = 4
"""Losses from which a standard error is taken."""


class Baseline(NamedTuple):
    """What the lanes of one seed have in common.

    Attributes:
        first: the loss of the first step, the median over lanes, which all should share.
        start: the loss before training.
        best: the lowest loss at the end of a lane.
        best_rate: the rate of that lane.
        slowest: the lowest rate whose lane did not stop.
        scale: the size of a change of the loss: of the start itself, of the way down to the best, and of the
            mini-batch noise the largest. For a positive loss mostly the start.
        progress: how far down counts as having learned something.
        calm: the highest late rise of the slowest lane's smoothed loss: so far noise raises a loss.
        calm_beside_slowest: that of the calmest other lane, for the slowest itself.
        positive: no loss of this seed is negative, so that ratios of losses mean something.
    """

    first: float
    start: float
    best: float
    best_rate: float
    slowest: float
    scale: float
    progress: float
    calm: float
    calm_beside_slowest: float
    positive: bool

    @property
    def descent(self) -> float:
        """How far the best lane came down."""
        return max(self.start - self.best, 0.0)


def is_full_batch(plan: Plan) -> bool:
    """Whether every step sees all examples, so that the loss has no mini-batch noise."""
    return plan.steps_per_epoch == 1


def smoothed(curve: Curve, thresholds: Thresholds) -> Floats:
    """The running mean of the loss, [T]."""
    return figures.smoothed(curve.loss, thresholds)


def settled(curve: Curve, thresholds: Thresholds) -> int:
    """The step from which the running mean is one: before, it is little more than single batches."""
    return min(int(2 * thresholds.smoothing * curve.steps), curve.steps // 4)


def end_loss(curve: Curve, smooth_T: Floats, thresholds: Thresholds) -> float:
    """Return the smoothed training loss at the end; see `figures.END_TRAIN_LOSS`."""
    return figures.end_train_loss(curve.loss, smooth_T, thresholds)


def starts_alike(curve: Curve, first: float, plan: Plan, thresholds: Thresholds) -> bool:
    """Whether the first loss is that of the seed's other lanes."""
    tolerance = max(thresholds.start_tolerance, 8 * stability.epsilon(plan.dtype))
    return bool(abs(curve.loss[0] - first) <= tolerance * max(abs(first), thresholds.start_tolerance))


def baseline(curves: Sequence[Curve], plan: Plan, thresholds: Thresholds) -> Baseline:
    """What the lanes of one seed have in common; every one of them has a first loss."""
    first = float(np.median([curve.loss[0] for curve in curves]))
    paired = [curve for curve in curves if starts_alike(curve, first, plan, thresholds)] or list(curves)
    slowest = min(paired, key=lambda curve: (curve.stopped_step is not None, curve.rate))
    ended = {curve.rate: curve for curve in paired if _ended(curve, thresholds)}
    smooth = {rate: smoothed(curve, thresholds) for rate, curve in ended.items()}
    ends = {rate: end_loss(curve, smooth[rate], thresholds) for rate, curve in ended.items()}
    start, error = _start(slowest, smooth.get(slowest.rate), plan, thresholds)
    best_rate = min(ends, key=lambda rate: (ends[rate], rate), default=slowest.rate)
    best = ends.get(best_rate, start)
    climbs = _climbs(ended, smooth, thresholds)
    return Baseline(
        first=first,
        start=start,
        best=best,
        best_rate=best_rate,
        slowest=slowest.rate,
        scale=max(abs(start), start - best, _batch_noise(slowest), 1e-12),
        progress=_progress(start, max(start - best, 0.0), error, thresholds),
        calm=climbs.get(slowest.rate, 0.0),
        calm_beside_slowest=min((high for rate, high in climbs.items() if rate != slowest.rate), default=0.0),
        positive=all(bool((curve.loss >= 0).all()) for curve in paired),
    )


def _ended(curve: Curve, thresholds: Thresholds) -> bool:
    """Whether a lane has an end that can be compared."""
    return curve.stopped_step is None and curve.steps >= thresholds.least_steps


def _start(
    slowest: Curve, smooth_T: Floats | None, plan: Plan, thresholds: Thresholds
) -> tuple[float, float]:
    """The loss before training, and its standard error: 0 for a full batch."""
    if is_full_batch(plan):
        return float(slowest.loss[0]), 0.0
    window = _still(slowest, plan)
    start, error = float(slowest.loss[:window].mean()), _batch_noise(slowest) / math.sqrt(window)
    if smooth_T is None:
        return start, error
    # The slowest lane's late batches are those of every lane's end: where it is above its start by no more
    # than noise, it tells better than the first batches what the ends are to be compared with.
    end = end_loss(slowest, smooth_T, thresholds)
    noise = progress.smoothed_noise(slowest.loss, smooth_T, thresholds.smoothing * slowest.steps)
    return (end if start < end <= start + thresholds.rise_noise * noise else start), error


def _still(slowest: Curve, plan: Plan) -> int:
    """Over how many first steps the slowest lane's loss is that before training.

    At most an epoch and a quarter of the run; halved while the later half lies below the earlier by more
    than twice the standard error of their difference.
    """
    window = max(1, min(plan.steps_per_epoch, slowest.steps // 4))
    while window >= 2 * _FEWEST:
        earlier, later = slowest.loss[: window // 2], slowest.loss[window // 2 : window]
        error = math.sqrt(float(earlier.var()) / len(earlier) + float(later.var()) / len(later))
        if earlier.mean() - later.mean() <= 2 * error:
            break
        window //= 2
    return window


def _batch_noise(curve: Curve) -> float:
    """Standard deviation of the loss from batch to batch, over the first quarter; robust.

    The median of |x - y| of two normal values of standard deviation s is 0.954 s; 1.5 allows for heavier
    tails.
    """
    quarter = curve.loss[: max(curve.steps // 4, 2)]
    return 1.5 * float(np.median(np.abs(np.diff(quarter)))) if len(quarter) > 1 else 0.0


def _progress(start: float, descent: float, error: float, thresholds: Thresholds) -> float:
    """How far down counts as having learned something.

    A loss with a large constant part never falls by 2%: if the best lane certainly came down, though by
    less, lanes are measured against its descent.
    """
    share = 1 - thresholds.no_progress
    if max(4 * error, thresholds.least_descent * abs(start)) < descent < share * abs(start):
        return share * descent
    return share * max(abs(start), descent)


def _climbs(
    ended: Mapping[float, Curve], smooth: Mapping[float, Floats], thresholds: Thresholds
) -> dict[float, float]:
    """The highest late rise of every lane that ended, by rate."""
    return {
        rate: progress.highest_climb(smooth[rate], curve.steps // 4, settled(curve, thresholds))
        for rate, curve in ended.items()
    }
