"""Lines of lanes over steps, in one panel or several: what loss curves, trajectories, norms and ratios share.

A frame of lines has one row a point. Columns: panel (rising from 0), panel_title, axis (the title of the y axis), lane, rate,
label, seed, verdict, why, kind ("raw", or "mean" where the raw line is noise around it), step, value, note. A lane
that stopped has no row after its last finite value.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lrscope.charts.envelope import bins_of, envelope, points_per_line
from lrscope.charts.inline import inline
from lrscope.charts.looks import CALM, LOOKS, look
from lrscope.charts.places import apart, labelled
from lrscope.charts.scales import NUMBER_TICK, Span, span
from lrscope.charts.theme import Theme

SCHEMA: dict[str, pl.DataType] = {
    "panel": pl.Int64(),
    "panel_title": pl.Utf8(),
    "axis": pl.Utf8(),
    "lane": pl.Int64(),
    "rate": pl.Float64(),
    "label": pl.Utf8(),
    "seed": pl.Int64(),
    "verdict": pl.Utf8(),
    "why": pl.Utf8(),
    "kind": pl.Utf8(),
    "step": pl.Float64(),
    "value": pl.Float64(),
    "note": pl.Utf8(),
}

_MEAN_POINTS = 60
_LABEL_GAP = 13.0
_MOST_LABELS = 17


class Size(NamedTuple):
    """The plotting area of one panel, in pixels, and how many panels stand side by side."""

    width: int
    height: int
    columns: int = 1


def line_frame(
    points: pl.DataFrame, lanes: pl.DataFrame, *, note: str = "", noisy: bool = False
) -> pl.DataFrame:
    """Reduce points to what can be seen, keeping every spike, and say of each whose it is.

    Args:
        points: columns panel, panel_title, axis, lane, step, value; value null or not finite where a lane broke.
        lanes: as `outcomes.judged_lanes`; lanes that are not in it are left out.
        note: what the whole picture has to say, in every row.
        noisy: whether values are noise around a mean (mini-batches); then a mean line is added to a long raw one.
    """
    points = points.filter(pl.col("lane").is_in(lanes["lane"].implode())).sort("panel", "lane", "step")
    groups = list(_groups(points))
    raw_points = points_per_line(len(groups)) - (_MEAN_POINTS if noisy else 0)
    raw_points = max(raw_points, points_per_line(len(groups)) // 2)
    parts: list[tuple[int, str, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]] = []
    for start, steps, values in groups:
        kept = envelope(steps, values, raw_points)
        parts.append((start, "raw", kept, steps[kept].astype(np.float64), values[kept]))
        finite = int(kept[-1]) + 1 if kept.size else 0
        if noisy and finite > _MEAN_POINTS:
            middle, mean = _means(steps[:finite], values[:finite])
            parts.append((start, "mean", kept[: len(middle)], middle, mean))
    if not parts:
        return pl.DataFrame(schema=SCHEMA)
    sizes = [len(part[3]) for part in parts]
    whose = points.select("panel", "panel_title", "axis", "lane")[
        np.repeat([part[0] for part in parts], sizes)
    ]
    return (
        whose.with_columns(
            kind=pl.Series(np.repeat([part[1] for part in parts], sizes), dtype=pl.Utf8),
            step=pl.Series(np.concatenate([part[3] for part in parts])),
            value=pl.Series(np.concatenate([part[4] for part in parts])),
            note=pl.lit(note),
        )
        .join(lanes.select("lane", "rate", "label", "seed", "verdict", "why"), on="lane", how="left")
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    )


def _groups(points: pl.DataFrame) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """Start row, steps and values of each line of sorted points."""
    if not points.height:
        return
    keys = points.select("panel", "lane").to_numpy()
    starts = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(1)])
    steps = points["step"].cast(pl.Int64).to_numpy()
    values = points["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    for start, end in zip(starts, np.r_[starts[1:], len(keys)], strict=True):
        yield int(start), steps[start:end], values[start:end]


def _means(
    steps: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean step and the mean value of each of some 60 bins."""
    bin_of = bins_of(steps, _MEAN_POINTS)
    counts = np.bincount(bin_of)
    used = counts > 0
    # Sums of float32-sized losses cannot overflow float64; those of a diverging float64 lane can: that is infinite, and cut.
    with np.errstate(over="ignore"):
        means = np.bincount(bin_of, weights=values)[used] / counts[used]
    middles = np.bincount(bin_of, weights=steps.astype(np.float64))[used] / counts[used]
    finite = np.isfinite(means)
    return middles[finite], means[finite]


