"""quadratic: a bowl of given curvatures, whose every step under gradient descent is known in closed form.

The loss is L(theta) = 1/2 sum_i lambda_i theta_i^2, its gradient lambda_i theta_i, its Hessian diag(lambda).
A step of plain gradient descent at rate eta multiplies theta_i by 1 - eta lambda_i, hence

    theta_i(t) = (1 - eta lambda_i)^t theta_i(0),

which, all lambda_i being positive, converges if and only if eta < 2 / max lambda (Y. Nesterov, Introductory
Lectures on Convex Optimization, 2004, section 1.2.3) and rings with period 2 in every direction whose
lambda_i is above 1 / eta.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from lrscope.errors import ProblemError
from lrscope.language import Text
from lrscope.problems.problem import FULL_BATCH, Problem

SPECTRUM = (1.0, 0.1, 0.01)
"""The curvatures unless others are asked for: the limit is a rate of 2, and one direction is slow indeed."""


class Position(nn.Module):
    """A point `theta` [d] in the bowl; its output for an input [n, d] of ones is the point itself, [n, d].

    The input is there so that a run goes through the ordinary path of (input, target) batches.
    """

    def __init__(self, start: Sequence[float]) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, ones: Tensor) -> Tensor:
        """The point, [n, d], for `ones` [n, d]."""
        return ones * self.theta


def height(position: Tensor, curvature: Tensor) -> Tensor:
    """The loss 1/2 sum_i lambda_i theta_i^2, averaged over the first dimension; both [n, d]."""
    return 0.5 * (curvature * position.square()).sum(dim=-1).mean()


def make(
    spectrum: Sequence[float] = SPECTRUM, start: Sequence[float] | None = None, epochs: int = 200
) -> Problem:
    """The bowl with these curvatures, float64, plain gradient descent, one step an epoch.

    Args:
        spectrum: the curvatures lambda_i, finite; a negative one makes a saddle, which no rate survives.
        start: theta(0), as long as the spectrum; ones unless given.
        epochs: steps.

    Raises:
        ProblemError: the spectrum is empty or not finite, or the start does not fit it.
    """
    curvatures = [float(curvature) for curvature in spectrum]
    starts = [1.0] * len(curvatures) if start is None else [float(value) for value in start]
    if not curvatures or not all(map(math.isfinite, curvatures)):
        raise ProblemError(f"spectrum= wants at least one finite curvature, as (1.0, 0.1); got {curvatures}")
    if len(starts) != len(curvatures) or not all(map(math.isfinite, starts)):
        raise ProblemError(f"start= wants {len(curvatures)} finite numbers, one a curvature; got {starts}")
    target = torch.tensor([curvatures], dtype=torch.float64)
    return Problem(
        name="quadratic",
        model=functools.partial(Position, starts),
        train=(torch.ones_like(target), target),
        loss=height,
        optimizer=torch.optim.SGD,
        batch_size=FULL_BATCH,
        epochs=epochs,
        notes=(
            Text(
                "plain gradient descent in this bowl is stable below a rate of {limit}",
                "在这只碗里，普通的梯度下降在学习率低于 {limit} 时稳定",
            ).format(limit=f"{limit(curvatures):.4g}"),
        )
        if max(curvatures) > 0
        else (),
    )


def limit(spectrum: Sequence[float]) -> float:
    """The rate below which plain gradient descent converges: 2 / max lambda."""
    return 2 / max(spectrum)


def positions(
    spectrum: ArrayLike, rate: float, steps: int, start: ArrayLike | float = 1.0
) -> NDArray[np.float64]:
    """Where plain gradient descent is at every step: theta(t) for t = 0..steps, [steps + 1, d]."""
    factor = 1 - rate * np.asarray(spectrum, dtype=np.float64)
    passed = np.arange(steps + 1)[:, None]
    with np.errstate(over="ignore"):  # a diverging path ends at infinity, as the run itself does
        path: NDArray[np.float64] = factor**passed * np.asarray(start, dtype=np.float64)
    return path


def losses(
    spectrum: ArrayLike, rate: float, steps: int, start: ArrayLike | float = 1.0
) -> NDArray[np.float64]:
    """The loss at every step, L(theta(t)) for t = 0..steps, [steps + 1]."""
    path = positions(spectrum, rate, steps, start)
    with np.errstate(over="ignore"):
        heights: NDArray[np.float64] = 0.5 * (np.asarray(spectrum, dtype=np.float64) * path**2).sum(axis=1)
    return heights
