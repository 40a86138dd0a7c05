"""Losses: those of step after step, until somebody takes them.

Letters: L lanes, n steps.
"""

import torch
from torch import Tensor

from lrscope.training.elements import joined

ROWS = 128
"""Steps for whose losses there is room in one place."""


class Losses:
    """The mini-batch losses of lanes.

    Args:
        at_once: whether those of each step are put away at once, which costs a short step dearly. A tensor of
            a few bytes that lasts lies in the room that the pass of a lane left; the next pass, which wants
            all of that room in one piece, takes as much anew, and so do many after it.
    """

    def __init__(self, *, at_once: bool) -> None:
        self._most = 1 if at_once else ROWS
        self._held: list[Tensor] = []
        self._rows: Tensor | None = None
        self._count = 0
        self._full: list[Tensor] = []

    def add(self, losses_L: Tensor) -> None:
        """Keep those of one step."""
        self._held.append(losses_L)
        if len(self._held) == self._most:
            self._put_away()

    def taken(self, lanes: int) -> Tensor:
        """Those of the n steps since this was asked before: [n, L]; there may be fewer lanes from here on."""
        self._put_away()
        full, self._full = self._full, []
        if self._rows is not None:
            full.append(self._rows[: self._count])
        self._rows, self._count = None, 0
        return joined(full) if full else torch.empty(0, lanes)

    def _put_away(self) -> None:
        if not self._held:
            return
        own_nL = torch.stack(self._held).detach()
        self._held.clear()
        if self._rows is None:
            self._rows = own_nL.new_empty(ROWS, own_nL.shape[1])
        end = self._count + len(own_nL)
        self._rows[self._count : end] = own_nL
        self._count = end
        if end == ROWS:
            self._full.append(self._rows)
            self._rows, self._count = None, 0
