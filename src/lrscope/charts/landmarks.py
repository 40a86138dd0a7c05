"""Landmarks of the valley: recommended interval, cliff, the margin between them, loss before training."""

from typing import Any

import altair as alt

from lrscope.charts.inline import inline, mark_of
from lrscope.charts.panels import upright
from lrscope.charts.scales import RATE_TICK, Span
from lrscope.charts.shared_strings import RATE_LOG
from lrscope.charts.theme import Theme
from lrscope.diagnosis.evidence import times_text
from lrscope.language import said, say
from lrscope.rates import format_rate

_FACTOR = 76.0
"""Pixels of an arrow that has room for the margin above it."""


class Axes:
    """The two axes of the valley, the same for every layer.

    Attributes:
        rates, losses: what they span.
    """

    def __init__(self, rates: Span, losses: Span, title: str) -> None:
        self.rates, self.losses = rates, losses
        self._x_axis = {"values": rates.ticks, "labelExpr": RATE_TICK, "title": said(RATE_LOG)}
        self._x_scale = rates.scale
        self._y_axis = upright(title, losses, raise_by=12)
        self._y_scale = losses.scale

    def x(self, field: str) -> alt.X:
        """The channel x of a field."""
        return alt.X(f"{field}:Q", scale=self._x_scale, axis=self._x_axis)

    def y(self, field: str) -> alt.Y:
        """The channel y of a field."""
        return alt.Y(f"{field}:Q", scale=self._y_scale, axis=self._y_axis)


def regions(facts: dict[str, Any], axes: Axes, theme: Theme) -> list[alt.Chart]:
    """The recommended interval, where rates are worse and where they fail, tinted over the whole height."""
    layers = []
    if facts["low"] is not None and facts["high"] is not None:
        low, high = float(facts["low"]), float(facts["high"])
        # An interval of one rate is still wide enough to see.
        low, high = (low / 1.06, high * 1.06) if high / low < 1.12 else (low, high)
        data = inline([{"low": axes.rates.clamp(low), "high": axes.rates.clamp(high)}])
        rect = alt.Chart(data).mark_rect(color=theme.good, opacity=0.13)
        layers.append(rect.encode(x=axes.x("low"), x2="high:Q"))
    if facts["worse_from"] is not None and facts["worse_from"] != facts["first_failing"]:
        until = facts["first_failing"] or axes.rates.high
        ends = {"from": axes.rates.clamp(facts["worse_from"]), "to": axes.rates.clamp(until)}
        rect = alt.Chart(inline([ends])).mark_rect(color=theme.risky, opacity=0.07)
        layers.append(rect.encode(x=axes.x("from"), x2="to:Q"))
    if facts["first_failing"] is not None:
        data = inline([{"from": axes.rates.clamp(facts["first_failing"]), "to": axes.rates.high}])
        rect = alt.Chart(data).mark_rect(color=theme.bad, opacity=0.07)
        rule = alt.Chart(data).mark_rule(color=theme.bad, strokeDash=[5, 4], strokeWidth=1.3)
        layers += [rect.encode(x=axes.x("from"), x2="to:Q"), rule.encode(x=axes.x("from"))]
    if facts["recommended"] is not None:
        rule = alt.Chart(inline([{"rate": facts["recommended"]}])).mark_rule(
            color=theme.good, strokeWidth=1.8
        )
        layers.append(rule.encode(x=axes.x("rate")))
    return layers


