"""The valley: where each rate ends, the interval of good ones, and the cliff above it."""

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.figure_frame import Words, finished, nothing
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.landmarks import Axes, before_training, names, regions
from lrscope.charts.lines import Size
from lrscope.charts.outcomes import loss_axis, outcomes, recorded
from lrscope.charts.panels import haloed
from lrscope.charts.scales import rate_span, span
from lrscope.charts.shared_strings import RATE, SEED, VERDICT, WHY
from lrscope.charts.theme import Theme
from lrscope.charts.verdict_style import CALM, LOST, look, looks_of, verdict_channels
from lrscope.diagnosis.figures import END_TRAIN_LOSS, FINAL_TRAIN_LOSS, FINAL_VAL_LOSS
from lrscope.diagnosis.objective import END_TRAINING
from lrscope.diagnosis.verdict import UNSOUND
from lrscope.language import BLANK, Text, joined, said, say
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
    "worse_from": pl.Float64(),
    "first_failing": pl.Float64(),
    "steps": pl.Int64(),
    "longest": pl.Boolean(),
}

_SHORTER = ~pl.col("longest") & ~pl.col("verdict").is_in(list(UNSOUND))
"""Lanes that are not drawn. A lane that failed early stands on the upper edge."""

_SIZE = Size(width=760, height=320)
_HEADROOM = 36
"""Pixels above all losses, for the arrow of the margin."""
_NAME = 30
"""Pixels from the middle of the name of a line to where a rule may cross."""
_FOOTROOM = 14
"""Pixels below all losses, for the name of a line."""


def frame(study: Readable) -> pl.DataFrame:
    """One row a lane. Columns as `SCHEMA`.

    `loss` is the final validation loss, or where rates are compared by the training loss, or nothing was
    validated, the smoothed training loss at the end; null for a lane that diverged, and for one that is not
    as long as the longest. `training` is the final training loss beside a validation loss. `before` is the
    loss before training (median over seeds); with recommended, low, high, worse_from and first_failing it is
    the same in every row.
    """
    advice = study.recommendation()
    validated = recorded(study, "val_loss") and advice.objective != END_TRAINING.name
    name, figure = ("val_loss", FINAL_VAL_LOSS) if validated else ("loss", END_TRAIN_LOSS)
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
        loss=pl.when(pl.col("stopped_step").is_null() & ~pl.col("verdict").is_in(list(LOST))).then(
            figure.token
        ),
        training=pl.lit(None) if name == "loss" else pl.col("final_train_loss"),
        axis=pl.lit(loss_axis(study, said(figure.name), name)),
        before=pl.lit(before),
        recommended=pl.lit(advice.rate),
        low=pl.lit(advice.low),
        high=pl.lit(advice.high),
        worse_from=pl.lit(advice.worse_from),
        first_failing=pl.lit(advice.first_failing),
        steps="steps",
        longest="longest",
    ).select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """Loss against rate.

    A point a lane by verdict, the median over seeds, the band of the seeds, interval and cliff.
    """
    words = Words(
        VALLEY.title,
        VALLEY.question,
        Text("No lane has ended an epoch with a finite loss yet.", "还没有一个运行以有限的损失走完一轮。"),
    )
    shorter = frame.filter(_SHORTER)
    frame = frame.filter(~_SHORTER)
    if not frame.height or (
        frame["loss"].is_null().all() and not frame["verdict"].is_in(list(UNSOUND)).any()
    ):
        return nothing(theme, words)
    facts = frame.row(0, named=True)
    size = theme.fitted(_SIZE)
    rates = frame["rate"].to_numpy()
    marked = [
        facts[name] for name in ("recommended", "low", "high", "worse_from", "first_failing") if facts[name]
    ]
    x = rate_span(np.append(rates, marked))
    calm = frame.filter(pl.col("verdict").is_in(list(CALM)))["loss"].drop_nulls().to_numpy()
    beside = [facts["before"]] if facts["before"] is not None else []
    every = np.concatenate(
        (frame["loss"].drop_nulls().to_numpy(), frame["training"].drop_nulls().to_numpy(), beside)
    )
    y = span(np.append(calm, beside), every, room=4.0).with_room(
        above=_HEADROOM / size.height, below=_FOOTROOM / size.height
    )
    axes = Axes(x, y, str(facts["axis"]))
    layers = [
        *regions(facts, axes, theme),
        *before_training(facts, axes, theme),
        *_medians(frame, axes, theme, size.width),
        *names(facts, axes, theme, size.width),
    ]
    drawing = alt.LayerChart(
        layer=[*layers, _lanes(frame, axes, theme)], width=size.width, height=size.height
    )
    seeds = say(
        "Line: median over seeds. Band: lowest to highest seed.",
        "线：各种子的中位数。带：最低到最高的种子。",
    )
    notes = [seeds] if frame["seed"].n_unique() > 1 else []
    if shorter.height:
        left_out = say(
            "Not shown: {lanes} lanes of {fewest} to {most} steps, too short to be compared.",
            "未画出：{lanes} 条只有 {fewest} 到 {most} 步的训练，太短，无法比较。",
            lanes=shorter.height,
            fewest=f"{shorter['steps'].to_numpy().min():,}",
            most=f"{shorter['steps'].to_numpy().max():,}",
        )
        notes.append(left_out)
    note = said(joined(notes, BLANK))
    return finished(drawing, theme, words._replace(about=_about(frame, facts), note=note))


