"""Sharpness: the largest eigenvalue of the Hessian of the training loss, lane by lane."""

import numpy as np
import torch
from torch import Tensor

from lrscope.optimizer_facts import facts_named
from lrscope.plan import Plan
from lrscope.record import Series
from lrscope.training.curvature import Curvature
from lrscope.training.lanczos import Top

_PRODUCTS = "Hessian-vector products that it took, each made for all lanes at once"

SHARPNESS = (
    Series(
        "sharpness",
        "",
        "scalar",
        "largest eigenvalue of the Hessian of the training loss, in eval mode, by Lanczos: a lower bound",
    ),
    Series(
        "sharpness_residual", "", "scalar", "norm of H u - sharpness u: some eigenvalue is as near as that"
    ),
    Series("sharpness_products", "1", "scalar", _PRODUCTS),
)
PRECONDITIONED = (
    Series(
        "preconditioned_sharpness",
        "",
        "scalar",
        "largest eigenvalue of P^-1/2 H P^-1/2, P being what the optimizer divides a gradient by and H the "
        "Hessian with the weight decay that is added to the gradient: a lower bound; from the first step on",
    ),
    Series("preconditioned_residual", "", "scalar", "of that eigenvalue: some eigenvalue is as near as that"),
    Series("preconditioned_products", "1", "scalar", _PRODUCTS),
)

MEASUREMENTS = 20
"""Times sharpness is measured after the start, evenly over the run."""


def sharpness_points(steps: int) -> frozenset[int]:
    """The steps at which sharpness is measured; 0 and the last are among them."""
    return frozenset(int(step) for step in np.linspace(0, steps, min(MEASUREMENTS, steps) + 1).round())


def sharpness_series(plan: Plan) -> tuple[Series, ...]:
    """What of curvature a sweep by this plan records."""
    if plan.curvature_examples is None:
        return ()
    return (*SHARPNESS, *PRECONDITIONED) if facts_named(plan.optimizer).divisor else SHARPNESS


def sharpness(found: Curvature) -> dict[str, Tensor]:
    """name -> float64 [L]."""
    kept = dict(zip((one.name for one in SHARPNESS), _values(found.plain), strict=True))
    if found.preconditioned is not None:
        kept |= zip((one.name for one in PRECONDITIONED), _values(found.preconditioned), strict=True)
    return kept


def _values(top: Top) -> tuple[Tensor, Tensor, Tensor]:
    value, residual = top.value.to(torch.float64), top.residual.to(torch.float64)
    return value, residual, torch.where(torch.isfinite(value), float(top.products), torch.nan)
