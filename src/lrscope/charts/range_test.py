"""The range test: the loss of every seed while the rate rises, and below it what each rule reads off that."""

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lrscope.charts.chart import Drawing
from lrscope.charts.figure_frame import Words, finished, nothing
from lrscope.charts.inline import inline, mark_of
from lrscope.charts.lines import Size
from lrscope.charts.panels import upright
from lrscope.charts.scales import RATE_TICK, Span, span
from lrscope.charts.shared_strings import RATE_LOG, SEED
from lrscope.charts.theme import Theme
from lrscope.diagnosis.range_reading import RangeReading
from lrscope.language import Text, capitalised, said, say
from lrscope.rates import format_rate

SCHEMA: dict[str, pl.DataType] = {
    "kind": pl.Utf8(),
    "rule": pl.Utf8(),
    "words": pl.Utf8(),
    "seed": pl.Int64(),
    "rate": pl.Float64(),
    "loss": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
}

TITLE = Text("Learning-rate range test", "学习率范围测试")
QUESTION = Text(
    "Where does the loss fall, and where does it blow up, while the rate rises step by step?",
    "学习率一步步升高时，损失在哪里下降，在哪里炸开？",
)

_SIZE = Size(width=640, height=230)
_ROW = 21
"""Pixels of the row of a rule."""


def frame(reading: RangeReading) -> pl.DataFrame:
    """Rows of five kinds, columns as `SCHEMA`.

    "raw": a seed's mini-batch loss at a rate; "smoothed": its moving mean; neither beyond where the seed's
    ramp is over, where one row "end" stands (for a lane that broke). "rule": what a rule says for a seed
    (null: it finds nothing). "no signal": in words that there is nothing to find, where that is so. `low` and
    `high`, the ends of the ramp, stand in every row.
    """
    means = reading.smoothed()
    rows: list[dict[str, Any]] = []
    for seed, losses_n, means_n, end in zip(reading.seeds, reading.losses, means, reading.ends, strict=True):
        for step in range(end):
            at = {"seed": seed, "rate": float(reading.rates[step])}
            rows.append({"kind": "raw", **at, "loss": float(losses_n[step])})
            rows.append({"kind": "smoothed", **at, "loss": float(means_n[step])})
        if 0 < end < len(reading.rates):
            rows.append(
                {
                    "kind": "end",
                    "seed": seed,
                    "rate": float(reading.rates[end - 1]),
                    "loss": float(means_n[end - 1]),
                }
            )
    for one in reading.suggestions:
        for seed, rate in zip(reading.seeds, one.rates, strict=True):
            rows.append(
                {
                    "kind": "rule",
                    "rule": one.rule.name,
                    "words": said(one.rule.words),
                    "seed": seed,
                    "rate": rate,
                }
            )
    if reading.no_signal is not None:
        rows.append({"kind": "no signal", "words": said(capitalised(reading.no_signal))})
    whole = {"low": float(reading.rates[0]), "high": float(reading.rates[-1])}
    return pl.DataFrame([{**row, **whole} for row in rows], schema=SCHEMA)


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """Two panels over one rate axis: the losses; and a row a rule, a dot a seed."""
    words = Words(TITLE, QUESTION, Text("No loss was finite.", "没有一个损失是有限值。"))
    if not frame.filter(pl.col("kind") == "smoothed").height:
        return nothing(theme, words)
    facts = frame.row(0, named=True)
    size = theme.fitted(_SIZE)
    rules = frame.filter(pl.col("kind") == "rule")
    # Some rules divide: what they say may lie below the ramp.
    known = rules["rate"].drop_nulls().to_numpy()
    ends = np.append(known, [facts["low"], facts["high"]])
    room = (ends.max() / ends.min()) ** 0.015
    x = Span(float(ends.min() / room), float(ends.max() * room), "log")
    seeds = rules["seed"].n_unique()
    top = alt.LayerChart(layer=_losses(frame, x, theme), width=size.width, height=size.height)
    bottom = alt.LayerChart(
        layer=_rules(rules, x, theme), width=size.width, height=_ROW * rules["rule"].n_unique()
    )
    drawing = alt.VConcatChart(vconcat=[top, bottom], spacing=14)
    note = say(
        "Bold: moving mean, as most rules see it. Below: a dot a seed, a bar from lowest to highest, the "
        "number is their geometric mean.",
        "粗线：滑动平均，多数规则看的是它。下图：一点一个种子，横条从最低到最高，数字是几何平均。",
    )
    about = say(
        "Line chart: mini-batch loss against learning rate, rising from step to step, for {seeds} seeds; "
        "below it the rate that each of the published rules reads off it.",
        "折线图：{seeds} 个种子的小批次损失，学习率一步步升高；下面是各条公开规则从中读出的学习率。",
        seeds=seeds,
    )
    silent = frame.filter(pl.col("kind") == "no signal")["words"].to_list()
    question = say("{words}.", "{words}。", words=silent[0]) if silent else QUESTION
    return finished(drawing, theme, words._replace(question=question, about=about, note=note))


