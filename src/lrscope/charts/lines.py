"""Lines of lanes over steps, in one panel or several: what loss curves, trajectories, norms and ratios share.

A frame of lines has one row a point. Columns: panel (rising from 0), panel_title, axis (the title of the y
axis), lane, rate, label, seed, verdict, why, kind ("raw", or "mean" where the raw line is noise around it),
step, value, note. A lane that stopped has no row after its last finite value.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lrscope.charts.envelope import bins_of, envelope, points_per_line

SCHEMA: dict[str, pl.DataType] = {
    "panel": pl.Int64(),
    "panel_title": pl.Utf8(),
    "axis": pl.Utf8(),
    "lane": pl.Int64(),
    "rate": pl.Float64(),
    "label": pl.Utf8(),
    "seed": pl.Int64(),
    "verdict": pl.Utf8(),
    "why": pl.Utf8(),
    "kind": pl.Utf8(),
    "step": pl.Float64(),
    "value": pl.Float64(),
    "note": pl.Utf8(),
}

_MEAN_POINTS = 60
"""Points of the mean line of a noisy lane."""


class Size(NamedTuple):
    """The plotting area of one panel, in pixels, and how many panels stand side by side."""

    width: int
    height: int
    columns: int = 1


class Level(NamedTuple):
    """A value that lanes are to be held against, and its name."""

    value: float
    name: str


def line_frame(
    points: pl.DataFrame, lanes: pl.DataFrame, *, size: Size, note: str = "", noisy: bool = False
) -> pl.DataFrame:
    """Reduce points to what can be seen, keeping every spike, and say of each whose it is.

    Args:
        points: columns panel, panel_title, axis, lane, step, value; value null or not finite where a lane
            broke.
        lanes: as `outcomes.judged_lanes`; lanes that are not in it are left out.
        size: of a panel; its width tells how many points can be seen.
        note: what the whole picture has to say, in every row.
        noisy: whether values are noise around a mean (mini-batches); then a mean line is added to a long raw
            one.
    """
    points = points.filter(pl.col("lane").is_in(lanes["lane"].implode()))
    titles = points.group_by("panel").agg(pl.col("panel_title", "axis").first())
    points = points.select("panel", "lane", "step", "value").sort("panel", "lane", "step")
    groups = list(_groups(points))
    most = points_per_line(len(groups), size.width)
    raw_points = max(most - _MEAN_POINTS, most // 2) if noisy else most
    parts: list[tuple[int, str, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]] = []
    for start, steps, values in groups:
        kept = envelope(steps, values, raw_points)
        parts.append((start, "raw", kept, steps[kept].astype(np.float64), values[kept]))
        finite = int(kept[-1]) + 1 if kept.size else 0
        if noisy and finite > 3 * _MEAN_POINTS:
            middle, mean = _means(steps[:finite], values[:finite])
            parts.append((start, "mean", kept[: len(middle)], middle, mean))
    if not parts:
        return pl.DataFrame(schema=SCHEMA)
    sizes = [len(part[3]) for part in parts]
    whose = points.select("panel", "lane")[np.repeat([part[0] for part in parts], sizes)]
    return (
        whose.with_columns(
            kind=pl.Series(np.repeat([part[1] for part in parts], sizes), dtype=pl.Utf8),
            step=pl.Series(np.concatenate([part[3] for part in parts])),
            value=pl.Series(np.concatenate([part[4] for part in parts])),
            note=pl.lit(note),
        )
        .join(titles, on="panel", how="left", maintain_order="left")
        .join(
            lanes.select("lane", "rate", "label", "seed", "verdict", "why"),
            on="lane",
            how="left",
            maintain_order="left",
        )
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    )


def _groups(points: pl.DataFrame) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """Start row, steps and values of each line of sorted points."""
    if not points.height:
        return
    keys = points.select("panel", "lane").to_numpy()
    starts = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(1)])
    steps = points["step"].cast(pl.Int64).to_numpy()
    values = points["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    for start, end in zip(starts, np.r_[starts[1:], len(keys)], strict=True):
        yield int(start), steps[start:end], values[start:end]


def _means(
    steps: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean step and the mean value of each of some 60 bins."""
    bin_of = bins_of(steps, _MEAN_POINTS)
    counts = np.bincount(bin_of)
    used = counts > 0
    # Sums of float32-sized losses cannot overflow float64; those of a diverging float64 lane can: that is
    # infinite, and cut.
    with np.errstate(over="ignore"):
        means = np.bincount(bin_of, weights=values)[used] / counts[used]
    middles = np.bincount(bin_of, weights=steps.astype(np.float64))[used] / counts[used]
    finite = np.isfinite(means)
    return middles[finite], means[finite]
