"""Quantity and Change: what is measured of every tensor of all lanes, at a point or across an update.

Letters: L lanes, k tensors of one size.
"""

import dataclasses
from collections.abc import Callable

from torch import Tensor

from lrscope.quantities.look import Look, Move
from lrscope.record import Series


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
    measure: Callable[[Look], Tensor]
    length: bool = False

    @property
    def series(self) -> Series:
        """How the store announces it."""
        return Series(self.name, self.unit, "tensor", self.source)


@dataclasses.dataclass(frozen=True)
class Change:
    """A number of every tensor of every lane, of the update from one point to the next.

    Attributes:
        name, unit, source: as in `Series`.
        measure: tensors of all lanes before and after -> [L, k]; recorded under the step before.
    """

    name: str
    unit: str
    source: str
    measure: Callable[[Move], Tensor]

    @property
    def series(self) -> Series:
        """How the store announces it."""
        return Series(self.name, self.unit, "tensor", self.source)
