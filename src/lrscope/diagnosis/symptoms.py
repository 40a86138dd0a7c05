"""Symptoms: what can be said of a lane without knowing which rates are good, one function a rule."""

import math

import numpy as np

from lrscope.diagnosis import stability
from lrscope.diagnosis.baseline import settled, starts_alike
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.evidence import Finding, rate_text
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.thresholds import Thresholds


def too_short(curve: Curve, thresholds: Thresholds) -> Finding:
    """That a lane has too few steps to be judged."""
    shown = {"steps": curve.steps, "least": thresholds.least_steps}
    return Finding("invalid.one" if curve.steps == 1 else "invalid.short", shown)


def invalid(facts: Facts) -> Finding | None:
    """Too short, or not comparable with the other lanes of its seed. A loss that is not finite is no fault
    of this."""
    curve, least = facts.curve, facts.thresholds.least_steps
    if not starts_alike(curve, facts.baseline.first, facts.plan, facts.thresholds):
        shown = {"loss": curve.loss[0], "start": facts.baseline.first}
        return Finding("invalid.start", shown, 0)
    if curve.steps < least and curve.stopped_step is None:
        return too_short(curve, facts.thresholds)
    return None


def frozen(facts: Facts) -> Finding | None:
    """Rounding swallows the updates, and it is not because there was nothing left to learn."""
    unchanged, share, limits = facts.unchanged, facts.unchanged_late, facts.thresholds
    if unchanged is None or share is None or facts.curve.stopped_step is not None:
        return None
    if share < limits.frozen_share:
        return None
    displacement = facts.displacement
    moved = displacement is None or displacement >= limits.barely_moved
    base = facts.baseline
    done = base.positive and facts.end <= limits.interpolating * base.start
    # At the end of a run that converged every update is below rounding: that is what an end looks like.
    if facts.learned and (moved or done) and facts.regret <= limits.regret:
        return None
    # At a rate above the best, weights that were driven far away stand still for want of a gradient
    # (saturated or dead units): it is not that the rate is too small for their dtype.
    far = displacement is not None and displacement > limits.redrawn
    if far and facts.curve.rate > base.best_rate and facts.plan.nudge is None:
        return None
    moving = np.flatnonzero(unchanged.values < limits.frozen_share)
    since = unchanged.steps[min(moving[-1] + 1, len(unchanged.steps) - 1)] if len(moving) else 0
    shown = {
        "share": share,
        "dtype": facts.plan.dtype,
        "step": since,
        "start": facts.baseline.start,
        "end": facts.end,
    }
    needed = stability.rate_that_moves(facts.curve, facts.plan, limits.late_points)
    if facts.plan.nudge is not None and stability.gradient_reads_zero(facts.curve, limits.late_points):
        return Finding("frozen.nudge", {**shown, "nudge": facts.plan.nudge}, int(since))
    if needed is None or needed <= facts.curve.rate:
        return Finding("frozen", shown, int(since))
    eps = stability.epsilon(facts.plan.dtype)
    shown |= {"needed": float(f"{needed:.2g}"), "eps": rate_text(float(f"{eps:.2g}"))}
    shown["ratio"] = rate_text(float(f"{eps * facts.curve.rate / needed:.2g}"))
    return Finding("frozen.needed", shown, int(since))


def rounded(facts: Facts) -> Finding | None:
    """Rounding swallows part of the updates of a lane that has not come as far as the best."""
    share, limits = facts.unchanged_late, facts.thresholds
    if share is None or facts.curve.stopped_step is not None or facts.regret <= limits.regret:
        return None
    if not limits.rounded_share <= share < limits.frozen_share:
        return None
    return Finding("rounded", {"share": share, "dtype": facts.plan.dtype})


def unmeasured(facts: Facts) -> Finding | None:
    """Return why it is not known whether rounding froze the lane; None where it is."""
    if facts.unchanged_late is not None or facts.curve.stopped_step is not None:
        return None
    if facts.unchanged is None:
        return Finding("unknown.unmeasured", {})
    shown = {"points": facts.points_late, "needed_points": facts.thresholds.late_points}
    return Finding("unknown.points", shown)


def diverged(facts: Facts) -> Finding | None:
    """Something was not finite, or the loss or the weights blew up."""
    curve, base, limits = facts.curve, facts.baseline, facts.thresholds
    total = facts.plan.steps
    if curve.stopped_step is not None:
        return Finding("diverged.loss", {"step": curve.stopped_step, "steps": total}, curve.stopped_step)
    if len(curve.val.values) and not math.isfinite(curve.val.values[-1]):
        step = int(curve.val.steps[-1])
        return Finding("diverged.validation", {"step": step, "steps": total}, step)
    lost = facts.lost_weights
    if lost is not None:
        step, tensor = lost
        return Finding("diverged.lost", {"tensor": facts.tensor_name(tensor), "step": step}, step)
    shown = {"start": base.start, "end": facts.end, "limit": f"{limits.blow_up:g}"}
    ceiling = base.start + (limits.blow_up - 1) * base.scale
    if facts.end > ceiling:
        step = int(np.flatnonzero(facts.smooth <= ceiling).max(initial=-1)) + 1
        step = min(step, curve.steps - 1)
        shown["step"] = step
        if base.scale == base.start:
            return Finding("diverged.rise", {**shown, "times": facts.end / base.start}, step)
        times = (facts.end - base.start) / base.scale
        return Finding("diverged.scale", {**shown, "times": times, "scale": base.scale}, step)
    grown = facts.spread
    if grown is not None and grown.ratio > limits.explosion and facts.end > base.start:
        shown |= {"tensor": facts.tensor_name(grown.tensor), "times": grown.ratio}
        return Finding("diverged.weights", shown)
    return None


