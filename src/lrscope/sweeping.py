"""Sweep: train one problem at many learning rates and keep what happened."""

import dataclasses
import platform
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lrscope.plan import DEFAULT_RATES, Plan
from lrscope.problems.load import given_problem
from lrscope.problems.problem import Problem
from lrscope.quantities.landscape import landscape
from lrscope.quantities.observe import Observer, series
from lrscope.quantities.schedule import check_record
from lrscope.quantities.trajectory import TRAJECTORY, default_tracked, read_tracked
from lrscope.rates import read_rates
from lrscope.record import HistogramRecord, Record
from lrscope.store.recorder import Recorder
from lrscope.store.target import check_target
from lrscope.study import Study
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed
from lrscope.training.run import Run


class Epoch(NamedTuple):
    """The end of an epoch.

    Attributes:
        epoch: its number, 0 before training.
        scalar: the first scalar that is tracked, "0.weight[0,0]".
        values: what it is in every lane; NaN for one that has left.
    """

    epoch: int
    scalar: str
    values: tuple[float, ...]


class Progress(NamedTuple):
    """How far a sweep is.

    Attributes:
        step, steps: updates done by each lane, and to be done.
        alive: for each lane, whether its loss has been finite so far.
        loss: the latest mini-batch loss of each lane.
        seconds: since training began.
        how: how the lanes run, in words.
        epochs: those that ended since the last call; the first comes before training.
    """

    step: int
    steps: int
    alive: tuple[bool, ...]
    loss: tuple[float, ...]
    seconds: float
    how: str
    epochs: tuple[Epoch, ...] = ()


def sweep(
    problem: Problem | str,
    rates: str | Sequence[float] = DEFAULT_RATES,
    *,
    seeds: int = 1,
    epochs: int | None = None,
    batch_size: int | None = None,
    schedule: str | None = None,
    device: str = "cpu",
    path: str | Path | None = None,
    overwrite: bool = False,
    track: Sequence[str] | None = None,
    curvature: bool | None = None,
    gradient: str = "autograd",
    probes: bool = False,
    lanes_per_block: int | None = None,
    compile: bool = False,
    record: str = "full",
    progress: Callable[[Progress], None] | None = None,
) -> Study:
    """Train a problem at every rate, from the same start and on the same batches, and record it.

    The problem's model, data and optimizer and the global random state are as before afterwards, also when
    training raises or is interrupted.

    Args:
        problem: a Problem, or the name of a built-in one.
        rates: "0.01,0.1,1", "1e-5:1:16" (log-spaced, both ends included) or a sequence of numbers. By default
            16 rates from 1e-5 to 1.
        seeds: starts and batch orders: 0..seeds-1, each with every rate.
        epochs, batch_size: in place of the problem's own.
        schedule: the name of a schedule ("cosine", ...) in place of the problem's own.
        device: "cpu", "cuda", ...
        path: the study's file; None keeps it in memory.
        overwrite: replace an existing file.
        track: scalars whose value is kept at every step, as "0.weight[0,0]"; by default the first element of
            every tensor, or the one with the largest gradient at the start where the first has none.
        curvature: whether to measure the sharpness of every lane, 21 times over the run. By default only
            where it costs next to nothing: a tiny model trained on all examples at once.
        gradient: "autograd"; or "finite-difference" (forward, each weight moved by 1e-4) or
            "central-difference", which measure every derivative with NumPy alone, for a Sequential of Linear
            layers trained by plain gradient descent.
        probes: whether to ask 20 batches for their gradient once more after the update, which tells steps
            that overshoot, and to go on in the end for a twentieth of the run at a fifth of the
            rate, which tells a loss held up by its own noise. Neither changes what is trained.
        lanes_per_block: how many lanes share a vectorised call; 1 trains them one after another. By default
            what is fastest, tried for a moment before training.
        compile: whether steps that lanes make together are compiled by torch, once they have been made 256
            times: that takes ten seconds and more and a C++ compiler, and pays in runs of many minutes.
            Numbers are the same but for rounding.
        record: how often tensors are measured. "full": statistics at about 125 steps and histograms at up to
            21 epochs; "light": at about 45 steps and up to 6 epochs; "losses": losses, validation and
            trajectories only. In short runs about 4,096 elements of each larger tensor are measured.
        progress: called about once a second and at validations; every three seconds where lanes of a process
            are trained one after another.

    Returns:
        The study, open for reading.

    Raises:
        UsageError: rates, problem or path cannot be used as they are; nothing was trained.
        TrainingError: the model raised while training.
        StoreError: the study could not be written any further.
    """
    taken = read_rates(rates)
    check_record(record)
    problem = given_problem(problem)
    reference = typed(problem, batch_size, schedule)
    problem = shortened(problem, epochs, batch_size)
    if path is not None:
        check_target(path, overwrite=overwrite)
    with undisturbed(problem.train, problem.val) as threads:
        run = prepare(
            problem,
            taken,
            seeds,
            schedule=schedule,
            device=device,
            curvature=False if curvature is None and record == "losses" else curvature,
            gradient=gradient,
            probes=probes,
            lanes_per_block=lanes_per_block,
            compiles=compile,
            threads=threads,
            record=record,
        )
        plan = run.plan
        shapes = dict(zip(plan.tensors, plan.shapes, strict=True))
        chosen = (
            default_tracked(shapes, len(plan.lanes), plan.steps, run.material.findings.liveliest)
            if track is None
            else read_tracked(track, shapes)
        )
        run.plan = plan = dataclasses.replace(plan, tracked=chosen)
        with Recorder(path, plan, series(plan), overwrite=overwrite, about=about(run)) as recorder:
            recorder.note("how", run.how)
            recorder.note("notes", run.notes)
            recorder.note("memory", run.memory)
            recorder.note("reference", reference)
            recorder.commit()
            began = time.monotonic()
            observer = Observer(
                plan,
                run.start,
                curvature_on_top=curvature is not None,
                alone=run.in_turn,
            )
            steps = run.steps(observer.looks, observer.measures)
            try:
                for measured in _reported(observer.records(steps), run, progress):
                    recorder.write(measured)
                # Where curvature is measured the model is small enough, or the user asked for such things.
                if plan.curvature_examples is not None and len(chosen) > 1 and observer.last is not None:
                    ends, examples = observer.last.weights, plan.curvature_examples
                    paths = observer.paths.of([key.lane for key in observer.last.keys])
                    recorder.note("landscape", landscape(run.losses_of, ends, chosen, paths, examples))
            finally:
                recorder.note("notes", run.notes)
                recorder.note("recording", observer.account())
                recorder.note("seconds", round(time.monotonic() - began, 3))
        return Study(recorder.study_file())


