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
from lrscope.plan import GROUP_RATES, Plan


def stability_limit(optimizer: str, options: Mapping[str, Any], sharpness: float) -> float | None:
    """The rate below which steps contract; None where there is no such limit or no formula for it.

    | optimizer | limit |
    |---|---|
    | SGD | 2 / s |
    | SGD, momentum b, dampening d | (2 + 2b) / ((1 - d) s) |
    | SGD, momentum b, Nesterov | (2 + 2b) / ((1 + 2b) s) |
    | any of these, weight decay w | s + w in place of s |
    | RMSprop, momentum b | (2 + 2b) / s, s preconditioned |
    | Adam, beta1 = b | (2 + 2b) / ((1 - b) s), s preconditioned |
    | AdamW, weight decay w | (2 + 2b) / ((1 - b) s + (1 + b) w), s preconditioned |

    Preconditioned is the largest eigenvalue of P^-1/2 (H + w) P^-1/2, P being what the optimizer divides a
    gradient by, and w the weight decay that it adds to the gradient (for AdamW none).

    The rows for momentum follow from the characteristic polynomial x^2 - (1 + b - (1 - d) r s) x + b, whose
    roots leave the unit disc at x = -1; Nesterov's from x^2 - (1 + b)(1 - r s) x + b (1 - r s); Adam's are
    those of momentum averaged with 1 - b (J. Cohen et al., arXiv 2207.14484), AdamW's the same with the
    decay's term: its step has determinant b (1 - r w) and trace 1 + b - r w - r (1 - b) s, and -1 is a root
    where 1 + trace + determinant is 0.

    Args:
        optimizer: class name, as in `Plan.optimizer`.
        options: its options that differ from the defaults. Where groups of parameters have rates of their
            own, the largest curvature may be that of one which is hardly trained: no limit is given.
        sharpness: s > 0.
    """
    if options.get("maximize") or options.get(GROUP_RATES):
        return None
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
    if optimizer == "RMSprop":
        return (2 + 2 * float(options.get("momentum", 0.0))) / sharpness
    if optimizer in ("Adam", "AdamW"):
        b = float((options.get("betas") or (0.9, 0.999))[0])
        apart = optimizer == "AdamW" or options.get("decoupled_weight_decay")
        return (2 + 2 * b) / ((1 - b) * sharpness + ((1 + b) * decay if apart else 0.0))
    return None


DIVIDING = ("Adam", "AdamW", "RMSprop")
"""Optimizers whose limit is that of the preconditioned sharpness."""

LARGE_BATCH = 4
"""Steps an epoch up to which batches, a quarter of the examples or more, are near enough to all of them."""


class Standing(NamedTuple):
    """Where a lane stands to its limit, late in its run.

    Attributes:
        sharpness: the median of what was measured in the last quarter, or the last that was measured;
            preconditioned where the optimizer divides.
        limit: the rate that this sharpness allows.
        ratio: the lane's rate over the limit.
        residual: the largest of those measurements; None where none is known. products: the most of them.
        step: of the last of them.
        late: whether any is from the last quarter of what the lane did, and not from its start.
        preconditioned: whether the sharpness is.
        binding: whether steps contract just below the limit and not above: gradient descent with or without
            momentum on all examples. Adam does not diverge above it, it swings there.
    """

    sharpness: float
    limit: float
    ratio: float
    residual: float | None
    products: int | None
    step: int
    late: bool
    preconditioned: bool
    binding: bool


def standing(curve: Curve, plan: Plan) -> Standing | None:
    """Where a lane stands; None where the sharpness is not known or does not speak of stability.

    Nothing is said of a lane that goes on and whose last measurement is long ago: sharpness changes, most of
    all after the start.
    """
    dividing = plan.optimizer in DIVIDING
    track = curve.preconditioned if dividing else curve.sharpness
    finite = np.isfinite(track.values)
    if not applies(plan) or not finite.any():
        return None
    known = Track(track.steps[finite], track.values[finite])
    last = int(known.steps[-1])
    late = last > 0 and 4 * last >= 3 * curve.steps
    binding = not dividing and plan.steps_per_epoch == 1
    if not late and not (binding and curve.stopped_step is not None):
        return None
    sharpness = float(np.median(known.last_quarter(curve.steps, 1)))
    limit = stability_limit(plan.optimizer, plan.optimizer_options, sharpness)
    if limit is None:
        return None
    which = "preconditioned" if dividing else "sharpness"
    residual, products = (_largest(curve, f"{which}_{what}") for what in ("residual", "products"))
    return Standing(
        sharpness=sharpness,
        limit=limit,
        ratio=curve.rate / limit,
        residual=residual,
        products=None if products is None else int(products),
        step=last,
        late=late,
        preconditioned=dividing,
        binding=binding,
    )


def _largest(curve: Curve, name: str) -> float | None:
    """The largest late value of a series on how well the sharpness is known."""
    track = curve.lanczos.get(name)
    late = np.empty(0) if track is None else track.last_quarter(curve.steps, 1)
    late = late[np.isfinite(late)]
    return float(late.max()) if len(late) else None


def applies(plan: Plan) -> bool:
    """Whether the sharpness of a study speaks of stability: at a constant rate, with large batches.

    With small batches the ratio has no diagnostic power: for Adam it sat at 0.00 to 0.08 of the limit from
    the best rate to the worst.
    """
    constant = plan.schedule is None and plan.clip_norm is None
    return (plan.optimizer == "SGD" or plan.optimizer in DIVIDING) and constant and large_batch(plan)


def large_batch(plan: Plan) -> bool:
    """Whether every step sees a quarter of the examples or more."""
    return plan.steps_per_epoch <= LARGE_BATCH
