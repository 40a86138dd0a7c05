"""Limits: the largest rate at which an optimizer is stable on a quadratic, from its sharpness.

With all examples in every step and a loss of largest curvature s, a step is a linear recurrence along each
eigenvector; it contracts exactly below the rates in this table. For a network the limit is a property of the
moment, not a law: full-batch training hovers at it and learns on (J. Cohen et al., Gradient Descent on Neural
Networks Typically Occurs at the Edge of Stability, arXiv 2103.00065).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lrscope.diagnosis.curve import Curve, Track
from lrscope.plan import Plan


def stability_limit(optimizer: str, options: Mapping[str, Any], sharpness: float) -> float | None:
    """The rate below which steps contract; None where there is no such limit or no formula for it.

    | optimizer | limit |
    |---|---|
    | SGD | 2 / s |
    | SGD, momentum b, dampening d | (2 + 2b) / ((1 - d) s) |
    | SGD, momentum b, Nesterov | (2 + 2b) / ((1 + 2b) s) |
    | any of these, weight decay w | s + w in place of s |
    | RMSprop without momentum | 2 / s, s of the preconditioned Hessian |
    | Adam, beta1 = b | (2 + 2b) / ((1 - b) s), s of the preconditioned Hessian |
    | AdamW, weight decay w | (2 + 2b) / ((1 - b) s + (1 + b) w), likewise |

    The rows for momentum follow from the characteristic polynomial x^2 - (1 + b - (1 - d) r s) x + b, whose
    roots leave the unit disc at x = -1; Nesterov's from x^2 - (1 + b)(1 - r s) x + b (1 - r s); Adam's are
    those of momentum averaged with 1 - b (J. Cohen et al., arXiv 2207.14484), AdamW's the same with the
    decay's term.

    Args:
        optimizer: class name, as in `Plan.optimizer`.
        options: its options that differ from the defaults.
        sharpness: s > 0.
    """
    decay = float(options.get("weight_decay", 0.01 if optimizer == "AdamW" else 0.0))
    if optimizer == "SGD":
        bend, b = sharpness + decay, float(options.get("momentum", 0.0))
        if bend <= 0:
            return None
        if options.get("nesterov"):
            return (2 + 2 * b) / ((1 + 2 * b) * bend)
        d = float(options.get("dampening", 0.0)) if b else 0.0
        return (2 + 2 * b) / ((1 - d) * bend) if d < 1 else None
    if sharpness <= 0:
        return None
    if optimizer == "RMSprop" and not options.get("momentum"):
        return 2 / sharpness
    if optimizer in ("Adam", "AdamW"):
        b = float((options.get("betas") or (0.9, 0.999))[0])
        added = (1 + b) * decay if optimizer == "AdamW" else 0.0
        return (2 + 2 * b) / ((1 - b) * sharpness + added)
    return None


class Standing(NamedTuple):
    """Where a lane stands to its limit, late in its run.

    Attributes:
        sharpness: the median of what was measured in the last quarter, or the last that was measured.
        limit: the rate that this sharpness allows.
        ratio: the lane's rate over the limit.
    """

    sharpness: float
    limit: float
    ratio: float


def standing(curve: Curve, plan: Plan, least: int = 1) -> Standing | None:
    """Where a lane stands; None where the sharpness is not known or does not speak of stability."""
    finite = np.isfinite(curve.sharpness.values)
    if not applies(plan) or not finite.any():
        return None
    known = Track(curve.sharpness.steps[finite], curve.sharpness.values[finite])
    sharpness = float(np.median(known.last_quarter(curve.steps, least)))
    limit = stability_limit(plan.optimizer, plan.optimizer_options, sharpness)
    return None if limit is None else Standing(sharpness, limit, curve.rate / limit)


def applies(plan: Plan) -> bool:
    """Whether the plain sharpness of a study speaks of stability: SGD at a constant rate on all examples.

    Adaptive optimizers need the preconditioned Hessian, and with small batches the ratio has no diagnostic
    power (it sat at 0.00 to 0.08 of the limit from the best rate to the worst).
    """
    constant = plan.schedule is None and plan.clip_norm is None
    return plan.optimizer == "SGD" and plan.steps_per_epoch == 1 and constant