def typed(problem: Problem, batch_size: int | None, schedule: str | None) -> str | None:
    """The problem, with what is changed in it, as typed in a command; None for one made in Python."""
    if problem.reference is None:
        return None
    words = problem.reference
    words += "" if batch_size is None else f" --batch-size {batch_size}"
    return words + ("" if schedule is None else f" --schedule {shlex.quote(schedule)}")


def shortened(problem: Problem, epochs: int | None, batch_size: int | None) -> Problem:
    """The problem with another length or batch size, where one is given."""
    return dataclasses.replace(
        problem,
        epochs=problem.epochs if epochs is None else epochs,
        batch_size=problem.batch_size if batch_size is None else batch_size,
    )


def _reported(
    records: Iterable[Record | HistogramRecord], run: Run, progress: Callable[[Progress], None] | None
) -> Iterator[Record | HistogramRecord]:
    """Pass the records on, telling `progress` of each chunk of losses, and of the last epoch."""
    began = time.monotonic()
    alive = np.ones(len(run.plan.lanes), dtype=bool)
    told: Progress | None = None
    epochs: list[Epoch] = []
    for record in records:
        yield record
        if progress is None or not isinstance(record, Record):
            continue
        if record.quantity == TRAJECTORY.name:
            epochs += _epochs(record, run.plan)
        if record.quantity == "loss":
            # Lanes that have left do not come any more.
            gone = np.ones(len(alive), dtype=bool)
            gone[record.lanes] = ~np.isfinite(record.values).all(axis=0)
            alive &= ~gone
            step = int(record.steps[-1]) + 1
            losses = np.full(len(alive), np.nan)
            losses[record.lanes] = record.values[-1]
            latest = tuple(losses.tolist())
            seconds = time.monotonic() - began
            living = tuple(map(bool, alive))
            told = Progress(step, run.plan.steps, living, latest, seconds, run.how, tuple(epochs))
            progress(told)
            epochs = []
    if progress is not None and told is not None and epochs:
        progress(told._replace(seconds=time.monotonic() - began, epochs=tuple(epochs)))


def _epochs(trajectory: Record, plan: Plan) -> Iterator[Epoch]:
    """The ends of epochs in a chunk of steps."""
    tensor, index = plan.tracked[0]
    scalar = f"{tensor}[{','.join(map(str, index))}]" if index else tensor
    for step, values in zip(trajectory.steps.tolist(), trajectory.values[..., 0], strict=True):
        epoch, rest = divmod(step, plan.steps_per_epoch)
        if not rest:
            of_lanes = np.full(len(plan.lanes), np.nan)
            of_lanes[trajectory.lanes] = values
            yield Epoch(epoch, scalar, tuple(of_lanes.tolist()))


def about(run: Run) -> dict[str, Any]:
    """Versions and machine, as a study keeps them; threads are those of each process that trains."""
    packages = ("lrscope", "torch", "numpy")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "threads": run.threads,
        "machine": platform.machine(),
    }
