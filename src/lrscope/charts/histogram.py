"""The histogram grid: how the elements of each tensor are distributed, a row a rate and a column a tensor, by epoch."""

from typing import Any

import altair as alt
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.choice import chosen_lanes, chosen_tensors
from lrscope.charts.inline import inline
from lrscope.charts.looks import CALM
from lrscope.charts.names import shape_label, shown
from lrscope.charts.outcomes import judged_lanes
from lrscope.charts.plate import Words, finished, nothing
from lrscope.charts.scales import Span, span
from lrscope.charts.theme import Theme

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


def frame(study: Readable) -> pl.DataFrame:
    """Histograms of the chosen lanes, tensors and epochs: columns as `SCHEMA`, one row a histogram.

    Every lane has a row for every tensor and epoch. Where a lane had stopped before, its counts are zeros and `absent` says
    so: a row that comes and goes would take its place in the grid with it.
    """
    found = study.histograms()
    lanes, note = chosen_lanes(judged_lanes(study), MOST_LANES, study.recommendation().rate)
    found = found.filter(pl.col("lane").is_in(lanes["lane"].implode()))
    if not found.height:
        return pl.DataFrame(schema=SCHEMA)
    names, shapes = study.plan.tensors, study.plan.shapes
    places = chosen_tensors(shapes, MOST_TENSORS)
    if len(places) < len(names):
        note = f"{note} {len(places)} of {len(names)} tensors.".strip()
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
    stopped = pl.format("stopped at step {}", pl.col("stopped_step"))
    missing = pl.col("counts").is_null()
    return (
        grid.join(found.drop("rate", "seed"), on=["lane", "tensor", "epoch"], how="left")
        .join(shared, on=["epoch", "tensor"])
        .with_columns(
            absent=pl.when(missing).then(stopped.fill_null("no histogram")).otherwise(pl.lit("")),
            edges=pl.col("edges").fill_null(pl.col("shared")),
            nonfinite=pl.col("nonfinite").fill_null(0),
            counts=pl.col("counts").fill_null(pl.col("shared").list.head(pl.col("shared").list.len() - 1) * 0.0),
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
    counts = [np.add.reduceat(row, np.arange(0, len(row), step)).tolist() for row in found["counts"].to_list()]
    return found.with_columns(edges=pl.Series(edges), counts=pl.Series(counts, dtype=pl.List(pl.UInt32)))


def _chosen_epochs(epochs: list[int], most: int) -> list[int]:
    """Epoch 0, the last one, and every so manieth before it: equal steps for a slider, about `most` in all."""
    stride = -(-len(epochs) // max(most, 5))
    return sorted({epochs[0], *epochs[::-1][::stride]})


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One column a tensor, each a facet with a row a lane; behind every histogram, faintly, the one before training."""
    words = Words(HISTOGRAM.title, HISTOGRAM.question, "No histogram has been recorded yet.")
    if not frame.height:
        return nothing(theme, words)
    tensors = frame.partition_by("place", maintain_order=True)
    epochs = sorted(set(frame["epoch"].to_list()))
    width = max(96, min(420, (_WIDTH - 22 * len(tensors)) // len(tensors)))
    columns = [_column(tensor, theme, width, first=i == 0) for i, tensor in enumerate(tensors)]
    grid = alt.HConcatChart(hconcat=columns, spacing=22, params=[_slider(epochs)])
    about = (
        f"Grid of histograms: the elements of {len(tensors)} tensors (columns) at {frame['lane'].n_unique()} "
        f"lanes (rows, by rising learning rate), at an epoch from {epochs[0]} to {epochs[-1]} chosen by a slider."
    )
    note = "Each histogram is scaled to its own peak. Grey: before training. " + str(frame["note"][0])
    return finished(grid, theme, words._replace(about=about, note=note.strip()))


def _slider(epochs: list[int]) -> alt.VariableParameter:
    """The epoch that is shown: the last one to begin with."""
    later = epochs[1:] if len(epochs) > 2 and epochs[1] - epochs[0] != epochs[-1] - epochs[-2] else epochs
    step = later[-1] - later[-2] if len(later) > 1 else 1
    bind = alt.BindRange(input="range", min=later[0], max=later[-1], step=step, name="epoch ")
    return alt.VariableParameter(name="epoch", value=later[-1], bind=bind)


def _column(frame: pl.DataFrame, theme: Theme, width: int, first: bool) -> alt.FacetChart:
    """One tensor. The epochs' edges are a table of their own, which all lanes look up."""
    x = _elements(frame)
    lanes = frame.unique("lane", maintain_order=True).sort("rate", "seed")
    labels = _row_labels(lanes)
    rates = lanes["rate"].unique().sort().to_list()
    tints = dict(zip(rates, theme.lane_colours(len(rates)), strict=True))
    colours = alt.Scale(domain=list(labels.values()), range=[tints[rate] for rate in lanes["rate"]])
    # The ends of the axis are edges too, so that every histogram stands on a line of full width.
    edges = [
        {"epoch": row["epoch"], "x": x.rounded(np.r_[x.low, _clamped(x, np.array(row["edges"])), x.high])}
        for row in frame.unique("epoch", maintain_order=True).iter_rows(named=True)
    ]
    bars = [_bars(row, x, labels[row["lane"]]) for row in frame.iter_rows(named=True)]
    x_axis = alt.Axis(title=None, values=x.ticks, labelExpr=x.tick_text, labelOverlap="greedy", labelFlush=False)
    across = alt.X("x:Q", scale=x.scale, axis=x_axis)
    up = alt.Y("h:Q", scale=alt.Scale(domain=[0, 100], nice=False), axis=None)
    # Area, not bars: one path a histogram, and the slider answers four times as fast.
    step = {"type": "area", "interpolate": "step-after", "strokeJoin": "round"}
    behind = alt.Chart(mark=alt.MarkDef(**step, fill=theme.muted, stroke=theme.muted, strokeWidth=0.7, opacity=0.3))
    now = alt.Chart(mark=alt.MarkDef(**step, fillOpacity=0.55, strokeWidth=1, line=False))
    words = {"type": "text", "align": "right", "baseline": "top", "dx": -1, "dy": 1, "fontSize": 9.5}
    halo = {"color": theme.background, "stroke": theme.background, "strokeWidth": 3}
    notes = [alt.Chart(mark=alt.MarkDef(**words, **look)) for look in (halo, {"color": theme.muted})]
    is_note = "datum.epoch == epoch && datum.x == null && isValid(datum.note)"
    tint = {"scale": colours, "legend": None}
    layers = [
        behind.transform_filter("datum.epoch == 0").encode(x=across, y=up),
        now.transform_filter("datum.epoch == epoch").encode(
            x=across,
            y=up,
            fill=alt.Fill("lane:N", **tint),
            stroke=alt.Stroke("lane:N", **tint),
            tooltip=[
                alt.Tooltip("lane:N", title="learning rate"),
                alt.Tooltip("epoch:Q", title="epoch"),
                alt.Tooltip("spread:N", title="from, to"),
                alt.Tooltip("note:N", title="not shown"),
            ],
        ),
        *(
            note.transform_filter(is_note).encode(x=alt.XValue("width"), y=alt.value(0), text=alt.Text("note:N"))
            for note in notes
        ),
    ]
    height = 46 if lanes.height <= 6 else 34 if lanes.height <= 10 else 26
    header = alt.Header(
        title=None, labels=first, labelAngle=0, labelAlign="left", labelPadding=10, labelBaseline="middle"
    )
    row = alt.Row("lane:N", sort=list(labels.values()), header=header)
    name = alt.TitleParams(
        text=shown(str(frame["tensor"][0]), max(10, width // 7)),
        subtitle=str(frame["shape"][0]),
        fontSize=11.5,
        subtitleFontSize=10.5,
        offset=8,
    )
    return alt.FacetChart(
        data=inline(bars),
        transform=[
            alt.FilterTransform("datum.epoch == epoch || datum.epoch == 0"),
            alt.LookupTransform(**{"lookup": "epoch", "from": alt.LookupData(inline(edges), "epoch", fields=["x"])}),
            alt.FlattenTransform(flatten=["h", "x"]),
        ],
        spec=alt.LayerChart(layer=layers, width=width, height=height),
        facet=alt.FacetMapping(row=row),
        spacing=3,
        title=name,
    )


def _row_labels(lanes: pl.DataFrame) -> dict[int, str]:
    """What stands before each row: the rate, and the seed where there are several."""
    several = lanes["seed"].n_unique() > 1
    return {
        row["lane"]: f"{row['label']}  seed {row['seed']}" if several else row["label"]
        for row in lanes.iter_rows(named=True)
    }


def _elements(frame: pl.DataFrame) -> Span:
    """One axis of element values for all lanes and epochs; symmetric-log where some lanes go ten times as far as most."""
    rows = list(frame.iter_rows(named=True))
    occupied = [_occupied(row) for row in rows]
    reach = np.array([max(abs(low), abs(high)) for low, high in occupied])
    last = max(row["epoch"] for row in rows)
    calm = [row["verdict"] in CALM or row["epoch"] == 0 for row in rows]
    every = np.array([edge for pair in occupied for edge in pair])
    every = every[np.isfinite(every)]
    if not every.size:
        return Span(-1.0, 1.0, "linear")
    # Where no lane is calm, what lies before training is the measure.
    known = [(r, row["epoch"] == last) for r, row, is_calm in zip(reach, rows, calm, strict=True) if is_calm and r > 0]
    ends = [r for r, is_last in known if is_last] or [r for r, _ in known] or [0.0]
    usual, calmest = float(np.median(ends)), max(ends)
    if usual > 0 and float(np.abs(every).max()) > 10 * usual:
        far = min(float(np.abs(every).max()), 1e4 * calmest) * 1.1
        low, high = max(float(every.min()) * 1.1, -far), min(float(every.max()) * 1.1, far)
        return Span(min(low, 0.0), max(high, 0.0), "symlog", usual)
    return span(every, every, room=1.0, log=False)


def _occupied(row: dict[str, Any]) -> tuple[float, float]:
    """The lowest and the highest edge of the bins that hold something; NaN where none does."""
    filled = np.flatnonzero(row["counts"])
    if not filled.size:
        return float("nan"), float("nan")
    return row["edges"][filled[0]], row["edges"][filled[-1] + 1]


def _clamped(x: Span, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(edges, x.low, x.high)


def _bars(row: dict[str, Any], x: Span, lane: str) -> dict[str, Any]:
    """One histogram as heights 0 .. 100: the count of a bin over its width on the axis, relative to the highest.

    Over its width on the axis, so that on a symmetric-log axis as on a linear one equal areas are equal numbers of elements.
    """
    edges, counts = np.array(row["edges"]), np.array(row["counts"], dtype=np.float64)
    total = counts.sum()
    widths = np.diff(x.straight(_clamped(x, edges)))
    shown_bins = widths > 1e-9 * (x.straight(np.array([x.high])) - x.straight(np.array([x.low])))[0]
    heights = np.divide(counts, widths, out=np.zeros_like(counts), where=shown_bins)
    peak = heights.max(initial=0.0)
    heights = np.round(100 * heights / peak) if peak > 0 else heights
    notes = [row["absent"]]
    beyond = counts[~shown_bins].sum() / total if total else 0.0
    if beyond > 0.005:
        notes.append(f"{beyond:.0%} beyond the axis")
    if row["nonfinite"]:
        notes.append(f"{row['nonfinite']:,} not finite")
    low, high = _occupied(row)
    note = ", ".join(note for note in notes if note)
    return {
        "lane": lane,
        "epoch": row["epoch"],
        "spread": f"{low:.3g}, {high:.3g}" if total else "",
        **({"note": note} if note else {}),
        # Zeros for the ends of the axis; the last height has no edge and carries the note.
        "h": [0, *(int(height) for height in heights), 0, 0, 0],
    }


HISTOGRAM = Chart(
    "histogram",
    "Distribution of every tensor, by learning rate",
    "How far apart does each learning rate drive the parameters?",
    frame,
    draw,
)
