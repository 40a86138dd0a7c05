"""Tracked: the scalars of the weights that are kept at every step.

Letters: L lanes, k scalars, n steps.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrscope.plan import Tracked
from lrscope.training.elements import readable


class TrackedScalars:
    """Scalars of lanes, step after step.

    Args:
        tracked: (name, index) of each.
        weights: name -> [L, ...]; views are made of them.
        lanes: L.
    """

    def __init__(self, tracked: Tracked, weights: Mapping[str, Tensor], lanes: int) -> None:
        self._shape = (len(tracked), lanes)
        self._views = [
            functools.reduce(lambda view, i: view.select(1, i), index, weights[name].detach())
            for name, index in tracked
        ]
        self._count = 0
        self._copies: list[Tensor] = []
        self._bytes = bytearray()
        # This is done at every step, and nothing copies a few numbers as fast as a buffer that grows.
        kinds = {view.dtype for view in self._views}
        known = len(kinds) == 1 and readable(self._views)
        arrays = [view.numpy() for view in self._views] if known else []
        self._dtype = arrays[0].dtype if arrays else None
        self._buffers: list[Any] = [array.data if array.data.c_contiguous else array for array in arrays]
        self._packed = all(isinstance(buffer, memoryview) for buffer in self._buffers)

    def add(self) -> None:
        """Keep them as they are now."""
        self._count += 1
        if self._dtype is None:
            if self._views:
                self._copies.append(torch.cat(self._views))
        elif self._packed:
            for buffer in self._buffers:
                self._bytes += buffer
        else:
            for buffer in self._buffers:
                self._bytes += buffer.tobytes()

    def taken(self) -> Tensor:
        """Those of the n steps since this was asked before: [n, k, L]."""
        count, self._count = self._count, 0
        if self._dtype is None:
            copies, self._copies = self._copies, []
            joined = torch.stack(copies) if copies else torch.empty(0)
        else:
            kept, self._bytes = self._bytes, bytearray()
            joined = torch.from_numpy(np.frombuffer(kept, self._dtype)) if kept else torch.empty(0)
        return joined.reshape(count, *self._shape)
