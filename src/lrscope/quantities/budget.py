"""Budget: when tensors and histograms are measured, so that recording stays within a share of the time.

What a measurement costs, and how long training takes, is found out on the way. Which points are measured
therefore depends a little on the machine; what is measured at a point does not.
"""

import bisect
import functools
import itertools
import math
import statistics
from collections import deque
from typing import NamedTuple

import numpy as np

from lrscope.language import Text
from lrscope.plan import Plan

RECORD_BUDGET = 0.05
"""Recording takes at most so much of the time that training takes, where the fewest points allow it."""


MEASURING = 0.4
"""Of that, what measuring itself may take. The rest is for what cannot be timed by itself: processes that
wait for each other at looks, weights that measuring drives out of the cache, the study's file."""


class Detail(NamedTuple):
    """How much is measured over a whole run, at most.

    Attributes:
        points: steps at which tensors are measured.
        epochs: epochs with histograms, the one before training counted.
    """

    points: int
    epochs: int


DETAILS = tuple(
    itertools.starmap(
        Detail,
        (
            (125, 200),
            (100, 200),
            (80, 100),
            (80, 50),
            (80, 21),
            (60, 21),
            (45, 21),
            (35, 21),
            (25, 21),
            (25, 11),
            (25, 6),
        ),
    )
)
"""From the most to the fewest; the verdicts read at least 80 points where the budget has room for them."""

REVIEW_EVERY = 256
"""Steps between two reviews of what can be afforded."""

LOSSES_ONLY = Text("losses, validation and trajectories only", "只有损失、验证和轨迹")
MEASURED = Text(
    "tensor statistics at {points} of {steps} points, histograms at {counted} of {epochs} epochs",
    "张量统计：{steps} 个点中的 {points} 个；直方图：{epochs} 轮中的 {counted} 轮",
)
WITHIN = Text(
    "{done}, to keep recording within {share} of the time (--record-budget)",
    "{done}，使记录所用时间不超过 {share}（--record-budget）",
)
FEWEST = Text(
    "{done}, the fewest there are, though recording was to take {share} of the time (--record-budget)",
    "{done}，已是最少，尽管记录本应只占时间的 {share}（--record-budget）",
)
TOOK = Text("{done}; it took {share}", "{done}；实际用了 {share}")

STRETCHES = 4
"""From review to review; those to come are taken to be as quick as the quickest of the latest so many. Of the
first nothing is expected: steps are slow until they are captured."""

FEW = 9
"""Measurements whose median is taken for the cost of the next one."""


@functools.cache
def points(steps: int, count: int = DETAILS[0].points) -> tuple[int, ...]:
    """About `count` steps at which tensors are measured, and at least so many where the run has them.

    Evenly over the run, and at logarithmic distance from its start; 0 and the last are among them.
    """
    if steps < count:
        return tuple(range(steps + 1))
    early = np.geomspace(1, steps, round(0.3 * count)).round()
    even = round(0.7 * count)
    while True:
        found = np.unique(np.concatenate([np.linspace(0, steps, even).round(), early]))
        if len(found) >= count:
            return tuple(found.astype(int).tolist())
        even += 1


@functools.cache
def histogram_epochs(epochs: int, count: int = DETAILS[0].epochs) -> tuple[int, ...]:
    """The epochs with histograms, all or `count` of them; 0 is before training and the last is among them."""
    return tuple(np.linspace(0, epochs, min(count, epochs + 1)).round().astype(int).tolist())


