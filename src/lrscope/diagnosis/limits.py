"""Limits: the largest rate at which an optimizer is stable on a quadratic, from its sharpness.

With all examples in every step and a loss of largest curvature s, a step is a linear recurrence along each
eigenvector; it contracts exactly below the rate that `lrscope.optimizer_facts` gives. For a network the limit
is a property of the moment, not a law: full-batch training hovers at it and learns on (J. Cohen et al.,
Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability, arXiv 2103.00065).
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lrscope.diagnosis.curve import Curve, Track
from lrscope.optimizer_facts import facts_named
from lrscope.plan import GROUP_RATES, Plan


def stability_limit(
    optimizer: str, options: Mapping[str, Any], sharpness: float, step: float = math.inf
) -> float | None:
    """Return the rate below which steps contract; None where there is no such limit or no formula for it.

    The formulas are those of `lrscope.optimizer_facts`.

    Args:
        optimizer: class name, as in `Plan.optimizer`.
        options: its options that differ from the defaults. Where groups of parameters have rates of their
            own, the largest curvature may be that of one which is hardly trained: no limit is given.
        sharpness: the largest curvature; preconditioned where the optimizer has a divisor.
        step: updates done when the sharpness was measured.
    """
    facts = facts_named(optimizer)
    if facts.limit is None or options.get("maximize") or options.get(GROUP_RATES):
        return None
    return facts.limit({**facts.limit_options, **options}, sharpness, step)


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
    facts = facts_named(plan.optimizer)
    dividing = facts.divisor is not None
    track = curve.preconditioned if dividing else curve.sharpness
    finite = np.isfinite(track.values)
    if not applies(plan) or not finite.any():
        return None
    known = Track(track.steps[finite], track.values[finite])
    last = int(known.steps[-1])
    late = last > 0 and 4 * last >= 3 * curve.steps
    binding = facts.linear and plan.steps_per_epoch == 1
    if not late and not (binding and curve.stopped_step is not None):
        return None
    sharpness = float(np.median(known.last_quarter(curve.steps, 1)))
    limit = stability_limit(plan.optimizer, plan.optimizer_options, sharpness, last)
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
    return facts_named(plan.optimizer).limit is not None and constant and large_batch(plan)


def large_batch(plan: Plan) -> bool:
    """Whether every step sees a quarter of the examples or more."""
    return plan.steps_per_epoch <= LARGE_BATCH
