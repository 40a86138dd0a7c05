"""Recording schedule: at which steps and epochs of a run tensors are measured.

The plan alone decides it, never a clock: two runs of one plan are recorded at the same steps, however busy
the machine is.
"""

import bisect
import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from lrscope.errors import UsageError
from lrscope.plan import RECORDS, Plan

FULL_POINTS = 125
"""Points of a fully recorded run: 87 of them evenly over it, 22 of these in its last quarter."""

LATE_POINTS = 21
"""Points of a lightly recorded run in its last quarter: the verdicts read at least 20 there."""

EARLY_POINTS = 12
"""Points of a lightly recorded run before its last quarter, evenly; and as many again near its start."""

FULL_EPOCHS, LIGHT_EPOCHS = 21, 6
"""Epochs with histograms, at most."""


class RecordingSchedule(NamedTuple):
    """When tensors of a run are measured.

    Attributes:
        points: rising steps at which statistics of every tensor are measured.
        epochs: rising epochs at which histograms are counted; 0 is before training.
    """

    points: tuple[int, ...]
    epochs: tuple[int, ...]

    def points_after(self, step: int) -> tuple[int, ...]:
        """Return the points after a step."""
        return self.points[bisect.bisect_right(self.points, step) :]

    def epoch_after(self, epoch: int) -> float:
        """Return the first epoch with histograms after an epoch; infinity where none follows."""
        place = bisect.bisect_right(self.epochs, epoch)
        return self.epochs[place] if place < len(self.epochs) else math.inf


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
