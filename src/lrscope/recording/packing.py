"""Packing: the elements of all tensors of a lane side by side, so that one operation takes them all.

Most tensors are small, and finding out what to run takes longer than running it. Letters: L lanes, k tensors,
M elements of all of them, n of each.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from lrscope.recording.point import rows
from lrscope.training.elements import readable

Views: TypeAlias = Sequence[tuple[slice, Any]]
"""Columns, and what goes there: [L, n]."""


class TensorsOfOneSize(NamedTuple):
    """Tensors of one size, side by side.

    Attributes:
        places: among all tensors, k of them.
        columns: where they stand.
        ratio: how many elements each has for every one that is taken.
    """

    places: list[int]
    columns: slice
    ratio: float

    def of(self, packed_LM: Tensor) -> Tensor:
        """Theirs: a view [L, k, n]."""
        own_LM = packed_LM[:, self.columns]
        count = len(self.places)
        return own_LM.view(len(own_LM), count, own_LM.shape[1] // count)


class Packing:
    """Where each tensor's elements stand.

    Args:
        stacks: name -> [L, ...].
        strides: name -> s, of tensors of which every s-th element is taken; of those not named all are.

    Attributes:
        groups: all tensors.
        order: in which tensors, taken group by group, stand among all.
        count: how many there are.
    """

    def __init__(self, stacks: Mapping[str, Tensor], strides: Mapping[str, int]) -> None:
        self._strides = strides
        firsts = {name: rows(stack[:1], strides.get(name)) for name, stack in stacks.items()}
        self.count = len(firsts)
        alike: dict[tuple[int, int], list[str]] = {}
        for name, row in firsts.items():
            alike.setdefault((row.shape[1], stacks[name][0].numel()), []).append(name)
        place = {name: at for at, name in enumerate(firsts)}
        self.groups: list[TensorsOfOneSize] = []
        self._columns: dict[str, slice] = {}
        end = 0
        for (taken, size), names in alike.items():
            begin, end = end, end + taken * len(names)
            ratio = size / max(1, taken)
            self.groups.append(TensorsOfOneSize([place[name] for name in names], slice(begin, end), ratio))
            self._columns |= {n: slice(at, at + taken) for n, at in zip(names, itertools.count(begin, taken))}
        self._size = end
        self.order = torch.tensor([at for group in self.groups for at in group.places]).argsort()
        self._spare: dict[int, list[Tensor]] = {}
        # That holds the numbers of every tensor as they are.
        self._dtype = max((row.dtype for row in firsts.values()), key=lambda dtype: dtype.itemsize)
        self._device = next(iter(firsts.values())).device
        self._by_numpy = readable(stacks.values())

    def take_back(self, packed_LM: Tensor) -> None:
        """Use a copy that nobody needs any more for another.

        Memory asked for anew would lie where a pass has just given its own back, which then takes other.
        """
        self._spare.setdefault(len(packed_LM), []).append(packed_LM)

    def views(self, stacks: Mapping[str, Tensor]) -> Views:
        """What is taken of stacks, and where it goes: good as long as they are where they are.

        Args:
            stacks: name -> [L, ...], or [L, n], only what is taken of them.
        """
        found = []
        for name, stack in stacks.items():
            columns = self._columns[name]
            held: Any = stack.detach().numpy() if self._by_numpy else stack.detach()
            flat = held.reshape(len(held), -1)
            if flat.shape[1] != columns.stop - columns.start:
                flat = flat[:, :: self._strides[name]]
            found.append((columns, flat))
        return found

    def packed(self, views: Views) -> Tensor:
        """A copy [L, M] of what they show; zeros for a tensor without one."""
        first = views[0][1]
        spare = self._spare.get(len(first))
        if spare:
            packed_LM = spare.pop()
        else:
            packed_LM = torch.empty(len(first), self._size, dtype=self._dtype, device=self._device)
        if len(views) < self.count:
            packed_LM.zero_()
        # A call of NumPy's is told what to do in a fraction of the time.
        place: Any = packed_LM.numpy() if self._by_numpy else packed_LM
        for columns, view in views:
            place[:, columns] = view
        return packed_LM
