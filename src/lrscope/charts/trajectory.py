"""Weight trajectories: the value of chosen scalars at every step, one panel a scalar, one line a lane."""

import polars as pl

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.choice import chosen_lanes, chosen_tensors
from lrscope.charts.figure_frame import Words, nothing
from lrscope.charts.line_panels import draw_lines
from lrscope.charts.lines import SCHEMA, Size, line_frame
from lrscope.charts.names import index_label, shown
from lrscope.charts.outcomes import judged_lanes
from lrscope.charts.shared_strings import STEP, noted
from lrscope.charts.theme import Theme
from lrscope.charts.tracked import moves, tracked_paths
from lrscope.language import COMMA, Text, joined, said, say

MOST_SCALARS = 6
MOST_LANES = 32

_SIZE = Size(width=360, height=220, columns=2)


def frame(study: Readable) -> pl.DataFrame:
    """The tracked scalars at every step, reduced; columns as `lines.SCHEMA`, one panel a scalar that moves.

    Lines that alternate with period 2 keep both sides: each bin keeps its lowest and its highest point, no
    mean is taken.
    """
    every = study.plan.tracked
    if not every or not study.trajectories().height:
        return pl.DataFrame(schema=SCHEMA)
    lanes, shown_lanes = chosen_lanes(judged_lanes(study), MOST_LANES, study.recommendation().rate)
    notes = [shown_lanes]
    paths = dict(zip(every, tracked_paths(study, lanes), strict=True))
    # Where nothing moves at all, that is what there is to see.
    tracked = [one for one, path in paths.items() if moves(path)] or list(every)
    shapes = dict(zip(study.plan.tensors, study.plan.shapes, strict=True))
    places = chosen_tensors([shapes.get(tensor, ()) for tensor, _ in tracked], MOST_SCALARS)
    if len(places) < len(tracked):
        some = Text("{shown} of {total} tracked scalars.", "{total} 个跟踪的权重中的 {shown} 个。")
        notes.append(said(some.format(shown=len(places), total=len(tracked))))
    if len(tracked) < len(every):
        notes.append(_unmoved([one for one in every if one not in tracked]))
    panels = []
    for place, chosen in enumerate(places):
        title = _name(*tracked[chosen])
        named = {"panel_title": pl.lit(title), "axis": pl.lit(title)}
        panels.append(paths[tracked[chosen]].with_columns(panel=pl.lit(place, pl.Int64), **named))
    return line_frame(pl.concat(panels), lanes, size=_SIZE, note=noted(*notes))


def _name(tensor: str, index: tuple[int, ...]) -> str:
    return shown(tensor) + index_label(index)


def _unmoved(still: list[tuple[str, tuple[int, ...]]]) -> str:
    """What was left out because nothing happens to it."""
    names = joined((_name(*one) for one in still[:3]), COMMA)
    if len(still) > 3:
        return say("{count} scalars never move.", "{count} 个权重从不移动。", count=len(still))
    return say("Never moves: {names}.", "从不移动：{names}。", names=names)


def draw(frame: pl.DataFrame, theme: Theme) -> Drawing:
    """Panels two by two, each with its own axis."""
    words = Words(
        TRAJECTORY.title,
        TRAJECTORY.question,
        Text(
            "No weight was tracked, or no step has been recorded yet.",
            "没有跟踪任何权重，或还没有记录任何一步。",
        ),
    )
    if not frame.height:
        return nothing(theme, words)
    panels, lanes = frame["panel"].n_unique(), frame["lane"].n_unique()
    about = say(
        "Line charts: {panels} weights against optimiser step for {lanes} lanes, coloured by learning rate.",
        "折线图：{lanes} 条训练线的 {panels} 个权重随步数的变化，按学习率着色。",
        panels=panels,
        lanes=lanes,
    )
    words = words._replace(about=about)
    return draw_lines(frame, theme, words, size=_SIZE, step_title=STEP, room=3.0, log=False)


TRAJECTORY = Chart(
    "trajectory",
    Text("Weights in motion", "运动中的权重"),
    Text(
        "What path does a single weight take at each learning rate?",
        "在每个学习率下，单个权重走什么样的路？",
    ),
    frame,
    draw,
    option="",
)
