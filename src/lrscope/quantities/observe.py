"""Observe: steps become records.

Nothing is copied to the host inside a step: values stay where they are for a chunk of steps and are copied at
once. What is measured when:

- the loss and the trajectories at every step;
- validation loss and metrics at every epoch and before training;
- statistics of every tensor, and histograms, at the steps and epochs of `recording_schedule`;
- sharpness, where it is wanted, at 21 points;
- where probes are wanted, the batches of 20 steps once more after their update.

Where tensors are large and the run is short, a sample of their elements is measured.
"""

import bisect
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrscope.errors import ProblemError
from lrscope.language import Text
from lrscope.plan import LaneKey, Plan
from lrscope.quantities.gradients import GRADIENTS
from lrscope.quantities.histogram import histograms
from lrscope.quantities.landscape import Paths
from lrscope.quantities.probe import BEND, BRANCH, COSINE, Asked, answers, branch
from lrscope.quantities.sample import ELEMENTS, spread
from lrscope.quantities.schedule import full_points, recording_schedule
from lrscope.quantities.sharpness import sharpness, sharpness_points, sharpness_series
from lrscope.quantities.tensor_statistics import POINT, TensorStatistics
from lrscope.quantities.trajectory import TRAJECTORY
from lrscope.quantities.weights import CHANGES, WEIGHTS
from lrscope.record import HistogramRecord, Record, Series
from lrscope.training.curvature import Hessian, Place
from lrscope.training.elements import joined
from lrscope.training.looks import Ahead
from lrscope.training.repeat import repeat_points
from lrscope.training.step import Step, Stretch

CHUNK_STEPS = 2**15
"""Steps whose values wait on the device, at most."""

CHUNK_SECONDS = 1.0
"""Seconds they wait, about: a study is so far behind, and at most twice as far."""

CHUNK_SECONDS_ALONE = 3.0
"""The same where lanes are trained one after another from look to look: each look has all begin anew."""

