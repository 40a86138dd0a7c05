"""Panels of lines, drawn: lanes coloured by rate, named where they end, with the mark of their verdict."""

from collections.abc import Iterable
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Drawing
from lrscope.charts.envelope import POINTS_TO_HOVER, corners
from lrscope.charts.figure_frame import Words, finished
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.lane_ends import LEADING, end_marks, lane_ends
from lrscope.charts.lane_panel import HOVER, Axes, Key, dimmed, lane_tooltip, only, whose
from lrscope.charts.lines import Level, Size
from lrscope.charts.panels import beside, haloed, upright
from lrscope.charts.scales import STEP_TICK, Span, span
from lrscope.charts.shared_strings import noted
from lrscope.charts.theme import Theme
from lrscope.charts.verdict_style import CALM, looks_of
from lrscope.language import Text, said

_OFF_SCALE = 0.15
"""A lane with more of its points off the scale ends where it first leaves it."""

_UNSEEN = 0.001
"""A part of a panel's height, a third of a pixel: straight segments may pass a point at this distance."""

_CUT = Text("A lane that goes off the scale is marked where it left.", "超出刻度的训练线，在离开的地方标出。")


def draw_lines(
    frame: pl.DataFrame,
    theme: Theme,
    words: Words,
    *,
    size: Size,
    step_title: str,
    room: float = 10.0,
    log: bool | None = None,
    level: Level | None = None,
) -> Drawing:
    """One layered panel or several side by side, each with its own y axis, finished with their words.

    Lanes are coloured by rate and named where they end; hovering over one dims the others in all panels. A
    lane that is off the scale for long is drawn to where it first leaves it, and marked there as others are
    at their end.

    Args:
        frame: at least one row, columns as `lines.SCHEMA`.
        theme: the look.
        words: title, question and description; a note of what was left out is added to them.
        size: of one panel.
        step_title: the title of the x axes.
        room: how far an axis reaches beyond the lanes it is made for, see `scales.span`.
        log: True or False to insist on the kind of the y axes.
        level: a value that every panel shows, with a rule across.
    """
    size = theme.fitted(size)
    rates = frame.select("rate", "label").unique().sort("rate")
    key = Key(
        colours=dict(zip(rates["label"], theme.lane_colours(rates.height), strict=True)),
        looks=looks_of(frame["verdict"]),
        theme=theme,
        size=size,
        step_title=said(step_title),
        level=level,
    )
    panels, cut = [], False
    for i, rows in enumerate(frame.partition_by("panel", maintain_order=True)):
        axes = _axes(rows, key, room, log)
        line = ["lane", "kind"]
        whole = rows.with_columns(
            ends=pl.col("value").last().over(line),
            own_last=pl.col("step").last().over(line),
            lane_last=pl.col("step").max().over("lane"),
        )
        inside = _cut_off(whole, axes.y)
        cut = cut or inside.filter(LEADING).height < whole.filter(LEADING).height
        panels.append(_panel(inside, axes, key, f"lanes_{i}"))
    drawing = beside(panels, size.columns, [_hover([f"lanes_{i}" for i in range(len(panels))])])
    notes = [str(frame["note"][0]), said(_CUT) if cut else ""]
    return finished(drawing, theme, words._replace(note=noted(*notes)))


def _hover(views: list[str]) -> alt.TopLevelSelectionParameter:
    """One selection over all panels, given at the top.

    Altair would copy every chart several times to lift it there.
    """
    select = alt.PointSelectionConfig(type="point", fields=["label"], on="pointerover", clear="pointerout")
    return alt.TopLevelSelectionParameter(name=HOVER, select=select, views=views)


def _axes(frame: pl.DataFrame, key: Key, room: float, log: bool | None) -> Axes:
    calm = frame.filter(pl.col("verdict").is_in(list(CALM)))["value"].to_numpy()
    every = frame["value"].to_numpy()
    if key.level is not None:
        calm, every = np.append(calm, key.level.value), np.append(every, key.level.value)
    y = span(calm, every, room=room, log=log)
    steps = frame["step"].to_numpy()
    x = Span(float(steps.min()), max(float(steps.max()), float(steps.min()) + 1), "linear")
    ticks = [tick for tick in x.ticks if tick.is_integer()]
    x_axis = {"title": key.step_title, "labelExpr": STEP_TICK, "values": ticks}
    return Axes(x, y, x_axis, upright(str(frame["axis"][0]), y))


