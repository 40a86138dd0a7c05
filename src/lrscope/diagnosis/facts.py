"""Facts: what one lane's curve measures, beside what its seed's lanes have in common."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis import progress, stability
from lrscope.diagnosis.curve import Curve, Floats, Track
from lrscope.diagnosis.progress import Rise
from lrscope.diagnosis.stability import Ringing, Spread
from lrscope.diagnosis.thresholds import Thresholds
from lrscope.plan import Plan


class Baseline(NamedTuple):
    """What the lanes of one seed have in common.

    Attributes:
        first: the loss of the first step, the median over lanes, which all should share.
        start: the loss before training: of the slowest lane, over so few steps that it has hardly moved.
        best: the lowest loss at the end of a lane.
        best_rate: the rate of that lane.
        slowest: the lowest rate that did not stop.
        scale: the size of a change of the loss: of the start itself, of the way down to the best, and of the
            mini-batch noise the largest. For a positive loss mostly the start.
        progress: how far down counts as having learned something.
        calm: the highest late rise of the smoothed loss of the slowest lane, whose batches are every lane's: noise
            raises a loss so far without the rate's doing. For the slowest lane itself that of the calmest other.
        positive: no loss of this seed is negative, so that ratios of losses mean something.
    """

    first: float
    start: float
    best: float
    best_rate: float
    scale: float
    progress: float
    slowest: float
    calm: tuple[float, float]
    positive: bool


def is_full_batch(plan: Plan) -> bool:
    """Whether every step sees all examples, so that the loss has no mini-batch noise."""
    return plan.steps_per_epoch == 1


def end_loss(curve: Curve, smooth_T: Floats, thresholds: Thresholds) -> float:
    """The loss at the end: the last one where the late losses only fall, else their running mean."""
    late = curve.loss[-max(int(curve.steps * thresholds.smoothing), 3) :]
    return float(late[-1] if (np.diff(late) <= 0).all() else smooth_T[-1])


def smoothed(curve: Curve, thresholds: Thresholds) -> Floats:
    """The running mean of the loss, [T]."""
    return progress.running_mean(curve.loss, thresholds.smoothing * curve.steps)


def settled(curve: Curve, thresholds: Thresholds) -> int:
    """The step from which the running mean is one: before, it is little more than single batches."""
    return min(int(2 * thresholds.smoothing * curve.steps), curve.steps // 4)


def starts_alike(curve: Curve, first: float, plan: Plan, thresholds: Thresholds) -> bool:
    """Whether the first loss is that of the seed's other lanes."""
    tolerance = max(thresholds.start_tolerance, 8 * stability.epsilon(plan.dtype))
    return bool(abs(curve.loss[0] - first) <= tolerance * abs(first) + tolerance * 1e-3)


