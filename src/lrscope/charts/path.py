"""Paths in the plane: two tracked scalars against each other, over the loss wherever it is known."""

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.choice import chosen_lanes
from lrscope.charts.figure_frame import Words, finished, nothing
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.label_placement import name_early
from lrscope.charts.lines import Size
from lrscope.charts.names import index_label, shown
from lrscope.charts.outcomes import judged_lanes
from lrscope.charts.panels import haloed, upright
from lrscope.charts.scales import Span
from lrscope.charts.shared_strings import RATE, STEP, VERDICT, noted
from lrscope.charts.theme import Theme
from lrscope.charts.tracked import moves, tracked_paths
from lrscope.charts.verdict_style import look, looks_of, verdict_channels
from lrscope.language import Text, said, say

SCHEMA: dict[str, pl.DataType] = {
    "kind": pl.Utf8(),
    "lane": pl.Int64(),
    "rate": pl.Float64(),
    "label": pl.Utf8(),
    "verdict": pl.Utf8(),
    "step": pl.Int64(),
    "x": pl.Float64(),
    "y": pl.Float64(),
    "loss": pl.Float64(),
    "x_axis": pl.Utf8(),
    "y_axis": pl.Utf8(),
    "note": pl.Utf8(),
}

MOST_LANES = 12
MOST_STEPS = 300
"""Points of a path, at most."""

LEVELS = 14
"""Shades of the loss."""

_SIZE = Size(width=520, height=400)


def frame(study: Readable) -> pl.DataFrame:
    """Rows of kind "path" (a step of a lane at x, y) and of kind "cell" (the loss at x, y). Columns `SCHEMA`.

    The scalars are the first two that were tracked and move.
    """
    tracked = study.plan.tracked
    if len(tracked) < 2 or not study.trajectories().height:
        return pl.DataFrame(schema=SCHEMA)
    lanes, note = chosen_lanes(judged_lanes(study), MOST_LANES, study.recommendation().rate)
    known = study.note("landscape")
    lines = tracked_paths(study, lanes)
    still = [i for i, line in enumerate(lines) if not moves(line)]
    pair = sorted(range(len(tracked)), key=lambda i: (i in still, i))[:2]
    sides = [lines[i].rename({"value": name}) for i, name in zip(pair, ("x", "y"), strict=True)]
    points = (
        sides[0].join(sides[1], on=["lane", "step"]).filter(pl.col("step").is_in(_kept(study.plan.steps)))
    )
    rows = points.join(lanes.select("lane", "rate", "label", "verdict"), on="lane").with_columns(
        kind=pl.lit("path"), loss=pl.lit(None)
    )
    axes = [shown(tensor) + index_label(index) for tensor, index in (tracked[i] for i in pair)]
    cells = pl.DataFrame(schema=SCHEMA)
    if isinstance(known, dict) and pair == [0, 1]:  # the loss is known over the first two
        cells = pl.DataFrame(
            [
                {"kind": "cell", "x": x, "y": y, "loss": loss}
                for y, row in zip(known["y"], known["loss"], strict=True)
                for x, loss in zip(known["x"], row, strict=True)
            ],
            schema={name: SCHEMA[name] for name in ("kind", "x", "y", "loss")},
        )
    whole = pl.concat([cells, rows], how="diagonal_relaxed").with_columns(
        x_axis=pl.lit(axes[0]), y_axis=pl.lit(axes[1]), note=pl.lit(note)
    )
    return whole.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def _kept(steps: int) -> list[int]:
    """Every step of a short run; of a long one the first 200 and then ever wider apart."""
    if steps < MOST_STEPS:
        return list(range(steps + 1))
    late = np.geomspace(200, steps, MOST_STEPS - 200).round()
    return sorted({*range(200), *(int(step) for step in late)})


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """Lines over shades of the loss; a lane that leaves the plane ends at its rim, marked."""
    words = Words(
        PATH.title,
        PATH.question,
        Text(
            "Fewer than two weights were tracked, or no step is recorded yet: name two for a sweep, with "
            "--track or track=[...].",
            "跟踪的权重不到两个，或还没有记录任何一步：sweep 时用 --track 或 track=[...] 指定两个权重。",
        ),
    )
    paths = frame.filter(pl.col("kind") == "path").drop_nulls(["x", "y"])
    if not paths.height:
        return nothing(theme, words)
    cells = frame.filter(pl.col("kind") == "cell").drop_nulls("loss")
    size = theme.fitted(_SIZE)
    spans = [_span(cells, paths, side) for side in ("x", "y")]
    across, up = (Span(low, high, "linear") for low, high in spans)
    x_axis = {"title": str(frame["x_axis"][0]), "values": across.ticks, "labelExpr": across.tick_text}
    x = alt.X("x:Q", scale=across.scale, axis=x_axis)
    y = alt.Y("y:Q", scale=up.scale, axis=upright(str(frame["y_axis"][0]), up))
    layers = _shades(cells, spans, theme, x, y)
    rates = paths.select("rate", "label").unique().sort("rate")
    colours = dict(zip(rates["label"], theme.lane_colours(rates.height), strict=True))
    inside, ends = _inside(paths, across, up)
    name_early(ends, across, up, size.width, size.height)
    line = mark_of("line", strokeWidth=1.5, opacity=0.95, point={"size": 9, "filled": True})
    # High rates first, so that their swings do not cover the others.
    layers.append(
        alt.Chart(
            inline(inside), mark=line, transform=[alt.FlattenTransform(flatten=["step", "x", "y"])]
        ).encode(
            x=x,
            y=y,
            order="step:Q",
            detail="lane:N",
            color=alt.Color(
                "label:N", scale={"domain": list(colours), "range": list(colours.values())}, legend=None
            ),
            tooltip=[
                alt.Tooltip("label:N", title=said(RATE)),
                alt.Tooltip("step:Q", title=said(STEP)),
                alt.Tooltip("x:Q", title=str(frame["x_axis"][0]), format=".4~g"),
                alt.Tooltip("y:Q", title=str(frame["y_axis"][0]), format=".4~g"),
            ],
        )
    )
    named = alt.Chart(inline(row for row in ends if "text_y" in row))
    beside: dict[str, Any] = {"align": "left", "baseline": "middle", "dx": 9}
    at = {"x": x, "y": alt.Y("text_y:Q", scale=up.scale, axis=y["axis"]), "text": alt.Text("text:N")}
    layers += haloed(named, theme, theme.text, beside, **at)
    dot = mark_of("point", filled=True, size=110, stroke=theme.background, strokeWidth=1)
    layers.append(
        alt.Chart(inline(ends), mark=dot).encode(
            x=x,
            y=y,
            **verdict_channels(looks_of(paths["verdict"]), theme),
            tooltip=[
                alt.Tooltip("label:N", title=said(RATE)),
                alt.Tooltip("verdict:N", title=said(VERDICT)),
                alt.Tooltip("step:Q", title=said(STEP)),
            ],
        )
    )
    drawing = alt.LayerChart(layer=layers, width=size.width, height=size.height)
    # Shades, lanes and verdicts have each their own colours, and verdicts one legend of shape and colour.
    drawing.resolve = alt.Resolve(scale={"color": "independent", "shape": "independent"})
    notes = [str(frame["note"][0] or "")]
    if cells.height:
        shades = say(
            "Shades: training loss, {low} to {high}.",
            "深浅：训练损失，{low} 到 {high}。",
            low=_short(cells["loss"].min()),
            high=_short(cells["loss"].max()),
        )
        notes.append(shades)
    about = say(
        "Chart: paths of {lanes} lanes in the plane of two weights.",
        "图：{lanes} 条训练线在两个权重的平面上走过的路。",
        lanes=paths["lane"].n_unique(),
    )
    return finished(drawing, theme, words._replace(about=about, note=noted(*notes)))


