"""Sweep: train one problem at many learning rates and record every run."""

import dataclasses
import platform
import shlex
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lrscope.executors import executor_for
from lrscope.executors.block_runner import BlockRunner
from lrscope.executors.executor import Training, train
from lrscope.plan import DEFAULT_RATES, Plan
from lrscope.problems.load import given_problem
from lrscope.problems.problem import Problem
from lrscope.progress import Follower, Progress
from lrscope.rates import read_rates
from lrscope.recording.landscape import landscape
from lrscope.recording.schedule import Spent, check_record, recording_words
from lrscope.recording.series import series
from lrscope.recording.trajectory import TRAJECTORY, default_tracked, read_tracked
from lrscope.store.recorder import Recorder
from lrscope.store.study_file import StudyFile
from lrscope.store.target import check_target
from lrscope.study import Study
from lrscope.training.prepare import Prepared, prepare
from lrscope.training.random_state import undisturbed


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
    """Train a problem at every rate, from the same start and on the same batches, and record every run.

    Afterwards the problem's model, data and optimizer and the global random state are as they were, also if
    training raises or is interrupted.

    Args:
        problem: a Problem, or the name of a built-in one such as "digits".
        rates: "0.01,0.1,1", or "start:stop:count" spaced evenly in the logarithm, both ends included, or a
            sequence of numbers. By default 16 rates from 1e-5 to 1.
        seeds: number of seeds. Seeds 0 to seeds-1 each train every rate; a seed sets the initial weights and
            the order of batches.
        epochs: passes over the training data; by default the problem's.
        batch_size: examples a step, 0 for all; by default the problem's.
        schedule: name of a schedule: "constant", "cosine", "linear", "warmup-cosine", "onecycle" or "step";
            by default the problem's.
        device: device to train on: "cpu", "cuda", "cuda:1", ...
        path: file of the study; None keeps the study in memory.
        overwrite: whether to replace an existing study at `path`.
        track: weights to keep at every step, such as "0.weight[0,0]". By default the first element of every
            tensor, or the element with the largest gradient at the start if the first has none.
        curvature: whether to measure the sharpness of every lane, 21 times over the run. By default only for
            a tiny model trained on all examples at once, where it costs next to nothing; not with
            record="losses".
        gradient: "autograd"; "finite-difference" (forward, each weight moved by 1e-4) or
            "central-difference", which compute every derivative in NumPy, for a Sequential of Linear layers
            trained by plain gradient descent.
        probes: whether to compute 20 extra gradients that detect overshooting, and to continue after training
            for a twentieth of the run at a fifth of the rate, which shows whether noise holds the loss up.
            The recorded training stays the same.
        lanes_per_block: lanes per vectorised call; 1 trains them one after another. By default chosen from
            the sizes of model and batch.
        compile: whether torch compiles the steps that lanes make together, after 256 of them. Compiling takes
            ten seconds or more and needs a C++ compiler, so it pays in runs of many minutes. Results differ
            by rounding.
        record: how often tensors are measured. "full": at about 125 steps, with histograms at up to 21
            epochs; "light": at about 45 steps and up to 6 epochs; "losses": only losses, validation and
            tracked weights. In short runs about 4,096 elements of each larger tensor are measured.
        progress: a function that is called with a `lrscope.progress.Progress`, about once a second.

    Returns:
        The study, open for reading.

    Raises:
        UsageError: rates, problem or path cannot be used as given; nothing was trained.
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
        prepared = prepare(
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
        shapes = dict(zip(prepared.plan.tensors, prepared.plan.shapes, strict=True))
        tracked = (
            default_tracked(
                shapes, len(prepared.plan.lanes), prepared.plan.steps, prepared.findings.liveliest
            )
            if track is None
            else read_tracked(track, shapes)
        )
        prepared.plan = plan = dataclasses.replace(prepared.plan, tracked=tracked)
        with Recorder(path, plan, series(plan), overwrite=overwrite, about=about(prepared)) as recorder:
            how = prepared.execution(len(plan.lanes))
            recorder.note("how", how)
            recorder.note("notes", prepared.notes)
            recorder.note("memory", prepared.memory)
            recorder.note("reference", reference)
            recorder.commit()
            began = time.monotonic()
            executor = executor_for(prepared, plan)
            trainings = [Training(executor, block) for block in prepared.blocks(plan.lanes)]
            ends: dict[int, dict[str, Tensor]] = {}
            try:
                follower = Follower(plan, how, progress)
                for training, measured in train(executor, [(one, plan.steps) for one in trainings]):
                    if measured is not None:
                        recorder.write(measured)
                        follower.see(measured)
                        continue
                    follower.see_end(training)
                    if plan.curvature_examples is not None:
                        ends |= _final_weights(training)
                    training.close()
                raise_if_all_failed(trainings)
                if len(tracked) > 1 and ends:
                    recorder.commit()
                    recorder.note("landscape", _landscape(prepared, plan, recorder.study_file(), ends))
            finally:
                executor.close()
                recorder.note("notes", notes_of(prepared, trainings))
                recorder.note("recording", recording_words(plan, spent_of(trainings)))
                recorder.note("seconds", round(time.monotonic() - began, 3))
        return Study(recorder.study_file())


def raise_if_all_failed(trainings: Sequence[Training]) -> None:
    """Raise the failure of a Block if every Block failed: then the data are at fault, and no rate."""
    failures = [training.failure for training in trainings]
    if failures and None not in failures:
        raise failures[0]  # type: ignore[misc]


def notes_of(prepared: Prepared, trainings: Sequence[Training]) -> list[str]:
    """Return the sentences for the user, each once."""
    return list(dict.fromkeys([*prepared.notes, *(note for one in trainings for note in one.notes)]))


def spent_of(trainings: Sequence[Training]) -> Spent:
    """Return the seconds that all Blocks took together."""
    training = sum(one.spent.training for one in trainings)
    return Spent(training, sum(one.spent.recording for one in trainings))


def _final_weights(training: Training) -> dict[int, dict[str, Tensor]]:
    """Return lane -> the weights at the end of training, of the lanes that came there."""
    if training.done == 0:
        return {}
    if isinstance(training.runner, BlockRunner):  # also of models of which no checkpoint can be kept
        return training.runner.weights()
    checkpoint = training.checkpoint()
    if checkpoint is None:
        return {}
    lanes = checkpoint.state["lanes"]
    return {
        lane: {name: stack[row] for name, stack in lanes["weights"].items()}
        for row, lane in enumerate(lanes["lanes"])
    }


PATH_POINTS = 1_000
"""Of a path, about, that say where the loss surface is drawn."""


def _landscape(
    prepared: Prepared, plan: Plan, study: StudyFile, ends: dict[int, dict[str, Tensor]]
) -> dict[str, Any] | None:
    """Return the loss over the plane of the first two tracked scalars, where the lanes have been."""
    lanes = sorted(ends)
    stacked = {name: torch.stack([ends[lane][name] for lane in lanes]) for name in ends[lanes[0]]}
    _, values_NLk = study.array(TRAJECTORY.name)
    # Odd: a weight that rings from one step to the next shows both of its ends.
    stride = max(1, plan.steps // PATH_POINTS) | 1
    paths = values_NLk[::stride, lanes, :2]
    examples = plan.curvature_examples or 1
    return landscape(prepared.losses_of, stacked, plan.tracked, paths, examples)


def typed(problem: Problem, batch_size: int | None, schedule: str | None) -> str | None:
    """Return the problem and its changed options as typed in a command; None for one made in Python."""
    if problem.reference is None:
        return None
    words = problem.reference
    words += "" if batch_size is None else f" --batch-size {batch_size}"
    return words + ("" if schedule is None else f" --schedule {shlex.quote(schedule)}")


def shortened(problem: Problem, epochs: int | None, batch_size: int | None) -> Problem:
    """Return the problem with another number of epochs or batch size, where one is given."""
    return dataclasses.replace(
        problem,
        epochs=problem.epochs if epochs is None else epochs,
        batch_size=problem.batch_size if batch_size is None else batch_size,
    )


def about(prepared: Prepared) -> dict[str, Any]:
    """Return versions, machine and the threads of each process that trains, as a study keeps them."""
    packages = ("lrscope", "torch", "numpy")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "threads": prepared.layout.threads,
        "machine": platform.machine(),
    }
