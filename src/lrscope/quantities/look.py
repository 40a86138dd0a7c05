"""Look: one tensor of all lanes at a point, and Move: across the update that follows.

What several quantities share is computed once. Letters: L lanes, N elements of the tensor.
"""

import functools
import math

import torch
from torch import Tensor

from lrscope.training.elements import picked

STD_BY_NORM = 2**15
"""Elements of a lane from which its spread is got from norm and mean, where that loses no digits: a pass
less."""

DIGITS_LEFT = 16.0
"""It loses none worth speaking of while the mean square is at most so many times the variance."""


def rows(stack: Tensor, elements: Tensor | None = None) -> Tensor:
    """A row a lane, [L, N], in float32 at least; also of scalar parameters, whose stack is [L].

    Args:
        stack: [L, ...].
        elements: flat indices [n] of those that are wanted, in a copy [L, n]; None for all.
    """
    flat_LN = picked(stack.detach(), elements).reshape(len(stack), -1)
    return flat_LN.float() if flat_LN.dtype in (torch.float16, torch.bfloat16) else flat_LN


def norm(values_LN: Tensor) -> Tensor:
    """2-norm of each lane's row: [L]."""
    row_norms: Tensor = torch.linalg.vector_norm(values_LN, dim=1)
    return row_norms


def ends(values_LN: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest and the largest element of each lane's row: [L] each; NaN where one is."""
    return values_LN.amin(dim=1), values_LN.amax(dim=1)


def _spread(values_LN: Tensor, mean_L: Tensor) -> Tensor:
    """Two passes: the difference of two squares loses every digit where the mean is large."""
    return norm(values_LN - mean_L.unsqueeze(1)) / math.sqrt(values_LN.shape[1])


class Look:
    """One tensor of all lanes at w_t.

    Args:
        weights_LN: now.
        way_LN: w_t - w_0.
        gradient_LN: of the mini-batch; zeros where the tensor gets none; None where it is not measured.
    """

    def __init__(self, weights_LN: Tensor, way_LN: Tensor, gradient_LN: Tensor | None) -> None:
        self.weights_LN = weights_LN
        self.way_LN = way_LN
        self.gradient_LN = gradient_LN

    @functools.cached_property
    def norm(self) -> Tensor:
        """2-norm: [L]."""
        return norm(self.weights_LN)

    @functools.cached_property
    def mean(self) -> Tensor:
        """Mean: [L]."""
        return self.weights_LN.mean(dim=1)

    @functools.cached_property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The smallest and the largest element: [L] each; NaN where one is."""
        return ends(self.weights_LN)

    def std(self) -> Tensor:
        """Standard deviation, divisor N: [L]."""
        size = self.weights_LN.shape[1]
        # A look at values on another device would wait for it.
        if size < STD_BY_NORM or self.weights_LN.device.type != "cpu":
            return _spread(self.weights_LN, self.mean)
        square_L = self.norm.double().square() / size
        variance_L = square_L - self.mean.double().square()
        found_L = variance_L.sqrt().to(self.weights_LN.dtype)
        lost_L = ~(square_L <= DIGITS_LEFT * variance_L)
        if bool(lost_L.any()):
            found_L[lost_L] = _spread(self.weights_LN[lost_L], self.mean[lost_L])
        return found_L


class Move:
    """One tensor of all lanes across an update.

    Args:
        old_LN: w_t.
        update_LN: w_{t+1} - w_t.
        moving_LN: 1 where the gradient is not zero, or would not be but for rounding, and 0 elsewhere.
        stayed_LN: 1 where that is so and the weight has not moved by a bit, and 0 elsewhere.
    """

    def __init__(self, old_LN: Tensor, update_LN: Tensor, moving_LN: Tensor, stayed_LN: Tensor) -> None:
        self.old_LN = old_LN
        self.update_LN = update_LN
        self.moving_LN = moving_LN
        self.stayed_LN = stayed_LN
