"""Histograms: how the elements of every tensor are distributed, lane by lane, over edges the lanes share.

Letters: L lanes, N elements of a tensor.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrscope.quantities.look import rows
from lrscope.record import HistogramRecord
from lrscope.training.step import Step

BINS = 64
"""Bins of every histogram."""

LINEAR_UP_TO = 12.0
"""Edges are evenly spaced while the range is at most so many times the narrowest lane's spread."""

CHUNK_ELEMENTS = 2**22
"""Elements sorted into bins at once: what bounds the memory (about 100 MB)."""


NEAR = 1e-3
"""Of a bin's width: how near an edge a value is compared with the edges themselves."""


def histograms(step: Step, epoch: int) -> HistogramRecord:
    """Count every tensor of every lane.

    Edges are shared by the lanes, and are even where the lanes' spreads are alike. Where one lane is spread
    far wider than another they are even in asinh(w / s), s a quarter of the narrowest lane's spread: fine
    near zero, coarse far out, so that neither lane is flattened. Every edge is exact in the weights' dtype,
    and a bin holds edge[i] <= w < edge[i + 1], the last one also its upper edge, as in `numpy.histogram`.
    """
    edges, counts, nonfinite = [], [], []
    for weights in step.weights.values():
        values_LN = rows(weights)
        low_L, high_L = _extent(values_LN)
        spacing = _spacing(low_L, high_L, values_LN)
        counted = _count(values_LN, spacing, torch.isfinite(high_L - low_L))
        edges.append(spacing.edges.double().cpu().numpy())
        counts.append(counted[:, :-1].cpu().numpy().astype(np.uint32))
        nonfinite.append(counted[:, -1].cpu().numpy().astype(np.uint32))
    lanes: NDArray[np.int32] = np.array([key.lane for key in step.keys], dtype=np.int32)
    return HistogramRecord(epoch, lanes, tuple(edges), tuple(counts), tuple(nonfinite))


class Spacing(NamedTuple):
    """Where bins begin and end.

    Attributes:
        edges: [BINS + 1], in the dtype of the values.
        low, width: of the first bin, before bending.
        scale: s where edges are even in asinh(w / s); None where they are even as they are.
        fine: whether a bin is many times the rounding of the values, so that arithmetic finds it.
    """

    edges: Tensor
    low: float
    width: float
    scale: float | None
    fine: bool


def _extent(values_LN: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest and the largest element of every lane, [L]; NaN or infinite where one is not finite."""
    return values_LN.amin(dim=1), values_LN.amax(dim=1)


def _spacing(low_L: Tensor, high_L: Tensor, values_LN: Tensor) -> Spacing:
    """Edges that take in every finite value of every lane."""
    low, high = low_L.double().cpu(), high_L.double().cpu()
    broken = ~(torch.isfinite(low) & torch.isfinite(high))
    if bool(broken.any()):
        some_LN = values_LN[broken.to(values_LN.device)]
        finite = torch.isfinite(some_LN)
        low[broken] = torch.where(finite, some_LN, torch.inf).amin(dim=1).double().cpu()
        high[broken] = torch.where(finite, some_LN, -torch.inf).amax(dim=1).double().cpu()
    alive = low <= high
    if not bool(alive.any()):
        return Spacing(_exact(torch.linspace(-0.5, 0.5, BINS + 1), values_LN), -0.5, 1 / BINS, None, True)
    lowest, highest = float(low[alive].min()), float(high[alive].max())
    spread = float((high - low)[alive].min())
    if highest == lowest:
        margin = 0.5 if highest == 0 else abs(highest) / 2
        edges = torch.linspace(lowest - margin, highest + margin, BINS + 1, dtype=torch.float64)
        return Spacing(_exact(edges, values_LN), lowest - margin, 2 * margin / BINS, None, True)
    spread = max(spread, 1e-6 * (highest - lowest))
    scale = None
    first, last = lowest, highest
    if highest - lowest > LINEAR_UP_TO * spread:
        scale = spread / 4
        first, last = float(np.arcsinh(lowest / scale)), float(np.arcsinh(highest / scale))
    even = torch.linspace(first, last, BINS + 1, dtype=torch.float64)
    edges = even if scale is None else torch.sinh(even) * scale
    edges[0], edges[-1] = lowest, highest
    width = (last - first) / BINS
    rounding = torch.finfo(values_LN.dtype).eps
    fine = rounding * max(abs(first), abs(last)) < width * NEAR / 8
    if scale is None:
        tiny = torch.finfo(values_LN.dtype).tiny
        fine &= width > tiny / rounding and max(abs(lowest), abs(highest)) < 0.1 / tiny
    else:
        fine &= spread / scale < 1e15 and max(abs(lowest), abs(highest)) / scale < 1e15
    return Spacing(_exact(edges, values_LN), first, width, scale, bool(fine))


def _exact(edges: Tensor, values: Tensor) -> Tensor:
    """Edges in the dtype and on the device of `values`, rising."""
    # Two edges may round to one value where the range is a few units in the last place: then bins are empty.
    return edges.to(values.dtype).to(values.device)


def _count(values_LN: Tensor, spacing: Spacing, finite_L: Tensor) -> Tensor:
    """Counts of every lane: int64 [L, BINS + 1], the last column what is not finite."""
    if bool(finite_L.any()) and not bool(finite_L.all()):
        counts = torch.empty(len(values_LN), BINS + 1, dtype=torch.int64, device=values_LN.device)
        for some_L in (finite_L, ~finite_L):
            counts[some_L] = _count(values_LN[some_L], spacing, finite_L[some_L])
        return counts
    by_arithmetic = spacing.fine and bool(finite_L.all())
    lanes = len(values_LN)
    total = torch.zeros(lanes * (BINS + 1), dtype=torch.int64, device=values_LN.device)
    first_place_L1 = (torch.arange(lanes, device=values_LN.device) * (BINS + 1)).unsqueeze(1)
    inner = spacing.edges[1:-1].contiguous()
    for piece in torch.split(values_LN, max(1, CHUNK_ELEMENTS // lanes), dim=1):
        if by_arithmetic:
            place = _place(piece, spacing, inner)
        else:
            place = torch.bucketize(piece.contiguous(), inner, right=True)
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
    unsure = near.nonzero().squeeze(1)
    if len(unsure):
        exact = torch.bucketize(values.flatten()[unsure], inner, right=True)
        found.view(-1)[unsure] = exact
    return found
