"""How much a loss changes when all outputs move along one direction, each sample by an amount of its own.

A nudge of one node moves the outputs z [k, n] to z + w c^T: w [k] are the weights that lead from the node to
the outputs, c [n] is what the node's value changes by on each sample. Then the outputs need not be computed.
With r = z - targets and N = k n,

    mean squared error:  change = (2 sum_n c_n (w . r_n) + |w|^2 sum_n c_n^2) / N,

and with p = softmax(z) and y the class of a sample,

    cross-entropy:       change = 1/n sum_n [ ln(1 + u_n) - w_y c_n ],   u_n = sum_k p_k (exp(w_k c_n) - 1)
                         u_n = sum_m c_n^m / m! sum_k p_k w_k^m.

Both follow from writing the losses out. The first is exact. Of the second's series six terms are kept, which
leaves less than 2^-53 while |w_k c_n| stays below `SMALL`; beyond it nothing is claimed. There is no k left
in what is done for each nudge and sample, and nothing cancels, as it does when two nearly equal losses are
subtracted.

Letters: L lanes, j nodes, s versions of each, k outputs, n samples.
"""

import math
from typing import Protocol

import numpy as np

from lrscope.training.scratch_network import Array

SMALL = 2.0**-6
"""|w c| below which seven and more factors of it over 7! are below half a unit in the last place of 1."""

TERMS = 6


class LossChange(Protocol):
    """The change of the loss for moves along given directions, or None where it cannot be told this way."""

    def __call__(self, lanes: slice, directions: Array, moves: Array) -> Array | None:
        """Directions w [L, j, k] and moves c [L, j, s, n] give changes [L, j, s]."""
        ...


class SquaredErrorChange:
    """`LossChange` of the mean squared error."""

    def __init__(self, outputs: Array, targets: Array) -> None:
        self._residuals = outputs - targets

    def __call__(self, lanes: slice, directions: Array, moves: Array) -> Array | None:
        """Directions w [L, j, k] and moves c [L, j, s, n] give changes [L, j, s]."""
        residuals = self._residuals[lanes]
        slopes = directions @ residuals
        squares = np.einsum("ljk,ljk->lj", directions, directions)
        changes: Array = 2 * (moves @ slopes[..., None])[..., 0]
        changes += squares[..., None] * np.einsum("ljsn,ljsn->ljs", moves, moves)
        changes /= residuals[0].size
        return changes


class CrossEntropyChange:
    """`LossChange` of the cross-entropy of logits; None where a move is not `SMALL`."""

    def __init__(self, outputs: Array, classes: Array) -> None:
        self._classes = classes
        exponentials = np.exp(outputs - outputs.max(axis=-2, keepdims=True))
        self._probabilities = exponentials / exponentials.sum(axis=-2, keepdims=True)

    def __call__(self, lanes: slice, directions: Array, moves: Array) -> Array | None:
        """Directions w [L, j, k] and moves c [L, j, s, n] give changes [L, j, s]."""
        largest = max(moves.max(), -moves.min()) * np.abs(directions).max()
        if not largest < SMALL:  # NaN too
            return None
        probabilities = self._probabilities[lanes]
        series = np.zeros_like(moves)
        for term in range(TERMS, 0, -1):  # Horner's rule
            series += (directions**term / math.factorial(term) @ probabilities)[:, :, None]
            series *= moves
        changes: Array = np.log1p(series, out=series).sum(axis=-1)
        changes -= (moves @ directions[..., self._classes][..., None])[..., 0]
        changes /= moves.shape[-1]
        return changes


LOSS_CHANGES: dict[str, type[SquaredErrorChange] | type[CrossEntropyChange]] = {
    "mean_squared_error": SquaredErrorChange,
    "cross_entropy": CrossEntropyChange,
}
"""For each of the network's losses, where there is one."""
