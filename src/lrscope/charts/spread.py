"""Spread against rate: how wide the elements of each tensor lie where a lane ends, one line a tensor."""

import math
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.choice import chosen_tensors
from lrscope.charts.figure_frame import Words, finished, nothing
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.label_placement import LABEL_GAP, apart
from lrscope.charts.lines import Size
from lrscope.charts.names import shape_label, shown
from lrscope.charts.outcomes import judged_lanes
from lrscope.charts.panels import beside, upright
from lrscope.charts.scales import RATE_TICK, Span, rate_span, span
from lrscope.charts.shared_strings import RATE, RATE_LOG, SHOWN_OF_TENSORS, VERDICT, noted
from lrscope.charts.spread_measures import deviation, magnitude, percentiles
from lrscope.charts.theme import Theme
from lrscope.charts.verdict_style import CALM, LOST, look
from lrscope.language import COMMA, Text, joined, said, say

MOST_TENSORS = 8

SCHEMA: dict[str, pl.DataType] = {
    "panel": pl.Int64(),
    "measure": pl.Utf8(),
    "place": pl.Int64(),
    "tensor": pl.Utf8(),
    "shape": pl.Utf8(),
    "lane": pl.Int64(),
    "rate": pl.Float64(),
    "label": pl.Utf8(),
    "seed": pl.Int64(),
    "verdict": pl.Utf8(),
    "value": pl.Float64(),
    "before": pl.Float64(),
    "note": pl.Utf8(),
}

_MEASURES = (
    Text("standard deviation", "标准差"),
    Text("1st to 99th percentile", "第 1 到第 99 百分位"),
    Text("largest magnitude", "最大绝对值"),
)
_MAGNITUDE = 2
"""The measure that a scalar alone has too."""

_SIZE = Size(width=205, height=240, columns=3)


