"""Tensor statistics: what is measured of every tensor of some lanes at a point, and of the update after it.

Letters: L lanes of a snapshot, M elements of all tensors that are measured, R rows, one a lane and snapshot,
k tensors, q quantities.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from lrscope.quantities.gradients import GRADIENTS
from lrscope.quantities.look import Look, Move
from lrscope.quantities.packing import Alike, Packing
from lrscope.quantities.snapshot import Snapshot, Snapshots
from lrscope.quantities.weights import CHANGES, WEIGHTS
from lrscope.training.elements import joined
from lrscope.training.step import Measured, Step

PIECE_ELEMENTS = 2**16
"""Elements measured at a time, of whole lanes: what passes by stays in the cache."""

WAITING_ELEMENTS = 2**20
"""That wait to be measured in a process, at most, about."""

POINT = tuple(quantity.name for quantity in (*WEIGHTS, *GRADIENTS))
LAST_POINT = tuple(quantity.name for quantity in WEIGHTS)
CHANGE = tuple(change.name for change in CHANGES)

Rows: TypeAlias = Sequence[tuple[Snapshot, slice]]
"""Some lanes of some snapshots."""


class TensorStatistics:
    """Measures lanes wherever they are trained: `Measures`.

    Args:
        strides: name -> s, of tensors of which every s-th element is measured; of those not named all are.
    """

    def __init__(self, strides: Mapping[str, int]) -> None:
        self._strides = strides
        self._packing: Packing | None = None
        self._keepers: list[Snapshots] = []

    def keeper(self, start: Step) -> Snapshots:
        """Of lanes that are at their start."""
        if self._packing is None:
            self._packing = Packing(start.weights, self._strides)
        made = Snapshots(start, self._packing, self._strides)
        self._keepers.append(made)
        return made

    def full(self, keeper: Snapshots) -> bool:
        """Whether so much is held that it has to be measured."""
        return bool(keeper.elements) and sum(one.elements for one in self._keepers) > WAITING_ELEMENTS

    def measured(self, taken: Sequence[Sequence[Snapshot]]) -> list[list[Measured]]:
        """What those have kept who train lanes side by side: all together.

        Args:
            taken: of each, what its keeper gave.

        Returns:
            What was found of each.
        """
        found: list[list[Measured]] = [[] for _ in taken]
        kept = [(one, own) for some, own in zip(taken, found, strict=True) for one in some]
        new = [(one, own) for one, own in kept if not one.measured]
        self._together([at for at in new if at[0].gradient is not None], POINT, self._points)
        self._together([at for at in new if at[0].gradient is None], LAST_POINT, self._points)
        for one, _ in new:
            one.measured = True
        self._together([at for at in kept if at[0].after is not None], CHANGE, self._changes)
        for one, _ in kept:
            for copy in (one.weights, one.gradient, one.after):
                if self._packing is not None and one.after is not None and copy is not None:
                    self._packing.take_back(copy)
        return found

    def _together(
        self,
        kept: Sequence[tuple[Snapshot, list[Measured]]],
        names: tuple[str, ...],
        measure: Callable[[Rows], Tensor],
    ) -> None:
        """Measure snapshots; what is found of each is added to the list beside it."""
        if not kept:
            return
        began = time.perf_counter()
        values_nR = torch.cat([measure(rows) for rows in _pieces([one for one, _ in kept])], dim=1)
        took = (time.perf_counter() - began) / len(kept)
        end = 0
        for one, found in kept:
            begin, end = end, end + len(one.weights)
            found.append(Measured(one.step, names, values_nR[:, begin:end], one.seconds + took))
            one.seconds = 0.0

    def _points(self, rows: Rows) -> Tensor:
        """By `POINT`, or where there are no gradients by `LAST_POINT`: [k * q, R]."""
        weights = joined([one.weights[lanes] for one, lanes in rows])
        way = weights - joined([one.start[lanes] for one, lanes in rows])
        gradients = [one.gradient[lanes] for one, lanes in rows if one.gradient is not None]
        gradient = joined(gradients) if gradients else None
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

    def _changes(self, rows: Rows) -> Tensor:
        """Across the updates that followed, by `CHANGE`: [k * q, R]."""
        old = joined([one.weights[lanes] for one, lanes in rows])
        new = joined([one.after[lanes] for one, lanes in rows if one.after is not None])
        gradient = joined([one.gradient[lanes] for one, lanes in rows if one.gradient is not None])
        # Ones and zeros in the weights' dtype: truth values take several times as long to make and to sum.
        moving = torch.ne(gradient, 0, out=torch.empty_like(gradient))
        rounded = [one.rounded[lanes] for one, lanes in rows if one.rounded is not None]
        if rounded:
            moving.logical_or_(joined(rounded))
        stayed = torch.eq(new, old, out=torch.empty_like(old)).mul_(moving)
        update = new - old

        def measure(group: Alike) -> list[Tensor]:
            move = Move(group.of(old), group.of(update), group.of(moving), group.of(stayed))
            return [change.measure(move) for change in CHANGES]

        return self._of_groups(measure)

    def _of_groups(self, measure: Callable[[Alike], list[Tensor]]) -> Tensor:
        """All tensors in their order, [k * q, R], of what measures those of one size."""
        assert self._packing is not None  # something was kept
        # [k, q, R] of each group.
        found = [torch.stack(measure(group)).permute(2, 0, 1) for group in self._packing.groups]
        return torch.cat(found)[self._packing.order.to(found[0].device)].flatten(0, 1)


def _pieces(snapshots: Sequence[Snapshot]) -> Iterator[Rows]:
    """All of their lanes, in order, in pieces of about `PIECE_ELEMENTS`, of a lane at least."""
    at_once = max(1, PIECE_ELEMENTS // max(1, snapshots[0].weights.shape[1]))
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
