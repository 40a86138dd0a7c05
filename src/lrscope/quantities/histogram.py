"""Histograms: how the elements of every tensor are distributed, lane by lane, over edges the lanes share.

Letters: L lanes, N elements of a tensor.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrscope.quantities.weights import rows
from lrscope.record import HistogramRecord
from lrscope.training.step import Step

BINS = 64
"""Bins of every histogram."""

LINEAR_UP_TO = 12.0
"""Edges are evenly spaced while the range is at most so many times the narrowest lane's spread."""

CHUNK_ELEMENTS = 2**22
"""Elements sorted into bins at once: what bounds the memory (about 100 MB)."""


def histograms(step: Step, epoch: int) -> HistogramRecord:
    """Count every tensor of every lane.

    Edges are shared by the lanes, and are even where the lanes' spreads are alike. Where one lane is spread
    far wider than another they are even in asinh(w / s), s a quarter of the narrowest lane's spread: fine
    near zero, coarse far out, so that neither lane is flattened. Every edge is exact in the weights' dtype,
    and a bin holds edge[i] <= w < edge[i + 1], the last one also its upper edge, as in `numpy.histogram`.
    """
    edges, counts, nonfinite = [], [], []
    for weights in step.weights.values():
        values_LN = rows(weights.detach())
        edges_t = _edges(values_LN)
        counted = _count(values_LN, edges_t)
        edges.append(edges_t.double().cpu().numpy())
        counts.append(counted[:, :-1].cpu().numpy().astype(np.uint32))
        nonfinite.append(counted[:, -1].cpu().numpy().astype(np.uint32))
    lanes: NDArray[np.int32] = np.array([key.lane for key in step.keys], dtype=np.int32)
    return HistogramRecord(epoch, lanes, tuple(edges), tuple(counts), tuple(nonfinite))


def _edges(values_LN: Tensor) -> Tensor:
    """Edges [BINS + 1] that take in every finite value of every lane."""
    finite = torch.isfinite(values_LN)
    low = torch.where(finite, values_LN, torch.inf).amin(dim=1).double()
    high = torch.where(finite, values_LN, -torch.inf).amax(dim=1).double()
    alive = low <= high
    if not bool(alive.any()):
        return torch.linspace(-0.5, 0.5, BINS + 1, dtype=values_LN.dtype, device=values_LN.device)
    lowest, highest = float(low[alive].min()), float(high[alive].max())
    spread = float((high - low)[alive].min())
    if highest == lowest:
        margin = 0.5 if highest == 0 else abs(highest) / 2
        return _exact(torch.linspace(lowest - margin, highest + margin, BINS + 1).double(), values_LN)
    spread = max(spread, 1e-6 * (highest - lowest))
    if highest - lowest <= LINEAR_UP_TO * spread:
        return _exact(
            torch.linspace(lowest, highest, BINS + 1, dtype=torch.float64), values_LN, lowest, highest
        )
    scale = spread / 4
    bent = torch.linspace(
        float(np.arcsinh(lowest / scale)), float(np.arcsinh(highest / scale)), BINS + 1, dtype=torch.float64
    )
    return _exact(torch.sinh(bent) * scale, values_LN, lowest, highest)


def _exact(edges: Tensor, values: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """Edges in the dtype and on the device of `values`, rising, with the ends exact."""
    if low is not None and high is not None:
        edges[0], edges[-1] = low, high
    rounded = edges.to(values.dtype)
    # Two edges may round to one value where the range is a few units in the last place: then bins are empty.
    return rounded.to(values.device)


def _count(values_LN: Tensor, edges: Tensor) -> Tensor:
    """Counts of every lane: int64 [L, BINS + 1], the last column what is not finite."""
    lanes = len(values_LN)
    total = torch.zeros(lanes * (BINS + 1), dtype=torch.int64, device=values_LN.device)
    first_place_L1 = (torch.arange(lanes, device=values_LN.device) * (BINS + 1)).unsqueeze(1)
    inner = edges[1:-1].contiguous()
    for piece in torch.split(values_LN, max(1, CHUNK_ELEMENTS // lanes), dim=1):
        place = torch.bucketize(piece.contiguous(), inner, right=True, out_int32=True)
        place = torch.where(torch.isfinite(piece), place, BINS) + first_place_L1
        total += torch.bincount(place.flatten(), minlength=len(total))
    return total.reshape(lanes, BINS + 1)
