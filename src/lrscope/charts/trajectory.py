"""Weight trajectories: the value of chosen scalars at every step, one panel a scalar, one line a lane."""

import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.choice import chosen_lanes, chosen_tensors
from lrscope.charts.line_panels import draw_lines
from lrscope.charts.lines import SCHEMA, Size, line_frame
from lrscope.charts.names import index_label, shown
from lrscope.charts.outcomes import judged_lanes
from lrscope.charts.plate import Words, nothing
from lrscope.charts.theme import Theme

MOST_SCALARS = 6
MOST_LANES = 32

_SIZE = Size(width=360, height=220, columns=2)


def frame(study: Readable) -> pl.DataFrame:
    """The tracked scalars at every step, reduced; columns as `lines.SCHEMA`, one panel a scalar.

    Lines that alternate with period 2 keep both sides: each bin keeps its lowest and its highest point, no
    mean is taken.
    """
    tracked = study.plan.tracked
    paths = study.trajectories()
    if not tracked or not paths.height:
        return pl.DataFrame(schema=SCHEMA)
    shapes = dict(zip(study.plan.tensors, study.plan.shapes, strict=True))
    places = chosen_tensors([shapes.get(tensor, ()) for tensor, _ in tracked], MOST_SCALARS)
    lanes, note = chosen_lanes(judged_lanes(study), MOST_LANES, study.recommendation().rate)
    if len(places) < len(tracked):
        note = f"{note} {len(places)} of {len(tracked)} tracked scalars.".strip()
    panels = pl.DataFrame(
        {
            "tensor": [tracked[i][0] for i in places],
            "index": [list(tracked[i][1]) for i in places],
            "panel": range(len(places)),
            "panel_title": [shown(tracked[i][0]) + index_label(tracked[i][1]) for i in places],
        },
        schema={"tensor": pl.Utf8, "index": pl.List(pl.Int64), "panel": pl.Int64, "panel_title": pl.Utf8},
    )
    points = (
        paths.select("lane", "step", "tensor", pl.col("index").cast(pl.List(pl.Int64)), "value")
        .join(panels, on=["tensor", "index"])
        .with_columns(axis=pl.col("panel_title"))
    )
    return line_frame(points, lanes, size=_SIZE, note=note)


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """Panels two by two, each with its own axis."""
    words = Words(
        TRAJECTORY.title, TRAJECTORY.question, "No scalar was tracked, or no step has been recorded yet."
    )
    if not frame.height:
        return nothing(theme, words)
    panels, lanes = frame["panel"].n_unique(), frame["lane"].n_unique()
    about = (
        f"Line charts: {panels} weights against optimiser step for {lanes} lanes, coloured by learning rate."
    )
    words = words._replace(about=about)
    return draw_lines(frame, theme, words, size=_SIZE, step_title="optimiser step", room=3.0, log=False)


TRAJECTORY = Chart(
    "trajectory",
    "Weights in motion",
    "What path does a single weight take at each learning rate?",
    frame,
    draw,
)
