"""What is measured of the weights themselves, tensor by tensor, and of their updates."""

import torch
from torch import Tensor

from lrscope.quantities.look import Look, Move, ends, norm
from lrscope.quantities.quantity import Change, Quantity


def _distance(look: Look) -> Tensor:
    assert look.way_LkN is not None
    return norm(look.way_LkN)


def _largest_move(look: Look) -> Tensor:
    assert look.way_LkN is not None
    low_Lk, high_Lk = ends(look.way_LkN)
    return torch.maximum(high_Lk, -low_Lk)


WEIGHTS = (
    Quantity("weight_mean", "", "mean over the tensor's elements", lambda look: look.mean),
    Quantity("weight_std", "", "standard deviation over the tensor's elements, divisor N", Look.std),
    Quantity("weight_min", "", "smallest element", lambda look: look.ends[0]),
    Quantity("weight_max", "", "largest element", lambda look: look.ends[1]),
    Quantity("weight_norm", "", "2-norm over the tensor's elements", lambda look: look.norm, length=True),
    Quantity(
        "distance",
        "",
        "2-norm of the way from the start, w_t - w_0",
        _distance,
        length=True,
    ),
    Quantity("largest_move", "", "largest element of |w_t - w_0|", _largest_move),
)


def _update_ratio(move: Move) -> Tensor:
    # A tensor that is all zeros has no ratio; 0 / 0 and x / 0 both read as none.
    old_Lk = move.before.norm
    return torch.where(old_Lk == 0, 0.0, norm(move.update_LkN) / old_Lk)


def _unchanged_share(move: Move) -> Tensor:
    return move.stayed_LkN.sum(dim=-1) / move.moving_LkN.sum(dim=-1).clamp(min=1)


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
