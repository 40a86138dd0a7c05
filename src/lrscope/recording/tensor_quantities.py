"""Tensor quantities: the numbers that are measured of every tensor, at a point or across an update.

Letters: L lanes, k tensors of one size.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from lrscope.record import Series
from lrscope.recording.point import Point, Update, ends, norm


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A number of every tensor of every lane, at one point of training.

    Attributes:
        name, unit, source: as in `Series`.
        measure: tensors of all lanes -> [L, k].
        length: whether it is a 2-norm, which grows as the root of the number of elements.
    """

    name: str
    unit: str
    source: str
    measure: Callable[[Point], Tensor]
    length: bool = False

    @property
    def series(self) -> Series:
        """The entry of the store."""
        return Series(self.name, self.unit, "tensor", self.source)


@dataclasses.dataclass(frozen=True)
class Change:
    """A number of every tensor of every lane, of the update from one step to the next.

    Attributes:
        name, unit, source: as in `Series`.
        measure: tensors of all lanes across the update -> [L, k]; recorded under the step before it.
    """

    name: str
    unit: str
    source: str
    measure: Callable[[Update], Tensor]

    @property
    def series(self) -> Series:
        """The entry of the store."""
        return Series(self.name, self.unit, "tensor", self.source)


def _distance(point: Point) -> Tensor:
    return norm(point.displacement_LkN)


def _largest_move(point: Point) -> Tensor:
    low_Lk, high_Lk = ends(point.displacement_LkN)
    return torch.maximum(high_Lk.abs(), low_Lk.abs())


def _gradient_norm(point: Point) -> Tensor:
    assert point.gradient_LkN is not None
    return norm(point.gradient_LkN)


WEIGHTS = (
    Quantity("weight_mean", "", "mean over the tensor's elements", lambda point: point.mean),
    Quantity("weight_std", "", "standard deviation over the tensor's elements, divisor N", Point.std),
    Quantity("weight_min", "", "smallest element", lambda point: point.ends[0]),
    Quantity("weight_max", "", "largest element", lambda point: point.ends[1]),
    Quantity("weight_norm", "", "2-norm over the tensor's elements", lambda point: point.norm, length=True),
    Quantity("distance", "", "2-norm of the way from the start, w_t - w_0", _distance, length=True),
    Quantity("largest_move", "", "largest element of |w_t - w_0|", _largest_move),
)
"""Measured of the weights."""

GRADIENTS = (
    Quantity(
        "gradient_norm",
        "",
        "2-norm of the mini-batch gradient, before clipping",
        _gradient_norm,
        length=True,
    ),
)
"""Measured of the gradients, before any clipping."""


def _update_ratio(update: Update) -> Tensor:
    # A tensor that is all zeros has no ratio; 0 / 0 and x / 0 both read as none.
    old_Lk = update.before.norm
    return torch.where(old_Lk == 0, 0.0, norm(update.update_LkN) / old_Lk)


def _unchanged_share(update: Update) -> Tensor:
    return update.stayed_LkN.sum(dim=-1) / update.moving_LkN.sum(dim=-1).clamp(min=1)


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
        "of the elements whose gradient is not zero, or reads 0 because weight + h rounds to the weight, "
        "those the update left bitwise unchanged (rounding)",
        _unchanged_share,
    ),
)
"""Measured of the updates."""
