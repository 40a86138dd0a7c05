"""The valley: where each rate ends, the interval of good ones, and the cliff above it."""

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.inline import inline
from lrscope.charts.looks import CALM, LOST, look, looks_of, verdict_channels
from lrscope.charts.outcomes import loss_axis, outcomes, recorded
from lrscope.charts.panels import upright
from lrscope.charts.plate import Words, finished, nothing
from lrscope.charts.scales import RATE_TICK, Span, rate_span, span
from lrscope.charts.theme import Theme
from lrscope.diagnosis.evidence import times_text
from lrscope.rates import format_rate

SCHEMA: dict[str, pl.DataType] = {
    "lane": pl.Int64(),
    "rate": pl.Float64(),
    "seed": pl.Int64(),
    "label": pl.Utf8(),
    "verdict": pl.Utf8(),
    "why": pl.Utf8(),
    "loss": pl.Float64(),
    "training": pl.Float64(),
    "axis": pl.Utf8(),
    "before": pl.Float64(),
    "recommended": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "first_failing": pl.Float64(),
}

_OBJECTIVES = {
    "final validation loss": ("val_loss", "final_val_loss"),
    "best validation loss": ("val_loss", "best_val_loss"),
    "final training loss": ("loss", "final_train_loss"),
}
"""What a recommendation compares by: the series and the column of `outcomes`."""

_WIDTH, _HEIGHT = 760, 320
_HEADROOM = 36
"""Pixels above all losses, for the arrow of the margin."""
_FOOTROOM = 14
"""Pixels below all losses, for the name of a line."""


def frame(study: Readable) -> pl.DataFrame:
    """One row a lane. Columns as `SCHEMA`.

    `loss` is what the recommendation compares by: the final or the best validation loss, or the final training loss; null
    for a lane that diverged. `training` is the final training loss beside a validation loss. `before` is the loss before training (median
    over seeds); with recommended, low, high and first_failing it is the same in every row.
    """
    advice = study.recommendation()
    name, column = _OBJECTIVES.get(advice.objective, ("loss", "final_train_loss"))
    if not recorded(study, name):
        return pl.DataFrame(schema=SCHEMA)
    before = study.scalars(name).filter(pl.col("step") == 0)["value"].median()
    ends = outcomes(study)
    return ends.select(
        "lane",
        "rate",
        "seed",
        "label",
        "verdict",
        "why",
        loss=pl.when(pl.col("stopped_step").is_null() & ~pl.col("verdict").is_in(list(LOST))).then(column),
        training=pl.lit(None) if name == "loss" else pl.col("final_train_loss"),
        axis=pl.lit(loss_axis(study, advice.objective, name)),
        before=pl.lit(before),
        recommended=pl.lit(advice.rate),
        low=pl.lit(advice.low),
        high=pl.lit(advice.high),
        first_failing=pl.lit(advice.first_failing),
    ).select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """Loss against rate: a point a lane by verdict, the median over seeds, the band of the seeds, interval and cliff."""
    words = Words(VALLEY.title, VALLEY.question, "No lane has ended an epoch yet.")
    if not frame.height or frame["loss"].null_count() == frame.height == (frame["verdict"] == "cannot_tell").sum():
        return nothing(theme, words)
    facts = frame.row(0, named=True)
    rates = frame["rate"].to_numpy()
    marked = [facts[name] for name in ("recommended", "low", "high", "first_failing") if facts[name]]
    x = rate_span(np.append(rates, marked))
    calm = frame.filter(pl.col("verdict").is_in(list(CALM)))["loss"].drop_nulls().to_numpy()
    beside = [facts["before"]] if facts["before"] is not None else []
    every = np.concatenate((frame["loss"].drop_nulls().to_numpy(), frame["training"].drop_nulls().to_numpy(), beside))
    y = span(np.append(calm, beside), every, room=4.0).with_room(above=_HEADROOM / _HEIGHT, below=_FOOTROOM / _HEIGHT)
    axes = _Axes(x, y, str(facts["axis"]))
    layers = [
        *_regions(facts, axes, theme),
        *_before(facts, axes, theme),
        *_medians(frame, axes, theme),
        *_regions_names(facts, axes, theme),
    ]
    drawing = alt.LayerChart(layer=[*layers, _lanes(frame, axes, theme)], width=_WIDTH, height=_HEIGHT)
    note = "" if frame["seed"].n_unique() == 1 else "Line: median over seeds. Band: lowest to highest seed."
    return finished(drawing, theme, words._replace(about=_about(frame, facts), note=note))