def frame(study: Readable) -> pl.DataFrame:
    """Three measures of the spread of every tensor where each lane ended. Columns as `SCHEMA`.

    The standard deviation and the largest magnitude are those of the last recorded point, the percentiles
    come from the last histogram, linear inside a bin. `before` is the same before training. Only positive,
    finite values: the axes are logarithmic, and one scalar alone has no spread.
    """
    parts = [deviation(study), percentiles(study), magnitude(study)]
    found = pl.concat([part.with_columns(panel=pl.lit(i)) for i, part in enumerate(parts)])
    found = found.filter(pl.col("value").is_finite() & (pl.col("value") > 0))
    names, shapes = study.plan.tensors, study.plan.shapes
    scalars = [name for name, shape in zip(names, shapes, strict=True) if math.prod(shape) == 1]
    found = found.filter((pl.col("panel") == _MAGNITUDE) | ~pl.col("tensor").is_in(scalars))
    if not found.height:
        return pl.DataFrame(schema=SCHEMA)
    places = chosen_tensors(shapes, MOST_TENSORS)
    note = ""
    if len(places) < len(names):
        note = said(SHOWN_OF_TENSORS.format(shown=len(places), total=len(names)))
    tensors = pl.DataFrame(
        {
            "place": range(len(places)),
            "tensor": [names[i] for i in places],
            "shape": [shape_label(shapes[i]) for i in places],
        },
        schema={name: SCHEMA[name] for name in ("place", "tensor", "shape")},
    )
    lanes = judged_lanes(study).select("lane", "rate", "label", "seed", "verdict")
    measures = pl.DataFrame(
        {"panel": range(3), "measure": [*map(said, _MEASURES)]}, schema_overrides={"panel": pl.Int32}
    )
    return (
        found.join(tensors, on="tensor")
        .join(lanes, on="lane")
        .join(measures, on="panel")
        .with_columns(note=pl.lit(note))
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
        .sort("panel", "place", "rate", "lane")
    )


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel a measure, log-log, a line a tensor (the median over seeds), named at its right end."""
    words = Words(SPREAD.title, SPREAD.question, _NONE)
    if not frame.height:
        return nothing(theme, words)
    places = frame.select("place", "tensor").unique().sort("place")
    names = {row["place"]: shown(row["tensor"], 13) for row in places.iter_rows(named=True)}
    tints = dict(zip(names, theme.tensor_colours(len(names)), strict=True))
    x = rate_span(frame["rate"].to_numpy())
    panels = [
        _panel(panel, theme, x, names, tints) for panel in frame.partition_by("panel", maintain_order=True)
    ]
    about = say(
        "Line charts on log axes: {measures} of {tensors} tensors against learning rate, where each "
        "lane ended.",
        "对数轴折线图：{tensors} 个张量的{measures}随学习率的变化，取每条训练线结束时的值。",
        measures=joined(frame["measure"].unique(maintain_order=True), COMMA),
        tensors=len(names),
    )
    note = say(
        "Ticks at the left edge: before training. Crosses: diverged, at their last finite value.",
        "左边的短线：训练之前。叉：发散，取最后的有限值。",
    )
    return finished(
        beside(panels, theme.fitted(_SIZE).columns),
        theme,
        words._replace(about=about, note=noted(note, str(frame["note"][0]))),
    )


def _panel(
    frame: pl.DataFrame, theme: Theme, x: Span, names: dict[int, str], tints: dict[int, str]
) -> alt.LayerChart:
    size = theme.fitted(_SIZE)
    calm = frame.filter(pl.col("verdict").is_in(list(CALM)))["value"].to_numpy()
    before = frame["before"].drop_nulls().to_numpy()
    before = before[before > 0]
    values = np.concatenate((frame["value"].to_numpy(), before))
    y = span(np.concatenate((calm, before)), values, room=300.0, log=True)
    medians = frame.group_by("place", "tensor", "shape", "rate", "label", maintain_order=True).agg(
        pl.col("value").median(),
        lowest=pl.col("value").min(),
        highest=pl.col("value").max(),
        lost=pl.col("verdict").is_in(list(LOST)).any(),
        verdicts=pl.col("verdict").unique(maintain_order=True),
    )
    scale = {"domain": list(names), "range": list(tints.values())}
    tint = alt.Color("place:N", scale=scale, legend=None)
    across = alt.X(
        "rate:Q",
        scale=x.scale,
        axis={"values": x.ticks_of(4), "labelExpr": RATE_TICK, "title": said(RATE_LOG)},
    )
    axis = upright(str(frame["measure"][0]), y)

    def up(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=y.scale, axis=axis)

    rows = [_point(row, y) for row in medians.iter_rows(named=True)]
    lines, ends = [], []
    tensors = medians.partition_by("place", maintain_order=True)
    for tensor in tensors:
        steps, inside = y.cut(np.log(tensor["rate"].to_numpy()), tensor["value"].to_numpy())
        place = int(tensor["place"][0])
        lines.append({"place": place, "x": np.exp(steps).tolist(), "y": y.rounded(inside)})
        ends.append({"place": place, "name": names[place], "end": y.clamp(float(tensor["value"][-1]))})
    wanted = [y.part(float(tensor["value"][-1])) * size.height for tensor in tensors]
    places = apart(wanted, LABEL_GAP, 0, size.height)
    ends = [end | {"at": y.at(place / size.height)} for end, place in zip(ends, places, strict=True)]
    starts = frame.group_by("place").agg(pl.col("before").median()).drop_nulls().sort("place")
    start_rows = [row | {"before": y.clamp(row["before"])} for row in starts.to_dicts() if row["before"] > 0]
    line_data: dict[str, Any] = {
        "data": inline(lines),
        "transform": [alt.FlattenTransform(flatten=["x", "y"])],
    }
    several = frame["seed"].n_unique() > 1
    layers = [
        alt.Chart(inline(start_rows), mark=mark_of("rule", strokeWidth=2)).encode(
            x=alt.value(-3), x2=alt.value(7), y=up("before"), color=tint
        ),
        alt.Chart(mark=mark_of("line", strokeWidth=1.6), **line_data).encode(
            x=alt.X("x:Q", scale=x.scale, axis=across["axis"]), y=up("y"), color=tint
        ),
        alt.Chart(inline(ends), mark=mark_of("rule", strokeWidth=1.4, xOffset=6, x2Offset=15)).encode(
            x=alt.value("width"), x2=alt.value("width"), y=up("end"), y2="at:Q", color=tint
        ),
        alt.Chart(
            inline(ends),
            mark=mark_of("text", align="left", baseline="middle", dx=18, color=theme.text, fontSize=10.5),
        ).encode(x=alt.value("width"), y=up("at"), text=alt.Text("name:N")),
        *_points(rows, theme, across, up, tint, several),
    ]
    return alt.LayerChart(layer=layers, width=size.width, height=size.height)


def _point(row: dict[str, Any], y: Span) -> dict[str, Any]:
    return {
        "place": row["place"],
        "rate": row["rate"],
        "label": row["label"],
        "tensor": shown(row["tensor"], 60),
        "shape": row["shape"],
        "verdict": said(joined((look(verdict).word for verdict in row["verdicts"]), COMMA)),
        "value": float(f"{row['value']:.4g}"),
        "y": float(f"{y.clamp(row['value']):.5g}"),
        "low": float(f"{y.clamp(row['lowest']):.5g}"),
        "high": float(f"{y.clamp(row['highest']):.5g}"),
        "lost": row["lost"],
    }


def _points(
    rows: list[dict[str, Any]], theme: Theme, across: alt.X, up: Any, tint: alt.Color, several: bool
) -> list[alt.Chart]:
    """A point a rate, a cross where a lane diverged, and the range of the seeds."""
    tooltip = [
        alt.Tooltip("tensor:N", title=say("tensor", "张量")),
        alt.Tooltip("shape:N", title=say("shape", "形状")),
        alt.Tooltip("label:N", title=said(RATE)),
        alt.Tooltip("verdict:N", title=said(VERDICT)),
        alt.Tooltip("value:Q", title=say("value", "数值"), format=".4~g"),
    ]
    dots = {"filled": True, "stroke": theme.background, "strokeWidth": 0.6}
    kept, lost = (inline(row for row in rows if row["lost"] is is_lost) for is_lost in (False, True))
    cross = look("diverged").shape
    layers = [
        alt.Chart(kept, mark=mark_of("point", **dots, size=22)).encode(
            x=across, y=up("y"), color=tint, tooltip=tooltip
        ),
        alt.Chart(lost, mark=mark_of("point", **dots, size=60, shape=cross)).encode(
            x=across, y=up("y"), color=tint, tooltip=tooltip
        ),
    ]
    if several:
        bars = alt.Chart(inline(rows), mark=mark_of("rule", strokeWidth=1, opacity=0.6))
        layers.insert(0, bars.encode(x=across, y=up("low"), y2="high:Q", color=tint))
    return layers


_NONE = Text(
    "No statistics of the weights were recorded: no step has been taken yet, or the study keeps losses only.",
    "没有记录权重的统计量：还没有记录任何一步，或者这份研究只记录损失。",
)

SPREAD = Chart(
    "spread",
    Text("Spread against learning rate", "离散程度随学习率的变化"),
    Text(
        "At which rate do the parameters leave the range they started in?",
        "从哪个学习率起，参数离开了开始时的范围？",
    ),
    frame,
    draw,
    option="",
)
