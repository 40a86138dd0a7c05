"""Probes: what the answers of batches to their own updates say, and the branch at a fifth of the rate.

Letters: T steps, b blocks.
"""

import math
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis.curve import Curve, Floats
from lrscope.diagnosis.evidence import Finding
from lrscope.diagnosis.limits import large_batch
from lrscope.diagnosis.thresholds import Thresholds
from lrscope.optimizer_facts import facts_named
from lrscope.plan import Plan

_BLOCKS = 8
"""Parts of the late run whose means are taken for independent."""


def late_median(curve: Curve, name: str, thresholds: Thresholds) -> float | None:
    """The median of a probe over the last quarter of the run; None where fewer than four were taken."""
    track = curve.probes.get(name)
    if track is None:
        return None
    late = track.values[track.steps >= 3 * curve.steps // 4]
    late = late[np.isfinite(late)]
    return float(np.median(late)) if len(late) >= thresholds.fewest_probes else None


def edge(curve: Curve, plan: Plan, thresholds: Thresholds) -> Finding | None:
    """Whether updates turn their own batch's gradient back: with large batches by the cosine, any optimizer.

    With small ones by the curvature along the update, for gradient descent without momentum only: momentum
    carries an update on beyond its own batch, and small-batch Adam is never at an edge that means anything.
    """
    if plan.clip_norm is not None or plan.schedule is not None:
        return None
    cosine = late_median(curve, "same_batch_cosine", thresholds)
    if large_batch(plan):
        if cosine is None or cosine >= thresholds.turning_back:
            return None
        return Finding("edge.cosine", {"value": f"{cosine:.2g}"})
    bend = late_median(curve, "update_curvature", thresholds)
    plain = facts_named(plan.optimizer).linear and not plan.optimizer_options.get("momentum")
    if bend is None or not plain or bend < thresholds.batch_edge:
        return None
    return Finding("edge.batch", {"value": f"{bend:.2g}"})


def is_level(loss_T: Floats, thresholds: Thresholds) -> bool:
    """Whether the loss of the last quarter neither falls nor rises, as far as its scatter lets one tell.

    The slope of the means of eight blocks, against its standard error.
    """
    late = loss_T[-max(int(len(loss_T) * thresholds.late_share), 2 * _BLOCKS) :]
    if len(late) < 2 * _BLOCKS:
        return False
    means_b = np.array([part.mean() for part in np.array_split(late, _BLOCKS)])
    places_b = np.arange(_BLOCKS) - (_BLOCKS - 1) / 2
    weight = float(places_b @ places_b)
    slope = float(places_b @ means_b) / weight
    left_b = means_b - means_b.mean() - slope * places_b
    error = math.sqrt(float(left_b @ left_b) / (_BLOCKS - 2) / weight)
    return abs(slope) < thresholds.plateau_errors * error


class Branch(NamedTuple):
    """What a fifth of the rate did at the end.

    Attributes:
        loss: on the branch.
        drop: the share by which it lies below the end of training.
        certain: whether by more than its own scatter.
    """

    loss: float
    drop: float
    certain: bool


def branch(curve: Curve, end: float, thresholds: Thresholds) -> Branch | None:
    """The branch beside the end of training; None where it was not taken, or the loss is not positive."""
    loss, error = (curve.probes.get(f"branch_{what}") for what in ("loss", "error"))
    if loss is None or error is None or not len(loss.values) or end <= 0:
        return None
    value, scatter = float(loss.values[-1]), float(error.values[-1])
    if not (math.isfinite(value) and math.isfinite(scatter)):
        return None
    return Branch(value, 1 - value / end, abs(end - value) > thresholds.errors * scatter)
