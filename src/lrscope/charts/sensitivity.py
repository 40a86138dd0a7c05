"""Learning-rate sensitivity: how much worse training ends when the rate is a factor off the best one.

Source: M. Wortsman et al., Small-scale proxies for large-scale Transformer training instabilities, arXiv
2309.14322, section 2.2.
"""

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.lines import Size
from lrscope.charts.looks import look, looks_of, verdict_channels
from lrscope.charts.names import loss_unit, unit_label
from lrscope.charts.outcomes import outcomes, recorded, unit_of
from lrscope.charts.panels import haloed, upright
from lrscope.charts.plate import Words, finished, nothing
from lrscope.charts.scales import RATE_TICK, Span, rate_span
from lrscope.charts.terms import RATE, SEED, VERDICT, WHY
from lrscope.charts.theme import Theme
from lrscope.diagnosis.curve import Floats
from lrscope.diagnosis.figures import END_TRAIN_LOSS, FINAL_VAL_LOSS
from lrscope.diagnosis.objective import END_TRAINING
from lrscope.language import Text, said, say
from lrscope.rates import format_rate

SCHEMA: dict[str, pl.DataType] = {
    "lane": pl.Int64(),
    "rate": pl.Float64(),
    "seed": pl.Int64(),
    "label": pl.Utf8(),
    "verdict": pl.Utf8(),
    "why": pl.Utf8(),
    "factor": pl.Float64(),
    "excess": pl.Float64(),
    "mean_excess": pl.Float64(),
    "learned": pl.Float64(),
    "sensitivity": pl.Float64(),
    "axis": pl.Utf8(),
}

_SIZE = Size(width=760, height=280)
_FACTOR_TICK = f"'×' + ({RATE_TICK})"


def sensitivity(rates_R: Floats, excess_R: Floats) -> float:
    """Return the mean excess over rates spread evenly on a log axis, by the trapezoidal rule.

    Args:
        rates_R: two or more learning rates, rising.
        excess_R: min(loss, loss before training) - lowest loss, of each rate.
    """
    widths = np.diff(np.log(rates_R))
    return float(widths @ (excess_R[1:] + excess_R[:-1]) / 2 / widths.sum())


