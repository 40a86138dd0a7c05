"""Curve: one lane's recorded arrays, cut where the lane stopped; and how they are read from a study.

Letters: T steps done, n points, L lanes, k tensors or tracked scalars.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lrscope.plan import Plan
from lrscope.record import Series

Floats: TypeAlias = NDArray[np.float64]
Steps: TypeAlias = NDArray[np.int64]


class Track(NamedTuple):
    """A quantity of one lane at the steps at which it was measured.

    Attributes:
        steps: int64 [n], rising.
        values: float64 [n], or [n, k] where it is measured on k tensors or tracked scalars.
    """

    steps: Steps
    values: Floats

    def until(self, step: int) -> "Track":
        """What was measured up to this step, itself included."""
        count = int(np.searchsorted(self.steps, step, side="right"))
        return Track(self.steps[:count], self.values[:count])

    def last_quarter(self, steps: int, least: int) -> Floats:
        """The values of the last quarter of a run of so many steps, at least the last `least` points."""
        count = len(self.steps) - int(np.searchsorted(self.steps, 3 * steps // 4))
        return self.values[-max(count, least) :]

    def late(self, steps: int, least: int) -> Floats | None:
        """Return the values of the last quarter of a run of so many steps.

        None where fewer than `least` were measured there, and not every step either: a rule that reads fewer
        would read the whole run, or luck.
        """
        begin = 3 * steps // 4
        values = self.values[int(np.searchsorted(self.steps, begin)) :]
        return values if len(values) >= max(1, min(least, steps - begin)) else None


LANCZOS = tuple(
    f"{which}_{what}" for which in ("sharpness", "preconditioned") for what in ("residual", "products")
)
"""Series that say how well an eigenvalue is known."""

PROBES = ("same_batch_cosine", "update_curvature", "branch_loss", "branch_error")
"""Series of a study with probes."""

NO_TRACK = Track(np.empty(0, np.int64), np.empty(0))


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """One lane, as far as it was measured.

    Attributes:
        lane, rate, seed: its key.
        loss: float64 [T], the mini-batch loss at w_t, t = 0..T-1, cut before the first value that is not
            finite; such a value, given here, becomes `stopped_step`.
        val: validation loss at step 0 and at the end of every epoch.
        metrics: the same for each metric, by name.
        tensors: quantities measured on every tensor, [n, k], by name: "weight_norm", "distance", ...
        trajectory: the tracked scalars at every step, [n, k].
        sharpness: largest eigenvalue of the Hessian of the training loss, where it was measured.
        preconditioned: the same after the optimizer's division, for those of the Adam family and RMSprop.
        lanczos: how well either is known: "sharpness_residual", "sharpness_products",
            "preconditioned_residual", "preconditioned_products".
        probes: "same_batch_cosine", "update_curvature" of about 20 updates, and "branch_loss", "branch_error"
            of a little more training at a fifth of the rate, where they were asked for.
        stopped_step: the step of the first loss that was not finite, None where there is none.
    """

    lane: int
    rate: float
    seed: int
    loss: Floats
    val: Track = NO_TRACK
    metrics: Mapping[str, Track] = dataclasses.field(default_factory=dict)
    tensors: Mapping[str, Track] = dataclasses.field(default_factory=dict)
    trajectory: Track = NO_TRACK
    sharpness: Track = NO_TRACK
    preconditioned: Track = NO_TRACK
    lanczos: Mapping[str, Track] = dataclasses.field(default_factory=dict)
    probes: Mapping[str, Track] = dataclasses.field(default_factory=dict)
    stopped_step: int | None = None

    def __post_init__(self) -> None:
        """Cut the loss where it stops being finite."""
        finite = finite_length(self.loss)
        if finite < len(self.loss):
            object.__setattr__(self, "stopped_step", finite)
            object.__setattr__(self, "loss", self.loss[:finite])

    @property
    def steps(self) -> int:
        """Steps whose loss is finite and known, T."""
        return len(self.loss)

    @property
    def measured(self) -> bytes:
        """All losses and metrics, so that lanes that trained bitwise alike are known."""
        tracks = (self.val, *self.metrics.values())
        return b"".join((self.loss.tobytes(), *(track.values.tobytes() for track in tracks)))

    def until(self, steps: int) -> "Curve":
        """The same lane after so many updates, as if it had ended there; a stop is not forgotten."""
        if self.steps <= steps:
            return self
        return dataclasses.replace(
            self,
            loss=self.loss[:steps],
            val=self.val.until(steps),
            metrics={name: track.until(steps) for name, track in self.metrics.items()},
            tensors={name: track.until(steps) for name, track in self.tensors.items()},
            trajectory=self.trajectory.until(steps),
            sharpness=self.sharpness.until(steps),
            preconditioned=self.preconditioned.until(steps),
            probes={name: track.until(steps) for name, track in self.probes.items()},
        )


class StudyArrays(Protocol):
    """What is read of a study; `lrscope.store.study_file.StudyFile` is one."""

    @property
    def plan(self) -> Plan:
        """The question."""

    @property
    def series(self) -> Sequence[Series]:
        """What was recorded."""

    def lanes(self) -> pl.DataFrame:
        """Columns lane, rate, seed, state, steps, stopped_step."""

    def array(self, name: str) -> tuple[Steps, Floats]:
        """Steps [n] and values [n, L] or [n, L, k]; NaN where a lane has no row."""


def read_curves(study: StudyArrays) -> tuple[Curve, ...]:
    """Every lane of a study, in the order of its lanes; a study that still runs gives what it has."""
    arrays = {one.name: (one.kind, *study.array(one.name)) for one in study.series}
    rows = study.lanes().sort("lane").iter_rows(named=True)
    return tuple(_curve(study.plan, row, arrays) for row in rows)


def finite_length(values: Floats) -> int:
    """How many values come before the first that is not finite."""
    broken = ~np.isfinite(values)
    return int(np.argmax(broken)) if broken.any() else len(values)


def _curve(plan: Plan, row: Mapping[str, Any], arrays: Mapping[str, tuple[str, Steps, Floats]]) -> Curve:
    lane, state = row["lane"], row["state"]
    tracks = {name: (kind, Track(steps, values[:, lane])) for name, (kind, steps, values) in arrays.items()}
    loss = tracks["loss"][1].values if "loss" in tracks else NO_TRACK.values
    # NaN is a loss that was not finite, or one that is not there yet: only a lane that stopped has the first.
    loss = loss[: finite_length(loss)]
    complete = state in ("finished", "stopped")
    # The lanes of a search began at different times, and need not have been measured at the same steps.
    shared = plan.chosen is None
    measured = {
        name: (kind, _measured(track, len(loss), complete, shared)) for name, (kind, track) in tracks.items()
    }
    trajectories = [track for kind, track in measured.values() if kind == "trajectory"]
    return Curve(
        lane=lane,
        rate=row["rate"],
        seed=row["seed"],
        loss=loss,
        val=measured["val_loss"][1] if "val_loss" in measured else NO_TRACK,
        metrics={name: measured[name][1] for name in plan.metrics if name in measured},
        tensors={name: track for name, (kind, track) in measured.items() if kind == "tensor"},
        trajectory=trajectories[0] if trajectories else NO_TRACK,
        sharpness=measured["sharpness"][1] if "sharpness" in measured else NO_TRACK,
        preconditioned=measured.get("preconditioned_sharpness", ("", NO_TRACK))[1],
        lanczos={name: measured[name][1] for name in LANCZOS if name in measured},
        probes={name: measured[name][1] for name in PROBES if name in measured},
        stopped_step=row["stopped_step"],
    )


def _measured(track: Track, steps_done: int, complete: bool, shared: bool) -> Track:
    """The rows that this lane has, among those of all lanes.

    A row without a finite value was measured if a later one was, or if the lane has ended; otherwise it may
    just not be written yet. Where lanes do not share the steps they are measured at, such a row is another
    lane's.
    """
    finite = np.isfinite(track.values).any(axis=tuple(range(1, track.values.ndim)))
    measured = np.arange(len(track.steps)) <= np.flatnonzero(finite).max(initial=-1)
    measured = (track.steps <= steps_done) & ((measured | complete) if shared else finite)
    return Track(track.steps[measured], track.values[measured])
