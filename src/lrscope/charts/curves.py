"""Loss curves: the training loss of every step and the validation loss of every epoch, one line a lane."""

import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.line_panels import draw_lines
from lrscope.charts.lines import SCHEMA, Size, line_frame
from lrscope.charts.outcomes import judged_lanes, loss_axis, recorded
from lrscope.charts.plate import Words, nothing
from lrscope.charts.theme import Theme

_SIZE = Size(width=760, height=340)


def training_frame(study: Readable) -> pl.DataFrame:
    """The mini-batch loss of every step, columns as `lines.SCHEMA`."""
    if not recorded(study, "loss"):
        return pl.DataFrame(schema=SCHEMA)
    title = loss_axis(study, "training loss", "loss")
    points = study.scalars("loss").select(
        "lane", "step", "value", panel=0, panel_title=pl.lit(""), axis=pl.lit(title)
    )
    noisy = study.plan.steps_per_epoch > 1
    note = "Bold: mean of neighbouring steps. Faint: every step's lowest and highest." if noisy else ""
    frame = line_frame(points, judged_lanes(study), size=_SIZE, note=note, noisy=noisy)
    return frame if (frame["kind"] == "mean").any() else frame.with_columns(note=pl.lit(""))


def validation_frame(study: Readable) -> pl.DataFrame:
    """The validation loss of every epoch, columns as `lines.SCHEMA`.

    `step` counts epochs here, 0 is before training.
    """
    if not recorded(study, "val_loss"):
        return pl.DataFrame(schema=SCHEMA)
    title = loss_axis(study, "validation loss", "val_loss")
    points = study.scalars("val_loss").select(
        "lane", "step", "value", panel=0, panel_title=pl.lit(""), axis=pl.lit(title)
    )
    per_epoch = max(study.plan.steps_per_epoch, 1)
    return line_frame(points, judged_lanes(study), size=_SIZE).with_columns(pl.col("step") / per_epoch)


def draw_training(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel, loss against step."""
    words = Words(TRAINING.title, TRAINING.question, "No step has been recorded yet.")
    if not frame.height:
        return nothing(theme, words)
    lanes = frame["lane"].n_unique()
    about = f"Line chart: training loss against optimiser step for {lanes} lanes, coloured by learning rate."
    return draw_lines(frame, theme, words._replace(about=about), size=_SIZE, step_title="optimiser step")


def draw_validation(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel, loss against epoch."""
    why = "No validation loss: the problem has no validation data, or no epoch has ended yet."
    words = Words(VALIDATION.title, VALIDATION.question, why)
    if not frame.height:
        return nothing(theme, words)
    lanes = frame["lane"].n_unique()
    about = f"Line chart: validation loss against epoch for {lanes} lanes, coloured by learning rate."
    return draw_lines(
        frame, theme, words._replace(about=about), size=_SIZE, step_title="epoch (0 is before training)"
    )


TRAINING = Chart(
    "loss",
    "Training loss",
    "How does the training loss move at each learning rate?",
    training_frame,
    draw_training,
)
VALIDATION = Chart(
    "validation",
    "Validation loss",
    "Does what was learned hold on data the model has not seen?",
    validation_frame,
    draw_validation,
)
