"""Loss curves: the training loss of every step and the validation loss of every epoch, one line a lane."""

import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.figure_frame import Words, nothing
from lrscope.charts.line_panels import draw_lines
from lrscope.charts.lines import SCHEMA, Size, line_frame
from lrscope.charts.outcomes import judged_lanes, loss_axis, recorded
from lrscope.charts.shared_strings import NO_STEP, STEP, TRAINING_LOSS, VALIDATION_LOSS
from lrscope.charts.theme import Theme
from lrscope.language import Text, say

_SIZE = Size(width=760, height=340)


def training_frame(study: Readable) -> pl.DataFrame:
    """The mini-batch loss of every step, columns as `lines.SCHEMA`."""
    if not recorded(study, "loss"):
        return pl.DataFrame(schema=SCHEMA)
    title = loss_axis(study, TRAINING_LOSS, "loss")
    points = study.scalars("loss").select(
        "lane", "step", "value", panel=0, panel_title=pl.lit(""), axis=pl.lit(title)
    )
    noisy = study.plan.steps_per_epoch > 1
    bold = say(
        "Bold: mean of neighbouring steps. Faint: every step's lowest and highest.",
        "粗线：相邻各步的均值。淡线：每一步的最低和最高。",
    )
    note = bold if noisy else ""
    frame = line_frame(points, judged_lanes(study), size=_SIZE, note=note, noisy=noisy)
    return frame if (frame["kind"] == "mean").any() else frame.with_columns(note=pl.lit(""))


def validation_frame(study: Readable) -> pl.DataFrame:
    """The validation loss of every epoch, columns as `lines.SCHEMA`.

    `step` counts epochs here, 0 is before training.
    """
    if not recorded(study, "val_loss"):
        return pl.DataFrame(schema=SCHEMA)
    title = loss_axis(study, VALIDATION_LOSS, "val_loss")
    points = study.scalars("val_loss").select(
        "lane", "step", "value", panel=0, panel_title=pl.lit(""), axis=pl.lit(title)
    )
    per_epoch = max(study.plan.steps_per_epoch, 1)
    return line_frame(points, judged_lanes(study), size=_SIZE).with_columns(pl.col("step") / per_epoch)


def draw_training(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel, loss against step."""
    words = Words(TRAINING.title, TRAINING.question, NO_STEP)
    if not frame.height:
        return nothing(theme, words)
    lanes = frame["lane"].n_unique()
    about = say(
        "Line chart: training loss against optimiser step for {lanes} lanes, coloured by learning rate.",
        "折线图：{lanes} 条训练线的训练损失随步数的变化，按学习率着色。",
        lanes=lanes,
    )
    return draw_lines(frame, theme, words._replace(about=about), size=_SIZE, step_title=STEP)


def draw_validation(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel, loss against epoch."""
    why = Text(
        "No validation loss: no epoch has ended yet, or the problem has no validation data (val=).",
        "没有验证损失：还没有一轮结束，或者这个问题没有验证数据：用 val= 给出。",
    )
    words = Words(VALIDATION.title, VALIDATION.question, why)
    if not frame.height:
        return nothing(theme, words)
    lanes = frame["lane"].n_unique()
    about = say(
        "Line chart: validation loss against epoch for {lanes} lanes, coloured by learning rate.",
        "折线图：{lanes} 条训练线的验证损失随轮数的变化，按学习率着色。",
        lanes=lanes,
    )
    epoch = Text("epoch (0 is before training)", "轮（0 是训练之前）")
    return draw_lines(frame, theme, words._replace(about=about), size=_SIZE, step_title=epoch)


TRAINING = Chart(
    "loss",
    Text("Training loss", "训练损失"),
    Text(
        "How does the training loss move at each learning rate?",
        "每个学习率的训练损失怎样变化？",
    ),
    training_frame,
    draw_training,
)
VALIDATION = Chart(
    "validation",
    Text("Validation loss", "验证损失"),
    Text(
        "Does what was learned hold on data the model has not seen?",
        "学到的东西，在模型没见过的数据上还成立吗？",
    ),
    validation_frame,
    draw_validation,
)
