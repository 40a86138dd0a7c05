"""A column of the histogram grid: one tensor, a row a lane."""

import json
from typing import Any

import altair as alt
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lrscope.charts.inline import inline, mark_of
from lrscope.charts.names import shown
from lrscope.charts.panels import haloed
from lrscope.charts.scales import Span, span
from lrscope.charts.shared_strings import RATE
from lrscope.charts.theme import Theme
from lrscope.charts.verdict_style import CALM
from lrscope.language import Text, said, say

_VALUE = Text("value", "数值")
_VALUE_LOG = Text("value (symmetric log)", "数值（对称对数）")


def column(
    frame: pl.DataFrame, theme: Theme, width: int, height: float | None, *, first: bool
) -> alt.FacetChart:
    """One tensor, `height` pixels a row, None for what looks well.

    The epochs' edges are a table of their own, which all lanes look up.
    """
    x = _elements(frame)
    lanes = frame.unique("lane", maintain_order=True).sort("rate", "seed")
    labels = _row_labels(lanes)
    rates = lanes["rate"].unique().sort().to_list()
    tints = dict(zip(rates, theme.lane_colours(len(rates)), strict=True))
    colours = [tints[rate] for rate in lanes["rate"]]
    # The ends of the axis are edges too, so that every histogram stands on a line of full width.
    edges = [
        {"epoch": row["epoch"], "x": x.rounded(np.r_[x.low, _clamped(x, np.array(row["edges"])), x.high])}
        for row in frame.unique("epoch", maintain_order=True).iter_rows(named=True)
    ]
    bars = [_bars(row, x, labels[row["lane"]]) for row in frame.iter_rows(named=True)]
    x_axis = {
        "title": said(_VALUE_LOG if x.kind == "symlog" else _VALUE),
        "values": x.ticks,
        "labelExpr": x.tick_text,
        "labelOverlap": "greedy",
        "labelSeparation": 5,
        "labelFlush": False,
    }
    across = alt.X("x:Q", scale=x.scale, axis=x_axis)
    up = alt.Y("h:Q", scale={"domain": [0, 100], "nice": False}, axis=None)
    layers = _layers(theme, across, up, {"domain": list(labels.values()), "range": colours})
    if height is None:
        height = 46 if lanes.height <= 6 else 34 if lanes.height <= 10 else 26
    header = {
        "title": None,
        "labels": first,
        "labelAngle": 0,
        "labelAlign": "left",
        "labelPadding": 10,
        "labelBaseline": "middle",
    }
    row = alt.Row("lane:N", sort=list(labels.values()), header=header)
    name = alt.TitleParams(
        text=shown(str(frame["tensor"][0]), max(10, width // 7)),
        subtitle=str(frame["shape"][0]),
        fontSize=11.5,
        subtitleFontSize=10.5,
        offset=8,
    )
    table = alt.LookupData(inline(edges), "epoch", fields=["x"])
    edges_of_epoch: dict[str, Any] = {"lookup": "epoch", "from": table}
    return alt.FacetChart(
        data=inline(bars),
        transform=[
            alt.FilterTransform("datum.epoch == epoch || datum.epoch == 0"),
            alt.LookupTransform(**edges_of_epoch),
            alt.FlattenTransform(flatten=["h", "x"]),
        ],
        spec=alt.LayerChart(layer=layers, width=width, height=height),
        facet=alt.FacetMapping(row=row),
        spacing=3,
        title=name,
    )


def _layers(theme: Theme, across: alt.X, up: alt.Y, colours: dict[str, Any]) -> list[alt.Chart]:
    """Before training, now, and what there is to say of a histogram that is not shown or not whole."""
    # Area, not bars: one path a histogram, and the slider answers four times as fast.
    step: dict[str, Any] = {"interpolate": "step-after", "strokeJoin": "round", "strokeWidth": 1}
    grey = mark_of("area", **{**step, "strokeWidth": 0.7}, fill=theme.muted, stroke=theme.muted, opacity=0.3)
    behind = alt.Chart(mark=grey).transform_filter("datum.epoch == 0")
    note = alt.Chart().transform_filter("datum.epoch == epoch && datum.x == null && isValid(datum.note)")
    place = {"align": "right", "baseline": "top", "dx": -1, "dy": 1, "fontSize": 9.5}
    edge: dict[str, Any] = {"x": alt.value("width"), "y": alt.value(0), "text": alt.Text("note:N")}
    tooltip = [
        alt.Tooltip("lane:N", title=said(RATE)),
        alt.Tooltip("epoch:Q", title=say("epoch", "轮")),
        alt.Tooltip("spread:N", title=say("from, to", "从，到")),
        alt.Tooltip("left_out:N", title=say("not shown", "未显示")),
    ]
    nothing = json.dumps(say("nothing", "无"))
    left_out = alt.CalculateTransform(
        calculate=f"isValid(datum.note) ? datum.note : {nothing}", **{"as": "left_out"}
    )
    return [
        behind.encode(x=across, y=up),
        alt.Chart(
            mark=mark_of("area", **step, fillOpacity=0.55),
            transform=[alt.FilterTransform("datum.epoch == epoch"), left_out],
        ).encode(
            x=across,
            y=up,
            fill=alt.Fill("lane:N", scale=colours, legend=None),
            stroke=alt.Stroke("lane:N", scale=colours, legend=None),
            tooltip=tooltip,
        ),
        *haloed(note, theme, theme.muted, place, **edge),
    ]


def _row_labels(lanes: pl.DataFrame) -> dict[int, str]:
    """What stands before each row: the rate, and the seed where there are several."""
    several = lanes["seed"].n_unique() > 1
    return {
        row["lane"]: say("{rate}  seed {seed}", "{rate}  种子 {seed}", rate=row["label"], seed=row["seed"])
        if several
        else row["label"]
        for row in lanes.iter_rows(named=True)
    }


def _elements(frame: pl.DataFrame) -> Span:
    """One axis of element values for all lanes and epochs.

    Symmetric-log where some lanes go ten times as far as most.
    """
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
    known = [
        (r, row["epoch"] == last)
        for r, row, is_calm in zip(reach, rows, calm, strict=True)
        if is_calm and r > 0
    ]
    ends = [r for r, is_last in known if is_last] or [r for r, _ in known] or [0.0]
    usual, calmest = float(np.median(ends)), max(ends)
    if usual > 0 and float(np.abs(every).max()) > 10 * usual:
        far = min(float(np.abs(every).max()), 1e3 * calmest) * 1.1
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
    """One histogram as heights 0 .. 100: the count of a bin over its width on the axis, over the highest.

    Over its width on the axis, so that on a symmetric-log axis as on a linear one equal areas are equal
    numbers of elements.
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
        notes.append(say("{share} beyond the axis", "{share} 超出坐标轴", share=f"{beyond:.0%}"))
    if row["nonfinite"]:
        notes.append(say("{count} not finite", "{count} 个非有限值", count=f"{row['nonfinite']:,}"))
    low, high = _occupied(row)
    note = ", ".join(note for note in notes if note)
    return {
        "lane": lane,
        "epoch": row["epoch"],
        "spread": f"{low:.3g}, {high:.3g}" if total else say("no value", "没有值"),
        **({"note": note} if note else {}),
        # Zeros for the ends of the axis; the last height has no edge and carries the note.
        "h": [0, *(int(height) for height in heights), 0, 0, 0],
    }
