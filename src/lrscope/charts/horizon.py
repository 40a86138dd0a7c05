"""Best rate against budget: which rate would have been best, had all lanes ended earlier.

A lane at a constant rate, cut at a step, is the shorter run. Where the best rate falls as runs grow longer,
a longer run than this study wants a lower rate than this study recommends.
"""

import math
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.best_rates import MEAN_TRAIN_LOSS, best_of, training_at_horizons, validation_at_horizons
from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.figure_frame import Words, finished, nothing
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.lines import Size
from lrscope.charts.names import rate_labels
from lrscope.charts.outcomes import recorded
from lrscope.charts.panels import haloed, upright
from lrscope.charts.scales import RATE_TICK, STEP_TICK, Span, rate_span
from lrscope.charts.shared_strings import SEED
from lrscope.charts.theme import Theme
from lrscope.diagnosis.objective import END_TRAINING, FINAL_VALIDATION
from lrscope.language import BLANK, Text, joined, said, say
from lrscope.plan import DEFAULT_RATES

SCHEMA: dict[str, pl.DataType] = {
    "kind": pl.Utf8(),
    "steps": pl.Int64(),
    "seed": pl.Int64(),
    "rate": pl.Float64(),
    "label": pl.Utf8(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "value": pl.Float64(),
    "objective": pl.Utf8(),
    "slope": pl.Float64(),
    "note": pl.Utf8(),
}

_SIZE = Size(width=560, height=280)


def frame(study: Readable) -> pl.DataFrame:
    """The best rate of runs of several lengths. Columns as `SCHEMA`.

    Rows of kind "best": the rate with the lowest mean over seeds after so many steps, and in low .. high the
    rates beside it that are as good: that miss at most `Thresholds.regret` of what the best one learned. Of
    kind "seed": the best rate of each seed alone, where there are several. Of kind "fit": the best between
    the tested rates, as the recommendation has it, with its `slope` of log rate over log steps.
    """
    advice = study.recommendation()
    if recorded(study, "val_loss") and advice.objective != END_TRAINING.name:
        objective = FINAL_VALIDATION.name
        values, start = validation_at_horizons(study)
    else:
        objective = MEAN_TRAIN_LOSS
        values, start = training_at_horizons(study)
    rates = values["rate"].unique().sort()
    if not values.height or len(rates) < 2:
        return pl.DataFrame(schema=SCHEMA)
    rows = []
    for (steps,), lanes in values.sort("steps").group_by("steps", maintain_order=True):
        # A rate of which a seed broke is not the best; one that has lanes of fewer seeds is no equal.
        whole = lanes.group_by("rate").agg(
            pl.col("value").mean(), pl.len(), sound=pl.col("value").is_not_null().all()
        )
        whole = whole.filter(pl.col("sound") & (pl.col("len") == pl.col("len").max())).sort("rate")
        best = best_of(whole["rate"].to_list(), whole["value"].to_list(), start)
        if best is None:
            continue
        rows.append({"kind": "best", "steps": steps, **best})
        seeds = lanes.drop_nulls("value").partition_by("seed", as_dict=True)
        for (seed,), own in seeds.items() if len(seeds) > 1 else ():
            alone = best_of(own["rate"].to_list(), own["value"].to_list(), start)
            rows += [{"kind": "seed", "steps": steps, "seed": seed, **alone}] if alone else []
    if not rows:
        return pl.DataFrame(schema=SCHEMA)
    # The recommendation knows the best rate between the tested ones; None where that says nothing.
    told = getattr(advice, "horizon", None)
    slope = None if told is None else float(told.slope)
    if told is not None:
        pairs = zip(told.steps, told.rates, strict=True)
        rows += [{"kind": "fit", "steps": steps, "rate": rate} for steps, rate in pairs]
    found = pl.DataFrame(rows, schema={name: SCHEMA[name] for name in SCHEMA if name in _ROW})
    labels = rate_labels(study.plan.rates)
    return found.with_columns(
        label=pl.col("rate").replace_strict(labels, default="", return_dtype=pl.Utf8()),
        objective=pl.lit(said(objective)),
        slope=pl.lit(slope),
        note=pl.lit(_note(found, study)),
    ).select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


_ROW = ("kind", "steps", "seed", "rate", "low", "high", "value")


def _note(found: pl.DataFrame, study: Readable) -> str:
    notes = [Text("Bars: rates as good.", "竖条：同样好的学习率。")]
    if (found["kind"] == "fit").any():
        notes.append(
            Text(
                "Dashed: fitted to the best between the tested rates (squares).",
                "虚线：对试过的学习率之间的最好值（方块）的拟合。",
            )
        )
    if (found["kind"] == "seed").any():
        notes.append(Text("Small circles: each seed alone.", "小圈：单个种子。"))
    best = found.filter(pl.col("kind") == "best")["rate"]
    if best.is_in([min(study.plan.rates), max(study.plan.rates)]).any():
        notes.append(
            Text(
                "Some are the lowest or the highest rate tested: the best may lie beyond.",
                "有的是试过的最低或最高的学习率：最好的可能在外面。",
            )
        )
    if study.plan.schedule:
        cut = Text(
            "Cut short, a schedule ({schedule}) is not that of a shorter run: take it as a hint.",
            "学习率计划（{schedule}）截短之后，并不是短训练的计划：只作参考。",
        )
        notes.append(cut.format(schedule=study.plan.schedule))
    return said(joined(notes, BLANK))


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """Best rate over steps on log axes, the rates as good as bars, each seed's best, and the fitted line."""
    why = Text(
        "Fewer than two rates have learned anything: this chart compares rates.",
        "学到东西的学习率还不到两个：这张图要比较学习率。",
    )
    words = Words(HORIZON.title, HORIZON.question, why)
    if not frame.height:
        return nothing(theme, words)
    size = theme.fitted(_SIZE)
    y = rate_span(np.concatenate([frame[name].drop_nulls().to_numpy() for name in ("rate", "low", "high")]))
    y = y.with_room(above=0.12, below=0.06)
    steps = np.unique(frame["steps"].to_numpy()).astype(float)
    across = Span(float(steps[0]) / 1.25, float(steps[-1]) * 1.25, "log")
    x_axis = {
        "values": steps.tolist(),
        "labelExpr": STEP_TICK,
        "labelOverlap": "greedy",
        "labelSeparation": 4,
        "title": say("length of the run, optimiser steps (log)", "训练长度，步数（对数）"),
    }
    x = alt.X("steps:Q", scale=across.scale, axis=x_axis)
    axis = {**upright(say("best learning rate (log)", "最好的学习率（对数）"), y), "labelExpr": RATE_TICK}

    def up(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=y.scale, axis=axis)

    best = frame.filter(pl.col("kind") == "best").sort("steps")
    objective = str(frame["objective"][0])
    rows = [
        {
            "steps": row["steps"],
            "rate": row["rate"],
            "label": row["label"],
            # A bar for one rate alone is still long enough to see.
            "low": row["low"] / 1.04,
            "high": row["high"] * 1.04,
            "value": float(f"{row['value']:.4g}"),
        }
        for row in best.iter_rows(named=True)
    ]
    tooltip = [
        alt.Tooltip("steps:Q", title=say("steps", "步数")),
        alt.Tooltip("label:N", title=say("best rate", "最好的学习率")),
        alt.Tooltip("value:Q", title=objective, format=".4~g"),
    ]
    bar = mark_of("rule", color=theme.good, strokeWidth=9, opacity=0.25, strokeCap="round")
    dot = mark_of("point", filled=True, size=80, color=theme.good, stroke=theme.background, strokeWidth=1)
    beside = {"align": "left", "baseline": "middle", "dx": 10, "fontWeight": 600}
    last: dict[str, Any] = {"x": x, "y": up("rate")}
    layers = [
        alt.Chart(inline(rows), mark=bar).encode(x=x, y=up("low"), y2="high:Q"),
        *_seeds(frame, theme, x, up),
        alt.Chart(inline(rows), mark=mark_of("line", color=theme.text, strokeWidth=1.3)).encode(
            x=x, y=up("rate")
        ),
        *_fit(frame, theme, x, up),
        alt.Chart(inline(rows), mark=dot).encode(x=x, y=up("rate"), tooltip=tooltip),
        *haloed(alt.Chart(inline(rows[-1:])), theme, theme.text, beside, **last, text=alt.Text("label:N")),
    ]
    drawing = alt.LayerChart(layer=layers, width=size.width, height=size.height)
    about = say(
        "Chart on log axes: the best learning rate by {objective} for runs of {count} lengths, "
        "{shortest} to {longest} steps: {first} to {last}.",
        "对数轴图：按{objective}，{count} 种训练长度（{shortest} 到 {longest} 步）的最好学习率："
        "{first} 到 {last}。",
        objective=objective,
        count=best.height,
        shortest=best["steps"][0],
        longest=best["steps"][-1],
        first=best["label"][0],
        last=best["label"][-1],
    )
    return finished(drawing, theme, words._replace(about=about, note=str(frame["note"][0])))


def _seeds(frame: pl.DataFrame, theme: Theme, x: alt.X, up: Any) -> list[alt.Chart]:
    rows = frame.filter(pl.col("kind") == "seed").select("steps", "rate", "label", "seed")
    if not rows.height:
        return []
    tooltip = [
        alt.Tooltip("steps:Q", title=say("steps", "步数")),
        alt.Tooltip("label:N", title=say("best rate", "最好的学习率")),
        alt.Tooltip("seed:Q", title=said(SEED)),
    ]
    ring = mark_of("point", size=28, color=theme.muted, strokeWidth=1, opacity=0.8)
    return [alt.Chart(inline(rows.to_dicts()), mark=ring).encode(x=x, y=up("rate"), tooltip=tooltip)]


def _fit(frame: pl.DataFrame, theme: Theme, x: alt.X, up: Any) -> list[alt.Chart]:
    """The best between the tested rates at the longest horizons, and the line fitted to it."""
    points = frame.filter(pl.col("kind") == "fit").sort("steps").select("steps", "rate")
    slope = frame["slope"][0]
    if slope is None or not points.height:
        return []
    middle = np.log(points["steps"].to_numpy()).mean(), np.log(points["rate"].to_numpy()).mean()
    ends = [int(points["steps"][0]), int(points["steps"][-1])]
    rows = [{"steps": end, "rate": math.exp(middle[1] + slope * (math.log(end) - middle[0]))} for end in ends]
    square = mark_of("point", shape="square", size=45, color=theme.muted, strokeWidth=1.3)
    line = mark_of("line", color=theme.muted, strokeDash=[5, 4], strokeWidth=1.4)
    slope = 0.0 if abs(slope) < 0.005 else slope
    place = {
        "text": say("slope {slope}", "斜率 {slope}", slope=f"{slope:.2g}"),
        "align": "right",
        "baseline": "top",
        "fontStyle": "italic",
    }
    corner: dict[str, Any] = {"x": alt.value("width"), "y": alt.value(2)}
    return [
        alt.Chart(inline(rows), mark=line).encode(x=x, y=up("rate")),
        alt.Chart(inline(points.to_dicts()), mark=square).encode(x=x, y=up("rate")),
        *haloed(alt.Chart(inline([{}])), theme, theme.muted, place, **corner),
    ]


HORIZON = Chart(
    "horizon",
    Text("Best rate against budget", "最好的学习率随训练长度的变化"),
    Text("Does the best rate change as runs grow longer?", "训练更长时，最好的学习率会变吗？"),
    frame,
    draw,
    option=f"--rates {DEFAULT_RATES}",
)
