"""Overfitting test: how a lower rate's validation loss stands to that of a good one, compared in three ways.

At equal steps a lower rate has trained less, which says nothing of overfitting; at equal training loss and
with each lane stopped at its best, a worse validation loss would.
"""

import math
from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.figure_frame import Words, finished, nothing
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.lines import Size
from lrscope.charts.names import unit_label
from lrscope.charts.panels import beside, haloed, upright
from lrscope.charts.scales import RATE_TICK, Span, rate_span, span
from lrscope.charts.shared_strings import RATE, RATE_LOG
from lrscope.charts.theme import Theme
from lrscope.language import COMMA, Text, joined, said, say
from lrscope.rates import format_rate

SCHEMA: dict[str, pl.DataType] = {
    "panel": pl.Int64(),
    "comparison": pl.Utf8(),
    "kind": pl.Utf8(),
    "rate": pl.Float64(),
    "label": pl.Utf8(),
    "seed": pl.Int64(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "finding": pl.Utf8(),
    "margin": pl.Float64(),
    "reference": pl.Float64(),
    "note": pl.Utf8(),
}

COMPARISONS = (
    ("equal_steps", Text("at equal steps", "步数相同时")),
    ("equal_training", Text("at equal training loss", "训练损失相同时")),
    ("best", Text("each at its best step", "各自最好的一步")),
)
"""Where a comparison stands in the evidence of a conclusion, and how it is called."""

_SIZE = Size(width=235, height=240, columns=3)
_LOOKS = {"as good": ("good", "circle"), "worse": ("bad", "triangle-up"), "open": ("unknown", "diamond")}
"""Of each finding: which of the theme's colours, and the shape."""

_FINDINGS = {
    "as good": Text("as good", "一样好"),
    "worse": Text("worse", "更差"),
    "open": Text("open", "未定"),
}
"""Of each finding: the word."""


def frame(study: Readable) -> pl.DataFrame:
    """Three comparisons of each lower rate with the reference, in percent. Columns as `SCHEMA`.

    Rows of kind "mean": over seeds, with its 95% interval low .. high (null with one seed); "seed": one
    pair of lanes; "missing": a comparison that could not be made, `finding` says why. `finding` is else "as
    good", "worse" or "open"; harm below `margin` counts for none.
    """
    claim = next((c for one in study.conclusions() for c in one.claims if c.token == "overfits"), None)
    if claim is None or not claim.numbers["lower"]:
        return pl.DataFrame(schema=SCHEMA)
    test = claim.numbers
    relative = bool(test["relative"])
    rows = [row for lower in test["lower"] for row in _rows(lower, relative)]
    reference, seeds = format_rate(test["reference"]), int(test["seeds"])
    one_pair = Text("One pair of lanes", "一对训练线")
    several = Text("{seeds} pairs of lanes, bars: 95% intervals", "{seeds} 对训练线，竖条：95% 区间")
    note = say(
        "{finding} Validation loss above that of {reference} (square){of}. {pairs}. "
        "Tinted: too little to count.",
        "{finding}验证损失比 {reference}（方块）高多少{of}。{pairs}。着色：太小，不算数。",
        finding=claim.finding(),
        reference=reference,
        of="" if relative else Text(", as a share of what was learned", "，以所学为单位"),
        pairs=one_pair if seeds == 1 else several.format(seeds=seeds),
    )
    return (
        pl.DataFrame(rows, schema={name: SCHEMA[name] for name in SCHEMA if name in _ROW})
        .with_columns(
            margin=pl.lit(_percent(float(test["margin"]), relative)),
            reference=pl.lit(test["reference"]),
            note=pl.lit(note),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
        .sort("panel", "rate", "kind", "seed")
    )


_ROW = ("panel", "comparison", "kind", "rate", "label", "seed", "value", "low", "high", "finding")


def _rows(lower: Mapping[str, Any], relative: bool) -> list[dict[str, Any]]:
    """One lower rate in all comparisons."""
    rows: list[dict[str, Any]] = []
    for panel, (key, name) in enumerate(COMPARISONS):
        rate = float(lower["rate"])
        base = {"panel": panel, "comparison": said(name), "rate": rate, "label": format_rate(rate)}
        found = lower[key]
        if found is None:
            epochs = lower["epochs"]
            takes = Text("takes {epochs} epochs", "要 {epochs} 轮").format(epochs=epochs)
            why = said(takes) if epochs is not None else say("not reached", "没有达到")
            rows.append({**base, "kind": "missing", "finding": why})
            continue
        low, high, margin = found["low"], found["high"], found["margin"]
        as_good = high is not None and high < margin
        worse = not as_good and low is not None and low > 0
        finding = "as good" if as_good else "worse" if worse else "open"
        ends = {
            end: None if value is None else _percent(value, relative)
            for end, value in (("low", low), ("high", high))
        }
        rows.append(
            {**base, "kind": "mean", "value": _percent(found["mean"], relative), **ends, "finding": finding}
        )
        each = found["each"] if len(found["each"]) > 1 else ()
        rows += [
            {**base, "kind": "seed", "seed": seed, "value": _percent(value, relative), "finding": finding}
            for seed, value in enumerate(each)
        ]
    return rows


def _percent(value: float, relative: bool) -> float:
    """A difference of logarithms, or a share, in percent."""
    return 100 * (math.expm1(min(value, 50.0)) if relative else value)


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """A panel a comparison: percent against rate, the reference at zero, intervals over seeds."""
    why = Text(
        "Not tested: it takes validation data, a rate that trains well, and a lower one (--rates 1e-5:1:16).",
        "没有检验：需要验证数据、一个训练得好的学习率，和一个更低的（--rates 1e-5:1:16）。",
    )
    words = Words(OVERFITTING.title, OVERFITTING.question, why)
    if not frame.height:
        return nothing(theme, words)
    size = theme.fitted(_SIZE)
    facts = frame.row(0, named=True)
    x = rate_span(np.append(frame["rate"].to_numpy(), facts["reference"]))
    every = np.concatenate([frame[name].drop_nulls().to_numpy() for name in ("value", "low", "high")])
    means = frame.filter(pl.col("kind") == "mean")["value"].drop_nulls().to_numpy()
    beside_zero = np.array([0.0, facts["margin"], -facts["margin"]])
    y = span(np.append(means, beside_zero), np.append(every, beside_zero), room=4.0, log=False)
    panels = [
        _panel(panel, facts, theme, (x, y), size)
        for panel in frame.partition_by("panel", maintain_order=True)
    ]
    about = say(
        "Charts: by how many percent the validation loss of {count} lower rates is above that of "
        "{reference}: "
        "{comparisons}.",
        "图：{count} 个更低的学习率的验证损失比 {reference} 高百分之多少：{comparisons}。",
        count=frame["rate"].n_unique(),
        reference=format_rate(facts["reference"]),
        comparisons=joined((name for _, name in COMPARISONS), COMMA),
    )
    return finished(beside(panels, size.columns), theme, words._replace(about=about, note=str(facts["note"])))


def _panel(
    frame: pl.DataFrame, facts: dict[str, Any], theme: Theme, spans: tuple[Span, Span], size: Size
) -> alt.LayerChart:
    across, up = spans
    x_axis = {"values": across.ticks_of(4), "labelExpr": RATE_TICK, "title": said(RATE_LOG)}
    axis = upright(unit_label(frame["comparison"][0], "%"), up)

    def x(field: str = "rate") -> alt.X:
        return alt.X(f"{field}:Q", scale=across.scale, axis=x_axis)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=up.scale, axis=axis)

    key = {"title": None, "orient": "bottom", "direction": "horizontal"}
    findings = [said(_FINDINGS[token]) for token in _LOOKS]
    tints = {"domain": findings, "range": [getattr(theme, family) for family, _ in _LOOKS.values()]}
    signs = {"domain": findings, "range": [sign for _, sign in _LOOKS.values()]}
    colours, shapes = (
        alt.Color("finding:N", scale=tints, legend=key),
        alt.Shape("finding:N", scale=signs, legend=key),
    )
    harm = [{"low": 0.0, "high": up.clamp(facts["margin"])}]
    rows = [_clamped(row, up) for row in frame.filter(pl.col("kind") == "mean").iter_rows(named=True)]
    seeds = [_clamped(row, up) for row in frame.filter(pl.col("kind") == "seed").iter_rows(named=True)]
    missing = [
        {"rate": row["rate"], "zero": 0.0, "why": row["finding"]}
        for row in frame.filter(pl.col("kind") == "missing").iter_rows(named=True)
    ]
    own = [{"rate": facts["reference"], "zero": 0.0, "text": format_rate(facts["reference"])}]
    tooltip = [
        alt.Tooltip("label:N", title=said(RATE)),
        alt.Tooltip("value:Q", title=say("difference (%)", "差别（%）"), format="+.3~g"),
        alt.Tooltip("low:Q", title=say("from", "从"), format="+.3~g"),
        alt.Tooltip("high:Q", title=say("to", "到"), format="+.3~g"),
        alt.Tooltip("finding:N", title=say("finding", "结果")),
    ]
    ring = mark_of("point", size=24, color=theme.muted, strokeWidth=1, opacity=0.7)
    dot = mark_of("point", filled=True, size=85, stroke=theme.background, strokeWidth=1)
    layers = [
        alt.Chart(inline(harm), mark=mark_of("rect", color=theme.good, opacity=0.13)).encode(
            y=y("low"), y2="high:Q"
        ),
        alt.Chart(inline(own), mark=mark_of("rule", color=theme.text, strokeWidth=1.2)).encode(y=y("zero")),
        alt.Chart(inline(seeds), mark=ring).encode(x=x(), y=y("y")),
        alt.Chart(
            inline(row for row in rows if row["low"] is not None), mark=mark_of("rule", strokeWidth=2)
        ).encode(x=x(), y=y("low_y"), y2="high_y:Q", color=colours),
        alt.Chart(inline(rows), mark=dot).encode(
            x=x(), y=y("y"), color=colours, shape=shapes, tooltip=tooltip
        ),
        alt.Chart(
            inline(own), mark=mark_of("point", filled=True, size=60, shape="square", color=theme.text)
        ).encode(x=x(), y=y("zero")),
        *_missing(missing, across, theme, x=x(), y=y("zero"), text=alt.Text("why:N")),
    ]
    return alt.LayerChart(layer=layers, width=size.width, height=size.height)


def _missing(rows: list[dict[str, Any]], across: Span, theme: Theme, **channels: Any) -> list[alt.Chart]:
    """Why there is no point at a rate; towards the middle of the panel, so that it covers no tick."""
    layers = []
    for align, dx, left in (("left", -4, True), ("right", 4, False)):
        own = [row for row in rows if (across.part(row["rate"]) < 0.5) == left]
        place = {"align": align, "dx": dx, "baseline": "bottom", "dy": -6, "fontStyle": "italic"}
        layers += haloed(alt.Chart(inline(own)), theme, theme.muted, place, **channels) if own else []
    return layers


def _clamped(row: dict[str, Any], up: Span) -> dict[str, Any]:
    """A row with the places of its parts, inside the panel."""
    kept = {name: row[name] for name in ("rate", "label", "seed")}
    kept["finding"] = said(_FINDINGS[row["finding"]])
    numbers = {
        name: None if row[name] is None else float(f"{row[name]:.4g}") for name in ("value", "low", "high")
    }
    places = {
        f"{name}_y" if name != "value" else "y": None if row[name] is None else up.clamp(row[name])
        for name in ("value", "low", "high")
    }
    return {**kept, **numbers, **places}


OVERFITTING = Chart(
    "overfitting",
    Text("Overfitting test", "过拟合检验"),
    Text(
        "Does a lower rate do worse on new data, once it is compared fairly?",
        "公平地比，更低的学习率在新数据上更差吗？",
    ),
    frame,
    draw,
)
