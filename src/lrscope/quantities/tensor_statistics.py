"""Tensor statistics: what is measured of every tensor of some lanes at a point, and of the update after it.

Letters: L lanes, l of them at a time, M elements of all tensors that are measured, k tensors, q quantities,
P points.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from lrscope.quantities.gradients import GRADIENTS
from lrscope.quantities.look import Look, Move
from lrscope.quantities.packing import Alike, Packing
from lrscope.quantities.weights import CHANGES, WEIGHTS
from lrscope.training.step import Measured, Step

PIECE_ELEMENTS = 2**20
"""Elements measured at a time, of whole lanes: what passes by stays in the cache, and memory is used again
rather than asked for anew, which takes several times as long as the arithmetic. Of a share of the lanes about
as many are held at most."""

POINT = tuple(quantity.name for quantity in (*WEIGHTS, *GRADIENTS))
LAST_POINT = tuple(quantity.name for quantity in WEIGHTS)
CHANGE = tuple(change.name for change in CHANGES)


@dataclasses.dataclass
class Snapshot:
    """A point as it was, until it is measured.

    Attributes:
        step: updates done.
        weights: [L, M].
        gradient: [L, M], zeros where there is none; None after the last update.
        rounded: [L, M], 1 where a gradient reads 0 because weight + nudge rounds to the weight, and 0
            elsewhere; None where gradients are exact.
        after: [L, M], the weights after the update that followed, once it has.
        seconds: that it took.
        measured: whether it was, but for the update.
    """

    step: int
    weights: Tensor
    gradient: Tensor | None
    rounded: Tensor | None
    after: Tensor | None = None
    seconds: float = 0.0
    measured: bool = False


class TensorStatistics:
    """Measures lanes at whose start it was made: a `Measure`.

    Between two steps that take all of the cache a few operations cost many times what they cost in a row: so
    points are only copied then, and measured together.

    Args:
        start: the first step.
        elements: name -> flat indices of what is measured of a tensor; of those not named everything.
    """

    def __init__(self, start: Step, elements: Mapping[str, Tensor]) -> None:
        self._elements = elements
        self._keys = start.keys
        self._packing = Packing(start.weights, elements)
        self._start_LM = self._packing.packed(start.weights)
        self._held: list[Snapshot] = []
        self._found: list[Measured] = []

    def __call__(self, step: Step, *, due: bool) -> None:
        """Keep the end of the update that followed the point before, and the point itself where it is due."""
        began = settled(step)
        self._narrow(step)
        at = self._held[-1] if self._held else None
        if at is not None and at.gradient is not None and at.after is None:
            at.after = self._packing.packed(step.weights)
        if due:
            at = Snapshot(step.index, self._packing.packed(step.weights), None, None)
            self._held.append(at)
            if step.losses is not None:
                at.gradient = self._packing.packed(step.gradients(self._elements))
                rounded = step.rounded()
                at.rounded = self._packing.packed(rounded) if rounded else None
        if at is not None:
            at.seconds += settled(step) - began
        if len(self._held) * self._start_LM.numel() > PIECE_ELEMENTS:
            self._measure()

    def taken(self) -> list[Measured]:
        """What was found since this was asked before."""
        self._measure()
        found, self._found = self._found, []
        return found

    def _narrow(self, step: Step) -> None:
        """Forget the lanes that have left."""
        if step.keys == self._keys:
            return
        stay = torch.tensor([self._keys.index(key) for key in step.keys], device=self._start_LM.device)
        self._keys = step.keys
        self._start_LM = self._start_LM[stay]
        for one in self._held:
            one.weights = one.weights[stay]
            one.gradient = None if one.gradient is None else one.gradient[stay]
            one.rounded = None if one.rounded is None else one.rounded[stay]

    def _measure(self) -> None:
        """Measure what is held; of that stays a point whose update is still to come."""
        new = [one for one in self._held if not one.measured]
        self._together([one for one in new if one.gradient is not None], POINT, self._points)
        self._together([one for one in new if one.gradient is None], LAST_POINT, self._points)
        for one in new:
            one.measured = True
        self._together([one for one in self._held if one.after is not None], CHANGE, self._changes)
        self._held = [one for one in self._held if one.gradient is not None and one.after is None]

    def _together(
        self,
        some: Sequence[Snapshot],
        names: tuple[str, ...],
        measure: Callable[[Sequence[Snapshot], slice], Tensor],
    ) -> None:
        """Measure snapshots, a few lanes at a time."""
        if not some:
            return
        began = time.perf_counter()
        lanes, size = self._start_LM.shape
        at_once = max(1, PIECE_ELEMENTS // max(1, size * len(some)))
        pieces = [measure(some, slice(begin, begin + at_once)) for begin in range(0, lanes, at_once)]
        # [k * q, P, l], of P snapshots, each.
        values = torch.cat([piece.reshape(len(piece), len(some), -1) for piece in pieces], dim=2)
        took = (time.perf_counter() - began) / len(some)
        for one, own in zip(some, values.unbind(1), strict=True):
            self._found.append(Measured(one.step, names, own, one.seconds + took))
            one.seconds = 0.0

    def _points(self, some: Sequence[Snapshot], lanes: slice) -> Tensor:
        """Lanes of snapshots by `POINT`, or where there are no gradients by `LAST_POINT`: [k * q, P * l]."""
        weights = torch.cat([one.weights[lanes] for one in some])
        way = weights - self._start_LM[lanes].repeat(len(some), 1)
        gradients = [one.gradient[lanes] for one in some if one.gradient is not None]
        gradient = torch.cat(gradients) if gradients else None
        quantities = WEIGHTS if gradient is None else (*WEIGHTS, *GRADIENTS)

        def measure(group: Alike) -> list[Tensor]:
            own = None if gradient is None else group.of(gradient)
            look = Look(group.of(weights), group.of(way), own)
            values = [quantity.measure(look) for quantity in quantities]
            if group.ratio == 1:
                return values
            # What a sample's norm says of that of all.
            sizes = zip(quantities, values, strict=True)
            return [value * math.sqrt(group.ratio) if one.length else value for one, value in sizes]

        return self._of_groups(measure)

    def _changes(self, some: Sequence[Snapshot], lanes: slice) -> Tensor:
        """Lanes across the updates that followed snapshots, by `CHANGE`: [k * q, P * l]."""
        old = torch.cat([one.weights[lanes] for one in some])
        new = torch.cat([one.after[lanes] for one in some if one.after is not None])
        moving = torch.cat([one.gradient[lanes] for one in some if one.gradient is not None]).ne_(0)
        rounded = [one.rounded[lanes] for one in some if one.rounded is not None]
        if rounded:
            moving.logical_or_(torch.cat(rounded))
        # Ones and zeros in the weights' dtype: truth values take several times as long to make and to sum.
        stayed = torch.eq(new, old, out=torch.empty_like(old)).mul_(moving)
        update = new.sub_(old)

        def measure(group: Alike) -> list[Tensor]:
            move = Move(group.of(old), group.of(update), group.of(moving), group.of(stayed))
            return [change.measure(move) for change in CHANGES]

        return self._of_groups(measure)

    def _of_groups(self, measure: Callable[[Alike], list[Tensor]]) -> Tensor:
        """All tensors in their order, [k * q, P * l], of what measures those of one size."""
        found: list[Tensor] = []
        places: list[int] = []
        for group in self._packing.groups:
            # [k, q, P * l]
            found.append(torch.stack(measure(group)).permute(2, 0, 1))
            places += group.places
        order = torch.tensor(places).argsort()
        return torch.cat(found)[order.to(found[0].device)].flatten(0, 1)


def settled(step: Step) -> float:
    """The time, once the device has done what it was told."""
    device = next(iter(step.weights.values())).device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