class Budget:
    """Says what is due, from what was spent so far.

    Args:
        plan: how long the run is.
        share: of the training time; 0 measures no tensors and no histograms at all, infinity everything.

    Attributes:
        trained, spent: seconds of training and of recording.
        measured, counted: steps and epochs measured so far.
    """

    def __init__(self, plan: Plan, share: float) -> None:
        self._plan = plan
        self._share = share
        # Until it is known what measuring costs, it is done as seldom as it ever is.
        self._detail = None if not share else DETAILS[0] if math.isinf(share) else DETAILS[-1]
        self.trained = self.spent = 0.0
        self.measured = self.counted = 0
        self._point_costs: deque[float] = deque(maxlen=FEW)
        self._histogram_costs: deque[float] = deque(maxlen=FEW)
        self._on_both = 0.0
        self._mark = (0, 0.0)
        self._paces: deque[float] = deque(maxlen=STRETCHES)
        self._points = () if self._detail is None else points(plan.steps, self._detail.points)
        self._next_epoch = 0 if share else plan.epochs + 1

    def pace(self, step: int) -> float:
        """Seconds that a step takes, after so many."""
        return min(self._paces, default=self.trained / max(1, step))

    def points(self, step: int) -> tuple[int, ...]:
        """The steps after this one at which tensors are to be measured, as things stand."""
        return self._points[bisect.bisect_right(self._points, step) :]

    def histogram_due(self, epoch: int) -> bool:
        """Whether histograms are to be counted at an epoch."""
        return epoch >= self._next_epoch

    def next_histogram(self, step: int) -> int:
        """The first step after this one at which histograms are due, as things stand."""
        per_epoch = self._plan.steps_per_epoch
        return max(self._next_epoch, step // per_epoch + 1) * per_epoch

    def point(self, seconds: float) -> None:
        """Tensors were measured; it took so long, the change that follows included."""
        self.measured += 1
        self._on_both += seconds
        self._point_costs.append(seconds)

    def histogram(self, seconds: float) -> None:
        """Histograms were counted; it took so long."""
        self.counted += 1
        self._on_both += seconds
        self._histogram_costs.append(seconds)

    def review(self, step: int) -> None:
        """See what can be afforded from here on; what was due at this step is done."""
        if self._detail is None:
            return
        before, then = self._mark
        # What comes before the end of the first step takes as long as many.
        self._mark = (step, self.trained)
        if step > before:
            self._paces.append((self.trained - then) / (step - before))
        if self._point_costs and self._histogram_costs and len(self._paces) > 1:
            self._detail = self._affordable(step)
        self._points, epochs = self._all(self._detail)
        _, epoch_at = self._done(self._points, epochs, step)
        self._next_epoch = epochs[epoch_at] if epoch_at < len(epochs) else self._plan.epochs + 1

    def _all(self, detail: Detail) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The steps and the epochs that a detail measures."""
        return points(self._plan.steps, detail.points), histogram_epochs(self._plan.epochs, detail.epochs)

    def _done(self, steps: tuple[int, ...], epochs: tuple[int, ...], step: int) -> tuple[int, int]:
        """How many of them are over once a step is."""
        epoch = step // self._plan.steps_per_epoch
        return bisect.bisect_right(steps, step), bisect.bisect_right(epochs, epoch)

    def _affordable(self, step: int) -> Detail:
        """The most for which there is time from a step on, as things stand: costs are known."""
        to_go = self._plan.steps - step
        total = self.trained + to_go * self.pace(step)
        always = (self.spent - self._on_both) * to_go / max(1, step)
        free = MEASURING * self._share * total - self.spent - always
        of_point, of_histogram = map(statistics.median, (self._point_costs, self._histogram_costs))
        for detail in DETAILS:
            steps, epochs = self._all(detail)
            at, epoch_at = self._done(steps, epochs, step)
            if (len(steps) - at) * of_point + (len(epochs) - epoch_at) * of_histogram <= free:
                return detail
        return DETAILS[-1]

    def account(self) -> Text:
        """What was measured, in words."""
        steps, epochs = self._plan.steps, self._plan.epochs
        done = LOSSES_ONLY
        if self._detail is not None:
            done = MEASURED.format(
                points=f"{self.measured:,}",
                steps=f"{steps + 1:,}",
                counted=f"{self.counted:,}",
                epochs=f"{epochs + 1:,}",
            )
            most = DETAILS[0]
            if self.measured < min(most.points, steps + 1) or self.counted < min(most.epochs, epochs + 1):
                fewest = self.spent > self._share * self.trained and self._detail == DETAILS[-1]
                done = (FEWEST if fewest else WITHIN).format(done=done, share=f"{100 * self._share:g}%")
        if not self.trained:
            return done
        return TOOK.format(done=done, share=f"{100 * self.spent / self.trained:.1f}%")
