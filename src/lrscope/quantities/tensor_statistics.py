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
from lrscope.quantities.quantity import Quantity
from lrscope.quantities.snapshot import Snapshot, Snapshots
from lrscope.quantities.weights import CHANGES, WEIGHTS
from lrscope.training.elements import joined
from lrscope.training.step import Measured, Step

PIECE_ELEMENTS = 2**15
"""Elements measured at a time, of whole lanes, for each operation that it takes on tensors of one size: many
take little time of each, and few stay in the cache."""

WAITING_ELEMENTS = 2**21
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
        """Whether so much is held that it has to be measured; of what may wait each keeper has a part."""
        return keeper.elements > WAITING_ELEMENTS // len(self._keepers)

    def measured(self, taken: Sequence[Sequence[Snapshot]]) -> list[list[Measured]]:
        """What those have kept who train lanes side by side: all together.

        Args:
            taken: of each, what its keeper gave.

        Returns:
            What was found of each.
        """
        found: list[list[Measured]] = [[] for _ in taken]
        packing = self._packing
        if packing is None:
            return found
        alike: dict[tuple[str, ...], list[tuple[Snapshot, list[Measured]]]] = {}
        for some, own in zip(taken, found, strict=True):
            for one in some:
                alike.setdefault(_wanted(one), []).append((one, own))
        for names, kept in alike.items():
            if names:
                _together(packing, kept, names)
        for some in taken:
            for one in some:
                one.measured = True
                for copy in (one.weights, one.gradient, one.after):
                    if one.complete and copy is not None:
                        packing.take_back(copy)
        return found


def _together(
    packing: Packing, kept: Sequence[tuple[Snapshot, list[Measured]]], names: tuple[str, ...]
) -> None:
    """Measure the same of snapshots; what is found of each is added to the list beside it."""
    began = time.perf_counter()
    piece = PIECE_ELEMENTS * len(packing.groups)
    found = [_measure(packing, rows) for rows in _pieces([one for one, _ in kept], piece)]
    values_nR = torch.cat(found, dim=1)
    took = (time.perf_counter() - began) / len(kept)
    end = 0
    for one, own in kept:
        begin, end = end, end + len(one.weights)
        own.append(Measured(one.step, names, values_nR[:, begin:end], one.seconds + took))
        one.seconds = 0.0


def _measure(packing: Packing, rows: Rows) -> Tensor:
    """What is wanted of lanes of snapshots of which the same is: [k * q, R]."""
    point, change = not rows[0][0].measured, rows[0][0].after is not None
    weights = joined([one.weights[lanes] for one, lanes in rows])
    gradient = _held(rows, lambda one: one.gradient)
    quantities: tuple[Quantity, ...] = ()
    way = moves = None
    if point:
        quantities = WEIGHTS if gradient is None else (*WEIGHTS, *GRADIENTS)
        way = weights - joined([one.start[lanes] for one, lanes in rows])
    if change:
        moves = _moves(rows, weights, gradient)

    def measure(group: Alike) -> list[Tensor]:
        look = Look(
            group.of(weights),
            None if way is None else group.of(way),
            None if gradient is None else group.of(gradient),
        )
        values = [quantity.measure(look) for quantity in quantities]
        if group.ratio != 1:  # what a sample's norm says of that of all
            sizes = zip(quantities, values, strict=True)
            values = [value * math.sqrt(group.ratio) if one.length else value for one, value in sizes]
        if moves is not None:
            move = Move(look, *map(group.of, moves))
            values += [change.measure(move) for change in CHANGES]
        return values

    # [k, q, R] of each group.
    of_groups = [torch.stack(measure(group)).permute(2, 0, 1) for group in packing.groups]
    return torch.cat(of_groups)[packing.order.to(weights.device)].flatten(0, 1)


def _wanted(one: Snapshot) -> tuple[str, ...]:
    """What is to be measured of a snapshot as it stands."""
    point = () if one.measured else LAST_POINT if one.gradient is None else POINT
    return point + (CHANGE if one.after is not None else ())


def _held(rows: Rows, copy: Callable[[Snapshot], Tensor | None]) -> Tensor | None:
    """A copy that not every snapshot has, of all rows: [R, M]; None where none has it."""
    found = [own[lanes] for one, lanes in rows if (own := copy(one)) is not None]
    return joined(found) if found else None


def _moves(rows: Rows, weights: Tensor, gradient: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The update that followed, where there was one to be expected, and where it changed nothing, as of
    `Move`: [R, M] each.
    """
    after, rounded = _held(rows, lambda one: one.after), _held(rows, lambda one: one.rounded)
    assert after is not None
    assert gradient is not None
    # Ones and zeros in the weights' dtype: truth values take several times as long to make and to sum.
    moving = torch.ne(gradient, 0, out=torch.empty_like(gradient))
    if rounded is not None:
        moving.logical_or_(rounded)
    stayed = torch.eq(after, weights, out=torch.empty_like(weights)).mul_(moving)
    return after - weights, moving, stayed


def _pieces(snapshots: Sequence[Snapshot], elements: int) -> Iterator[Rows]:
    """All of their lanes, in order, in pieces of about so many elements, of a lane at least."""
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