def _short(value: Any) -> str:
    return f"{float(value):.2g}"


def _span(cells: pl.DataFrame, paths: pl.DataFrame, side: str) -> list[float]:
    """The plane where it is known; otherwise what lanes that come to rest need."""
    if cells.height:
        return [float(cells[side].min()), float(cells[side].max())]  # type: ignore[arg-type]
    calm = paths.filter(pl.col("verdict").is_in(["good", "too_slow", "not_started", "frozen"]))
    values = (calm if calm.height else paths)[side].to_numpy()
    low, high = float(np.min(values)), float(np.max(values))
    room = 0.15 * (high - low) or 0.5
    return [low - room, high + room]


def _shades(
    cells: pl.DataFrame, spans: list[list[float]], theme: Theme, across: alt.X, up: alt.Y
) -> list[alt.Chart]:
    """The loss in a few shades, even in its logarithm above the lowest: contours are where they meet."""
    if not cells.height:
        return []
    x, y = np.unique(cells["x"].to_numpy()), np.unique(cells["y"].to_numpy())
    half = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    loss = cells["loss"].to_numpy()
    height = np.log1p((loss - loss.min()) / max(float(np.quantile(loss - loss.min(), 0.25)), 1e-300) * 8)
    level = np.floor(LEVELS * height / max(float(height.max()), 1e-300)).clip(0, LEVELS - 1)
    rows = [
        {
            "x": max(a - half[0], spans[0][0]),
            "x2": min(a + half[0], spans[0][1]),
            "y": max(b - half[1], spans[1][0]),
            "y2": min(b + half[1], spans[1][1]),
            "level": int(one),
        }
        for a, b, one in zip(cells["x"], cells["y"], level, strict=True)
    ]
    shade = {"domain": [0, LEVELS], "range": [theme.background, _between(theme.background, theme.muted)]}
    return [
        alt.Chart(inline(rows), mark=mark_of("rect")).encode(
            x=across, x2="x2:Q", y=up, y2="y2:Q", color=alt.Color("level:Q", scale=shade, legend=None)
        )
    ]


def _between(one: str, other: str) -> str:
    """The colour half way between two, as #rrggbb."""
    pairs = [(int(one[k : k + 2], 16), int(other[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{(a + b) // 2:02x}" for a, b in pairs)


def _inside(paths: pl.DataFrame, across: Span, up: Span) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Each lane up to where it first leaves the plane, its points as arrays; and the last, its end."""
    inside: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    ordered = paths.sort("rate", "lane", "step", descending=[True, False, False])
    for lane in ordered.partition_by("lane", maintain_order=True):
        x, y = lane["x"].to_numpy(), lane["y"].to_numpy()
        out = np.flatnonzero((x < across.low) | (x > across.high) | (y < up.low) | (y > up.high))
        kept = lane.head(int(out[0]) if out.size else lane.height)
        if not kept.height:
            continue
        places = {"x": across.rounded(kept["x"].to_numpy()), "y": up.rounded(kept["y"].to_numpy())}
        line = {"lane": kept["lane"][0], "label": kept["label"][0], "step": kept["step"].to_list(), **places}
        inside.append(line)
        last = {name: value[-1] if isinstance(value, list) else value for name, value in line.items()}
        ends.append({**last, "verdict": look(kept["verdict"][0]).word})
    return inside, ends


PATH = Chart(
    "path",
    Text("Paths in the plane of two weights", "两个权重平面上的路"),
    Text(
        "Which way does each learning rate take through the loss?",
        "每个学习率在损失的地形里走哪条路？",
    ),
    frame,
    draw,
)
