"""Recording schedule: at which steps and epochs of a run tensors are measured.

The plan alone decides it, never a clock: two runs of one plan are recorded at the same steps, however busy
the machine is.
"""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from lrscope.errors import UsageError
from lrscope.language import Text
from lrscope.plan import RECORDS, Plan
from lrscope.recording.sample import ELEMENTS

FULL_POINTS = 125
"""Points of a fully recorded run: 87 of them evenly over it, 22 of these in its last quarter."""

LATE_POINTS = 21
"""Points of a lightly recorded run in its last quarter: the verdicts read at least 20 there."""

EARLY_POINTS = 12
"""Points of a lightly recorded run before its last quarter, evenly; and as many again near its start."""

FULL_EPOCHS, LIGHT_EPOCHS = 21, 6
"""Epochs with histograms, at most."""


LOSSES_ONLY = Text("losses, validation and trajectories only", "只有损失、验证和轨迹")
MEASURED = Text(
    "tensor statistics at {points} of {steps} points, histograms at {counted} of {epochs} epochs",
    "张量统计：{steps} 个点中的 {points} 个；直方图：{epochs} 轮中的 {counted} 轮",
)
SAMPLED = Text(
    "{done}; of tensors of more than {count} elements about {count}, evenly spread",
    "{done}；元素多于 {count} 个的张量，均匀地取约 {count} 个",
)
TOOK = Text("{done}; it took {share} of the time", "{done}；用了 {share} 的时间")


class Spent(NamedTuple):
    """Seconds of training.

    Attributes:
        training: all of it, recording included.
        recording: of that, for measuring.
    """

    training: float = 0.0
    recording: float = 0.0


class RecordingSchedule(NamedTuple):
    """When tensors of a run are measured.

    Attributes:
        points: rising steps at which statistics of every tensor are measured.
        epochs: rising epochs at which histograms are counted; 0 is before training.
    """

    points: tuple[int, ...]
    epochs: tuple[int, ...]


def recording_schedule(plan: Plan) -> RecordingSchedule:
    """Return when tensors are measured by a plan."""
    if plan.record == "losses":
        return RecordingSchedule((), ())
    if plan.record == "light":
        return RecordingSchedule(light_points(plan.steps), histogram_epochs(plan.epochs, LIGHT_EPOCHS))
    return RecordingSchedule(full_points(plan.steps), histogram_epochs(plan.epochs, FULL_EPOCHS))


@functools.cache
def full_points(steps: int) -> tuple[int, ...]:
    """Return 125 steps or a few more, 0 and the last among them; every step of a run that has no more.

    70% of them are spaced evenly over the run, the others at logarithmic distances from its start.
    """
    if steps < FULL_POINTS:
        return tuple(range(steps + 1))
    early = np.geomspace(1, steps, round(0.3 * FULL_POINTS)).round()
    for even in itertools.count(round(0.7 * FULL_POINTS)):
        found = np.unique(np.concatenate([np.linspace(0, steps, even).round(), early]))
        if len(found) >= FULL_POINTS:
            break
    return tuple(found.astype(int).tolist())


@functools.cache
def light_points(steps: int) -> tuple[int, ...]:
    """Return about 45 steps, 0 and the last among them, 21 of them in the last quarter of the run."""
    if steps < LATE_POINTS + 2 * EARLY_POINTS:
        return tuple(range(steps + 1))
    late = np.linspace(math.ceil(0.75 * steps), steps, min(LATE_POINTS, steps // 4 + 1))
    even = np.linspace(0, 0.75 * steps, EARLY_POINTS, endpoint=False)
    early = np.geomspace(1, 0.75 * steps, EARLY_POINTS)
    return tuple(np.unique(np.concatenate([late, even, early]).round()).astype(int).tolist())


@functools.cache
def histogram_epochs(epochs: int, count: int) -> tuple[int, ...]:
    """Return `count` epochs spread evenly over a run, 0 and the last among them; at most all of them."""
    return tuple(np.linspace(0, epochs, min(count, epochs + 1)).round().astype(int).tolist())


def check_record(record: object) -> None:
    """Raise UsageError unless `record` is the name of a recording schedule."""
    if record not in RECORDS:
        raise UsageError(f"record= wants one of {', '.join(RECORDS)}; got {record!r}")


def recording_words(plan: Plan, spent: Spent) -> Text:
    """Say what was measured when, and how much of the time that took."""
    schedule = recording_schedule(plan)
    done = LOSSES_ONLY
    if schedule.points:
        done = MEASURED.format(
            points=f"{len(schedule.points):,}",
            steps=f"{plan.steps + 1:,}",
            counted=f"{len(schedule.epochs):,}",
            epochs=f"{plan.epochs + 1:,}",
        )
        if any(math.prod(shape) > ELEMENTS for shape in plan.shapes) and plan.sampled:
            done = SAMPLED.format(done=done, count=f"{ELEMENTS:,}")
    if spent.training:
        done = TOOK.format(done=done, share=f"{100 * spent.recording / spent.training:.1f}%")
    return done