def draw_lines(
    frame: pl.DataFrame,
    theme: Theme,
    *,
    size: Size,
    step_title: str,
    room: float = 10.0,
    log: bool | None = None,
) -> list[alt.LayerChart]:
    """One layered chart a panel, lanes coloured by rate, each labelled at its end; hovering a lane dims the others."""
    rates = frame.select("rate", "label").unique().sort("rate")
    colours = dict(zip(rates["label"], theme.lane_colours(rates.height), strict=True))
    verdicts = [name for name in LOOKS if name in set(frame["verdict"])]
    verdicts += sorted(set(frame["verdict"]) - set(verdicts))
    panels = frame.partition_by("panel", maintain_order=True)
    last = len(panels) - 1
    return [
        _panel(panel, theme, colours, verdicts if i == last else [], size, step_title, room, log)
        for i, panel in enumerate(panels)
    ]


def _panel(
    frame: pl.DataFrame,
    theme: Theme,
    colours: dict[str, str],
    legend: list[str],
    size: Size,
    step_title: str,
    room: float,
    log: bool | None,
) -> alt.LayerChart:
    # Data order is drawing order: high rates first, or their noise covers everything.
    frame = frame.sort("rate", "lane", "kind", "step", descending=[True, False, False, False])
    calm = frame.filter(pl.col("verdict").is_in(list(CALM)))["value"].to_numpy()
    y = span(calm, frame["value"].to_numpy(), room=room, log=log)
    first, last = float(frame["step"].min() or 0), float(frame["step"].max() or 1)  # type: ignore[arg-type]
    if last <= first:
        last = first + 1
    x = Span(first, last, "linear")
    hover = alt.selection_point(name="hover", fields=["label"], on="pointerover", clear="pointerout")
    x_axis = alt.X("x:Q").title(step_title).scale(domain=[first, last], nice=False, zero=False)
    x_axis = x_axis.axis(format="~s", tickCount=6)
    y_title = alt.Y("y:Q").title(str(frame["axis"][0])).scale(y.scale)
    y_axis = y_title.axis(
        values=y.ticks,
        labelExpr=NUMBER_TICK,
        titleAngle=0,
        titleAlign="left",
        titleAnchor="end",
        titleX=-34,
        titleY=-9,
    )
    lane_colour = alt.Color("label:N").scale(domain=list(colours), range=list(colours.values())).legend(None)

    lines = alt.Chart(inline(_packed(frame, x, y))).transform_flatten(["x", "y"])
    both = frame["kind"].n_unique() > 1
    strengths = {"raw": (1.0, 0.3 if frame["lane"].n_unique() <= 8 else 0.2) if both else (1.3, 0.95), "mean": (1.9, 1.0)}
    layers: list[Any] = []
    for kind in ("raw", "mean") if both else ("raw",):
        width, opacity = strengths[kind]
        layers.append(
            lines.transform_filter(alt.FieldEqualPredicate(field="kind", equal=kind))
            .mark_line(strokeWidth=width, strokeJoin="round")
            .encode(
                x=x_axis,
                y=y_axis,
                detail=["lane:N"],
                color=lane_colour,
                strokeOpacity=alt.when(hover).then(alt.value(opacity)).otherwise(alt.value(opacity * 0.12)),
            )
        )
    layers.append(_hit_area(lines, "mean" if both else "raw", hover, x_axis, y_axis))
    ends = _ends(frame, x, y, size)
    of_lanes, of_verdicts = _end_marks(ends, theme, lane_colour, x_axis, y_axis, hover, legend)
    drawing = alt.layer(alt.layer(*layers, *of_lanes), alt.layer(*of_verdicts))
    drawing = drawing.resolve_scale(color="independent", shape="independent")
    return drawing.properties(width=size.width, height=size.height)


