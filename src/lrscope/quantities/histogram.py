"""Histograms: how the elements of every tensor are distributed, lane by lane, over edges the lanes share.

Letters: L lanes, N elements of a tensor.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
"""Elements sorted into bins at once: what bounds the memory, and what stays in the cache."""


ARITHMETIC_FROM = 2**12
"""Elements from which bins are found by arithmetic: for fewer, comparing is sooner done than arranged."""

NEAR = 1e-3
"""Of a bin's width: how near an edge a value is compared with the edges themselves."""

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
    spacings = [
        _spacing(low_L, high_L, dtype) for (low_L, high_L, _), dtype in zip(ends_k3L, dtypes, strict=True)
    ]
    wild = [
        frozenset(key.lane for key, bad in zip(step.keys, row, strict=True) if bad) for row in ends_k3L[:, 2]
    ]
    counts_kLb = torch.cat(step.asked(_counts, (some, spacings, wild)), dim=1).numpy().astype(np.uint32)
    lanes: NDArray[np.int32] = np.array([key.lane for key in step.keys], dtype=np.int32)
    edges = tuple(spacing.edges.numpy() for spacing in spacings)
    return HistogramRecord(epoch, lanes, edges, tuple(counts_kLb[..., :-1]), tuple(counts_kLb[..., -1]))


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
    agreed: tuple[Mapping[str, int], Sequence["Spacing"], Sequence[frozenset[int]]],
) -> Tensor:
    """Of each tensor and lane how many elements are in each bin, and how many are not finite: int64
    [k, L, BINS + 1], given which elements are counted, edges, and the lanes with others than finite ones.
    """
    strides, spacings, wild = agreed
    counted = []
    for (name, weights), spacing, lanes in zip(stacks.items(), spacings, wild, strict=True):
        finite_L = np.array([key.lane not in lanes for key in keys])
        counted.append(_count(rows(weights, strides.get(name)).contiguous(), spacing, finite_L))
    return torch.stack(counted).cpu()


class Spacing(NamedTuple):
    """Where bins begin and end.

    Attributes:
        edges: float64 [BINS + 1], each a number of the values' dtype.
        low, width: of the first bin, before bending.
        scale: s where edges are even in asinh(w / s); None where they are even as they are.
        fine: whether a bin is many times the rounding of the values, so that arithmetic finds it.
    """

    edges: Tensor
    low: float
    width: float
    scale: float | None
    fine: bool


def _spacing(low_L: Ends, high_L: Ends, dtype: torch.dtype) -> Spacing:
    """Edges that take in every finite value of every lane."""
    alive = low_L <= high_L
    if not alive.any():
        return Spacing(torch.linspace(-0.5, 0.5, BINS + 1, dtype=torch.float64), -0.5, 1 / BINS, None, True)
    lowest, highest = float(low_L[alive].min()), float(high_L[alive].max())
    spread = max(float((high_L - low_L)[alive].min()), 1e-6 * (highest - lowest))
    if highest == lowest:
        margin = 0.5 if highest == 0 else abs(highest) / 2
        lowest, highest, spread = lowest - margin, highest + margin, 2 * margin
    scale = None
    first, last = lowest, highest
    if highest - lowest > LINEAR_UP_TO * spread:
        scale = spread / 4
        first, last = float(np.arcsinh(lowest / scale)), float(np.arcsinh(highest / scale))
    even = np.linspace(first, last, BINS + 1)
    edges = even if scale is None else np.sinh(even) * scale
    edges[0], edges[-1] = lowest, highest
    # Two edges may round to one value where the range is a few units in the last place: then bins are empty.
    edges = edges.astype(np.float64 if dtype == torch.float64 else np.float32).astype(np.float64)
    width = (last - first) / BINS
    limits = torch.finfo(dtype)
    farthest = max(abs(lowest), abs(highest))
    fine = limits.eps * max(abs(first), abs(last)) < width * NEAR / 8
    # Squares must not overflow, and what bends must not be lost below the smallest number.
    fine &= farthest < 0.1 / limits.tiny and (scale or width) > limits.tiny / limits.eps
    fine &= scale is None or farthest / scale < 1e15
    return Spacing(torch.from_numpy(edges), first, width, scale, fine)


def _count(values_LN: Tensor, spacing: Spacing, finite_L: NDArray[np.bool_]) -> Tensor:
    """Counts of every lane: int64 [L, BINS + 1], the last column what is not finite."""
    if finite_L.any() and not finite_L.all():
        counts = torch.empty(len(values_LN), BINS + 1, dtype=torch.int64, device=values_LN.device)
        for some in (finite_L, ~finite_L):
            some_L = torch.from_numpy(some).to(values_LN.device)
            counts[some_L] = _count(values_LN[some_L], spacing, finite_L[some])
        return counts
    by_arithmetic = spacing.fine and bool(finite_L.all()) and values_LN.numel() >= ARITHMETIC_FROM
    lanes = len(values_LN)
    total = torch.zeros(lanes * (BINS + 1), dtype=torch.int64, device=values_LN.device)
    first_place_L1 = (torch.arange(lanes, device=values_LN.device) * (BINS + 1)).unsqueeze(1)
    inner = spacing.edges[1:-1].to(values_LN)
    for piece in torch.split(values_LN, max(1, CHUNK_ELEMENTS // lanes), dim=1):
        if by_arithmetic:
            place = _place(piece, spacing, inner)
        else:
            place = torch.bucketize(piece.contiguous(), inner, right=True)
            if not finite_L.all():
                place = torch.where(torch.isfinite(piece), place, BINS)
        total += torch.bincount(place.add_(first_place_L1).flatten(), minlength=len(total))
    return total.reshape(lanes, BINS + 1)


def _place(values: Tensor, spacing: Spacing, inner: Tensor) -> Tensor:
    """The bin of every finite value, int64: by arithmetic, and by comparison near an edge."""
    if spacing.scale is None:
        at = values - spacing.low
    else:
        size = values.abs().div_(spacing.scale)
        at = size.square().add_(1).sqrt_().add_(size).log_().copysign_(values).sub_(spacing.low)
    at.div_(spacing.width)
    edge = at.round()
    near = edge.sub_(at).abs_().lt_(NEAR).flatten()
    found = at.to(torch.int64).clamp_(0, BINS - 1)
    unsure = _places(near)
    if len(unsure):
        exact = torch.bucketize(values.flatten()[unsure], inner, right=True)
        found.view(-1)[unsure] = exact
    return found


def _places(chosen: Tensor) -> Tensor:
    """Where a row of truth values is true; on the CPU by NumPy, to whom a few among many cost a tenth."""
    if chosen.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(chosen.numpy()))
    return chosen.nonzero().squeeze(1)
