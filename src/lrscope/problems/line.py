"""line: four samples of y = 3x, and a weight and a bias that start at 0.

The smallest problem with a learning rate: its loss is a quadratic whose curvature is known, so that every
stability limit can be checked by hand. With the mean squared error over x = 1, 2, 3, 4 the Hessian is
(2/4) [[sum x^2, sum x], [sum x, 4]] = [[15, 5], [5, 2]]. Its eigenvalues are (17 +- sqrt(269)) / 2, that is
16.7006 and 0.2994, and plain gradient descent is stable below 2 / 16.7006 = 0.11976.
"""

import math

import torch
from torch import nn

from lrscope.language import Text
from lrscope.problems.networks import line_from_zero
from lrscope.problems.problem import FULL_BATCH, Problem

LARGEST_CURVATURE = (17 + math.sqrt(269)) / 2
"""The larger eigenvalue of the Hessian, 16.7006."""

SMALLEST_CURVATURE = (17 - math.sqrt(269)) / 2
"""The smaller one, 0.2994."""

LIMIT = 2 / LARGEST_CURVATURE
"""Plain gradient descent converges below this rate, 0.11976, and diverges above it."""


def make() -> Problem:
    """The problem: float32, all four samples a step, plain gradient descent, 1,000 epochs."""
    inputs = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    return Problem(
        name="line",
        model=line_from_zero,
        train=(inputs, 3 * inputs),
        loss=nn.MSELoss(),
        optimizer=torch.optim.SGD,
        batch_size=FULL_BATCH,
        epochs=1000,
        notes=(
            Text(
                "plain gradient descent on this line is stable below a rate of {limit}",
                "在这条直线上，普通的梯度下降在学习率低于 {limit} 时稳定",
            ).format(limit=f"{LIMIT:.4f}"),
        ),
    )