def _packed(frame: pl.DataFrame, x: Span, y: Span) -> list[dict[str, Any]]:
    """One row a line, its points as two arrays: a third of the bytes of one row a point."""
    whose = ("lane", "label", "seed", "verdict", "why", "kind")
    rows = []
    for line in frame.partition_by("lane", "kind", maintain_order=True):
        values = line["value"].to_numpy()
        row = {name: line[name][0] for name in whose}
        row |= {"word": look(row.pop("verdict")).word, "ends": float(f"{values[-1]:.4g}")}
        steps, inside = y.cut(line["step"].to_numpy(), values)
        rows.append(row | {"x": x.rounded(steps), "y": y.rounded(inside)})
    return rows


def _tooltip() -> list[alt.Tooltip]:
    """Always listed field by field: a tooltip of "all data" would fetch an image for a column called image."""
    return [
        alt.Tooltip("label:N", title="learning rate"),
        alt.Tooltip("seed:Q", title="seed"),
        alt.Tooltip("word:N", title="verdict"),
        alt.Tooltip("ends:Q", title="ends at", format=".4~g"),
        alt.Tooltip("why:N", title="why"),
    ]


def _hit_area(lines: alt.Chart, kind: str, hover: alt.Parameter, x_axis: alt.X, y_axis: alt.Y) -> alt.Chart:
    """The same lines, wide and unseen: a line of one pixel cannot be hit with a mouse."""
    return (
        lines.transform_filter(alt.FieldEqualPredicate(field="kind", equal=kind))
        .mark_line(strokeWidth=9, strokeOpacity=0)
        .encode(x=x_axis, y=y_axis, detail=["lane:N", "label:N"], tooltip=_tooltip())
        .add_params(hover)
    )


def _ends(frame: pl.DataFrame, x: Span, y: Span, size: Size) -> list[dict[str, Any]]:
    """Where each lane ends, inside the panel, and where its label goes: right of the panel, or beside its end."""
    # "mean" sorts before "raw": a noisy lane ends where its mean ends, at the step of its last raw point.
    ends = frame.group_by("lane", maintain_order=True).agg(
        pl.all().exclude("lane", "step", "value").first(),
        pl.col("step").last(),
        pl.col("value").filter(pl.col("kind") == pl.col("kind").first()).last(),
    )
    rows = []
    for end in ends.iter_rows(named=True):
        inside = y.low <= end["value"] <= y.high
        rows.append(
            {
                "lane": end["lane"],
                "rate": end["rate"],
                "label": end["label"],
                "seed": end["seed"],
                "verdict": look(end["verdict"]).word,
                "word": look(end["verdict"]).word,
                "why": end["why"],
                "ends": float(f"{end['value']:.4g}"),
                "x": end["step"],
                "y": y.clamp(end["value"]),
                "early": x.part(end["step"]) < 0.985,
                "shape": look(end["verdict"]).shape,
                "family": look(end["verdict"]).family,
                "inside": inside,
            }
        )
    _label_right([row for row in rows if not row["early"]], y, size)
    _label_early([row for row in rows if row["early"]], x, y, size)
    return rows