def _losses(frame: pl.DataFrame, x: Span, theme: Theme) -> list[alt.Chart]:
    """Every step's loss, faint; the moving mean; a cross where a seed's ramp is over."""
    means, raw = frame.filter(pl.col("kind") == "smoothed"), frame.filter(pl.col("kind") == "raw")
    # The single losses fall further than their mean: how far is worth seeing, how far they leap is not.
    calm = np.append(means["loss"].to_numpy(), raw["loss"].to_numpy().min())
    y = span(calm, raw["loss"].to_numpy(), room=1.1)
    # The panel below has the rate axis.
    across_x = alt.X("rate:Q", scale=x.scale, axis=None)
    up = alt.Y("loss:Q", scale=y.scale, axis=upright(say("mini-batch loss", "小批次损失"), y))
    layers = []
    for rows, width, opacity in ((raw, 0.7, 0.35), (means, 1.7, 0.9)):
        points: list[dict[str, Any]] = []
        for (seed,), lane in rows.group_by("seed", maintain_order=True):
            across, values = y.cut(np.log(lane["rate"].to_numpy()), lane["loss"].to_numpy())
            points += [
                {"seed": seed, "rate": rate, "loss": None if np.isnan(value) else value}
                for rate, value in zip(np.exp(across).tolist(), values.tolist(), strict=True)
            ]
        line = mark_of("line", color=theme.text, strokeWidth=width, opacity=opacity)
        layers.append(alt.Chart(inline(points), mark=line).encode(x=across_x, y=up, detail="seed:N"))
    ends = [{**row, "loss": y.clamp(row["loss"])} for row in frame.filter(pl.col("kind") == "end").to_dicts()]
    if ends:
        cross = mark_of("point", shape="cross", angle=45, filled=True, size=60, color=theme.bad)
        tooltip = [
            alt.Tooltip("seed:Q", title=said(SEED)),
            alt.Tooltip("rate:Q", title=say("breaks at", "坏在"), format=".3~g"),
        ]
        layers.append(alt.Chart(inline(ends), mark=cross).encode(x=across_x, y=up, tooltip=tooltip))
    return layers


def _rules(rules: pl.DataFrame, x: Span, theme: Theme) -> list[alt.Chart]:
    """A row a rule: its name, a bar over the seeds, a dot a seed, and the geometric mean as a number."""
    order = rules["rule"].unique(maintain_order=True).to_list()
    axis = {"values": x.ticks, "labelExpr": RATE_TICK, "title": said(RATE_LOG)}

    def across(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=x.scale, axis=axis)

    row = alt.Y("rule:N", sort=order, title=None, axis={"grid": True, "labelLimit": 200, "tickSize": 0})
    bars = (
        rules.group_by("rule", "words", maintain_order=True)
        .agg(
            low=pl.col("rate").min(),
            high=pl.col("rate").max(),
            mean=pl.col("rate").log().mean().exp(),
            found=pl.col("rate").count(),
            seeds=pl.len(),
        )
        .to_dicts()
    )
    for bar in bars:
        bar["text"] = (
            say("nothing found", "什么也没找到") if bar["mean"] is None else format_rate(bar["mean"])
        )
        if 0 < bar["found"] < bar["seeds"]:
            bar["text"] += say(
                "  ({found} of {seeds} seeds)",
                "（{seeds} 个种子中的 {found} 个）",
                found=bar["found"],
                seeds=bar["seeds"],
            )
    drawn = [bar for bar in bars if bar["mean"] is not None]
    dots = rules.drop_nulls("rate").select("rule", "words", "seed", "rate").to_dicts()
    tooltip = [
        alt.Tooltip("rule:N", title=say("rule", "规则")),
        alt.Tooltip("words:N", title=say("takes", "取")),
        alt.Tooltip("seed:Q", title=said(SEED)),
        alt.Tooltip("rate:Q", title=say("rate", "学习率"), format=".3~g"),
    ]
    bar_mark = mark_of("bar", color=theme.slow, opacity=0.28, height=9, cornerRadius=2)
    dot_mark = mark_of("point", shape="circle", filled=True, size=42, color=theme.slow, opacity=0.85)
    tick_mark = mark_of("tick", color=theme.text, thickness=2, height=15)
    # Numbers stand in a column of their own, right of the panel: they cover nothing.
    text_mark = mark_of("text", align="left", baseline="middle", dx=8, color=theme.text)
    return [
        alt.Chart(inline(drawn), mark=bar_mark).encode(x=across("low"), x2="high:Q", y=row),
        alt.Chart(inline(dots), mark=dot_mark).encode(x=across("rate"), y=row, tooltip=tooltip),
        alt.Chart(inline(drawn), mark=tick_mark).encode(x=across("mean"), y=row),
        alt.Chart(inline(bars), mark=text_mark).encode(x=alt.value("width"), y=row, text="text:N"),
    ]
