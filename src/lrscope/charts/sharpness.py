"""Sharpness: how far each lane is from its limit of stability, over training."""

import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.figure_frame import Words, nothing
from lrscope.charts.line_panels import draw_lines
from lrscope.charts.lines import SCHEMA, Level, Size, line_frame
from lrscope.charts.outcomes import judged_lanes, recorded
from lrscope.charts.shared_strings import STEP
from lrscope.charts.theme import Theme
from lrscope.diagnosis.limits import large_batch, stability_limit
from lrscope.language import BLANK, Text, joined, said, say
from lrscope.optimizer_facts import facts_named
from lrscope.plan import Plan

_SIZE = Size(width=760, height=320)

_RATIO = Text("rate over its limit", "学习率与其极限之比")
_PLAIN = Text("sharpness (largest eigenvalue of the Hessian)", "锐度（Hessian 的最大特征值）")


def frame(study: Readable) -> pl.DataFrame:
    """The rate over the limit that the sharpness of the moment sets, columns as `lines.SCHEMA`.

    The sharpness itself for an optimizer whose limit is not known, and for a study recorded before lrscope
    knew what its optimizer divides by. A sharpness that is not positive, of a direction that bends down, has
    no limit and is left out.
    """
    plan = study.plan
    divides = facts_named(plan.optimizer).divisor is not None
    which = "preconditioned_sharpness" if divides else "sharpness"
    limited = stability_limit(plan.optimizer, plan.optimizer_options, 1.0) is not None
    if divides and not recorded(study, which):
        which, limited = "sharpness", False
    if not recorded(study, which):
        return pl.DataFrame(schema=SCHEMA)
    points = study.scalars(which).filter(pl.col("value").is_finite())
    if limited:
        points = _rates(study, points).with_columns(
            value=pl.struct("now", "value", "step").map_elements(
                lambda row: _ratio(plan, row["now"], row["value"], row["step"]), return_dtype=pl.Float64
            )
        )
    points = points.filter(pl.col("value") > 0).select(
        "lane",
        "step",
        "value",
        panel=0,
        panel_title=pl.lit(""),
        axis=pl.lit(said(_RATIO if limited else _PLAIN)),
    )
    parts = (part for part in (_measured(study, which), _meaning(plan, limited)) if part is not None)
    note = said(joined(parts, BLANK))
    return line_frame(points, judged_lanes(study), size=_SIZE, note=note)


def _ratio(plan: Plan, rate: float, sharpness: float, step: int) -> float | None:
    limit = stability_limit(plan.optimizer, plan.optimizer_options, sharpness, step)
    return None if limit is None else rate / limit


def _rates(study: Readable, points: pl.DataFrame) -> pl.DataFrame:
    """Points with the rate of the moment, `now`: that of the lane, or what a schedule made of it last."""
    if not recorded(study, "learning_rate"):
        return points.with_columns(now=pl.col("rate"))
    scheduled = study.scalars("learning_rate").select("lane", "step", now="value").sort("step")
    joined = points.sort("step").join_asof(scheduled, on="step", by="lane", check_sortedness=False)
    return joined.with_columns(pl.col("now").fill_null(pl.col("rate")))


def _measured(study: Readable, which: str) -> Text | None:
    """How it was measured, and how well."""
    stem = "preconditioned" if which.startswith("preconditioned") else which
    names = (which, f"{stem}_residual", f"{stem}_products")
    if not all(recorded(study, name) for name in names):
        return None
    columns = [study.scalars(name).select("lane", "step", pl.col("value").alias(name)) for name in names]
    known = columns[0].join(columns[1], on=("lane", "step")).join(columns[2], on=("lane", "step"))
    known = known.filter(pl.all_horizontal(pl.col(*names).is_finite()) & (pl.col(which) != 0))
    if not known.height:
        return None
    shares = (known[names[1]] / known[which].abs()).to_numpy()
    products = known[names[2]].to_numpy()
    low, high, examples = int(products.min()), int(products.max()), study.plan.curvature_examples
    of = Text(" on {examples} examples", "（{examples} 个样本）").format(examples=f"{examples or 0:,}")
    span = Text("{low} to {high}", "{low} 到 {high}").format(low=low, high=high)
    lanczos = Text(
        "Lanczos{of}, {times} times, {taken} products each; its residual at most {share} of the eigenvalue.",
        "Lanczos{of}，共 {times} 次，每次 {taken} 个乘积；残差至多是特征值的 {share}。",
    )
    return lanczos.format(
        of=of if examples else "",
        times=known["step"].n_unique(),
        taken=str(low) if low == high else span,
        share=f"{shares.max():.1%}",
    )


def _meaning(plan: Plan, limited: bool) -> Text | None:
    """What the limit means here, where it is not the plain one."""
    if not limited and facts_named(plan.optimizer).divisor:
        return Text(
            "No limit: this study does not hold the sharpness after the division by {optimizer}.",
            "没有极限：本研究没有记录 {optimizer} 预条件后的锐度。",
        ).format(optimizer=plan.optimizer)
    if not limited:
        unknown = Text("For {optimizer} no limit is known.", "对 {optimizer}，极限未知。")
        return unknown.format(optimizer=plan.optimizer)
    if not large_batch(plan):
        return Text(
            "The limit is that of all examples: in small batches a rate far below it may be too high.",
            "极限是对全部样本而言的：用小批次时，远低于它的学习率也可能太高。",
        )
    if facts_named(plan.optimizer).divisor:
        return Text(
            "Such optimizers sit at the limit at good rates too.", "这类优化器在好的学习率上也停在极限处。"
        )
    return None


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel, log axis, with a rule at the limit."""
    why = Text(
        "Sharpness was not measured: it is measured on request, with --curvature or curvature=True.",
        "未测量锐度：要用 --curvature 或 curvature=True 才测。",
    )
    words = Words(SHARPNESS.title, SHARPNESS.question, why)
    if not frame.height:
        return nothing(theme, words)
    lanes, axis = frame["lane"].n_unique(), str(frame["axis"][0])
    about = say(
        "Line chart: {axis} against optimiser step for {lanes} lanes, coloured by learning rate.",
        "折线图：{lanes} 条训练线的{axis}随步数的变化，按学习率着色。",
        axis=axis,
        lanes=lanes,
    )
    return draw_lines(
        frame,
        theme,
        words._replace(about=about),
        size=_SIZE,
        step_title=STEP,
        room=30.0,
        log=True,
        level=Level(1.0, say("limit", "极限")) if axis == said(_RATIO) else None,
    )


SHARPNESS = Chart(
    "sharpness",
    Text("Sharpness and stability", "锐度与稳定"),
    Text(
        "How near is each rate to the limit that the curvature of the moment sets?",
        "每个学习率离当时的曲率所定的极限有多近？",
    ),
    frame,
    draw,
    option="--curvature",
)
