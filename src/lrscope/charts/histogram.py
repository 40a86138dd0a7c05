"""The histogram grid: how the elements of each tensor are distributed, a row a rate and a column a tensor.

A slider chooses the epoch.
"""

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.choice import chosen_lanes, chosen_tensors, evenly
from lrscope.charts.figure_frame import Words, finished, nothing
from lrscope.charts.histogram_column import column
from lrscope.charts.names import shape_label
from lrscope.charts.outcomes import judged_lanes
from lrscope.charts.shared_strings import OF_TENSORS, SHOWN_OF_TENSORS, noted
from lrscope.charts.theme import Theme
from lrscope.language import Text, say

MOST_LANES = 16
MOST_TENSORS = 6
MOST_BINS = 48
MOST_COUNTS = 65_000
"""Bins of all epochs together: they bound the bytes of a page, 2 to 3 a bin."""

SCHEMA: dict[str, pl.DataType] = {
    "place": pl.Int64(),
    "tensor": pl.Utf8(),
    "shape": pl.Utf8(),
    "lane": pl.Int64(),
    "rate": pl.Float64(),
    "label": pl.Utf8(),
    "seed": pl.Int64(),
    "verdict": pl.Utf8(),
    "epoch": pl.Int64(),
    "edges": pl.List(pl.Float64()),
    "counts": pl.List(pl.UInt32()),
    "nonfinite": pl.Int64(),
    "absent": pl.Utf8(),
    "note": pl.Utf8(),
}

_WIDTH = 780
_NARROWEST = 130
"""Pixels of a figure that a column takes at least, with the space beside it."""


