"""Lane panel: what its layers share: the two axes, the key of colours, and how a lane is told."""

from typing import Any, NamedTuple

import altair as alt

from lrscope.charts.lines import Level, Size
from lrscope.charts.scales import Span
from lrscope.charts.shared_strings import RATE, SEED, VERDICT
from lrscope.charts.theme import Theme
from lrscope.charts.verdict_style import Look, look, verdict_channels
from lrscope.language import said, say

HOVER = "hover"
"""The selection of the lane under the pointer, in all panels."""


class Key(NamedTuple):
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


class Axes(NamedTuple):
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


def dimmed(strength: float) -> dict[str, Any]:
    """Full strength while nothing or this lane is hovered over, faint while another one is."""
    return {"condition": {"param": HOVER, "value": strength}, "value": strength * 0.12}


def whose(row: dict[str, Any]) -> dict[str, Any]:
    """Of a row what a tooltip says of its lane."""
    return {
        "lane": row["lane"],
        "label": row["label"],
        "seed": row["seed"],
        "verdict": look(row["verdict"]).word,
        "ends": float(f"{row['ends']:.4g}"),
    }


def lane_tooltip(*more: alt.Tooltip) -> list[alt.Tooltip]:
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


def only(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """Of a row what a layer draws: all else would be bytes of a page."""
    return {name: row[name] for name in names}