def names(facts: dict[str, Any], axes: Axes, theme: Theme, pixels: float) -> list[alt.Chart]:
    """Above the panel, over its rule: what is recommended, where rates fail, and between them the margin."""
    rate, cliff = facts["recommended"], facts["first_failing"]
    layers = []

    gap = (axes.rates.part(cliff) - axes.rates.part(rate)) * pixels if rate and cliff else 1e9
    if rate:
        near_left = axes.rates.part(rate) * pixels < 110
        align, dx = ("left", -3) if near_left and gap > 260 else ("right", 3) if gap < 230 else ("center", 0)
        words = say("recommended {rate}", "推荐 {rate}", rate=format_rate(rate))
        layers.append(_name(axes, rate, words, theme.good, align, dx))
    if cliff:
        words = say("fails from {rate}", "从 {rate} 起失败", rate=format_rate(cliff))
        # Where the arrow has no room for the factor, it stands here.
        words += f" (×{times_text(cliff / rate)})" if rate and gap <= _FACTOR else ""
        layers.append(_name(axes, cliff, words, theme.bad, "left", -3))
    worse = facts["worse_from"]
    if worse and worse != cliff:
        words = say("worse from {rate}", "从 {rate} 起变差", rate=format_rate(worse))
        layers.append(_below(axes, worse, words, theme.risky))
    return layers + (_margin(rate, cliff, axes, theme, gap) if rate and cliff and gap > 24 else [])


def _name(axes: Axes, at: float, text: str, colour: str, align: Any, dx: float) -> alt.Chart:
    """A name above the panel, over its rule."""
    place: dict[str, Any] = {"align": align, "baseline": "bottom", "dx": dx, "dy": -5}
    words = mark_of("text", color=colour, fontWeight=600, fontSize=11.5, **place)
    data = inline([{"at": axes.rates.clamp(at), "text": text}])
    named: alt.Chart = alt.Chart(data, mark=words).encode(
        x=axes.x("at"), y=alt.value(0), text=alt.Text("text:N")
    )
    return named


def _below(axes: Axes, at: float, text: str, colour: str) -> alt.Chart:
    """A name inside the panel at its lower edge, right of where its tint begins."""
    words = mark_of("text", color=colour, fontSize=11, align="left", baseline="bottom", dx=4, dy=-4)
    named: alt.Chart = alt.Chart(inline([{"at": axes.rates.clamp(at), "below": text}]), mark=words).encode(
        x=axes.x("at"), y=alt.value("height"), text=alt.Text("below:N")
    )
    return named


def _margin(rate: float, cliff: float, axes: Axes, theme: Theme, gap: float) -> list[alt.Chart]:
    """An arrow from the recommended rate to the first that fails, `gap` pixels, with the factor over it."""
    data = alt.Chart(inline([{"from": rate, "to": axes.rates.clamp(cliff), "mid": (rate * cliff) ** 0.5}]))
    level = alt.value(19)
    shaft = data.mark_rule(color=theme.muted, strokeWidth=1, xOffset=4, x2Offset=-4)
    head = data.mark_point(shape="triangle-right", filled=True, size=34, color=theme.muted, xOffset=-6)
    layers = [
        shaft.encode(x=axes.x("from"), x2="to:Q", y=level),
        head.encode(x=axes.x("to"), y=level),
    ]
    if gap > _FACTOR:
        text = say("margin ×{factor}", "余量 ×{factor}", factor=times_text(cliff / rate))
        words = data.mark_text(text=text, color=theme.muted, baseline="bottom", dy=-3)
        layers.append(words.encode(x=axes.x("mid"), y=level))
    return layers


def before_training(facts: dict[str, Any], axes: Axes, theme: Theme) -> list[alt.Chart]:
    """The loss before training: whatever ends above it has learned nothing."""
    before = facts["before"]
    if before is None or not axes.losses.low <= before <= axes.losses.high:
        return []
    base = alt.Chart(inline([{"before": before}]))
    rule = base.mark_rule(color=theme.muted, strokeDash=[2, 3], strokeWidth=1).encode(y=axes.y("before"))
    words = base.mark_text(
        text=[say("before", "训练"), say("training", "之前")],
        align="left",
        baseline="middle",
        dx=6,
        dy=-6,
        color=theme.muted,
        fontStyle="italic",
    ).encode(x=alt.value("width"), y=axes.y("before"))
    return [rule, words]