def frame(study: Readable) -> pl.DataFrame:
    """Gather one row a lane that was trained to the end, or whose loss broke on the way. Columns as `SCHEMA`.

    `excess` is min(final loss, loss before training) - lowest mean over seeds; a broken lane counts as the
    loss before training. `mean_excess` is its mean over the seeds of the rate. `learned` is the loss before
    training minus that lowest mean; with `sensitivity` it is the same in every row. There are no rows while
    fewer than two rates count, or where none ended below the loss before training.
    """
    validated = recorded(study, "val_loss") and study.recommendation().objective != END_TRAINING.name
    name, figure = ("val_loss", FINAL_VAL_LOSS) if validated else ("loss", END_TRAIN_LOSS)
    empty = pl.DataFrame(schema=SCHEMA)
    if not recorded(study, name):
        return empty
    before = study.scalars(name).filter(pl.col("step") == 0)["value"].median()
    ended = (pl.col("steps") >= study.plan.steps) | pl.col("stopped_step").is_not_null()
    lanes = outcomes(study).filter(ended)
    if before is None or lanes["rate"].n_unique() < 2:
        return empty
    # A final loss that is missing or not finite is that of a broken lane.
    final = pl.when(pl.col(figure.token).is_finite()).then(figure.token).otherwise(before)
    lanes = lanes.with_columns(loss=pl.min_horizontal(final, pl.lit(before)))
    by_rate = lanes.group_by("rate").agg(mean=pl.col("loss").mean()).sort("rate")
    rates_R, means_R = by_rate["rate"].to_numpy(), by_rate["mean"].to_numpy()
    best = int(means_R.argmin())
    learned = float(before) - float(means_R[best])  # type: ignore[arg-type]
    if not learned > 0:
        return empty
    axis = say("{what}, above the lowest", "{what}，超出最低值的部分", what=figure.name)
    unit = loss_unit(unit_of(study, name), study.plan.loss)
    return (
        lanes.join(by_rate, on="rate", maintain_order="left")
        .with_columns(
            factor=pl.col("rate") / float(rates_R[best]),
            excess=pl.col("loss") - float(means_R[best]),
            mean_excess=pl.col("mean") - float(means_R[best]),
            learned=pl.lit(learned),
            sensitivity=pl.lit(sensitivity(rates_R, means_R - means_R[best])),
            axis=pl.lit(unit_label(axis, unit)),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    )


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """Draw a point a lane, the mean over seeds as a line, and the area under the line.

    The mean height of the area is the sensitivity.
    """
    why = Text(
        "Fewer than two rates were trained to the end, or none ended below the loss before training.",
        "训练到底的学习率不到两个，或者没有一个的最终损失低于训练之前。",
    )
    words = Words(SENSITIVITY.title, SENSITIVITY.question, why)
    if not frame.height:
        return nothing(theme, words)
    size = theme.fitted(_SIZE)
    axis, learned = str(frame["axis"][0]), float(frame["learned"][0])
    low = min(0.0, float(frame["excess"].min()))  # type: ignore[arg-type]
    losses = Span(low, learned, "linear").with_room(above=0.1, below=0.04)
    factors = rate_span(frame["factor"].to_numpy())
    across = {
        "values": factors.ticks,
        "labelExpr": _FACTOR_TICK,
        "title": say("factor from the best rate (log)", "与最佳学习率之比（对数）"),
    }
    x = alt.X("factor:Q", scale=factors.scale, axis=across)

    def up(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=losses.scale, axis=upright(axis, losses, raise_by=12))

    means = frame.unique("rate").sort("rate").select("factor", "rate", excess="mean_excess")
    rows = [{**row, "floor": 0.0} for row in means.select("factor", "excess").iter_rows(named=True)]
    area = alt.Chart(inline(rows)).mark_area(color=theme.muted, opacity=0.18)
    line = alt.Chart(inline(rows)).mark_line(color=theme.text, strokeWidth=1.7)
    layers = [
        area.encode(x=x, y=up("excess"), y2="floor:Q"),
        line.encode(x=x, y=up("excess")),
        *_best(means, x, theme),
        *_before(learned, up, theme),
        _lanes(frame, x, up, theme),
    ]
    drawing = alt.LayerChart(layer=layers, width=size.width, height=size.height)
    about = say(
        "Chart: {axis}, against the factor from the best rate on a log axis, {lanes} lanes. {note}",
        "图：{axis}，随与最佳学习率之比（对数轴）的变化，{lanes} 次运行。{note}",
        axis=axis,
        lanes=frame.height,
        note=_note(frame),
    )
    return finished(drawing, theme, words._replace(about=about, note=_note(frame)))


def _best(means: pl.DataFrame, x: alt.X, theme: Theme) -> list[alt.Chart]:
    """Draw the best rate as a rule, with its name above the panel."""
    best = means.sort("excess")["rate"][0]
    base = alt.Chart(
        inline([{"factor": 1.0, "text": say("best {rate}", "最佳 {rate}", rate=format_rate(best))}])
    )
    words = base.mark_text(color=theme.good, fontWeight=600, fontSize=11.5, baseline="bottom", dy=-5)
    return [
        base.mark_rule(color=theme.good, strokeWidth=1.3).encode(x=x),
        words.encode(x=x, y=alt.value(0), text="text:N"),
    ]


def _before(learned: float, up: Any, theme: Theme) -> list[alt.Chart]:
    """Draw the loss before training, which no lane counts above."""
    base = alt.Chart(inline([{"learned": learned}]))
    rule = base.mark_rule(color=theme.muted, strokeDash=[2, 3], strokeWidth=1).encode(y=up("learned"))
    place = {
        "text": say("before training", "训练之前"),
        "align": "right",
        "baseline": "bottom",
        "dy": -3,
        "dx": -4,
    }
    return [rule, *haloed(base, theme, theme.muted, place, x=alt.value("width"), y=up("learned"))]


def _lanes(frame: pl.DataFrame, x: alt.X, up: Any, theme: Theme) -> alt.Chart:
    """Draw a point a lane, by verdict."""
    columns = frame.sort("rate", descending=True).select(
        "factor", "label", "seed", "verdict", "why", "excess", "mean_excess"
    )
    rows = [{**row, "verdict": look(row["verdict"]).word} for row in columns.iter_rows(named=True)]
    tooltip = [
        alt.Tooltip("label:N", title=said(RATE)),
        alt.Tooltip("seed:Q", title=said(SEED)),
        alt.Tooltip("verdict:N", title=said(VERDICT)),
        alt.Tooltip("excess:Q", title=str(frame["axis"][0]), format=".4~g"),
        alt.Tooltip("mean_excess:Q", title=say("mean over seeds", "各种子的平均"), format=".4~g"),
        alt.Tooltip("why:N", title=said(WHY)),
    ]
    dot = mark_of("point", filled=True, size=95, stroke=theme.background, strokeWidth=1)
    points: alt.Chart = alt.Chart(inline(rows), mark=dot).encode(
        x=x, y=up("excess"), **verdict_channels(looks_of(frame["verdict"]), theme), tooltip=tooltip
    )
    return points


def _note(frame: pl.DataFrame) -> str:
    """Say the sensitivity, and over which rates."""
    value, learned = float(frame["sensitivity"][0]), float(frame["learned"][0])
    rates = frame["rate"]
    return say(
        "Sensitivity {value}: the mean height of the area, over rates from {low} to {high}. "
        "That is {share} of what the best rate learned.",
        "敏感度 {value}：学习率从 {low} 到 {high} 时面积的平均高度，是最佳学习率所学到的 {share}。",
        value=f"{value:.3g}",
        low=format_rate(float(rates.min())),  # type: ignore[arg-type]
        high=format_rate(float(rates.max())),  # type: ignore[arg-type]
        share=f"{value / learned:.0%}",
    )


SENSITIVITY = Chart(
    "sensitivity",
    Text("Learning-rate sensitivity", "学习率敏感度"),
    Text(
        "How much worse does training end when the rate is a factor off the best?",
        "学习率偏离最佳值若干倍时，训练结果差多少？",
    ),
    frame,
    draw,
)
