"""Gradient norms and update ratios: how hard each tensor is pushed and how far it moves, step by step."""

import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.choice import chosen_lanes, chosen_tensors
from lrscope.charts.line_panels import draw_lines
from lrscope.charts.lines import SCHEMA, Size, line_frame
from lrscope.charts.names import shape_label, shown
from lrscope.charts.outcomes import judged_lanes, recorded
from lrscope.charts.plate import Words, nothing
from lrscope.charts.theme import Theme

MOST_TENSORS = 4
MOST_LANES = 16

_SIZE = Size(width=360, height=200, columns=2)


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
        note = f"{note} {len(places)} of {len(names)} tensors.".strip()
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


def _draw(frame: pl.DataFrame, theme: Theme, chart: Chart, what: str) -> Drawing:
    words = Words(chart.title, chart.question, "No step has been recorded yet.")
    if not frame.height:
        return nothing(theme, words)
    panels, lanes = frame["panel"].n_unique(), frame["lane"].n_unique()
    about = f"Line charts: {what} of {panels} tensors against optimiser step for {lanes} lanes, by rate."
    words = words._replace(about=about)
    return draw_lines(frame, theme, words, size=_SIZE, step_title="optimiser step", room=100.0, log=True)


def draw_gradients(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel a tensor, log axes."""
    return _draw(frame, theme, GRADIENTS, "the norm of the gradient")


def draw_updates(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """One panel a tensor, log axes."""
    return _draw(frame, theme, UPDATES, "the norm of an update over the norm of the tensor")


GRADIENTS = Chart(
    "gradients",
    "Gradient norms",
    "How hard is each tensor pushed? (2-norm of its gradient)",
    gradient_frame,
    draw_gradients,
)
UPDATES = Chart(
    "updates",
    "Update ratios",
    "How far does one step move each tensor? (norm of the update over norm of the tensor)",
    update_frame,
    draw_updates,
)