def frame(study: Readable) -> pl.DataFrame:
    """Histograms of the chosen lanes, tensors and epochs: columns as `SCHEMA`, one row a histogram.

    Every lane has a row for every tensor and epoch. Where a lane had stopped before, its counts are zeros and
    `absent` says so: a row that comes and goes would take its place in the grid with it.
    """
    found = study.histograms()
    lanes, note = chosen_lanes(judged_lanes(study), MOST_LANES, study.recommendation().rate)
    found = found.filter(pl.col("lane").is_in(lanes["lane"].implode()))
    if not found.height:
        return pl.DataFrame(schema=SCHEMA)
    names, shapes = study.plan.tensors, study.plan.shapes
    places = chosen_tensors(shapes, MOST_TENSORS)
    if len(places) < len(names):
        some = OF_TENSORS.format(shown=len(places), total=len(names))
        note = noted(note, some)
    tensors = pl.DataFrame(
        {
            "place": range(len(places)),
            "tensor": [names[i] for i in places],
            "shape": [shape_label(shapes[i]) for i in places],
        },
        schema={name: SCHEMA[name] for name in ("place", "tensor", "shape")},
    )
    most_epochs = MOST_COUNTS // (lanes.height * len(places) * MOST_BINS)
    epochs = pl.DataFrame({"epoch": _chosen_epochs(found["epoch"].unique().sort().to_list(), most_epochs)})
    found = _coarser(found.join(epochs, on="epoch").join(tensors.select("tensor"), on="tensor"))
    shared = found.unique(["epoch", "tensor"], keep="first").select("epoch", "tensor", shared="edges")
    whose = lanes.select("lane", "rate", "label", "seed", "verdict", "stopped_step")
    grid = tensors.join(whose, how="cross").join(epochs, how="cross")
    stopped = pl.format(say("stopped at step {}", "停在第 {} 步"), pl.col("stopped_step"))
    missing = pl.col("counts").is_null()
    return (
        grid.join(found.drop("rate", "seed"), on=["lane", "tensor", "epoch"], how="left")
        .join(shared, on=["epoch", "tensor"])
        .with_columns(
            absent=pl.when(missing)
            .then(stopped.fill_null(say("no histogram", "没有直方图")))
            .otherwise(pl.lit("")),
            edges=pl.col("edges").fill_null(pl.col("shared")),
            nonfinite=pl.col("nonfinite").fill_null(0),
            counts=pl.col("counts").fill_null(
                pl.col("shared").list.head(pl.col("shared").list.len() - 1) * 0.0
            ),
            note=pl.lit(note),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
        .sort("place", "rate", "lane", "epoch")
    )


def _coarser(found: pl.DataFrame) -> pl.DataFrame:
    """Neighbouring bins added up where there are more than a column of the grid has room for."""
    most = int(found["counts"].list.len().max() or 0)  # type: ignore[arg-type]
    step = -(-most // MOST_BINS)
    if step <= 1:
        return found
    edges = [[*row[:-1:step], row[-1]] for row in found["edges"].to_list()]
    counts = [
        np.add.reduceat(row, np.arange(0, len(row), step)).tolist() for row in found["counts"].to_list()
    ]
    return found.with_columns(edges=pl.Series(edges), counts=pl.Series(counts, dtype=pl.List(pl.UInt32)))


def _chosen_epochs(epochs: list[int], most: int) -> list[int]:
    """Epoch 0, the last one, and every so manieth before it.

    Equal steps for a slider, about `most` in all.
    """
    stride = -(-len(epochs) // max(most, 5))
    return sorted({epochs[0], *epochs[::-1][::stride]})


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One column a tensor, each a facet with a row a lane.

    Behind every histogram, faintly, the one before training.
    """
    words = Words(HISTOGRAM.title, HISTOGRAM.question, _NONE)
    if not frame.height:
        return nothing(theme, words)
    tensors = frame.partition_by("place", maintain_order=True)
    note = str(frame["note"][0])
    epochs = sorted(set(frame["epoch"].to_list()))
    width = max(96, min(420, (_WIDTH - 22 * len(tensors)) // len(tensors)))
    if theme.room is not None:
        shown = evenly(len(tensors), theme.room.columns(len(tensors), _NARROWEST))
        if len(shown) < len(tensors):
            some = SHOWN_OF_TENSORS.format(shown=len(shown), total=len(tensors))
            note = noted(note, some)
        tensors = [tensors[i] for i in shown]
        width = max(1, round(theme.room.width / len(tensors)))
    height = None if theme.room is None else theme.room.height
    columns = [column(tensor, theme, width, height, first=i == 0) for i, tensor in enumerate(tensors)]
    grid = alt.HConcatChart(hconcat=columns, spacing=22, params=[_slider(epochs)])
    about = say(
        "Grid of histograms: the elements of {tensors} tensors (columns) at {lanes} lanes (rows, by rising "
        "learning rate), at an epoch from {first} to {last} chosen by a slider.",
        "直方图网格：{lanes} 条训练线（行，学习率从低到高）的 {tensors} 个张量（列）的元素，"
        "滑块选第 {first} 到第 {last} 轮。",
        tensors=len(tensors),
        lanes=frame["lane"].n_unique(),
        first=epochs[0],
        last=epochs[-1],
    )
    scaled = say(
        "Coloured: after epoch {last}, or where the slider stands. Grey: before training. Each is scaled to "
        "its own peak.",
        "彩色：第 {last} 轮之后，或滑块所在的一轮。灰色：训练之前。每个直方图按自己的最高处缩放。",
        last=epochs[-1],
    )
    return finished(grid, theme, words._replace(about=about, note=noted(scaled, note)))


def _slider(epochs: list[int]) -> alt.VariableParameter:
    """The epoch that is shown: the last one to begin with."""
    later = epochs[1:] if len(epochs) > 2 and epochs[1] - epochs[0] != epochs[-1] - epochs[-2] else epochs
    step = later[-1] - later[-2] if len(later) > 1 else 1
    bind = alt.BindRange(input="range", min=later[0], max=later[-1], step=step, name=say("epoch ", "轮 "))
    return alt.VariableParameter(name="epoch", value=later[-1], bind=bind)


_NONE = Text(
    "No histogram was recorded: no epoch has ended yet, or the study keeps losses only.",
    "没有记录直方图：还没有一轮结束，或者这份研究只记录损失。",
)

HISTOGRAM = Chart(
    "histogram",
    Text("Distribution of every tensor, by learning rate", "每个张量的分布，按学习率"),
    Text(
        "How far apart does each learning rate drive the parameters?",
        "每个学习率把参数推得多开？",
    ),
    frame,
    draw,
    option="",
)