class _Axes:
    """The two axes, the same for every layer."""

    def __init__(self, rates: Span, losses: Span, title: str) -> None:
        self.rates, self.losses = rates, losses
        self.x_axis = alt.Axis(values=rates.ticks, labelExpr=RATE_TICK, title="learning rate (log)")
        self.x_scale = rates.scale
        self.y_axis = upright(title, losses, raise_by=12)
        self.y_scale = losses.scale

    def x(self, field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=self.x_scale, axis=self.x_axis)

    def y(self, field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=self.y_scale, axis=self.y_axis)


def _regions(facts: dict[str, Any], axes: _Axes, theme: Theme) -> list[alt.Chart]:
    """The recommended interval and what lies beyond the cliff, tinted over the whole height."""
    layers = []
    if facts["low"] is not None and facts["high"] is not None:
        low, high = float(facts["low"]), float(facts["high"])
        # An interval of one rate is still wide enough to see.
        low, high = (low / 1.06, high * 1.06) if high / low < 1.12 else (low, high)
        data = inline([{"low": axes.rates.clamp(low), "high": axes.rates.clamp(high)}])
        rect = alt.Chart(data).mark_rect(color=theme.good, opacity=0.13)
        layers.append(rect.encode(x=axes.x("low"), x2="high:Q"))
    if facts["first_failing"] is not None:
        data = inline([{"from": axes.rates.clamp(facts["first_failing"]), "to": axes.rates.high}])
        rect = alt.Chart(data).mark_rect(color=theme.bad, opacity=0.07)
        rule = alt.Chart(data).mark_rule(color=theme.bad, strokeDash=[5, 4], strokeWidth=1.3)
        layers += [rect.encode(x=axes.x("from"), x2="to:Q"), rule.encode(x=axes.x("from"))]
    if facts["recommended"] is not None:
        rule = alt.Chart(inline([{"rate": facts["recommended"]}])).mark_rule(color=theme.good, strokeWidth=1.8)
        layers.append(rule.encode(x=axes.x("rate")))
    return layers


def _regions_names(facts: dict[str, Any], axes: _Axes, theme: Theme) -> list[alt.Chart]:
    """Above the panel, over its rule: what is recommended, what fails first, and between them the margin."""
    rate, cliff = facts["recommended"], facts["first_failing"]
    layers = []

    def name(at: float, text: str, colour: str, align: Any, dx: float) -> alt.Chart:
        mark = alt.Chart(inline([{"at": axes.rates.clamp(at), "text": text}])).mark_text(
            align=align, baseline="bottom", dx=dx, dy=-5, color=colour, fontWeight=600, fontSize=11.5
        )
        return mark.encode(x=axes.x("at"), y=alt.value(0), text="text:N")

    gap = (axes.rates.part(cliff) - axes.rates.part(rate)) * _WIDTH if rate and cliff else 1e9
    if rate:
        near_left = axes.rates.part(rate) * _WIDTH < 110
        align, dx = ("left", -3) if near_left and gap > 260 else ("right", 3) if gap < 230 else ("center", 0)
        layers.append(name(rate, f"recommended {format_rate(rate)}", theme.good, align, dx))
    if cliff:
        layers.append(name(cliff, f"first to fail {format_rate(cliff)}", theme.bad, "left", -3))
    if rate and cliff and gap > 24:
        data = inline([{"from": rate, "to": axes.rates.clamp(cliff), "mid": (rate * cliff) ** 0.5}])
        text = f"margin ×{times_text(cliff / rate)}"
        arrow = alt.Chart(data).mark_rule(color=theme.muted, strokeWidth=1, xOffset=4, x2Offset=-4)
        layers.append(arrow.encode(x=axes.x("from"), x2="to:Q", y=alt.value(19)))
        head = alt.Chart(data).mark_point(shape="triangle-right", filled=True, size=34, color=theme.muted, xOffset=-6)
        layers.append(head.encode(x=axes.x("to"), y=alt.value(19)))
        if gap > 76:
            words = alt.Chart(data).mark_text(text=text, color=theme.muted, baseline="bottom", dy=-3)
            layers.append(words.encode(x=axes.x("mid"), y=alt.value(19)))
    return layers


def _before(facts: dict[str, Any], axes: _Axes, theme: Theme) -> list[alt.Chart]:
    """The loss before training: whatever ends above it has learned nothing."""
    before = facts["before"]
    if before is None or not axes.losses.low <= before <= axes.losses.high:
        return []
    base = alt.Chart(inline([{"before": before}]))
    rule = base.mark_rule(color=theme.muted, strokeDash=[2, 3], strokeWidth=1).encode(y=axes.y("before"))
    words = base.mark_text(
        text=["before", "training"], align="left", baseline="middle", dx=6, dy=-6, color=theme.muted, fontStyle="italic"
    ).encode(x=alt.value("width"), y=axes.y("before"))
    return [rule, words]


