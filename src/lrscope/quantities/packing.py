"""Packing: the elements of all tensors of a lane side by side, so that one operation takes them all.

Most tensors are small, and finding out what to run takes longer than running it. Letters: L lanes, M elements
of all tensors.
"""

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from lrscope.quantities.look import rows


class Packing:
    """Where each tensor's elements stand.

    Args:
        stacks: name -> [L, ...].
        elements: name -> flat indices of what is taken of a tensor; of those not named everything.

    Attributes:
        spans: the columns of each tensor, and how many elements it has for each that is taken.
    """

    def __init__(self, stacks: Mapping[str, Tensor], elements: Mapping[str, Tensor]) -> None:
        self._elements = elements
        firsts = {name: rows(stack[:1], elements.get(name)) for name, stack in stacks.items()}
        sizes = {name: row.shape[1] for name, row in firsts.items()}
        ends = list(itertools.accumulate(sizes.values(), initial=0))
        self._size = ends[-1]
        self._spans = {name: slice(*ends[at : at + 2]) for at, name in enumerate(sizes)}
        self.spans = [
            (span, stacks[name][0].numel() / max(1, sizes[name])) for name, span in self._spans.items()
        ]
        # That holds the numbers of every tensor as they are.
        self._dtype = max((row.dtype for row in firsts.values()), key=lambda dtype: dtype.itemsize)

    def packed(self, stacks: Mapping[str, Tensor]) -> Tensor:
        """A copy [L, M] of stacks; zeros for a tensor without one.

        Args:
            stacks: name -> [L, ...], or [L, n], only what is taken of them.
        """
        first = next(iter(stacks.values()))
        make = torch.zeros if len(stacks) < len(self._spans) else torch.empty
        packed_LM = make(len(first), self._size, dtype=self._dtype, device=first.device)
        for name, stack in stacks.items():
            some = self._elements.get(name)
            whole = some is not None and stack[0].numel() != len(some)
            packed_LM[:, self._spans[name]] = rows(stack, some if whole else None)
        return packed_LM
