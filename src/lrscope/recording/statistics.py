"""Tensor statistics: snapshots of the tensors of a Block's lanes, and the numbers measured of them.

Between two steps that fill the cache many small operations cost many times what they cost in a row. So at a
point tensors are only copied, side by side, and several points are measured together later.

Letters: L lanes, M elements of all tensors that are measured, R rows, one a lane and snapshot, k tensors,
q quantities.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from lrscope.recording.packing import Packing, TensorsOfOneSize
from lrscope.recording.point import Point, Update
from lrscope.recording.tensor_quantities import CHANGES, GRADIENTS, WEIGHTS
from lrscope.training.elements import joined

PIECE_ELEMENTS = 2**15
"""Elements measured at a time, of whole lanes, for each operation that it takes on tensors of one size: many
take little time of each, and few stay in the cache."""

WAITING_ELEMENTS = 2**21
"""Elements that wait to be measured, at most, about."""

AT_A_STEP = tuple(quantity.name for quantity in (*WEIGHTS, *GRADIENTS, *CHANGES))
"""Series measured at a point that an update follows."""

AT_THE_END = tuple(quantity.name for quantity in WEIGHTS)
"""Series measured after the last update."""


@dataclasses.dataclass
class Snapshot:
    """The tensors of all lanes at a point, and after the update that follows.

    Attributes:
        step: updates done.
        weights: [L, M].
        gradient: [L, M], zeros where there is none; None after the last update.
        rounded: [L, M], 1 where a gradient reads 0 because weight + h rounds to the weight, and 0 elsewhere;
            None where gradients are exact.
        after: [L, M], the weights after the update; None after the last one.
    """

    step: int
    weights: Tensor
    gradient: Tensor | None = None
    rounded: Tensor | None = None
    after: Tensor | None = None


class Measured(NamedTuple):
    """The numbers measured at a point.

    Attributes:
        step: updates done.
        names: of the q series.
        values: [k, q, L].
    """

    step: int
    names: tuple[str, ...]
    values: Tensor


Rows: TypeAlias = Sequence[tuple[Snapshot, slice]]
"""Some lanes of some snapshots."""


class TensorStatistics:
    """Takes snapshots of lanes and measures them.

    Args:
        weights: name -> [L, ...], the weights of all lanes.
        start: name -> [...], those of each lane before training.
        strides: name -> s, of tensors of which every s-th element is measured; of those not named all are.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], start: Mapping[str, Tensor], strides: Mapping[str, int]
    ) -> None:
        self._packing = Packing(weights, strides)
        self._views = self._packing.views(weights)
        starts = {name: start[name].expand_as(stack) for name, stack in weights.items()}
        self._start_LM = self._packing.packed(self._packing.views(starts))
        self._held: list[Snapshot] = []

    def narrow(self, weights: Mapping[str, Tensor], stay: Sequence[int]) -> None:
        """Go on with some of the lanes, by place; nothing may wait to be measured."""
        self._views = self._packing.views(weights)
        self._start_LM = self._start_LM[torch.tensor(stay, device=self._start_LM.device)]

    def take(
        self, step: int, gradients: Mapping[str, Tensor] | None, rounded: Mapping[str, Tensor] | None = None
    ) -> None:
        """Copy the tensors as they are now; gradients are None after the last update."""
        self._held.append(
            Snapshot(
                step,
                self._packing.packed(self._views),
                None if gradients is None else self._copy(gradients),
                self._copy(rounded) if rounded else None,
            )
        )

    def take_update(self) -> None:
        """Copy the weights after the update that followed the last snapshot."""
        self._held[-1].after = self._packing.packed(self._views)

    def _copy(self, stacks: Mapping[str, Tensor]) -> Tensor:
        return self._packing.packed(self._packing.views(stacks))

    @property
    def full(self) -> bool:
        """Whether so much waits that it has to be measured."""
        return len(self._held) * self._start_LM.numel() > WAITING_ELEMENTS

    def measure(self) -> list[Measured]:
        """Measure all snapshots that wait, in the order of their steps."""
        held, self._held = self._held, []
        found: list[Measured] = []
        for last in (False, True):
            some = [one for one in held if (one.gradient is None) == last]
            if not some:
                continue
            piece = PIECE_ELEMENTS * len(self._packing.groups)
            values_kqR = torch.cat([self._values(rows) for rows in _pieces(some, piece)], dim=2)
            names = AT_THE_END if last else AT_A_STEP
            split = torch.split(values_kqR, len(self._start_LM), dim=2)
            found += [Measured(one.step, names, own) for one, own in zip(some, split, strict=True)]
        for one in held:
            for copy in (one.weights, one.gradient, one.after):
                if copy is not None:
                    self._packing.take_back(copy)
        return found

    def _values(self, rows: Rows) -> Tensor:
        """Measure some lanes of snapshots of one kind: [k, q, R]."""
        weights = joined([one.weights[lanes] for one, lanes in rows])
        displacement = weights - joined([self._start_LM[lanes] for _, lanes in rows])
        gradient = update = None
        if rows[0][0].gradient is not None:
            gradient = _rows(rows, "gradient")
            update = _update(rows, weights, gradient)

        def measure(group: TensorsOfOneSize) -> list[Tensor]:
            point = Point(
                group.of(weights),
                group.of(displacement),
                None if gradient is None else group.of(gradient),
            )
            quantities = WEIGHTS if gradient is None else (*WEIGHTS, *GRADIENTS)
            # The norm of a sample is scaled to that of all elements.
            scale = math.sqrt(group.ratio)
            values = [one.measure(point) * (scale if one.length else 1.0) for one in quantities]
            if update is not None:
                across = Update(point, *map(group.of, update))
                values += [change.measure(across) for change in CHANGES]
            return values

        of_groups = [torch.stack(measure(group)).permute(2, 0, 1) for group in self._packing.groups]
        return torch.cat(of_groups)[self._packing.order.to(weights.device)]


def _rows(rows: Rows, name: str) -> Tensor:
    """Return one of the copies of snapshots that all have it: [R, M]."""
    return joined([getattr(one, name)[lanes] for one, lanes in rows])


def _update(rows: Rows, weights: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the update that followed, where one was due, and where it changed nothing, as of `Update`:
    [R, M] each.
    """
    after = _rows(rows, "after")
    # Ones and zeros in the weights' dtype: truth values take several times as long to make and to sum.
    moving = torch.ne(gradient, 0, out=torch.empty_like(gradient))
    if rows[0][0].rounded is not None:
        moving.logical_or_(_rows(rows, "rounded"))
    stayed = torch.eq(after, weights, out=torch.empty_like(weights)).mul_(moving)
    return after - weights, moving, stayed


def _pieces(snapshots: Sequence[Snapshot], elements: int) -> Iterator[Rows]:
    """Yield all of their lanes, in order, in pieces of about so many elements, of a lane at least."""
    at_once = max(1, elements // max(1, snapshots[0].weights.shape[1]))
    piece: list[tuple[Snapshot, slice]] = []
    room = at_once
    for one in snapshots:
        begin = 0
        while begin < len(one.weights):
            end = min(begin + room, len(one.weights))
            piece.append((one, slice(begin, end)))
            room -= end - begin
            begin = end
            if not room:
                yield piece
                piece, room = [], at_once
    if piece:
        yield piece
