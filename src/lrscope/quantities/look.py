"""Look: one tensor of all lanes at a point, and Move: across the update that follows.

What several quantities share is computed once. Letters: L lanes, N elements of the tensor.
"""

import functools
import math

import torch
from torch import Tensor

from lrscope.training.elements import picked

STD_BY_NORM = 2**16
"""Elements from which the spread is got from norm and mean, where that loses no digits: a pass less."""

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


class Look:
    """One tensor of all lanes at w_t.

    Args:
        weights_LN: now.
        start_LN: at w_0.
        gradient_LN: of the mini-batch; None where the tensor gets none.
    """

    def __init__(self, weights_LN: Tensor, start_LN: Tensor, gradient_LN: Tensor | None) -> None:
        self.weights_LN = weights_LN
        self.start_LN = start_LN
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
    def way(self) -> Tensor:
        """w_t - w_0."""
        return self.weights_LN - self.start_LN

    def std(self) -> Tensor:
        """Standard deviation, divisor N: [L]."""
        size = self.weights_LN.shape[1]
        # A look at values on another device would wait for it.
        if self.weights_LN.numel() >= STD_BY_NORM and self.weights_LN.device.type == "cpu":
            square_L = self.norm.double().square() / size
            variance_L = square_L - self.mean.double().square()
            if bool((square_L <= DIGITS_LEFT * variance_L).all()):
                return variance_L.sqrt().to(self.weights_LN.dtype)
        # Two passes: the difference of two squares loses every digit where the mean is large.
        return norm(self.weights_LN - self.mean.unsqueeze(1)) / math.sqrt(size)


class Move:
    """One tensor of all lanes before and after an update.

    Args:
        old_LN: w_t, a copy.
        moving_LN: 1 where the gradient is not zero, or would not be but for rounding, and 0 elsewhere, in the
            dtype of the weights; None where the tensor gets no gradient.
        new_LN: w_{t+1}.
    """

    def __init__(self, old_LN: Tensor, moving_LN: Tensor | None, new_LN: Tensor) -> None:
        self.old_LN = old_LN
        self.moving_LN = moving_LN
        self.new_LN = new_LN