def _label_right(rows: list[dict[str, Any]], y: Span, size: Size) -> None:
    """One label a rate at the right edge, moved apart; the best spaced of them where there is no room for all."""
    by_rate: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_rate.setdefault(row["label"], []).append(row)
    for name, group in list(by_rate.items()):
        group.sort(key=lambda row: row["y"])
        by_rate[name] = [group[len(group) // 2]]
    middles = sorted((group[0] for group in by_rate.values()), key=lambda row: row["rate"])
    chosen = [middles[i] for i in labelled(len(middles), min(size.height, _MOST_LABELS * _LABEL_GAP), _LABEL_GAP)] if middles else []
    heights = [y.part(row["y"]) * size.height for row in chosen]
    for row, place in zip(chosen, apart(heights, _LABEL_GAP, 0, size.height), strict=True):
        row["text"], row["label_y"] = row["label"], y.at(place / size.height)


def _label_early(rows: list[dict[str, Any]], x: Span, y: Span, size: Size) -> None:
    """Lanes that end early are named beside their mark; those whose marks touch share one label."""
    taken: list[tuple[float, float, dict[str, Any]]] = []
    for row in sorted(rows, key=lambda row: (-row["y"], row["x"])):
        at = (x.part(row["x"]) * size.width, y.part(row["y"]) * size.height)
        for left, height, other in taken:
            if abs(height - at[1]) < _LABEL_GAP and abs(left - at[0]) < 12 + 7 * len(other["text"]):
                names = other["text"].split(", ")
                if row["label"] not in names and len(names) < 3:
                    other["text"] += f", {row['label']}"
                elif row["label"] not in names and not names[-1].endswith("…"):
                    other["text"] += " …"
                break
        else:
            row["text"] = row["label"]
            taken.append((*at, row))


def _end_marks(
    ends: list[dict[str, Any]],
    theme: Theme,
    lane_colour: alt.Color,
    x_axis: alt.X,
    y_axis: alt.Y,
    hover: alt.Parameter,
    legend: list[str],
) -> tuple[list[Any], list[Any]]:
    """What is drawn over the lines: layers in the colours of lanes, and layers in those of verdicts."""
    base = alt.Chart(inline(ends))
    present = {row["verdict"]: (row["shape"], row["family"]) for row in ends}
    words = [look(name).word for name in legend] or sorted(present)
    looks = {look(name).word: look(name) for name in (*legend, *LOOKS)}
    shapes = [looks[word].shape if word in looks else present[word][0] for word in words]
    tints = [str(getattr(theme, looks[word].family if word in looks else present[word][1])) for word in words]
    key = alt.Legend(title=None, orient="bottom", direction="horizontal", columns=6) if legend else None
    opacity = alt.when(hover).then(alt.value(1)).otherwise(alt.value(0.15))
    marks = base.mark_point(filled=True, size=70, opacity=1, stroke=theme.background, strokeWidth=0.8).encode(
        x=x_axis,
        y=y_axis,
        shape=alt.Shape("verdict:N").scale(domain=words, range=shapes).legend(key),
        color=alt.Color("verdict:N").scale(domain=words, range=tints).legend(key),
        opacity=opacity,
        tooltip=_tooltip(),
    )
    right = base.transform_filter("isValid(datum.label_y)")
    leader = right.mark_rule(xOffset=7, x2Offset=17, strokeWidth=1.4).encode(
        x=alt.value("width"), x2=alt.value("width"), y=y_axis, y2="label_y:Q", color=lane_colour, opacity=opacity
    )
    names = right.mark_text(align="left", baseline="middle", dx=21, color=theme.text).encode(
        x=alt.value("width"), y=alt.Y("label_y:Q"), text="text:N", opacity=opacity
    )
    early = base.transform_filter("datum.early && isValid(datum.text)").encode(
        x=x_axis, y=y_axis, text="text:N", opacity=opacity
    )
    place = {"align": "left", "baseline": "middle", "dx": 8}
    halo = early.mark_text(**place, color=theme.background, stroke=theme.background, strokeWidth=4)
    return [leader, names], [halo, early.mark_text(**place, color=theme.text), marks]
