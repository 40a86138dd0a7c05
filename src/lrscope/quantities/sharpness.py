"""Sharpness: the largest eigenvalue of the Hessian of the training loss, lane by lane."""

import numpy as np
import torch
from torch import Tensor

from lrscope.record import Series
from lrscope.training.step import Step

SHARPNESS = Series(
    "sharpness",
    "",
    "scalar",
    "largest eigenvalue of the Hessian of the training loss, in eval mode, by Lanczos: a lower bound",
)
RESIDUAL = Series(
    "sharpness_residual", "", "scalar", "norm of H u - sharpness u: some eigenvalue is as near as that"
)

MEASUREMENTS = 20
"""Times sharpness is measured after the start, evenly over the run."""


def sharpness_points(steps: int) -> frozenset[int]:
    """The steps at which sharpness is measured; 0 and the last are among them."""
    return frozenset(int(step) for step in np.linspace(0, steps, min(MEASUREMENTS, steps) + 1).round())


def sharpness(step: Step) -> dict[str, Tensor]:
    """name -> float64 [L]; empty where curvature is not wanted."""
    if step.curvature is None:
        return {}
    found = step.curvature()
    return {
        SHARPNESS.name: found.sharpness.to(torch.float64),
        RESIDUAL.name: found.residual.to(torch.float64),
    }
