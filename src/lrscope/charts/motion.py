"""Gradient norms and update ratios: how hard each tensor is pushed and how far it moves, step by step."""

import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.choice import chosen_lanes, chosen_tensors
from lrscope.charts.figure_frame import Words, nothing
from lrscope.charts.line_panels import draw_lines
from lrscope.charts.lines import SCHEMA, Size, line_frame
from lrscope.charts.names import shape_label, shown
from lrscope.charts.outcomes import judged_lanes, recorded
from lrscope.charts.shared_strings import OF_TENSORS, STEP, noted
from lrscope.charts.theme import Theme
from lrscope.language import Text, say

MOST_TENSORS = 4
MOST_LANES = 16

_SIZE = Size(width=360, height=200, columns=2)

_NONE = Text(
    "Gradients and updates were not recorded: no step has been taken yet, or the study keeps losses only.",
    "没有记录梯度和更新：还没有记录任何一步，或者这份研究只记录损失。",
)


def gradient_frame(study: Readable) -> pl.DataFrame:
    """The 2-norm of the gradient of each chosen tensor; columns as `lines.SCHEMA`, one panel a tensor."""
    return _frame(study, "gradient_norm")


def update_frame(study: Readable) -> pl.DataFrame:
    """norm(w_{t+1} - w_t) / norm(w_t) of each chosen tensor.

    Columns as `lines.SCHEMA`, one panel a tensor.
    """
    return _frame(study, "update_ratio")


def _frame(study: Readable, quantity: str) -> pl.DataFrame:
    if not recorded(study, quantity):
        return pl.DataFrame(schema=SCHEMA)
    names, shapes = study.plan.tensors, study.plan.shapes
    places = chosen_tensors(shapes, MOST_TENSORS)
    lanes, note = chosen_lanes(judged_lanes(study), MOST_LANES, study.recommendation().rate)
    if len(places) < len(names):
        some = OF_TENSORS.format(shown=len(places), total=len(names))
        note = noted(note, some)
    titles = [f"{shown(names[i])}  {shape_label(shapes[i])}" for i in places]
    panels = pl.DataFrame(
        {
            "tensor": [names[i] for i in places],
            "panel": range(len(places)),
            "panel_title": titles,
            "axis": titles,
        },
        schema={"tensor": pl.Utf8, "panel": pl.Int64, "panel_title": pl.Utf8, "axis": pl.Utf8},
    )
    # A ratio over a tensor that starts at zero is infinite: one point to leave out, not the end of the lane.
    points = study.tensors(quantity).filter(pl.col("value").is_finite()).join(panels, on="tensor")
    return line_frame(points, lanes, size=_SIZE, note=note)


def _draw(frame: pl.DataFrame, theme: Theme, chart: Chart, what: Text) -> Drawing:
    words = Words(chart.title, chart.question, _NONE)
    if not frame.height:
        return nothing(theme, words)
    panels, lanes = frame["panel"].n_unique(), frame["lane"].n_unique()
    about = say(
        "Line charts: {what} of {panels} tensors against optimiser step for {lanes} lanes, by rate.",
        "折线图：{lanes} 条训练线的 {panels} 个张量的{what}随步数的变化，按学习率着色。",
        what=what,
        panels=panels,
        lanes=lanes,
    )
    words = words._replace(about=about)
    return draw_lines(frame, theme, words, size=_SIZE, step_title=STEP, room=100.0, log=True)


def draw_gradients(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel a tensor, log axes."""
    return _draw(frame, theme, GRADIENTS, Text("the norm of the gradient", "梯度范数"))


def draw_updates(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel a tensor, log axes."""
    what = Text("the norm of an update over the norm of the tensor", "更新的范数与张量的范数之比")
    return _draw(frame, theme, UPDATES, what)


GRADIENTS = Chart(
    "gradients",
    Text("Gradient norms", "梯度范数"),
    Text(
        "How hard is each tensor pushed? (2-norm of its gradient)",
        "每个张量被推得多重？（梯度的 2-范数）",
    ),
    gradient_frame,
    draw_gradients,
    option="",
)
UPDATES = Chart(
    "updates",
    Text("Update ratios", "更新比例"),
    Text(
        "How far does one step move each tensor? (norm of the update over norm of the tensor)",
        "一步把每个张量移动多远？（更新的范数除以张量的范数）",
    ),
    update_frame,
    draw_updates,
    option="",
)