def _panel(frame: pl.DataFrame, axes: Axes, key: Key, name: str) -> alt.LayerChart:
    # Data order is drawing order: high rates first, or their noise covers everything.
    frame = frame.sort("rate", "lane", "kind", "step", descending=[True, False, False, False])
    ends = lane_ends(frame, axes, key.size)
    rule, named = _rule(axes, key)
    layers = [*rule, *_lines(frame, axes, key, name), *named, *end_marks(ends, axes, key)]
    return alt.LayerChart(layer=layers, width=key.size.width, height=key.size.height)


def _rule(axes: Axes, key: Key) -> tuple[list[alt.Chart], list[alt.Chart]]:
    """The level all lanes are held against, to lie below them; and its name at the left end, to lie above."""
    if key.level is None:
        return [], []
    data = inline([{"y": key.level.value, "text": said(key.level.name)}])
    line = mark_of("rule", color=key.theme.text, strokeDash=[5, 4], strokeWidth=1)
    place = {"align": "left", "baseline": "bottom", "dx": 4, "dy": -3}
    left: dict[str, Any] = {"x": alt.value(0), "y": axes.up("y")}
    name = haloed(alt.Chart(data), key.theme, key.theme.text, place, **left, text=alt.Text("text:N"))
    return [alt.Chart(data, mark=line).encode(**left, x2=alt.value("width"))], name


def _cut_off(frame: pl.DataFrame, y: Span) -> pl.DataFrame:
    """Lines that are off the scale for long end where they first leave it.

    A lane that alternates far beyond the axis would otherwise cross the panel at every step and paint it
    over.
    """
    outside = ~pl.col("value").is_between(y.low, y.high)
    line = ["lane", "kind"]
    left_before = outside.cast(pl.Int64).cum_sum().over(line) - outside.cast(pl.Int64) >= 1
    return frame.filter(~(left_before & (outside.mean().over(line) > _OFF_SCALE)))


def _lines(frame: pl.DataFrame, axes: Axes, key: Key, name: str) -> list[alt.Chart]:
    """The lines, and over them coarser ones, wide and unseen.

    A line of one pixel cannot be hit with a mouse.
    """
    rows = _packed(frame, axes.x, axes.y)
    many = frame["lane"].n_unique() > 8
    both = any(row["kind"] == "mean" for row in rows)
    strengths = {"raw": (1.0, 0.2 if many else 0.3) if both else (1.3, 0.95), "mean": (1.9, 1.0)}
    layers = []
    for kind in ("raw", "mean") if both else ("raw",):
        width, strength = strengths[kind]
        points = _flattened(only(row, "lane", "label", "x", "y") for row in rows if row["kind"] == kind)
        line = alt.Chart(mark=mark_of("line", strokeWidth=width, strokeJoin="round"), **points)
        faint = alt.StrokeOpacityValue(**dimmed(strength))
        layers.append(
            line.encode(**axes.at(), detail=alt.Detail("lane:N"), stroke=key.stroke, strokeOpacity=faint)
        )
    points = _flattened(_thinned(row) for row in rows if row["kind"] == ("mean" if both else "raw"))
    area = alt.Chart(mark=mark_of("line", strokeWidth=9, strokeOpacity=0), name=name, **points)
    details = [alt.Detail("lane:N"), alt.Detail("label:N")]
    return [*layers, area.encode(**axes.at(), detail=details, tooltip=lane_tooltip())]


def _flattened(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"data": inline(rows), "transform": [alt.FlattenTransform(flatten=["x", "y"])]}


def _thinned(row: dict[str, Any]) -> dict[str, Any]:
    """A coarse line: every one of its points carries a tooltip, and nobody sees it."""
    every = -(-len(row["x"]) // POINTS_TO_HOVER)
    coarse = {name: row[name][::every] for name in ("x", "y")}
    return {name: value for name, value in row.items() if name != "kind"} | coarse


def _packed(frame: pl.DataFrame, x: Span, y: Span) -> list[dict[str, Any]]:
    """One row a line, its points as two arrays: a third of the bytes of one row a point."""
    rows = []
    for line in frame.partition_by("lane", "kind", maintain_order=True):
        values = line["value"].to_numpy()
        steps, inside = y.cut(line["step"].to_numpy(), values)
        low, high = y.straight(np.array([y.low, y.high]))
        needed = corners(steps, y.straight(inside), _UNSEEN * float(high - low))
        steps, inside = steps[needed], inside[needed]
        row = whose(line.row(0, named=True)) | {"kind": line["kind"][0]}
        rows.append(row | {"x": x.rounded(steps), "y": y.rounded(inside)})
    return rows
