"""Observe: steps become records.

Nothing is copied to the host inside a step: values stay where they are for a chunk of steps and are copied at
once. What is measured when:

- the loss and the trajectories at every step;
- validation loss and metrics at every epoch and before training;
- histograms at every epoch and before training, or at 200 of them;
- sharpness, where it is wanted, at 21 points;
- where probes are wanted, the batches of 20 steps once more after their update;
- statistics of every tensor at about 120 points, close together at the beginning, or at every step of a
  shorter run.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from lrscope.errors import ProblemError
from lrscope.plan import LaneKey, Plan
from lrscope.quantities.gradients import GRADIENTS
from lrscope.quantities.histogram import histograms
from lrscope.quantities.probe import BEND, BRANCH, COSINE, Asked, answers, branch
from lrscope.quantities.quantity import Before, Quantity
from lrscope.quantities.sharpness import sharpness, sharpness_points, sharpness_series
from lrscope.quantities.trajectory import TRAJECTORY, values, views
from lrscope.quantities.weights import CHANGES, WEIGHTS, way_from
from lrscope.record import HistogramRecord, Record, Series
from lrscope.training.repeat import repeat_points
from lrscope.training.step import Step

CHUNK_STEPS = 512
"""Steps whose values wait on the device, at most."""

CHUNK_SECONDS = 0.25
"""Seconds they wait, at most: a study is at most so far behind."""

POINTS_EVEN, POINTS_EARLY = 90, 40
"""Points at which tensors are measured: evenly over the run, and at logarithmic distance from its start."""

HISTOGRAM_EPOCHS = 200
"""Epochs with histograms, at most; the first and the last are among them."""


def points(steps: int) -> frozenset[int]:
    """The steps at which tensors are measured; 0 and the last are among them."""
    even = np.linspace(0, steps, min(POINTS_EVEN, steps + 1)).round()
    early = np.geomspace(1, max(steps, 1), POINTS_EARLY).round()
    return frozenset(int(step) for step in np.concatenate([even, early]) if step <= steps)


def histogram_epochs(epochs: int) -> frozenset[int]:
    """The epochs with histograms; 0 is before training."""
    return frozenset(
        int(epoch) for epoch in np.linspace(0, epochs, min(HISTOGRAM_EPOCHS, epochs + 1)).round()
    )


def series(plan: Plan) -> tuple[Series, ...]:
    """Everything a sweep by this plan records, apart from histograms.

    Raises:
        ProblemError: a metric has the name of something else.
    """
    scalars = [Series("loss", "", "scalar", "mini-batch loss at w_t, before the update")]
    if plan.val_size is not None:
        scalars.append(
            Series("val_loss", "", "scalar", "validation loss in eval mode, averaged over examples")
        )
        scalars += [Series(name, "", "scalar", "averaged over validation examples") for name in plan.metrics]
    if plan.schedule is not None:
        scalars.append(Series("learning_rate", "", "scalar", "rate of the update that follows"))
    scalars += sharpness_series(plan)
    if plan.probes:
        scalars += [COSINE, BEND]
        scalars += BRANCH if plan.schedule is None else ()
    way = [quantity.series for quantity in way_from({})]
    tensors = [quantity.series for quantity in (*WEIGHTS, *GRADIENTS)]
    own = (*scalars, *tensors, *way, *(change.series for change in CHANGES), TRAJECTORY)
    counted = Counter(one.name for one in own)
    twice = [name for name in plan.metrics if counted[name] > 1]
    if twice:
        raise ProblemError(
            f"metrics= has {twice[0]!r}, the name of a series of lrscope's own: call it otherwise"
        )
    return own


class Observer:
    """Turns the steps of one run into records.

    Args:
        plan: says how long the run is and which scalars are tracked.

    Attributes:
        last: the step observed last; its weights are those after training once training is over.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._points = points(plan.steps)
        self._sharpness_points = sharpness_points(plan.steps)
        self._histogram_epochs = histogram_epochs(plan.epochs)
        self._pending: dict[str, list[tuple[int, Tensor]]] = {}
        self._quantities: tuple[Quantity, ...] = WEIGHTS
        self._tracked_views: list[Tensor] = []
        self._before: Before | None = None
        self._asked: Asked | None = None
        self._repeat_points = repeat_points(plan.steps) if plan.probes else frozenset()
        self._start: dict[str, Tensor] = {}
        self.last: Step | None = None
        self._keys: tuple[LaneKey, ...] = ()

    def records(self, steps: Iterable[Step]) -> Iterator[Record | HistogramRecord]:
        """Measure every step and give the records, a chunk of steps at a time."""
        flushed = time.monotonic()
        for step in steps:
            if step.index == 0:
                self._begin(step)
            elif step.keys != self._keys:
                yield from self._flush()
                self._narrow(step)
            self.last = step
            histogram = self._measure(step)
            now = time.monotonic()
            if (
                histogram is not None
                or now - flushed > CHUNK_SECONDS
                or len(self._pending.get("loss", ())) >= CHUNK_STEPS
            ):
                yield from self._flush()
                flushed = now
            if histogram is not None:
                yield histogram
        yield from self._flush()

    def _begin(self, step: Step) -> None:
        self._keys = step.keys
        self._start = {name: tensor.detach().clone() for name, tensor in step.weights.items()}
        self._quantities = (*WEIGHTS, *way_from(self._start))
        self._tracked_views = views(step.weights, self._plan.tracked)

    def _narrow(self, step: Step) -> None:
        """Some lanes have left: forget what is kept of them."""
        stay = torch.tensor([self._keys.index(key) for key in step.keys])

        def staying(stacks: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: stack[stay.to(stack.device)] for name, stack in stacks.items()}

        self._keys = step.keys
        self._start = staying(self._start)
        self._quantities = (*WEIGHTS, *way_from(self._start))
        self._tracked_views = views(step.weights, self._plan.tracked)
        if self._before is not None:
            before = self._before
            self._before = Before(before.step, staying(before.weights), staying(before.moving))

    def _measure(self, step: Step) -> HistogramRecord | None:
        """Measure what is due at this step; histograms come back by themselves."""
        t = step.index
        if self._before is not None:
            for change in CHANGES:
                self._keep(change.name, self._before.step, change.measure(self._before, step.weights))
            self._before = None
        if self._tracked_views:
            self._keep(TRAJECTORY.name, t, values(self._tracked_views))
        if step.losses is not None:
            self._keep("loss", t, step.losses)
        if t in self._points:
            for quantity in self._quantities:
                self._keep(quantity.name, t, quantity.measure(step))
            if step.losses is not None:
                for quantity in GRADIENTS:
                    self._keep(quantity.name, t, quantity.measure(step))
                self._before = Before(
                    t,
                    {name: tensor.detach().clone() for name, tensor in step.weights.items()},
                    _moving(step),
                )
                if self._plan.schedule is not None:
                    self._keep("learning_rate", t, torch.tensor(step.rates(), dtype=torch.float64))
        if t in self._sharpness_points:
            for name, value in sharpness(step).items():
                self._keep(name, t, value)
        self._probe(step)
        for name, value in step.validation.items():
            self._keep(name, t, value)
        epoch, rest = divmod(t, self._plan.steps_per_epoch)
        return histograms(step, epoch) if not rest and epoch in self._histogram_epochs else None

    def _probe(self, step: Step) -> None:
        """Ask the last step's batch again, and keep what the answer to this one will be compared with."""
        if self._asked is not None and step.again is not None:
            found = step.again()
            if found:
                for name, value in answers(self._asked, step.weights, found).items():
                    self._keep(name, self._asked.step, value)
        self._asked = None
        if step.losses is not None and step.index in self._repeat_points:
            kept = {name: tensor.detach().clone() for name, tensor in step.weights.items()}
            self._asked = Asked(step.index, kept, step.gradients())
        if step.branch is not None:
            for name, value in branch(step.branch()).items():
                self._keep(name, step.index, value)

    def _keep(self, name: str, step: int, value: Tensor) -> None:
        self._pending.setdefault(name, []).append((step, value.detach()))

    def _flush(self) -> Iterator[Record]:
        """Copy what is pending to the host, one copy a quantity."""
        pending, self._pending = self._pending, {}
        lanes = np.array([key.lane for key in self._keys], dtype=np.int32)
        for name, kept in pending.items():
            stacked = torch.stack([value for _, value in kept])
            if stacked.dtype not in (torch.float32, torch.float64):
                stacked = stacked.float()
            steps = np.array([step for step, _ in kept], dtype=np.int64)
            yield Record(name, steps, lanes, stacked.cpu().numpy())


def _moving(step: Step) -> dict[str, Tensor]:
    """name -> bool [L, ...]: where the gradient is not zero, or only reads so for a nudge rounded away."""
    moving = {name: gradient != 0 for name, gradient in step.gradients().items()}
    for name, rounded in step.rounded().items():
        moving[name] |= rounded
    return moving
