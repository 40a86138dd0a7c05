"""Quantity and Change: what is measured of all lanes, at a point or across an update."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from lrscope.record import Series
from lrscope.training.step import Step


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A number of every tensor of every lane, at one point of training.

    Attributes:
        name, unit, source: as in `Series`.
        measure: Step -> [L, tensors], in the order of the step's weights.
    """

    name: str
    unit: str
    source: str
    measure: Callable[[Step], Tensor]

    @property
    def series(self) -> Series:
        """How the store announces it."""
        return Series(self.name, self.unit, "tensor", self.source)


class Before(NamedTuple):
    """What is kept of a point so that the update that follows can be measured.

    Attributes:
        step: t.
        weights: name -> [L, ...], copies.
        moving: name -> bool [L, ...], where the gradient is not zero, or would not be but for rounding; the
            trained tensors only.
    """

    step: int
    weights: Mapping[str, Tensor]
    moving: Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Change:
    """A number of every tensor of every lane, of the update from one point to the next.

    Attributes:
        name, unit, source: as in `Series`.
        measure: (w_t kept, w_{t+1}) -> [L, tensors]; recorded under t.
    """

    name: str
    unit: str
    source: str
    measure: Callable[[Before, Mapping[str, Tensor]], Tensor]

    @property
    def series(self) -> Series:
        """How the store announces it."""
        return Series(self.name, self.unit, "tensor", self.source)