def diverging(facts: Facts) -> Finding | None:
    """A swing that grows at an even pace has begun to raise the loss."""
    growth, base, limits = facts.growth, facts.baseline, facts.thresholds
    late = max(int(facts.curve.steps * limits.late_share), limits.late_points)
    risen = facts.smooth[-1] > facts.smooth[-late:].min() + limits.rise_regret * base.descent
    if growth is None or not risen:
        return None
    shown = {"growth": f"{growth:.4g}", "end": facts.end, "limit": f"{limits.blow_up:g}"}
    ceiling = base.start + (limits.blow_up - 1) * base.scale
    # The loss is quadratic in the swing.
    if facts.end <= 0:
        return Finding("diverging", shown)
    shown["steps"] = max(1, math.ceil(math.log(ceiling / facts.end) / (2 * math.log(growth))))
    return Finding("diverging.soon", shown)


def collapsed(facts: Facts) -> tuple[Finding, ...]:
    """A constant answer at a rate above the best one, and the weights show that it was driven there.

    Its four numbers: the loss, how far the weights moved, how much the largest tensor grew, what is left of
    the gradient.
    """
    constant, base, limits = facts.plan.constant_loss, facts.baseline, facts.thresholds
    if constant is None or constant <= 0 or facts.curve.rate <= base.best_rate:
        return ()
    if abs(facts.end - constant) > limits.constant_band * constant:
        return ()
    if base.best >= limits.constant_best * constant:
        return ()
    shown = {
        "end": facts.end,
        "constant": constant,
        "best": base.best,
    }
    moved, grown, gradient = facts.displacement, facts.spread, facts.gradient_ratio
    driven = (
        (moved is not None and limits.redrawn < moved < math.inf)
        or (grown is not None and grown.ratio > limits.spread)
        or (gradient is not None and gradient < limits.dead_gradient)
    )
    if not driven:
        return ()
    said = [Finding("collapsed", shown)]
    if moved is not None and moved < math.inf:
        said.append(Finding("collapsed.displacement", {"times": moved}))
    if grown is not None:
        values = {"tensor": facts.tensor_name(grown.tensor), "times": grown.ratio}
        said.append(Finding("collapsed.spread", values))
    if gradient is not None:
        said.append(Finding("collapsed.gradient", {"share": gradient}))
    return tuple(said)


def not_started(facts: Facts) -> Finding | None:
    """The loss is where it was, and so are the weights."""
    constant, limits = facts.plan.constant_loss, facts.thresholds
    at_constant = constant is not None and abs(facts.end - constant) <= limits.constant_band * abs(constant)
    untaught = at_constant and facts.baseline.best < limits.constant_best * (constant or 0)
    moved = facts.displacement
    if moved is None or moved >= limits.barely_moved or not (untaught or not facts.learned):
        return None
    shown = {
        "start": facts.baseline.start,
        "end": facts.end,
        "share": moved,
        "times": limits.well_moved / moved if moved > 0 else "many",
    }
    return Finding("not_started", shown)


def unstable(facts: Facts) -> Finding | None:
    """The smoothed loss rose again, by much, and by more than noise."""
    base, limits, rise = facts.baseline, facts.thresholds, facts.rise
    span = base.descent

    def counts(height: float) -> bool:
        noise = max(limits.rise_noise * facts.noise, limits.rise_calm * facts.calm)
        return height > max(limits.rise_regret * span, noise)

    def ratio(high: float, low: float) -> float:
        return (high + facts.offset) / max(low + facts.offset, facts.floor, 1e-300)

    factor = ratio(rise.high, rise.low)
    if factor > limits.late_rise and counts(rise.high - rise.low):
        shown = {
            "times": factor,
            "low": rise.low,
            "low_step": rise.low_step,
            "high": rise.high,
            "high_step": rise.high_step,
        }
        return Finding("unstable.rise", shown, rise.high_step)
    begin = settled(facts.curve, limits)
    low_step = begin + int(np.argmin(facts.smooth[begin:]))
    low, high = float(facts.smooth[low_step]), float(facts.smooth[-1])
    if ratio(high, low) > limits.end_rise and facts.regret > limits.rise_regret and counts(high - low):
        shown = {
            "times": ratio(high, low),
            "low": low,
            "low_step": low_step,
            "high": high,
        }
        return Finding("unstable.end", shown, low_step)
    return None


def is_sound(facts: Facts) -> bool:
    """Whether the lane learned, and nothing above is the matter with it."""
    symptoms = (invalid, frozen, diverged, diverging, collapsed, not_started, unstable)
    return facts.learned and not any(symptom(facts) for symptom in symptoms)
