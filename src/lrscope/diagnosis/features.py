"""Facts: what one lane's curve measures, beside what its seed's lanes have in common."""

import dataclasses
import functools

import numpy as np

from lrscope.diagnosis import limits, probes, progress, stability
from lrscope.diagnosis.baseline import Baseline, end_loss, is_full_batch, settled, smoothed
from lrscope.diagnosis.curve import Curve, Floats, Track
from lrscope.diagnosis.progress import Rise
from lrscope.diagnosis.stability import Ringing, Spread
from lrscope.diagnosis.thresholds import Thresholds
from lrscope.optimizer_facts import facts_named
from lrscope.plan import Plan

_COARSE = 2.0**-12
"""Spacing of a dtype's numbers from which on rounding swallows updates at ordinary rates."""


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
        """Whether the loss came down at all: that of training, or the validation loss.

        Of a warm start the first batches tell little: they may differ by more than there is to be learned.
        """
        if self.baseline.start - self.end >= self.baseline.progress > 0:
            return True
        val = self.curve.val.values
        return len(val) > 1 and progress.came_down(val[0], val[-1], self.thresholds)

    @functools.cached_property
    def sizes(self) -> Floats:
        """Elements of each tensor."""
        return stability.sizes(self.plan.shapes)

    @functools.cached_property
    def unchanged(self) -> Track | None:
        """Share of the weights that an update left bitwise unchanged."""
        return stability.unchanged_share(self.curve, self.sizes)

    @functools.cached_property
    def unchanged_late(self) -> float | None:
        """The median of that share over the last quarter; None where too few points of it were measured."""
        unchanged = self.unchanged
        if unchanged is None:
            return None
        late = unchanged.late(self.curve.steps, self.thresholds.late_points)
        return None if late is None else float(np.median(late))

    @property
    def points_late(self) -> int:
        """How often the share was measured in the last quarter."""
        unchanged = self.unchanged
        return 0 if unchanged is None else int((unchanged.steps >= 3 * self.curve.steps // 4).sum())

    @property
    def still_moving(self) -> bool:
        """Whether updates are not lost in rounding, as far as losses and a few measurements show.

        Of a coarse dtype (16 bits) the loss must fall in the last quarter; of others to have learned will do.
        """
        unchanged = self.unchanged
        if unchanged is not None:
            late = unchanged.values[unchanged.steps >= 3 * self.curve.steps // 4]
            if len(late) and late.max() < self.thresholds.frozen_share:
                return True
        if stability.epsilon(self.plan.dtype) < _COARSE:
            moved = self.displacement
            return self.learned or (moved is not None and moved >= self.thresholds.barely_moved)
        before, end = float(self.smooth[3 * self.curve.steps // 4]), float(self.smooth[-1])
        return before - end > self.thresholds.errors * self.noise and before > end

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
        """The late gradient norm over the first; None where too few late ones were measured."""
        gradients = self.curve.tensors.get("gradient_norm")
        if gradients is None or gradients.late(self.curve.steps, self.thresholds.late_points) is None:
            return None
        return stability.gradient_ratio(self.curve, self.thresholds.late_points)

    @functools.cached_property
    def ringing(self) -> Ringing | None:
        """A swing of period 2 of a tracked scalar."""
        if self.plan.steps_per_epoch == 2:
            return None  # two batches that take turns make the weights take turns too
        return stability.ringing(self.curve, self.plan.dtype, self.thresholds)

    @functools.cached_property
    def limit(self) -> limits.Standing | None:
        """Where the lane stands to the limit of stability that its sharpness sets."""
        return limits.standing(self.curve, self.plan)

    @functools.cached_property
    def growth(self) -> float | None:
        """Growth per step of a swing of period 2, where it means divergence for certain.

        That is: without mini-batch noise, at a constant rate, and with an update that is linear in the
        gradient: Adam's swings, and clipped ones, saturate.
        """
        plan = self.plan
        if not facts_named(plan.optimizer).linear or plan.schedule is not None or plan.clip_norm is not None:
            return None
        if not is_full_batch(plan):
            return None
        swing = stability.growing_swing(self.curve, self.plan.dtype, self.thresholds)
        cosine = probes.late_median(self.curve, "same_batch_cosine", self.thresholds)
        if cosine is None:
            return swing
        # Asked, a batch says whether its own update overshot; tracked scalars may all be of dead units.
        if cosine >= self.thresholds.turning_back:
            return None
        return swing or stability.growing_update(self.curve, self.thresholds)

    @functools.cached_property
    def rise(self) -> Rise:
        """The largest late rise of the smoothed loss."""
        begin = settled(self.curve, self.thresholds)
        return progress.largest_rise(self.smooth, self.curve.steps // 4, begin, self.offset, self.floor)

    @property
    def floor(self) -> float:
        """A loss below it, `offset` added, counts as it: a fourfold rise from there is one that counts."""
        return self.thresholds.rise_regret * self.baseline.descent / (self.thresholds.late_rise - 1)

    @property
    def calm(self) -> float:
        """How far noise alone raises the smoothed loss on these batches."""
        base = self.baseline
        return base.calm_beside_slowest if self.curve.rate == base.slowest else base.calm

    @property
    def offset(self) -> float:
        """What is added to a loss before ratios are taken.

        Nothing to a positive loss. Another one is moved so that the best lane has 1/20 of what the start has.
        """
        base = self.baseline
        return 0.0 if base.positive else base.descent / 19 - base.best

    @functools.cached_property
    def noise(self) -> float:
        """Standard deviation of the smoothed loss due to mini-batches."""
        if is_full_batch(self.plan):
            return 0.0
        half_life = self.thresholds.smoothing * self.curve.steps
        return progress.smoothed_noise(self.curve.loss, self.smooth, half_life)

    def tensor_name(self, index: int) -> str:
        """The name of a tensor, or its place where the plan has no names."""
        return self.plan.tensors[index] if index < len(self.plan.tensors) else f"tensor {index}"

    def tracked_name(self, index: int) -> str:
        """A tracked scalar as people write it: 0.weight[0,0]."""
        if index >= len(self.plan.tracked):
            return f"tracked scalar {index}"
        tensor, place = self.plan.tracked[index]
        return f"{tensor}[{','.join(map(str, place))}]" if place else tensor
