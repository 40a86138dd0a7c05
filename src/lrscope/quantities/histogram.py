"""Histograms: how the elements of every tensor are distributed, lane by lane, over edges the lanes share.

Letters: L lanes, N elements of a tensor.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrscope.plan import LaneKey
from lrscope.quantities.look import ends, rows
from lrscope.record import HistogramRecord
from lrscope.training.step import Step

BINS = 64
"""Bins of every histogram."""

LINEAR_UP_TO = 12.0
"""Edges are evenly spaced while the range is at most so many times the narrowest lane's spread."""

CHUNK_ELEMENTS = 2**18
"""Elements sorted at once: what bounds the memory, and what stays in the cache."""

Ends = NDArray[np.float64]


def histograms(step: Step, epoch: int, strides: Mapping[str, int] | None = None) -> HistogramRecord:
    """Count every tensor of every lane; with name -> s, only every s-th element of those named.

    Whoever trains a lane counts it, once all have agreed on edges.

    Edges are shared by the lanes, and are even where the lanes' spreads are alike. Where one lane is spread
    far wider than another they are even in asinh(w / s), s a quarter of the narrowest lane's spread: fine
    near zero, coarse far out, so that neither lane is flattened. Every edge is exact in the weights' dtype,
    and a bin holds edge[i] <= w < edge[i + 1], the last one also its upper edge, as in `numpy.histogram`.
    """
    some = dict(strides or {})
    ends_k3L = torch.cat(step.asked(_ends, some), dim=2).numpy()
    dtypes = [rows(weights[:1]).dtype for weights in step.weights.values()]
    edges = [_edges(low_L, high_L, dtype) for (low_L, high_L, _), dtype in zip(ends_k3L, dtypes, strict=True)]
    wild = [
        frozenset(key.lane for key, bad in zip(step.keys, row, strict=True) if bad) for row in ends_k3L[:, 2]
    ]
    counts_kLb = torch.cat(step.asked(_counts, (some, edges, wild)), dim=1).numpy().astype(np.uint32)
    lanes: NDArray[np.int32] = np.array([key.lane for key in step.keys], dtype=np.int32)
    of_tensors = tuple(own.numpy() for own in edges)
    return HistogramRecord(epoch, lanes, of_tensors, tuple(counts_kLb[..., :-1]), tuple(counts_kLb[..., -1]))


def _ends(_: Sequence[LaneKey], stacks: Mapping[str, Tensor], strides: Mapping[str, int]) -> Tensor:
    """Of each tensor and lane the smallest and the largest finite element, the wrong way round where there is
    none, and whether another is not finite: float64 [k, 3, L].
    """
    found = []
    for name, weights in stacks.items():
        ends_2L = torch.stack(ends(rows(weights, strides.get(name)).contiguous()))
        found.append(torch.cat([ends_2L, torch.zeros_like(ends_2L[:1])]))
    # One copy to the host for all tensors.
    ends_k3L = torch.stack(found).double().cpu()
    for (name, weights), ends_3L in zip(stacks.items(), ends_k3L, strict=True):
        wild_L = ~torch.isfinite(ends_3L).all(dim=0)
        if wild_L.any() and not weights[0].numel():
            ends_3L[0], ends_3L[1] = torch.inf, -torch.inf
        elif wild_L.any():
            some_LN = rows(weights, strides.get(name))[wild_L.to(weights.device)]
            known = torch.isfinite(some_LN)
            ends_3L[0, wild_L] = torch.where(known, some_LN, torch.inf).amin(dim=1).double().cpu()
            ends_3L[1, wild_L] = torch.where(known, some_LN, -torch.inf).amax(dim=1).double().cpu()
            ends_3L[2, wild_L] = 1
    return ends_k3L


def _counts(
    keys: Sequence[LaneKey],
    stacks: Mapping[str, Tensor],
    agreed: tuple[Mapping[str, int], Sequence[Tensor], Sequence[frozenset[int]]],
) -> Tensor:
    """Of each tensor and lane how many elements are in each bin, and how many are not finite: int64
    [k, L, BINS + 1], given which elements are counted, edges, and the lanes with others than finite ones.
    """
    strides, edges, wild = agreed
    counted = []
    for (name, weights), own, lanes in zip(stacks.items(), edges, wild, strict=True):
        finite_L = np.array([key.lane not in lanes for key in keys])
        counted.append(_count(rows(weights, strides.get(name)), own, finite_L))
    return torch.stack(counted).cpu()


def _edges(low_L: Ends, high_L: Ends, dtype: torch.dtype) -> Tensor:
    """Where bins begin and end, so that they take in every finite value of every lane: float64 [BINS + 1]."""
    alive = low_L <= high_L
    if not alive.any():
        return torch.linspace(-0.5, 0.5, BINS + 1, dtype=torch.float64)
    lowest, highest = float(low_L[alive].min()), float(high_L[alive].max())
    spread = max(float((high_L - low_L)[alive].min()), 1e-6 * (highest - lowest))
    if highest == lowest:
        margin = 0.5 if highest == 0 else abs(highest) / 2
        lowest, highest, spread = lowest - margin, highest + margin, 2 * margin
    if highest - lowest > LINEAR_UP_TO * spread:
        scale = spread / 4
        first, last = np.arcsinh(lowest / scale), np.arcsinh(highest / scale)
        edges = np.sinh(np.linspace(first, last, BINS + 1)) * scale
    else:
        edges = np.linspace(lowest, highest, BINS + 1)
    edges[0], edges[-1] = lowest, highest
    # Two edges may round to one value where the range is a few units in the last place: then bins are empty.
    return torch.from_numpy(edges.astype(np.float64 if dtype == torch.float64 else np.float32).astype(float))


def _count(values_LN: Tensor, edges: Tensor, finite_L: NDArray[np.bool_]) -> Tensor:
    """Counts of every lane: int64 [L, BINS + 1], the last column what is not finite.

    Of values in order it is soon found where each bin begins, and exactly, however far apart the edges are.
    """
    if not finite_L.all():
        values_LN = torch.where(torch.isfinite(values_LN), values_LN, torch.inf)
    lanes, size = values_LN.shape
    # How many elements are below each.
    limits = torch.cat([edges[1:-1], edges.new_full((1,), torch.inf)]).to(values_LN).repeat(lanes, 1)
    below_Lb = torch.zeros(lanes, BINS, dtype=torch.int64, device=values_LN.device)
    for piece in torch.split(values_LN, max(1, CHUNK_ELEMENTS // lanes), dim=1):
        below_Lb += torch.searchsorted(_in_order(piece), limits)
    none_L1, all_L1 = below_Lb.new_zeros(lanes, 1), below_Lb.new_full((lanes, 1), size)
    return torch.cat([none_L1, below_Lb, all_L1], dim=1).diff(dim=1)


def _in_order(values_LN: Tensor) -> Tensor:
    """Every row sorted; on the CPU by NumPy, which is many times as fast there."""
    if values_LN.device.type == "cpu":
        return torch.from_numpy(np.sort(values_LN.numpy(), axis=1))
    return values_LN.sort(dim=1).values
