"""How much an activation or a loss changes when what goes into it moves a little, without subtracting.

The difference of two nearly equal numbers is mostly rounding. Where a closed form of the change is known,
nothing cancels, and a measured derivative is as exact as its nudge. With y = f(z) the activations give

    tanh:     tanh(z + d) - y = e (1 - y^2) / (1 + y e),     e = tanh(d)
    sigmoid:  sigmoid(z + d) - y = y (1 - y) e / (1 + y e),  e = exp(d) - 1

by their addition theorems. For outputs z [k, n] that move by d, with r = z - targets, p = softmax(z) and y
the class of a sample, the losses give

    mean squared error:  mean over k, n of d (2 r + d)
    cross-entropy:       mean over n of ln(1 + u_n) - d_yn,  u_n = sum_k p_kn (exp(d_kn) - 1)

by being written out. Often the outputs move along one direction, d = w c^T: by w [k], the weights that lead
from one node to the outputs, times what the node's value changes by on each sample, c [n]. Then sums over k
can be had once for all nudges of the node: sum_k w_k r_kn and |w|^2 for the first, for the second the moments
m! M_m = sum_k p_kn w_k^m of u_n = sum_m M_m c_n^m. Six of them leave less than 2^-53 while |w_k c_n| stays
below `SMALL`.

Letters: L lanes, j nodes, s versions of each, k outputs, n samples.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from lrscope.training.scratch_network import Array

SMALL = 2.0**-6
"""|d| below which the terms from d^7 / 7! on are below half a unit in the last place of 1."""

TERMS = 6

LARGEST = 1.0
"""|d| up to which the forms above are used; farther on nothing cancels, and some of them overflow."""


def largest(moves: Array) -> float:
    """The largest magnitude, NaN if there is one."""
    return float(np.maximum(moves.max(), -moves.min()))


def _identity(z: Array, y: Array, d: Array) -> Array:
    return d


def _relu(z: Array, y: Array, d: Array) -> Array:
    change: Array = np.where(z > 0, np.maximum(d, -z), np.maximum(z + d, 0.0))
    return change


def _tanh(z: Array, y: Array, d: Array) -> Array:
    e = np.tanh(d)
    change: Array = e * (1.0 - y * y) / (1.0 + y * e)
    return change


def _sigmoid(z: Array, y: Array, d: Array) -> Array:
    e = np.expm1(d)
    change: Array = y * (1.0 - y) * e / (1.0 + y * e)
    return change


ACTIVATION_CHANGES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "identity": _identity,
    "relu": _relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}
"""The change for z, y = f(z) and a move d of z, all of shapes that fit each other."""


class LossChange(Protocol):
    """The change of a loss for moves of the outputs that it was made for."""

    def of(self, lanes: slice, moves: Array) -> Array:
        """Moves d [L, j, s, k, n] of these lanes give changes [L, j, s]."""
        ...

    def along(self, lanes: slice, directions: Array, moves: Array) -> Array | None:
        """Moves c [L, j, s, n] along w [L, j, k] give changes [L, j, s]; None if they are too large."""
        ...


class SquaredErrorChange:
    """`LossChange` of the mean squared error."""

    def __init__(self, outputs: Array, targets: Array) -> None:
        self._residuals = outputs - targets

    def of(self, lanes: slice, moves: Array) -> Array:
        """Moves d [L, j, s, k, n] of these lanes give changes [L, j, s]."""
        products = moves * (2 * self._residuals[lanes, None, None] + moves)
        changes: Array = products.reshape(*products.shape[:3], -1).mean(axis=-1)
        return changes

    def along(self, lanes: slice, directions: Array, moves: Array) -> Array | None:
        """Moves c [L, j, s, n] along w [L, j, k] give changes [L, j, s], whatever their size."""
        residuals = self._residuals[lanes]
        slopes = directions @ residuals
        squares = np.einsum("ljk,ljk->lj", directions, directions)
        changes: Array = 2 * (moves @ slopes[..., None])[..., 0]
        changes += squares[..., None] * np.einsum("ljsn,ljsn->ljs", moves, moves)
        changes /= residuals[0].size
        return changes


class CrossEntropyChange:
    """`LossChange` of the cross-entropy of logits."""

    def __init__(self, outputs: Array, classes: Array) -> None:
        self._classes = classes
        exponentials = np.exp(outputs - outputs.max(axis=-2, keepdims=True))
        self._probabilities = exponentials / exponentials.sum(axis=-2, keepdims=True)

    def of(self, lanes: slice, moves: Array) -> Array:
        """Moves d [L, j, s, k, n] of these lanes give changes [L, j, s]."""
        shares = (self._probabilities[lanes, None, None] * np.expm1(moves)).sum(axis=-2)
        wanted = moves[..., self._classes, np.arange(len(self._classes))]
        changes: Array = (np.log1p(shares) - wanted).mean(axis=-1)
        return changes

    def along(self, lanes: slice, directions: Array, moves: Array) -> Array | None:
        """Moves c [L, j, s, n] along w [L, j, k] give changes [L, j, s]; None unless all w c are `SMALL`."""
        if not largest(moves) * largest(directions) < SMALL:  # NaN too
            return None
        series = np.zeros_like(moves)
        for term in range(TERMS, 0, -1):  # Horner's rule
            moments = directions**term / math.factorial(term) @ self._probabilities[lanes]
            series += moments[:, :, None]
            series *= moves
        changes: Array = np.log1p(series, out=series).sum(axis=-1)
        changes -= (moves @ directions[..., self._classes][..., None])[..., 0]
        changes /= moves.shape[-1]
        return changes


LOSS_CHANGES: dict[str, type[SquaredErrorChange] | type[CrossEntropyChange]] = {
    "mean_squared_error": SquaredErrorChange,
    "cross_entropy": CrossEntropyChange,
}
