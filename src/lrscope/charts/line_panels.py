"""Panels of lines, drawn: lanes coloured by rate, named where they end, with the mark of their verdict."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Drawing
from lrscope.charts.envelope import POINTS_TO_HOVER, corners
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.lines import Level, Size
from lrscope.charts.looks import CALM, Look, look, looks_of, verdict_channels
from lrscope.charts.panels import beside, haloed, upright
from lrscope.charts.places import name_early, name_right
from lrscope.charts.plate import Words, finished
from lrscope.charts.scales import STEP_TICK, Span, span
from lrscope.charts.terms import RATE, SEED, VERDICT, WHY
from lrscope.charts.theme import Theme
from lrscope.language import BLANK, Text, joined, said, say

_OFF_SCALE = 0.15
"""A lane with more of its points off the scale ends where it first leaves it."""

_UNSEEN = 0.001
"""A part of a panel's height, a third of a pixel: straight segments may pass a point at this distance."""

_LEADING = pl.col("kind") == pl.col("kind").min().over("lane")
"""The line of a lane that its mark belongs to: "mean" sorts before "raw"."""

_HOVER = "hover"
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
    key = _Key(
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
        cut = cut or inside.filter(_LEADING).height < whole.filter(_LEADING).height
        panels.append(_panel(inside, axes, key, f"lanes_{i}"))
    drawing = beside(panels, size.columns, [_hover([f"lanes_{i}" for i in range(len(panels))])])
    notes = [str(frame["note"][0]), said(_CUT) if cut else ""]
    return finished(
        drawing, theme, words._replace(note=said(joined((note for note in notes if note), BLANK)))
    )


class _Key(NamedTuple):
    """What all panels share."""

    colours: dict[str, str]
    looks: list[Look]
    theme: Theme
    size: Size
    step_title: str
    level: Level | None

    @property
    def stroke(self) -> alt.Stroke:
        """The colour of a lane: the stroke channel, so that colour is free for verdicts."""
        scale = {"domain": list(self.colours), "range": list(self.colours.values())}
        return alt.Stroke("label:N", scale=scale, legend=None)

    @property
    def verdicts(self) -> dict[str, Any]:
        """Shape and colour of a verdict, with their legend."""
        return verdict_channels(self.looks, self.theme)


class _Axes(NamedTuple):
    """The two axes of a panel. Every layer names the same axis, or Vega-Lite would drop it."""

    x: Span
    y: Span
    x_axis: dict[str, Any]
    y_axis: dict[str, Any]

    def at(self, y: str = "y") -> dict[str, Any]:
        """The channels x and y, the latter of the field named."""
        return {"x": alt.X("x:Q", scale=self.x.scale, axis=self.x_axis), "y": self.up(y)}

    def up(self, field: str) -> alt.Y:
        """The channel y of a field."""
        return alt.Y(f"{field}:Q", scale=self.y.scale, axis=self.y_axis)


def _hover(views: list[str]) -> alt.TopLevelSelectionParameter:
    """One selection over all panels, given at the top.

    Altair would copy every chart several times to lift it there.
    """
    select = alt.PointSelectionConfig(type="point", fields=["label"], on="pointerover", clear="pointerout")
    return alt.TopLevelSelectionParameter(name=_HOVER, select=select, views=views)


def _dimmed(strength: float) -> dict[str, Any]:
    """Full strength while nothing or this lane is hovered over, faint while another one is."""
    return {"condition": {"param": _HOVER, "value": strength}, "value": strength * 0.12}


def _axes(frame: pl.DataFrame, key: _Key, room: float, log: bool | None) -> _Axes:
    calm = frame.filter(pl.col("verdict").is_in(list(CALM)))["value"].to_numpy()
    every = frame["value"].to_numpy()
    if key.level is not None:
        calm, every = np.append(calm, key.level.value), np.append(every, key.level.value)
    y = span(calm, every, room=room, log=log)
    steps = frame["step"].to_numpy()
    x = Span(float(steps.min()), max(float(steps.max()), float(steps.min()) + 1), "linear")
    ticks = [tick for tick in x.ticks if tick.is_integer()]
    x_axis = {"title": key.step_title, "labelExpr": STEP_TICK, "values": ticks}
    return _Axes(x, y, x_axis, upright(str(frame["axis"][0]), y))


def _panel(frame: pl.DataFrame, axes: _Axes, key: _Key, name: str) -> alt.LayerChart:
    # Data order is drawing order: high rates first, or their noise covers everything.
    frame = frame.sort("rate", "lane", "kind", "step", descending=[True, False, False, False])
    ends = _ends(frame, axes, key.size)
    rule, named = _rule(axes, key)
    layers = [*rule, *_lines(frame, axes, key, name), *named, *_marks(ends, axes, key)]
    return alt.LayerChart(layer=layers, width=key.size.width, height=key.size.height)


def _rule(axes: _Axes, key: _Key) -> tuple[list[alt.Chart], list[alt.Chart]]:
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


def _lines(frame: pl.DataFrame, axes: _Axes, key: _Key, name: str) -> list[alt.Chart]:
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
        points = _flattened(_only(row, "lane", "label", "x", "y") for row in rows if row["kind"] == kind)
        line = alt.Chart(mark=mark_of("line", strokeWidth=width, strokeJoin="round"), **points)
        faint = alt.StrokeOpacityValue(**_dimmed(strength))
        layers.append(
            line.encode(**axes.at(), detail=alt.Detail("lane:N"), stroke=key.stroke, strokeOpacity=faint)
        )
    points = _flattened(_thinned(row) for row in rows if row["kind"] == ("mean" if both else "raw"))
    area = alt.Chart(mark=mark_of("line", strokeWidth=9, strokeOpacity=0), name=name, **points)
    details = [alt.Detail("lane:N"), alt.Detail("label:N")]
    return [*layers, area.encode(**axes.at(), detail=details, tooltip=_tooltip())]


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
        row = _whose(line.row(0, named=True)) | {"kind": line["kind"][0]}
        rows.append(row | {"x": x.rounded(steps), "y": y.rounded(inside)})
    return rows


def _whose(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "lane": row["lane"],
        "label": row["label"],
        "seed": row["seed"],
        "verdict": look(row["verdict"]).word,
        "ends": float(f"{row['ends']:.4g}"),
    }


def _tooltip(*more: alt.Tooltip) -> list[alt.Tooltip]:
    """Always listed field by field.

    A tooltip of "all data" would fetch an image for a column called image.
    """
    return [
        alt.Tooltip("label:N", title=said(RATE)),
        alt.Tooltip("seed:Q", title=said(SEED)),
        alt.Tooltip("verdict:N", title=said(VERDICT)),
        alt.Tooltip("ends:Q", title=say("last value", "最后的值"), format=".4~g"),
        *more,
    ]


def _ends(frame: pl.DataFrame, axes: _Axes, size: Size) -> list[dict[str, Any]]:
    """Where each lane ends, inside the panel, and where its label goes.

    Right of the panel, or beside its end.
    """
    # A noisy lane ends where its mean ends, at the step of its last raw point, or where its mean is cut.
    ends = frame.filter(_LEADING).group_by("lane", maintain_order=True).last()
    cut = pl.col("step") < pl.col("own_last")
    ends = ends.with_columns(step=pl.when(cut).then("step").otherwise("lane_last"))
    x, y = axes.x, axes.y
    rows = []
    for end in ends.iter_rows(named=True):
        place = {"rate": end["rate"], "x": end["step"], "y": y.clamp(end["value"])}
        early = x.part(end["step"]) < 0.985
        rows.append(_whose(end) | place | {"why": end["why"], "early": early})
    name_right([row for row in rows if not row["early"]], y, size.height)
    name_early([row for row in rows if row["early"]], x, y, size.width, size.height)
    # The good ones lie on top.
    return sorted(rows, key=lambda row: bool(row["verdict"] == "good"))


def _marks(ends: list[dict[str, Any]], axes: _Axes, key: _Key) -> list[alt.Chart]:
    """At the end of each lane the mark of its verdict, and names: beside early ends, else at the edge."""
    theme = key.theme
    faint = alt.OpacityValue(**_dimmed(1.0))
    text = alt.Text("text:N")
    words: dict[str, Any] = {"align": "left", "baseline": "middle"}
    right = inline(_only(row, "label", "y", "label_y", "text") for row in ends if "label_y" in row)
    leader = alt.Chart(right, mark=mark_of("rule", xOffset=7, x2Offset=17, strokeWidth=1.4))
    name = alt.Chart(right, mark=mark_of("text", **words, dx=21, color=theme.text))
    edge: dict[str, Any] = {"x": alt.value("width"), "x2": alt.value("width")}
    early = alt.Chart(inline(_only(row, "label", "x", "text_y", "text") for row in ends if "text_y" in row))
    whole = ("lane", "label", "seed", "verdict", "why", "ends", "x", "y")
    halo: dict[str, Any] = {"stroke": theme.background, "strokeWidth": 0.8}
    point = mark_of("point", filled=True, size=70, **halo)
    mark = alt.Chart(inline(_only(row, *whole) for row in ends), mark=point)
    tooltip = _tooltip(alt.Tooltip("why:N", title=said(WHY)))
    return [
        leader.encode(**edge, y=axes.up("y"), y2="label_y:Q", stroke=key.stroke, opacity=faint),
        name.encode(x=edge["x"], y=axes.up("label_y"), text=text, opacity=faint),
        *haloed(early, theme, theme.text, {**words, "dx": 8}, **axes.at("text_y"), text=text, opacity=faint),
        mark.encode(**axes.at(), **key.verdicts, opacity=faint, tooltip=tooltip),
    ]


def _only(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