def _medians(frame: pl.DataFrame, axes: _Axes, theme: Theme) -> list[alt.Chart]:
    """The band of the seeds, the median over them, and the training loss as a thinner line."""
    by_rate = frame.group_by("rate").agg(
        pl.col("loss").median(),
        pl.col("training").median(),
        lowest=pl.col("loss").min(),
        highest=pl.col("loss").max(),
    )
    by_rate = by_rate.sort("rate")
    layers = []
    if frame["seed"].n_unique() > 1:
        rows = by_rate.drop_nulls("loss").select("rate", *(
            pl.col(name).map_elements(axes.losses.clamp, return_dtype=pl.Float64) for name in ("lowest", "highest")
        ))  # fmt: skip
        band = alt.Chart(inline(rows.to_dicts())).mark_area(color=theme.muted, opacity=0.18)
        layers.append(band.encode(x=axes.x("rate"), y=axes.y("lowest"), y2="highest:Q"))
    layers += _line(by_rate, "training", axes, theme.muted, 1.0)
    layers += _line(by_rate, "loss", axes, theme.text, 1.7)
    return layers + _training_name(by_rate, axes, theme)


def _training_name(by_rate: pl.DataFrame, axes: _Axes, theme: Theme) -> list[alt.Chart]:
    """Where the two lines are furthest apart, on the side away from the other."""
    rows = by_rate.drop_nulls(["training", "loss"]).to_dicts()
    rows = [row for row in rows if axes.losses.low <= row["training"] <= axes.losses.high]
    if not rows:
        return []
    row = max(rows, key=lambda row: abs(axes.losses.part(row["training"]) - axes.losses.part(row["loss"])))
    over = row["training"] > row["loss"]
    words = alt.Chart(inline([row])).mark_text(
        text="training",
        align="center",
        baseline="bottom" if over else "top",
        dy=-5 if over else 5,
        color=theme.muted,
        fontStyle="italic",
    )
    return [words.encode(x=axes.x("rate"), y=axes.y("training"))]


def _line(
    by_rate: pl.DataFrame, column: str, axes: _Axes, colour: str, width: float
) -> list[alt.Chart]:
    rows = by_rate.drop_nulls(column)
    if not rows.height:
        return []
    rates = np.log(rows["rate"].to_numpy())
    across, values = axes.losses.cut(rates, rows[column].to_numpy())
    points = [
        {"rate": rate, "loss": None if np.isnan(value) else value}
        for rate, value in zip(np.exp(across).tolist(), values.tolist(), strict=True)
    ]
    line = alt.Chart(inline(points)).mark_line(color=colour, strokeWidth=width)
    return [line.encode(x=axes.x("rate"), y=axes.y("loss"))]


def _lanes(frame: pl.DataFrame, axes: _Axes, theme: Theme) -> alt.Chart:
    """A point a lane; what has no loss, or one off the scale, stands on the upper edge."""
    rows = []
    for lane in frame.sort("rate", descending=True).iter_rows(named=True):
        loss = lane["loss"]
        rows.append(
            {
                "rate": lane["rate"],
                "label": lane["label"],
                "seed": lane["seed"],
                "verdict": look(lane["verdict"]).word,
                "why": lane["why"],
                "loss": loss,
                "training": lane["training"],
                "y": axes.losses.high if loss is None else axes.losses.clamp(loss),
            }
        )
    tooltip = [
        alt.Tooltip("label:N", title="learning rate"),
        alt.Tooltip("seed:Q", title="seed"),
        alt.Tooltip("verdict:N", title="verdict"),
        alt.Tooltip("loss:Q", title=axes.y_axis["title"], format=".4~g"),
        alt.Tooltip("training:Q", title="final training loss", format=".4~g"),
        alt.Tooltip("why:N", title="why"),
    ]
    points = alt.Chart(inline(rows)).mark_point(
        filled=True, size=95, opacity=1, stroke=theme.background, strokeWidth=1
    )
    return points.encode(
        x=axes.x("rate"),
        y=axes.y("y"),
        **verdict_channels(looks_of(frame["verdict"]), theme),
        tooltip=tooltip,
    )


def _about(frame: pl.DataFrame, facts: dict[str, Any]) -> str:
    """The picture in a sentence, for those who cannot see it."""
    about = f"Chart: {facts['axis']} against learning rate on a log axis, {frame.height} lanes."
    if facts["recommended"]:
        about += f" Recommended: {format_rate(facts['recommended'])}."
    if facts["low"] and facts["high"]:
        about += f" Interval: {format_rate(facts['low'])} to {format_rate(facts['high'])}."
    if facts["first_failing"]:
        about += f" First to fail: {format_rate(facts['first_failing'])}."
    return about


VALLEY = Chart(
    "valley", "Where each learning rate ends", "Which rates end lowest, and how far away is the cliff?", frame, draw
)
