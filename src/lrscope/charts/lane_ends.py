"""Lane ends: where each lane of a panel ends, with the mark of its verdict and its name beside it."""

from typing import Any

import altair as alt
import polars as pl

from lrscope.charts.inline import inline, mark_of
from lrscope.charts.label_placement import name_early, name_right
from lrscope.charts.lane_panel import Axes, Key, dimmed, lane_tooltip, only, whose
from lrscope.charts.lines import Size
from lrscope.charts.panels import haloed
from lrscope.charts.shared_strings import WHY
from lrscope.charts.verdict_style import look
from lrscope.language import said

LEADING = pl.col("kind") == pl.col("kind").min().over("lane")
"""The line of a lane that its mark belongs to: "mean" sorts before "raw"."""


def lane_ends(frame: pl.DataFrame, axes: Axes, size: Size) -> list[dict[str, Any]]:
    """Where each lane ends, inside the panel, and where its label goes.

    Right of the panel, or beside its end.
    """
    # A noisy lane ends where its mean ends, at the step of its last raw point, or where its mean is cut.
    ends = frame.filter(LEADING).group_by("lane", maintain_order=True).last()
    cut = pl.col("step") < pl.col("own_last")
    ends = ends.with_columns(step=pl.when(cut).then("step").otherwise("lane_last"))
    x, y = axes.x, axes.y
    rows = []
    for end in ends.iter_rows(named=True):
        place = {"rate": end["rate"], "x": end["step"], "y": y.clamp(end["value"])}
        early = x.part(end["step"]) < 0.985
        rows.append(whose(end) | place | {"why": end["why"], "early": early})
    name_right([row for row in rows if not row["early"]], y, size.height)
    name_early([row for row in rows if row["early"]], x, y, size.width, size.height)
    # The good ones lie on top.
    return sorted(rows, key=lambda row: bool(row["verdict"] == look("good").word))


def end_marks(ends: list[dict[str, Any]], axes: Axes, key: Key) -> list[alt.Chart]:
    """At the end of each lane the mark of its verdict, and names: beside early ends, else at the edge."""
    theme = key.theme
    faint = alt.OpacityValue(**dimmed(1.0))
    text = alt.Text("text:N")
    words: dict[str, Any] = {"align": "left", "baseline": "middle"}
    right = inline(only(row, "label", "y", "label_y", "text") for row in ends if "label_y" in row)
    leader = alt.Chart(right, mark=mark_of("rule", xOffset=7, x2Offset=17, strokeWidth=1.4))
    name = alt.Chart(right, mark=mark_of("text", **words, dx=21, color=theme.text))
    edge: dict[str, Any] = {"x": alt.value("width"), "x2": alt.value("width")}
    early = alt.Chart(inline(only(row, "label", "x", "text_y", "text") for row in ends if "text_y" in row))
    whole = ("lane", "label", "seed", "verdict", "why", "ends", "x", "y")
    halo: dict[str, Any] = {"stroke": theme.background, "strokeWidth": 0.8}
    point = mark_of("point", filled=True, size=70, **halo)
    mark = alt.Chart(inline(only(row, *whole) for row in ends), mark=point)
    tooltip = lane_tooltip(alt.Tooltip("why:N", title=said(WHY)))
    return [
        leader.encode(**edge, y=axes.up("y"), y2="label_y:Q", stroke=key.stroke, opacity=faint),
        name.encode(x=edge["x"], y=axes.up("label_y"), text=text, opacity=faint),
        *haloed(early, theme, theme.text, {**words, "dx": 8}, **axes.at("text_y"), text=text, opacity=faint),
        mark.encode(**axes.at(), **key.verdicts, opacity=faint, tooltip=tooltip),
    ]
