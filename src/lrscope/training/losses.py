"""Losses: those of step after step, until somebody takes them.

Letters: L lanes, n steps.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrscope.training.elements import joined, readable

ROWS = 128
"""Steps whose losses are put together at a time."""


class Losses:
    """The mini-batch losses of lanes.

    Each step's are copied to one place. A tensor of a few bytes that lasted would lie in the room that the
    step's own pass left; the next pass, which wants all of that room in one piece, would take as much anew,
    and so would many after it.
    """

    def __init__(self) -> None:
        self._rows: NDArray[Any] | None = None
        self._waiting: list[Tensor] = []
        self._count = 0
        self._stacks: list[Tensor] = []

    def add(self, losses_L: Tensor) -> None:
        """Keep those of one step."""
        own = losses_L.detach()
        if self._rows is not None:
            self._rows[self._count] = own.numpy()
        elif readable([own]):
            self._rows = np.empty((ROWS, *own.shape), own.numpy().dtype)
            self._rows[0] = own.numpy()
        else:
            # A device takes longer to copy a few numbers than to hold them.
            self._waiting.append(own)
        self._count += 1
        if self._count == ROWS:
            self._stack()

    def taken(self, lanes: int) -> Tensor:
        """Those of the n steps since this was asked before: [n, L]; there may be fewer lanes from here on."""
        self._stack()
        stacks, self._stacks = self._stacks, []
        self._rows = None
        return joined(stacks) if stacks else torch.empty(0, lanes)

    def _stack(self) -> None:
        if self._waiting:
            self._stacks.append(torch.stack(self._waiting))
            self._waiting = []
        elif self._rows is not None and self._count:
            self._stacks.append(torch.from_numpy(self._rows[: self._count].copy()))
        self._count = 0
