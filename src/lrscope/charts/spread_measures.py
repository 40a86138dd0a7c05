"""Spread measures: how wide the elements of each tensor lie where each lane ended, and before training.

Frames with columns lane, tensor, value, before.
"""

import numpy as np
import polars as pl

from lrscope.charts.chart import Readable
from lrscope.charts.outcomes import recorded


def _ends(rows: pl.DataFrame, at: str) -> pl.DataFrame:
    """The last finite value of each lane and tensor, and the first recorded one.

    Columns lane, tensor, value, before.
    """
    rows = rows.filter(pl.col("value").is_finite()).sort("lane", "tensor", at)
    first = pl.col("value").filter(pl.col(at) == 0).first()
    return rows.group_by("lane", "tensor", maintain_order=True).agg(pl.col("value").last(), before=first)


def _nothing() -> pl.DataFrame:
    kinds = {"lane": pl.Int64, "tensor": pl.Utf8, "value": pl.Float64, "before": pl.Float64}
    return pl.DataFrame(schema=kinds)


def deviation(study: Readable) -> pl.DataFrame:
    """The standard deviation of the elements, at the last recorded point."""
    if not recorded(study, "weight_std"):
        return _nothing()
    return _ends(study.tensors("weight_std"), "step")


def magnitude(study: Readable) -> pl.DataFrame:
    """The largest magnitude of an element, at the last recorded point."""
    if not (recorded(study, "weight_min") and recorded(study, "weight_max")):
        return _nothing()
    key = ["lane", "tensor", "step"]
    low = study.tensors("weight_min").select(*key, low=pl.col("value").abs())
    both = study.tensors("weight_max").select(*key, high=pl.col("value").abs()).join(low, on=key)
    return _ends(both.with_columns(value=pl.max_horizontal("low", "high")), "step")


def percentiles(study: Readable) -> pl.DataFrame:
    """The distance between the 1st and the 99th percentile, from the last histogram."""
    rows = study.histograms()
    if not rows.height:
        return _nothing()
    last = pl.col("epoch") == pl.col("epoch").max().over("lane", "tensor")
    rows = rows.filter(last | (pl.col("epoch") == 0))
    widths = [
        percentile_width(np.array(edges), np.array(counts, dtype=np.float64))
        for edges, counts in rows.select("edges", "counts").iter_rows()
    ]
    return _ends(rows.select("lane", "tensor", "epoch", value=pl.Series(widths, dtype=pl.Float64)), "epoch")


def percentile_width(edges: np.ndarray, counts: np.ndarray, low: float = 0.01, high: float = 0.99) -> float:
    """The distance between two quantiles of a histogram, linear inside each bin; NaN when it is empty."""
    total = counts.sum()
    if not total:
        return float("nan")
    below = np.concatenate(([0.0], np.cumsum(counts))) / total
    # Empty bins make flat parts; of these only the ends matter, and `interp` wants rising values.
    rising = np.flatnonzero(np.concatenate(([True], np.diff(below) > 0)))
    starts = np.interp([low, high], below[rising], edges[rising])
    filled = np.flatnonzero(counts)
    starts[0] = max(starts[0], edges[filled[0]])
    return float(starts[1] - starts[0])
