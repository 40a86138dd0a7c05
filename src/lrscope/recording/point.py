"""Point: tensors of all lanes at one step; and Update: the same tensors across the update that follows.

Values that several quantities need are computed once. Letters: L lanes, k tensors of one size, N elements of
each.
"""

import functools
import math

import torch
from torch import Tensor

from lrscope.training.elements import picked

STD_BY_NORM = 2**15
"""Elements of a tensor from which its spread is got from norm and mean, where that loses no digits: a pass
less."""

DIGITS_LEFT = 16.0
"""It loses none worth speaking of while the mean square is at most so many times the variance."""


def rows(stack: Tensor, stride: int | None = None) -> Tensor:
    """A row a lane, [L, N], in float32 at least; also of scalar parameters, whose stack is [L].

    Args:
        stack: [L, ...].
        stride: where only every so many elements are wanted, [L, n].
    """
    flat_LN = picked(stack.detach(), stride).reshape(len(stack), -1)
    return flat_LN.float() if flat_LN.dtype in (torch.float16, torch.bfloat16) else flat_LN


def norm(values_LkN: Tensor) -> Tensor:
    """2-norm of each row: [L, k]; [L] of [L, N]."""
    row_norms: Tensor = torch.linalg.vector_norm(values_LkN, dim=-1)
    return row_norms


def ends(values_LkN: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest and the largest element of each row, [L, k] each; NaN where one is or none is there."""
    if not values_LkN.shape[-1]:
        none_Lk = values_LkN.new_full(values_LkN.shape[:-1], math.nan)
        return none_Lk, none_Lk
    return values_LkN.amin(dim=-1), values_LkN.amax(dim=-1)


def _spread(values_LkN: Tensor, mean_Lk: Tensor) -> Tensor:
    """Two passes: the difference of two squares loses every digit where the mean is large."""
    return norm(values_LkN - mean_Lk.unsqueeze(-1)) / math.sqrt(values_LkN.shape[-1])


class Point:
    """Tensors of one size, of all lanes, at w_t.

    Args:
        weights_LkN: the weights w_t.
        displacement_LkN: w_t - w_0.
        gradient_LkN: of the mini-batch; zeros where a tensor gets none; None after the last update.
    """

    def __init__(
        self, weights_LkN: Tensor, displacement_LkN: Tensor, gradient_LkN: Tensor | None = None
    ) -> None:
        self.weights_LkN = weights_LkN
        self.displacement_LkN = displacement_LkN
        self.gradient_LkN = gradient_LkN

    @functools.cached_property
    def norm(self) -> Tensor:
        """2-norm: [L, k]."""
        return norm(self.weights_LkN)

    @functools.cached_property
    def mean(self) -> Tensor:
        """Mean: [L, k]."""
        return self.weights_LkN.sum(dim=-1) / self.weights_LkN.shape[-1]

    @functools.cached_property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The smallest and the largest element: [L, k] each; NaN where one is."""
        return ends(self.weights_LkN)

    def std(self) -> Tensor:
        """Standard deviation, divisor N: [L, k]."""
        size = self.weights_LkN.shape[-1]
        # Reading values on another device would wait for it.
        if size < STD_BY_NORM or self.weights_LkN.device.type != "cpu":
            return _spread(self.weights_LkN, self.mean)
        square_Lk = self.norm.double().square() / size
        variance_Lk = square_Lk - self.mean.double().square()
        found_Lk = variance_Lk.sqrt().to(self.weights_LkN.dtype)
        lost_Lk = ~(square_Lk <= DIGITS_LEFT * variance_Lk)
        if bool(lost_Lk.any()):
            found_Lk[lost_Lk] = _spread(self.weights_LkN[lost_Lk], self.mean[lost_Lk])
        return found_Lk


class Update:
    """Tensors of one size, of all lanes, across an update.

    Args:
        before: at w_t.
        update_LkN: w_{t+1} - w_t.
        moving_LkN: 1 where the gradient is not zero, or would not be but for rounding, and 0 elsewhere.
        stayed_LkN: 1 where that is so and the weight has not moved by a bit, and 0 elsewhere.
    """

    def __init__(self, before: Point, update_LkN: Tensor, moving_LkN: Tensor, stayed_LkN: Tensor) -> None:
        self.before = before
        self.update_LkN = update_LkN
        self.moving_LkN = moving_LkN
        self.stayed_LkN = stayed_LkN