def _medians(frame: pl.DataFrame, axes: Axes, theme: Theme, pixels: float) -> list[alt.Chart]:
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
        ends = pl.col("lowest", "highest").clip(axes.losses.low, axes.losses.high)
        rows = by_rate.drop_nulls("loss").select("rate", ends)
        band = alt.Chart(inline(rows.to_dicts())).mark_area(color=theme.muted, opacity=0.18)
        layers.append(band.encode(x=axes.x("rate"), y=axes.y("lowest"), y2="highest:Q"))
    layers += _line(by_rate, "training", axes, theme.muted, 1.0)
    layers += _line(by_rate, "loss", axes, theme.text, 1.7)
    rules = [rate for rate in (frame["recommended"][0], frame["first_failing"][0]) if rate is not None]
    return layers + _training_name(by_rate, rules, axes, theme, pixels)


def _training_name(
    by_rate: pl.DataFrame, rules: list[float], axes: Axes, theme: Theme, pixels: float
) -> list[alt.Chart]:
    """Where the two lines are furthest apart, on the side away from the other, off the rules if it can be."""
    rows = by_rate.drop_nulls(["training", "loss"]).to_dicts()
    rows = [row for row in rows if axes.losses.low <= row["training"] <= axes.losses.high]
    if not rows:
        return []

    def clear(row: dict[str, Any]) -> bool:
        places = [axes.rates.part(rate) * pixels for rate in (row["rate"], *rules)]
        beside = all(abs(place - places[0]) > _NAME for place in places[1:])
        return beside and 0.08 < axes.losses.part(row["training"]) < 0.92

    rows = [row for row in rows if clear(row)] or rows
    row = max(rows, key=lambda row: abs(axes.losses.part(row["training"]) - axes.losses.part(row["loss"])))
    over = row["training"] > row["loss"]
    side = {"baseline": "bottom", "dy": -5} if over else {"baseline": "top", "dy": 5}
    place = {"text": say("training", "训练"), "align": "center", "fontStyle": "italic", **side}
    at = {"x": axes.x("rate"), "y": axes.y("training")}
    return haloed(alt.Chart(inline([row])), theme, theme.muted, place, **at)


def _line(by_rate: pl.DataFrame, column: str, axes: Axes, colour: str, width: float) -> list[alt.Chart]:
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


def _lanes(frame: pl.DataFrame, axes: Axes, theme: Theme) -> alt.Chart:
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
                "steps": lane["steps"],
                "y": axes.losses.high if loss is None else axes.losses.clamp(loss),
            }
        )
    tooltip = [
        alt.Tooltip("label:N", title=said(RATE)),
        alt.Tooltip("seed:Q", title=said(SEED)),
        alt.Tooltip("verdict:N", title=said(VERDICT)),
        alt.Tooltip("loss:Q", title=str(frame["axis"][0]), format=".4~g"),
        alt.Tooltip("training:Q", title=said(FINAL_TRAIN_LOSS.name), format=".4~g"),
        alt.Tooltip("steps:Q", title=say("steps", "步数"), format=","),
        alt.Tooltip("why:N", title=said(WHY)),
    ]
    dot = mark_of("point", filled=True, size=95, stroke=theme.background, strokeWidth=1)
    points: alt.Chart = alt.Chart(inline(rows), mark=dot).encode(
        x=axes.x("rate"),
        y=axes.y("y"),
        **verdict_channels(looks_of(frame["verdict"]), theme),
        tooltip=tooltip,
    )
    return points


def _about(frame: pl.DataFrame, facts: dict[str, Any]) -> str:
    """The picture in a sentence, for those who cannot see it."""
    chart = Text(
        "Chart: {axis} against learning rate on a log axis, {lanes} lanes.",
        "图：{axis}随学习率（对数轴）的变化，{lanes} 条训练线。",
    )
    parts = [chart.format(axis=facts["axis"], lanes=frame.height)]
    if facts["recommended"]:
        parts.append(
            Text("Recommended: {rate}.", "推荐：{rate}。").format(rate=format_rate(facts["recommended"]))
        )
    if facts["low"] and facts["high"]:
        ends = {"low": format_rate(facts["low"]), "high": format_rate(facts["high"])}
        parts.append(Text("Interval: {low} to {high}.", "区间：{low} 到 {high}。").format(**ends))
    if facts["worse_from"]:
        worse = Text("Worse from: {rate}.", "从此变差：{rate}。")
        parts.append(worse.format(rate=format_rate(facts["worse_from"])))
    if facts["first_failing"]:
        fails = Text("Fails from: {rate}.", "从此失败：{rate}。")
        parts.append(fails.format(rate=format_rate(facts["first_failing"])))
    return said(joined(parts, BLANK))


VALLEY = Chart(
    "valley",
    Text("Where each learning rate ends", "每个学习率到了哪里"),
    Text(
        "Which rates end lowest, and how far away is the cliff?",
        "哪些学习率最后最低？离悬崖有多远？",
    ),
    frame,
    draw,
)
