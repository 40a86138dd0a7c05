"""What is measured of the weights themselves, tensor by tensor.

Letters: L lanes, N elements of a tensor.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lrscope.quantities.quantity import Before, Change, Quantity
from lrscope.training.step import Step


def _of_weights(statistic: Callable[[Tensor], Tensor]) -> Callable[[Step], Tensor]:
    """Apply a statistic [L, N] -> [L] to every tensor."""

    def measure(step: Step) -> Tensor:
        return torch.stack([statistic(rows(w.detach())) for w in step.weights.values()], dim=1)

    return measure


def rows(stack: Tensor) -> Tensor:
    """A row a lane, [L, N]; also of scalar parameters, whose stack is [L]."""
    return stack.reshape(len(stack), -1)


def _std(weights_LN: Tensor) -> Tensor:
    # Two passes: the difference of two squares loses every digit where the mean is large against the spread.
    centred = weights_LN - weights_LN.mean(dim=1, keepdim=True)
    return norm(centred) / math.sqrt(weights_LN.shape[1])


def norm(values_LN: Tensor) -> Tensor:
    """2-norm of each lane's row: [L]."""
    row_norms: Tensor = torch.linalg.vector_norm(values_LN, dim=1)
    return row_norms


WEIGHTS = (
    Quantity("weight_mean", "", "mean over the tensor's elements", _of_weights(lambda w: w.mean(dim=1))),
    Quantity("weight_std", "", "standard deviation over the tensor's elements, divisor N", _of_weights(_std)),
    Quantity("weight_min", "", "smallest element", _of_weights(lambda w: w.amin(dim=1))),
    Quantity("weight_max", "", "largest element", _of_weights(lambda w: w.amax(dim=1))),
    Quantity("weight_norm", "", "2-norm over the tensor's elements", _of_weights(norm)),
)


def _largest(values_LN: Tensor) -> Tensor:
    return torch.maximum(values_LN.amax(dim=1), -values_LN.amin(dim=1))


def way_from(start: Mapping[str, Tensor]) -> tuple[Quantity, ...]:
    """How far w_t is from w_0, per tensor: all together, and the element that went farthest.

    Args:
        start: name -> [L, ...], copies of w_0.
    """

    def of_way(statistic: Callable[[Tensor], Tensor]) -> Callable[[Step], Tensor]:
        def measure(step: Step) -> Tensor:
            ways = (rows(w.detach() - start[name]) for name, w in step.weights.items())
            return torch.stack([statistic(way_LN) for way_LN in ways], dim=1)

        return measure

    return (
        Quantity("distance", "", "2-norm of the way from the start, w_t - w_0", of_way(norm)),
        Quantity("largest_move", "", "largest element of |w_t - w_0|", of_way(_largest)),
    )


def _update_ratio(before: Before, weights: Mapping[str, Tensor]) -> Tensor:
    ratios = []
    for name, old in before.weights.items():
        ratios.append(norm(rows(weights[name].detach() - old)) / norm(rows(old)))
    # A tensor that is all zeros has no ratio; 0 / 0 and x / 0 both read as none.
    return torch.nan_to_num(torch.stack(ratios, dim=1), nan=0.0, posinf=0.0)


def _unchanged_share(before: Before, weights: Mapping[str, Tensor]) -> Tensor:
    shares = []
    for name, old in before.weights.items():
        moving = before.moving.get(name)
        if moving is None:
            shares.append(old.new_zeros(len(old)))
            continue
        stayed = rows((weights[name].detach() == old) & moving).sum(dim=1)
        shares.append(stayed / rows(moving).sum(dim=1).clamp(min=1))
    return torch.stack([share.to(shares[0].dtype) for share in shares], dim=1)


CHANGES = (
    Change(
        "update_ratio",
        "1",
        "2-norm of w_{t+1} - w_t over that of w_t; 0 where w_t is all zeros",
        _update_ratio,
    ),
    Change(
        "unchanged_share",
        "share",
        "of the elements whose gradient is not zero, or reads 0 because weight + nudge rounds to the weight, "
        "those the update left bitwise unchanged (rounding)",
        _unchanged_share,
    ),
)
