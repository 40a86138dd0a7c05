"""Observer: measures the lanes of a Block on their way and gives Records.

Measured when:

- the loss and the trajectories at every step;
- validation loss and metrics at every epoch and before training;
- statistics of every tensor, and histograms, at the steps and epochs of `recording_schedule`;
- sharpness, where it is wanted, at 21 points;
- where probes are wanted, the gradients of the batches of 20 steps once more after their update.

Where tensors are large and the run is short, a sample of their elements is measured. Values stay on the
device for many steps and are copied to the host together.

Letters: L lanes, n steps, k tensors, q series.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record
from lrscope.recording.histogram import histograms
from lrscope.recording.probe import Asked, answers, branch
from lrscope.recording.sample import spread
from lrscope.recording.schedule import full_points, recording_schedule
from lrscope.recording.sharpness import sharpness, sharpness_points
from lrscope.recording.statistics import TensorStatistics
from lrscope.recording.trajectory import TRAJECTORY
from lrscope.training.curvature import Hessian, Place
from lrscope.training.gradients import Gradients
from lrscope.training.lanes import Lanes
from lrscope.training.probes import repeat_points

WAITING_STEPS = 128
"""Steps whose losses wait on the device."""


class Observer:
    """Measures lanes and keeps the values until `flush` gives them as Records.

    Args:
        plan: says how long the run is, what is recorded when, and which scalars are tracked.
        lanes: the lanes, at their start.
        start: name -> [...], the weights of a lane before training.
        edges: name -> the edges of its histogram.
        hessian: measures curvature; None where it is not wanted.
        at_once: whether the losses of each step are copied at once: a small tensor that lasts would keep a
            large piece of memory that the pass of a lane has freed from being used again.

    Attributes:
        repeat_points: steps whose batch is asked again after the update.
        seconds: that measuring took so far.
    """

    def __init__(
        self,
        plan: Plan,
        lanes: Lanes,
        start: Mapping[str, Tensor],
        edges: Mapping[str, Tensor],
        hessian: Hessian | None,
        *,
        at_once: bool,
    ) -> None:
        self._plan, self._lanes, self._edges, self._hessian = plan, lanes, edges, hessian
        self._schedule = recording_schedule(plan)
        self._strides = spread(start) if plan.sampled else {}
        self._statistics: TensorStatistics | None = None
        if self._schedule.points:
            self._statistics = TensorStatistics(lanes.weights, start, self._strides)
        self._points = frozenset(self._schedule.points)
        self._rate_points = frozenset(full_points(plan.steps)) if plan.schedule is not None else frozenset()
        self._sharpness_points = frozenset[int]()
        if hessian is not None:
            self._sharpness_points = sharpness_points(plan.steps)
        self.repeat_points = repeat_points(plan.steps) if plan.probes else frozenset[int]()
        self._due = self._points | self._rate_points | self._sharpness_points | self.repeat_points
        self._waiting_steps = 1 if at_once else WAITING_STEPS
        self._first = 0
        self._losses: list[Tensor] = []
        self._copied: list[NDArray[Any]] = []
        self._tracked_first = 0
        self._scalars: dict[str, list[tuple[int, Tensor]]] = {}
        self._places: list[tuple[int, Place]] = []
        self._asked: Asked | None = None
        self._histograms: list[HistogramRecord] = []
        self.seconds = 0.0

    def arrive(self, step: int, validation: Mapping[str, Tensor]) -> None:
        """See the lanes at w_t, before the pass of a step: validation values, and histograms where due."""
        for name, value in validation.items():
            self._keep(name, step, value)
        epoch, rest = divmod(step, self._plan.steps_per_epoch)
        if rest or epoch not in self._schedule.epochs:
            return
        began = time.perf_counter()
        lanes = [key.lane for key in self._lanes.keys]
        self._histograms.append(histograms(epoch, lanes, self._lanes.weights, self._edges, self._strides))
        self.seconds += time.perf_counter() - began

    def before(self, step: int, losses_L: Tensor, gradients: Gradients) -> None:
        """See the lanes at w_t, with the losses and gradients of a step, before their update."""
        self._losses.append(losses_L)
        self._lanes.tracked.add()
        if len(self._losses) >= self._waiting_steps:
            self._copy_losses()
        if step not in self._due:
            return
        began = time.perf_counter()
        if step in self._points and self._statistics is not None:
            self._statistics.take(step, gradients.stacked(self._strides), gradients.rounded())
        if step in self._rate_points:
            rates = torch.tensor(self._lanes.rates(), dtype=torch.float64)
            self._keep("learning_rate", step, rates)
        self._curvature(step)
        if step in self.repeat_points:
            kept = {name: tensor.detach().clone() for name, tensor in self._lanes.weights.items()}
            self._asked = Asked(step, kept, {n: g.clone() for n, g in gradients.stacked({}).items()})
        self.seconds += time.perf_counter() - began

    def after(self, step: int, repeat: Callable[[], dict[str, Tensor]]) -> None:
        """See the lanes at w_{t+1}, after the update of a step.

        Args:
            step: t.
            repeat: gives the gradients of the step's batch at the new weights.
        """
        if step not in self._due:
            return
        began = time.perf_counter()
        if step in self._points and self._statistics is not None:
            self._statistics.take_update()
        if self._asked is not None:
            asked, self._asked = self._asked, None
            for name, value in answers(asked, self._lanes.weights, repeat()).items():
                self._keep(name, step, value)
        self.seconds += time.perf_counter() - began

    def end(self, step: int, branch_losses: Tensor | None) -> None:
        """See the lanes at w_T, after the last update of the run."""
        began = time.perf_counter()
        self._lanes.tracked.add()
        if self._statistics is not None:
            self._statistics.take(step, None)
        self._curvature(step)
        if branch_losses is not None:
            for name, value in branch(branch_losses).items():
                self._keep(name, step, value)
        self.seconds += time.perf_counter() - began

    def _curvature(self, step: int) -> None:
        if self._hessian is None or step not in self._sharpness_points:
            return
        self._places.append((step, self._hessian.kept()))
        if self._hessian.enough([place for _, place in self._places]):
            self._measure_curvature()

    def _measure_curvature(self) -> None:
        places, self._places = self._places, []
        if not places or self._hessian is None:
            return
        found = self._hessian.tops([place for _, place in places])
        for (step, _), one in zip(places, found, strict=True):
            for name, value in sharpness(one).items():
                self._keep(name, step, value)

    def narrow(self, stay: Sequence[int]) -> None:
        """Go on with some of the lanes, by place; everything must have been flushed."""
        if self._statistics is not None:
            self._statistics.narrow(self._lanes.weights, stay)

    @property
    def full(self) -> bool:
        """Whether so much waits that it should be flushed."""
        return self._statistics is not None and self._statistics.full

    def flush(self) -> Iterator[Record | HistogramRecord]:
        """Give everything measured so far as Records, one a series."""
        began = time.perf_counter()
        self._measure_curvature()
        yield from self._histograms
        self._histograms = []
        lanes = np.array([key.lane for key in self._lanes.keys], dtype=np.int32)
        tracked_nkL = self._lanes.tracked.taken()
        if len(tracked_nkL):
            steps = np.arange(self._tracked_first, self._tracked_first + len(tracked_nkL))
            self._tracked_first += len(tracked_nkL)
            if self._plan.tracked:
                yield Record(TRAJECTORY.name, steps, lanes, np.moveaxis(_to_host(tracked_nkL), 1, 2))
        self._copy_losses()
        if self._copied:
            losses_nL = np.concatenate(self._copied)
            steps = np.arange(self._first, self._first + len(losses_nL))
            self._first += len(losses_nL)
            self._copied = []
            yield Record("loss", steps, lanes, losses_nL)
        scalars, self._scalars = self._scalars, {}
        for name, kept in scalars.items():
            values = _to_host(torch.stack([value for _, value in kept]))
            yield Record(name, _steps(kept), lanes, values)
        yield from self._flush_tensors(lanes)
        self.seconds += time.perf_counter() - began

    def _flush_tensors(self, lanes: NDArray[np.int32]) -> Iterator[Record]:
        """Measure the snapshots that wait, and give their numbers."""
        if self._statistics is None:
            return
        of_series: dict[str, list[tuple[int, NDArray[Any]]]] = {}
        for one in self._statistics.measure():
            values_kqL = _to_host(one.values)
            for place, name in enumerate(one.names):
                of_series.setdefault(name, []).append((one.step, values_kqL[:, place]))
        for name, parts in of_series.items():
            values_nkL = np.stack([values for _, values in parts])
            yield Record(name, _steps(parts), lanes, np.moveaxis(values_nkL, 1, 2))

    def resume(self, done: int) -> None:
        """Go on after so many updates: everything before has been flushed elsewhere."""
        self._first = self._tracked_first = done

    def _copy_losses(self) -> None:
        if self._losses:
            self._copied.append(_to_host(torch.stack(self._losses).detach()))
            self._losses = []

    def _keep(self, name: str, step: int, value: Tensor) -> None:
        self._scalars.setdefault(name, []).append((step, value.detach()))


def _to_host(stacked: Tensor) -> NDArray[Any]:
    if stacked.dtype not in (torch.float32, torch.float64):
        stacked = stacked.float()
    found: NDArray[Any] = stacked.cpu().numpy()
    return found


def _steps(kept: Sequence[tuple[int, Any]]) -> NDArray[np.int64]:
    return np.array([step for step, _ in kept], dtype=np.int64)
