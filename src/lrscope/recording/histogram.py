"""Histograms: how the elements of every tensor are distributed, lane by lane, on a grid that the start fixes.

The grid of a tensor follows from its values before training, so that Blocks that know nothing of each other
count into the same bins. It is even in asinh((w - c) / s): fine near the centre c, coarse far out, and wide
enough for every finite number. Only the bins between the outermost elements are kept; a reader joins
neighbouring bins.

Letters: L lanes, N elements of a tensor, b bins.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrscope.record import HistogramRecord
from lrscope.recording.point import rows

FINE, FINE_TO = 1 / 16, 8.0
"""Width of a bin in asinh((w - c) / s), up to |asinh| = 8, which is 1,490 s; further out it is 1."""

CONSTANT_SCALE = 0.01
"""s of a tensor whose elements are all equal before training, relative to their value, or to 1 for zeros."""

CHUNK_ELEMENTS = 2**18
"""Elements sorted at once: what bounds the memory, and what stays in the cache."""


def grids(start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the edges of every tensor's bins: name -> float64 [b + 1], each exact in the tensor's dtype.

    c is the mean before training where the elements are nearly equal (a norm layer's ones), and 0 otherwise;
    s is their standard deviation.

    Args:
        start: name -> [...], the weights of a lane before training.
    """
    return {name: _grid(rows(tensor.unsqueeze(0))) for name, tensor in start.items()}


def _grid(values_1N: Tensor) -> Tensor:
    known = values_1N[torch.isfinite(values_1N)].double()
    mean = float(known.mean()) if known.numel() else 0.0
    spread = float(known.std(correction=0)) if known.numel() else 0.0
    if spread <= 1e-6 * abs(mean) or spread == 0:
        spread = CONSTANT_SCALE * (abs(mean) or 1.0)
    centre = mean if spread < 0.1 * abs(mean) else 0.0
    most = torch.finfo(values_1N.dtype).max
    reach = math.ceil(math.asinh(min(most / spread, 1e300)))
    inner = np.arange(0, FINE_TO, FINE)
    outer = np.arange(FINE_TO, max(FINE_TO + 1, min(reach, 700)))
    half = np.sinh(np.concatenate([inner, outer])) * spread
    edges = np.concatenate([centre - half[:0:-1], centre + half])
    edges = edges[np.abs(edges) < most]
    exact = torch.from_numpy(edges).to(values_1N.dtype).double()
    ends = torch.tensor([-most, most], dtype=torch.float64)
    edges_b: Tensor = torch.unique(torch.cat([ends, exact]))
    return edges_b


def histograms(
    epoch: int,
    lanes: Sequence[int],
    weights: Mapping[str, Tensor],
    edges: Mapping[str, Tensor],
    strides: Mapping[str, int],
) -> HistogramRecord:
    """Count every tensor of every lane.

    A bin holds edge[i] <= w < edge[i + 1], the last one also its upper edge, as in `numpy.histogram`.

    Args:
        epoch: its number.
        lanes: ids of the lanes.
        weights: name -> [L, ...].
        edges: name -> [b + 1], of `grids`.
        strides: name -> s, of tensors of which every s-th element is counted; of those not named all are.
    """
    kept = []
    for name, stack in weights.items():
        values_LN = rows(stack, strides.get(name))
        counts_Lb = _counts(values_LN, edges[name])
        kept.append(_trimmed(counts_Lb.cpu().numpy(), edges[name].numpy()))
    ids: NDArray[np.int32] = np.array(list(lanes), dtype=np.int32)
    of_edges, counts, others = zip(*kept, strict=True)
    return HistogramRecord(epoch, ids, of_edges, counts, others)


def _trimmed(
    counts_Lb: NDArray[np.int64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.uint32]]:
    """Keep the bins between the outermost elements; the last column counts what is not finite."""
    counts, others = counts_Lb[:, :-1], counts_Lb[:, -1]
    filled = np.flatnonzero(counts.any(axis=0))
    middle = len(edges) // 2
    first, last = (filled[0], filled[-1]) if len(filled) else (middle - 1, middle)
    return edges[first : last + 2], counts[:, first : last + 1].astype(np.uint32), others.astype(np.uint32)


def _counts(values_LN: Tensor, edges: Tensor) -> Tensor:
    """Return the counts of every lane: int64 [L, b + 1], the last column what is not finite.

    Of values in order it is soon found where each bin begins, and exactly, however far apart the edges are.
    """
    finite_LN = torch.isfinite(values_LN)
    if not bool(finite_LN.all()):
        values_LN = torch.where(finite_LN, values_LN, torch.inf)
    lanes, size = values_LN.shape
    # How many elements are below each inner edge; and how many are finite.
    limits = torch.cat([edges[1:-1], edges.new_full((1,), torch.inf)]).to(values_LN).repeat(lanes, 1)
    below_Lb = torch.zeros(lanes, len(edges) - 1, dtype=torch.int64, device=values_LN.device)
    for piece in torch.split(values_LN, max(1, CHUNK_ELEMENTS // lanes), dim=1):
        below_Lb += torch.searchsorted(_in_order(piece), limits)
    none_L1, all_L1 = below_Lb.new_zeros(lanes, 1), below_Lb.new_full((lanes, 1), size)
    return torch.cat([none_L1, below_Lb, all_L1], dim=1).diff(dim=1)


def _in_order(values_LN: Tensor) -> Tensor:
    """Return every row sorted; on the CPU by NumPy, which is many times as fast there."""
    if values_LN.device.type == "cpu":
        return torch.from_numpy(np.sort(values_LN.numpy(), axis=1))
    return values_LN.sort(dim=1).values