def baseline(curves: Sequence[Curve], plan: Plan, thresholds: Thresholds) -> Baseline | None:
    """What the lanes of one seed have in common; None if none has a first loss."""
    begun = [curve for curve in curves if curve.steps]
    if not begun:
        return None
    first = float(np.median([curve.loss[0] for curve in begun]))
    paired = [curve for curve in begun if starts_alike(curve, first, plan, thresholds)] or begun
    slowest = min(paired, key=lambda curve: (curve.stopped_step is not None, curve.rate))
    window = _still(slowest, plan, thresholds)
    start = float(slowest.loss[:window].mean())
    ended = [curve for curve in paired if curve.stopped_step is None and curve.steps >= thresholds.least_steps]
    smooth = {curve.rate: smoothed(curve, thresholds) for curve in ended}
    ends = {curve.rate: end_loss(curve, smooth[curve.rate], thresholds) for curve in ended}
    best_rate = min(ends, key=lambda rate: (ends[rate], rate), default=slowest.rate)
    best = ends.get(best_rate, start)
    climbs = {
        curve.rate: progress.highest_climb(smooth[curve.rate], curve.steps // 4, settled(curve, thresholds))
        for curve in ended
    }
    if slowest.rate in ends and not is_full_batch(plan):
        # The slowest lane's late batches are those of every lane's end: where it has not fallen, and is above its start
        # by no more than noise, it tells better than the first batches what the ends are to be compared with.
        shake = progress.smoothed_noise(slowest.loss, smooth[slowest.rate], thresholds.smoothing * slowest.steps)
        if start < ends[slowest.rate] <= start + thresholds.rise_noise * shake:
            start = ends[slowest.rate]
    descent = max(start - best, 0.0)
    quarter = slowest.loss[: max(slowest.steps // 4, 2)]
    noise = 1.5 * float(np.median(np.abs(np.diff(quarter)))) if len(quarter) > 1 else 0.0
    asked = (1 - thresholds.no_progress) * abs(start)
    # A loss with a large constant part never falls by 2%: there a lane is measured against the best one.
    certain = descent > 4 * noise / math.sqrt(window)
    relative = certain and thresholds.least_descent * abs(start) < descent < asked
    return Baseline(
        first=first,
        start=start,
        best=best,
        best_rate=best_rate,
        scale=max(abs(start), descent, noise, 1e-12),
        progress=(1 - thresholds.no_progress) * (descent if relative else max(abs(start), descent)),
        slowest=slowest.rate,
        calm=(
            climbs.get(slowest.rate, 0.0),
            min((climb for rate, climb in climbs.items() if rate != slowest.rate), default=0.0),
        ),
        positive=all(bool((curve.loss >= 0).all()) for curve in paired),
    )


def _still(slowest: Curve, plan: Plan, thresholds: Thresholds) -> int:
    """Over how many first steps the slowest lane's loss is that before training.

    At most an epoch and a quarter of the run; halved while the later half lies below the earlier by more
    than twice the standard error of their difference, down to the smoothing's half-life.
    """
    window = max(1, min(plan.steps_per_epoch, slowest.steps // 4))
    least = max(1, int(slowest.steps * thresholds.smoothing))
    while window > least:
        earlier, later = slowest.loss[: window // 2], slowest.loss[window // 2 : window]
        error = math.sqrt(float(earlier.var()) / len(earlier) + float(later.var()) / len(later))
        if earlier.mean() - later.mean() <= 2 * error:
            break
        window //= 2
    return window


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """What one lane's curve measures. Each fact is computed when a rule first asks for it."""

    curve: Curve
    baseline: Baseline
    plan: Plan
    thresholds: Thresholds

    @functools.cached_property
    def smooth(self) -> Floats:
        """The running mean of the loss, [T]."""
        return smoothed(self.curve, self.thresholds)

    @functools.cached_property
    def levels(self) -> Floats:
        """The loss without noise and without lag, for telling when a loss was reached."""
        width = 0 if is_full_batch(self.plan) else max(1, int(self.curve.steps * self.thresholds.smoothing))
        return progress.centred_mean(self.curve.loss, width)

    @functools.cached_property
    def end(self) -> float:
        """The training loss at the end."""
        return end_loss(self.curve, self.smooth, self.thresholds)

    @functools.cached_property
    def regret(self) -> float:
        """Of the training loss: 0 at the best lane of the seed, 1 where nothing was learned."""
        return progress.regret(self.end, self.baseline.best, self.baseline.start)

    @property
    def learned(self) -> bool:
        """Whether the training loss came down at all."""
        return self.baseline.start - self.end >= self.baseline.progress > 0

    @functools.cached_property
    def sizes(self) -> Floats:
        """Elements of each tensor."""
        return stability.sizes(self.plan.shapes)

    @functools.cached_property
    def unchanged(self) -> Track | None:
        """Share of the weights that an update left bitwise unchanged."""
        return stability.unchanged_share(self.curve, self.sizes)

    @functools.cached_property
    def displacement(self) -> float | None:
        """How far the weights moved, over the norm they had."""
        return stability.displacement(self.curve)

    @functools.cached_property
    def spread(self) -> Spread | None:
        """The tensor that grew most."""
        return stability.spread(self.curve, self.sizes)

    @functools.cached_property
    def lost_weights(self) -> tuple[int, int] | None:
        """Step and tensor of the first weights that were not finite."""
        return stability.lost_weights(self.curve)

    @functools.cached_property
    def gradient_ratio(self) -> float | None:
        """The late gradient norm over the first."""
        return stability.gradient_ratio(self.curve, self.thresholds.late_points)

    @functools.cached_property
    def ringing(self) -> Ringing | None:
        """A swing of period 2 of a tracked scalar."""
        # Two batches that take turns make the weights take turns too.
        return None if self.plan.steps_per_epoch == 2 else stability.ringing(self.curve, self.plan.dtype)

    @functools.cached_property
    def growth(self) -> float | None:
        """Growth per step of a swing of period 2, where it means divergence for certain.

        That is: without mini-batch noise, at a constant rate, and with an update that is linear in the
        gradient (Adam's swings saturate).
        """
        if not is_full_batch(self.plan) or self.plan.schedule is not None or self.plan.optimizer != "SGD":
            return None
        return stability.growing_swing(self.curve, self.plan.dtype, self.thresholds)

    @functools.cached_property
    def rise(self) -> Rise:
        """The largest late rise of the smoothed loss."""
        begin = settled(self.curve, self.thresholds)
        return progress.largest_rise(self.smooth, self.curve.steps // 4, begin, self.offset, self.floor)

    @property
    def floor(self) -> float:
        """A loss below it, `offset` added, counts as it: a fourfold rise from there is one that counts."""
        descent = max(self.baseline.start - self.baseline.best, 0.0)
        return self.thresholds.rise_regret * descent / (self.thresholds.late_rise - 1)

    @property
    def calm(self) -> float:
        """How far noise alone raises the smoothed loss on these batches, by the calmest lane beside this one."""
        slowest, calmest_other = self.baseline.calm
        return calmest_other if self.curve.rate == self.baseline.slowest else slowest

    @property
    def offset(self) -> float:
        """What is added to a loss before ratios are taken.

        Nothing to a positive loss. Another one is moved so that the best lane has 1/20 of what the start has.
        """
        descent = max(self.baseline.start - self.baseline.best, 0.0)
        return 0.0 if self.baseline.positive else descent / 19 - self.baseline.best

    @functools.cached_property
    def noise(self) -> float:
        """Standard deviation of the smoothed loss due to mini-batches."""
        half_life = self.thresholds.smoothing * self.curve.steps
        return 0.0 if is_full_batch(self.plan) else progress.smoothed_noise(self.curve.loss, self.smooth, half_life)

    def tensor_name(self, index: int) -> str:
        """The name of a tensor, or its place where the plan has no names."""
        return self.plan.tensors[index] if index < len(self.plan.tensors) else f"tensor {index}"

    def tracked_name(self, index: int) -> str:
        """A tracked scalar as people write it: 0.weight[0,0]."""
        if index >= len(self.plan.tracked):
            return f"tracked scalar {index}"
        tensor, place = self.plan.tracked[index]
        return f"{tensor}[{','.join(map(str, place))}]" if place else tensor
