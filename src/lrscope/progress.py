"""Progress: how far a sweep is, computed from its Records."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lrscope.executors.executor import Training
from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record
from lrscope.recording.trajectory import TRAJECTORY


class Epoch(NamedTuple):
    """The end of an epoch.

    Attributes:
        epoch: its number, 0 before training.
        scalar: the first scalar that is tracked, "0.weight[0,0]".
        values: its value in every lane; NaN in a lane that has left.
    """

    epoch: int
    scalar: str
    values: tuple[float, ...]


class Progress(NamedTuple):
    """How far a sweep is.

    Attributes:
        step: updates done by a lane, averaged over lanes.
        steps: updates of a full run.
        alive: for each lane, whether its loss has been finite so far.
        loss: the latest mini-batch loss of each lane.
        seconds: time since training began.
        how: how the lanes run, in words.
        epochs: the epochs that all lanes ended since the last call; epoch 0 is before training.
    """

    step: int
    steps: int
    alive: tuple[bool, ...]
    loss: tuple[float, ...]
    seconds: float
    how: str
    epochs: tuple[Epoch, ...] = ()


class Follower:
    """Follows the Records of a sweep and reports how far it is.

    Args:
        plan: the question.
        how: how the lanes run, in words.
        progress: called with a Progress; None calls nothing.
    """

    def __init__(self, plan: Plan, how: str, progress: Callable[[Progress], None] | None) -> None:
        lanes = len(plan.lanes)
        self._plan, self._how, self._progress = plan, how, progress
        self._began = time.monotonic()
        self._done = np.zeros(lanes, np.int64)
        self._alive = np.ones(lanes, bool)
        self._losses = np.full(lanes, np.nan)
        self._values: dict[int, dict[int, float]] = {}
        self._next_epoch = 0
        self._ended = np.zeros(lanes, bool)
        self._seen_epochs = np.full(lanes, -1)

    def see(self, record: Record | HistogramRecord) -> None:
        """Take a Record that has been written."""
        if self._progress is None or not isinstance(record, Record):
            return
        if record.quantity == TRAJECTORY.name:
            self._see_epochs(record)
        elif record.quantity == "loss":
            self._alive[record.lanes] &= np.isfinite(record.values).all(axis=0)
            self._done[record.lanes] = int(record.steps[-1]) + 1
            self._losses[record.lanes] = record.values[-1]
            self._tell()

    def see_end(self, training: Training) -> None:
        """Take note that a Block has ended."""
        lanes = [key.lane for key in training.block.keys]
        self._done[lanes] = self._plan.steps
        self._ended[lanes] = True
        if self._progress is not None:
            self._tell()

    def _see_epochs(self, record: Record) -> None:
        """Keep the first tracked scalar at the ends of epochs."""
        for row, step in enumerate(record.steps.tolist()):
            epoch, rest = divmod(step, self._plan.steps_per_epoch)
            if not rest:
                values = record.values[row, :, 0].tolist()
                self._values.setdefault(epoch, {}).update(zip(record.lanes.tolist(), values, strict=True))
                self._seen_epochs[record.lanes] = epoch

    def _epochs(self) -> tuple[Epoch, ...]:
        """Return the epochs that every lane has ended or will not reach any more."""
        found = []
        going = ~self._ended
        last = int(self._seen_epochs[going].min()) if going.any() else max(self._values, default=-1)
        while self._next_epoch <= last:
            values = self._values.pop(self._next_epoch, {})
            of_lanes = tuple(values.get(lane, np.nan) for lane in range(len(going)))
            tensor, index = self._plan.tracked[0]
            scalar = f"{tensor}[{','.join(map(str, index))}]" if index else tensor
            found.append(Epoch(self._next_epoch, scalar, of_lanes))
            self._next_epoch += 1
        return tuple(found)

    def _tell(self) -> None:
        assert self._progress is not None
        self._progress(
            Progress(
                int(self._done.mean()),
                self._plan.steps,
                tuple(map(bool, self._alive)),
                tuple(self._losses.tolist()),
                time.monotonic() - self._began,
                self._how,
                self._epochs(),
            )
        )