LOSSES_ONLY = Text("losses, validation and trajectories only", "只有损失、验证和轨迹")
MEASURED = Text(
    "tensor statistics at {points} of {steps} points, histograms at {counted} of {epochs} epochs",
    "张量统计：{steps} 个点中的 {points} 个；直方图：{epochs} 轮中的 {counted} 轮",
)
TOOK = Text("{done}; it took {share} of the time", "{done}；用了 {share} 的时间")
SAMPLED = Text(
    "{done}; of tensors of more than {count} elements about {count}, evenly spread",
    "{done}；元素多于 {count} 个的张量，均匀地取约 {count} 个",
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
    tensors = [quantity.series for quantity in (*WEIGHTS, *GRADIENTS, *CHANGES)]
    own = (*scalars, *tensors, TRAJECTORY)
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
        plan: says how long the run is, what is recorded when, and which scalars are tracked.
        start: name -> [...], the weights of a lane before training.
        curvature_on_top: whether curvature is not counted in the time that recording takes.
        alone: whether lanes are trained one after another from look to look.

    Attributes:
        measures: what measures lanes at points; None for nothing.
        trained, spent: seconds of training and of recording so far.
        paths: where lanes have been, for the landscape.
        last: the step observed last; its weights are those after training once training is over.
    """

    def __init__(
        self,
        plan: Plan,
        start: Mapping[str, Tensor] | None = None,
        *,
        curvature_on_top: bool = True,
        alone: bool = False,
    ) -> None:
        self._plan = plan
        self._curvature_on_top = curvature_on_top
        self._chunk_seconds = CHUNK_SECONDS_ALONE if alone else CHUNK_SECONDS
        self._schedule = recording_schedule(plan)
        self._strides = spread(start) if start is not None and plan.sampled else {}
        self.measures = TensorStatistics(self._strides) if self._schedule.points else None
        self.trained = self.spent = 0.0
        self._measured = self._counted = 0
        self.paths = Paths(plan.steps, plan.tracked if plan.curvature_examples is not None else ())
        self._rate_points = full_points(plan.steps) if plan.schedule is not None else ()
        wanted = plan.curvature_examples is not None
        self._sharpness_points = tuple(sorted(sharpness_points(plan.steps))) if wanted else ()
        self._repeat_points = repeat_points(plan.steps) if plan.probes else frozenset()
        self._pending: dict[str, list[tuple[int, Tensor]]] = {}
        self._pending_tensors: dict[tuple[str, ...], list[tuple[int, Tensor]]] = {}
        self._stretches: list[Stretch] = []
        self._hessian: Hessian | None = None
        self._places: list[tuple[int, Place]] = []
        self._asked: Asked | None = None
        # Of what was asked for beside the budget, and of waiting for the device.
        self._aside_seconds = 0.0
        self.last: Step | None = None
        self._keys: tuple[LaneKey, ...] = ()
        self._device = torch.device("cpu")

    def records(self, steps: Iterable[Step]) -> Iterator[Record | HistogramRecord]:
        """Measure every step and give the records, a chunk of steps at a time."""
        flushed = asked = time.perf_counter()
        waiting = 0
        for step in steps:
            came, aside = time.perf_counter(), self._aside_seconds
            inside = sum(one.seconds for one in step.stretch.measured)
            self.trained += came - asked - inside
            self.spent += inside
            if step.index == 0:
                self._begin(step)
            elif step.keys != self._keys:
                yield from self._flush()
                self._keys = step.keys
            self.last = step
            self._measure(step)
            histogram = self._histogram(step)
            if histogram is not None:
                yield histogram
            waiting += len(step.stretch.tracked)
            if came - flushed > self._chunk_seconds or waiting >= CHUNK_STEPS:
                yield from self._flush()
                flushed, waiting = came, 0
            asked = time.perf_counter()
            self.spent += asked - came - (self._aside_seconds - aside)
        came, aside = time.perf_counter(), self._aside_seconds
        yield from self._flush()
        self.spent += time.perf_counter() - came - (self._aside_seconds - aside)

    def looks(self, index: int) -> Ahead:
        """What lies ahead: a look where all lanes are wanted at one point, or what waits is to be written."""
        if self._plan.probes:
            look = index + 1
        else:
            # About as many steps as may wait, or those to where all lanes are wanted soon: a look costs more
            # than what it is for, where lanes do not fit the cache together.
            pace = self.trained / max(1, index + 1)
            wait = max(1, int(self._chunk_seconds / pace)) if pace else CHUNK_STEPS
            place = bisect.bisect_right(self._sharpness_points, index)
            per_epoch = self._plan.steps_per_epoch
            histogram = self._schedule.epoch_after(index // per_epoch) * per_epoch
            wanted = min([histogram, *self._sharpness_points[place : place + 1]])
            look = int(wanted) if wanted <= index + 2 * wait else index + wait
        ahead = Ahead(self._plan.steps, self._schedule.points_after(index), self._rate_points)
        return ahead.within(look)

    def account(self) -> Text:
        """What was measured, in words."""
        done = LOSSES_ONLY
        if self._schedule.points:
            done = MEASURED.format(
                points=f"{self._measured:,}",
                steps=f"{self._plan.steps + 1:,}",
                counted=f"{self._counted:,}",
                epochs=f"{self._plan.epochs + 1:,}",
            )
        if self._strides:
            done = SAMPLED.format(done=done, count=f"{ELEMENTS:,}")
        return (
            TOOK.format(done=done, share=f"{100 * self.spent / self.trained:.1f}%") if self.trained else done
        )

    def _begin(self, step: Step) -> None:
        self._keys = step.keys
        self._device = next(iter(step.weights.values())).device

    def _measure(self, step: Step) -> None:
        """Keep what was measured, and measure what is wanted of all lanes, but for histograms."""
        t = step.index
        self._stretches.append(step.stretch)
        for one in step.stretch.measured:
            self._pending_tensors.setdefault(one.names, []).append((one.step, one.values))
            self._measured += one.names != POINT  # of which the update is yet to come
        for at, rates in step.stretch.rates:
            self._keep("learning_rate", at, torch.tensor(rates, dtype=torch.float64))
        if t in self._sharpness_points or self._plan.probes:
            began = self._settled()
            if step.curvature is not None and t in self._sharpness_points:
                self._hessian = step.curvature
                self._places.append((t, step.curvature.kept()))
                if step.curvature.enough([place for _, place in self._places]):
                    self._bends()
            self._probe(step)
            self._set_aside(began)
        for name, value in step.validation.items():
            self._keep(name, t, value)

    def _set_aside(self, began: float) -> None:
        """What was asked for took the time since then."""
        if self._curvature_on_top or self._plan.probes:
            self._aside_seconds += self._settled() - began

    def _bends(self) -> None:
        """Measure the curvature at the points kept for that."""
        places, self._places = self._places, []
        if places and self._hessian is not None:
            found = self._hessian.tops([place for _, place in places])
            for (t, _), one in zip(places, found, strict=True):
                for name, value in sharpness(one).items():
                    self._keep(name, t, value)

    def _histogram(self, step: Step) -> HistogramRecord | None:
        """The histograms, where they are due."""
        epoch, rest = divmod(step.index, self._plan.steps_per_epoch)
        if rest or epoch not in self._schedule.epochs:
            return None
        self._counted += 1
        return histograms(step, epoch, self._strides)

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
            gradients = {name: gradient.clone() for name, gradient in step.gradients().items()}
            self._asked = Asked(step.index, kept, gradients)
        if step.branch is not None:
            for name, value in branch(step.branch()).items():
                self._keep(name, step.index, value)

    def _settled(self) -> float:
        """The time, once the device has done what it was told: until here that counts as training."""
        if self._device.type == "cuda":
            began = time.perf_counter()
            torch.cuda.synchronize(self._device)
            waited = time.perf_counter() - began
            self._aside_seconds += waited
            self.trained += waited
        return time.perf_counter()

    def _keep(self, name: str, step: int, value: Tensor) -> None:
        self._pending.setdefault(name, []).append((step, value.detach()))

    def _flush(self) -> Iterator[Record]:
        """Copy what is pending to the host, one copy a quantity."""
        began = time.perf_counter()
        self._bends()
        self._set_aside(began)
        pending, self._pending = self._pending, {}
        tensors, self._pending_tensors = self._pending_tensors, {}
        lanes = np.array([key.lane for key in self._keys], dtype=np.int32)
        stretches, self._stretches = self._stretches, []
        self._settled()
        if stretches:
            steps = np.arange(stretches[0].first, stretches[-1].first + len(stretches[-1].tracked))
            if self._plan.tracked:
                tracked_mkL = _to_host(joined([one.tracked for one in stretches]))
                self.paths.add(stretches[0].first, tracked_mkL, lanes.tolist())
                yield Record(TRAJECTORY.name, steps, lanes, np.moveaxis(tracked_mkL, 1, 2))
            losses_nL = _to_host(joined([one.losses for one in stretches]))
            if len(losses_nL):
                yield Record("loss", steps[: len(losses_nL)], lanes, losses_nL)
        for name, kept in pending.items():
            yield Record(name, _steps(kept), lanes, _on_host(kept))
        of_series: dict[str, list[tuple[NDArray[np.int64], NDArray[Any]]]] = {}
        for names, kept in tensors.items():
            values_nkqL = _on_host(kept).reshape(len(kept), -1, len(names), len(lanes))
            for place, name in enumerate(names):
                of_series.setdefault(name, []).append((_steps(kept), values_nkqL[:, :, place]))
        for name, parts in of_series.items():
            # Of a point that was looked at the update was not known yet.
            steps = np.concatenate([steps for steps, _ in parts])
            values_nkL = np.concatenate([values for _, values in parts])
            order = steps.argsort()
            yield Record(name, steps[order], lanes, np.moveaxis(values_nkL[order], 1, 2))


def _on_host(kept: Sequence[tuple[int, Tensor]]) -> NDArray[Any]:
    return _to_host(torch.stack([value for _, value in kept]))


def _to_host(stacked: Tensor) -> NDArray[Any]:
    if stacked.dtype not in (torch.float32, torch.float64):
        stacked = stacked.float()
    return stacked.cpu().numpy()


def _steps(kept: Sequence[tuple[int, Tensor]]) -> NDArray[np.int64]:
    return np.array([step for step, _ in kept], dtype=np.int64)
