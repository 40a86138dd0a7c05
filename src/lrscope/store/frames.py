"""Frames: series and histograms as Polars frames, built from whole arrays and never row by row.

Letters: N steps, L lanes of the plan, w what a series is measured on, R rows of the frame.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lrscope.store.decode import Chunk, Histogram


class Grid(NamedTuple):
    """A series over all its steps and all lanes.

    Attributes:
        steps: int64 [N], rising.
        values: float64 [N, L, w]; NaN where there is no row.
        present: bool [N, L], where there is a row.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]


def grid(chunks: Sequence[Chunk], width: int, stops: NDArray[np.int64]) -> Grid:
    """Lay chunks out on a grid, and leave out what a lane sent after it stopped.

    Args:
        chunks: in any order, of any lanes.
        width: w.
        stops: int64 [L], the last step that counts, of each lane.
    """
    every = [chunk.steps for chunk in chunks]
    steps = np.unique(np.concatenate(every)) if every else np.empty(0, np.int64)
    values = np.full((len(steps), len(stops), width), np.nan)
    present = np.zeros((len(steps), len(stops)), np.bool_)
    with np.errstate(invalid="ignore"):  # the signalling kind of NaN, which only a damaged file holds
        for chunk in chunks:
            place = np.ix_(np.searchsorted(steps, chunk.steps), chunk.lanes)
            values[place] = chunk.values
            present[place] = True
    present &= steps[:, None] <= stops
    values[~present] = np.nan
    return Grid(steps, values, present)


def long_frame(grid: Grid, keys: pl.DataFrame, places: pl.DataFrame | None = None) -> pl.DataFrame:
    """A row for each value: the lane's keys, step, what it was measured on, value; lane by lane.

    Args:
        grid: of a series.
        keys: L rows that tell the lanes apart.
        places: w rows that tell apart what the series is measured on; None where that is one thing.
    """
    steps, lanes, width = grid.values.shape
    rows = np.broadcast_to(grid.present.T[:, None, :], (lanes, width, steps))
    lane_R, place_R, step_R = np.nonzero(rows)
    value_R = grid.values.transpose(1, 2, 0)[rows]
    value_R[~np.isfinite(value_R)] = np.nan
    columns = [
        *keys[lane_R],
        pl.Series("step", grid.steps[step_R]),
        *([] if places is None else places[place_R]),
        pl.Series("value", value_R, nan_to_null=True),
    ]
    return pl.DataFrame(columns)


HISTOGRAM_BINS = 48
"""Bins of a histogram in a frame, at most, after neighbouring bins of the recorded grid are joined."""

UNTOUCHED_BINS = 64
"""Bins up to which a single row stays as it was recorded."""


def on_shared_edges(histograms: Sequence[Histogram]) -> list[Histogram]:
    """Return histograms of which all lanes of an epoch and tensor share their edges, at most 48 bins.

    The lanes of one epoch are recorded Block by Block, each with the part of the tensor's grid that it needs.
    Rows whose edges are not parts of one grid (a search recorded by an earlier version) stay as they are.
    """
    groups: dict[tuple[int, int], list[Histogram]] = {}
    for one in histograms:
        groups.setdefault((one.epoch, one.tensor), []).append(one)
    found: list[Histogram] = []
    for rows in groups.values():
        edges = np.unique(np.concatenate([row.edges for row in rows]))
        if (len(rows) == 1 and len(edges) - 1 <= UNTOUCHED_BINS) or not all(
            np.array_equal(row.edges, edges[(edges >= row.edges[0]) & (edges <= row.edges[-1])])
            for row in rows
        ):
            found += rows
        else:
            found.append(_joined_rows(rows, edges))
    return found


def _joined_rows(rows: Sequence[Histogram], edges: NDArray[np.float64]) -> Histogram:
    """Lay the counts of several rows on the union of their edges, and join neighbouring bins."""
    lanes = np.concatenate([row.lanes for row in rows])
    counts = np.zeros((len(lanes), len(edges) - 1), np.int64)
    first = 0
    for row in rows:
        place = int(np.searchsorted(edges, row.edges[0]))
        counts[first : first + len(row.lanes), place : place + row.counts.shape[1]] = row.counts
        first += len(row.lanes)
    starts = np.arange(0, len(edges) - 1, -(-(len(edges) - 1) // HISTOGRAM_BINS))
    folded = np.add.reduceat(counts, starts, axis=1).astype(np.uint32)
    order = lanes.argsort()
    nonfinite = np.concatenate([row.nonfinite for row in rows])[order]
    shared = np.append(edges[starts], edges[-1])
    return Histogram(rows[0].epoch, rows[0].tensor, lanes[order], shared, folded[order], nonfinite)


def histogram_frame(
    histograms: Sequence[Histogram],
    keys: pl.DataFrame,
    tensors: Sequence[str],
    last_epochs: NDArray[np.int64],
) -> pl.DataFrame:
    """A row for each lane, tensor and epoch, in this order.

    Args:
        histograms: in any order, of any lanes.
        keys: L rows that tell the lanes apart.
        tensors: names.
        last_epochs: int64 [L], the last epoch that counts, of each lane.
    """
    kept = [histogram.epoch <= last_epochs[histogram.lanes] for histogram in histograms]
    rows = np.array([keep.sum() for keep in kept], np.int64)
    number_R = np.repeat(np.arange(len(histograms)), rows)
    lane_R = _joined([one.lanes[keep] for one, keep in zip(histograms, kept, strict=True)], np.int32)
    tensor_R = np.array([one.tensor for one in histograms], np.int64)[number_R]
    epoch_R = np.array([one.epoch for one in histograms], np.int64)[number_R]
    edges = _lists([one.edges[None] for one in histograms], pl.Float64())
    counts = _lists([one.counts[keep] for one, keep in zip(histograms, kept, strict=True)], pl.UInt32())
    nonfinite = _joined([one.nonfinite[keep] for one, keep in zip(histograms, kept, strict=True)], np.uint32)
    order = np.lexsort((epoch_R, tensor_R, lane_R))
    columns = [
        *keys[lane_R[order]],
        pl.Series("epoch", epoch_R[order]),
        pl.Series("tensor", list(tensors), pl.String).gather(tensor_R[order]),
        edges.gather(number_R[order]).alias("edges"),
        counts.gather(order).alias("counts"),
        pl.Series("nonfinite", nonfinite[order]),
    ]
    return pl.DataFrame(columns)


def _joined(arrays: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, dtype)


def _lists(blocks: Sequence[NDArray[Any]], inner: pl.DataType) -> pl.Series:
    """The rows of arrays [rows, bins] as lists; bins may differ from array to array."""
    lists = pl.Series([], dtype=pl.List(inner))
    filled = (block for block in blocks if len(block))
    for _, alike in itertools.groupby(filled, key=lambda block: block.shape[1]):
        lists = lists.append(pl.Series(np.concatenate(list(alike))).cast(pl.List(inner)))
    return lists
