"""Shares of the lanes, trained side by side by processes: what is seen, who leaves, and how they end."""

import errno
import functools
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from lrscope.training.course import Course
from lrscope.training.looks import every
from lrscope.training.run import Run
from lrscope.training.step import Step
from lrscope.training.worker import possible
from torch import nn

import lrscope
from lrscope.errors import TrainingError
from lrscope.problems.problem import Problem
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed

RATES = (1e-3, 1e-2, 1e-1, 1.0)


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with undisturbed():
        yield


def problem(**changes: object) -> Problem:
    generator = torch.Generator().manual_seed(3)
    X, y = torch.randn(64, 6, generator=generator), torch.randint(0, 3, (64,), generator=generator)
    fields: dict[str, object] = {
        "name": "shared",
        "model": lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)),
        "train": (X, y),
        "val": (X[:20], y[:20]),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": functools.partial(torch.optim.SGD, momentum=0.9),
        "batch_size": 16,
        "epochs": 40,
    }
    return Problem(**{**fields, **changes})  # type: ignore[arg-type]


def shared(subject: Problem, processes: int = 2, seeds: int = 1) -> Run:
    run = prepare(subject, RATES, seeds)
    run.processes = processes
    return run


def workers() -> list[psutil.Process]:
    return psutil.Process().children()


def copied(step: Step) -> dict[str, object]:
    return {
        "index": step.index,
        "keys": step.keys,
        "losses": None if step.losses is None else step.losses.clone(),
        "weights": {name: tensor.clone() for name, tensor in step.weights.items()},
        "gradients": {} if step.losses is None else {k: v.clone() for k, v in step.gradients().items()},
        "validation": dict(step.validation),
        "rates": step.rates(),
    }


def equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)  # type: ignore[arg-type]
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(v, other[k]) for k, v in one.items())  # type: ignore[index, attr-defined]
    return one == other


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_what_is_seen_of_a_team_is_what_one_process_sees(processes: int) -> None:
    alone = [copied(step) for step in prepare(problem(), RATES, 1, lanes_per_block=1).steps()]
    team = shared(problem(), processes)
    team._per_block = 1
    steps = [copied(step) for step in team.steps()]
    assert len(alone) == len(steps) == 161
    for one, other in zip(alone, steps, strict=True):
        for name, value in one.items():
            assert equal(value, other[name]), name
    assert workers() == []


def test_seldom_looks_lose_no_loss() -> None:
    each = [step.losses.clone() for step in prepare(problem(), RATES, 1).steps() if step.losses is not None]
    stretches = [step.stretch for step in shared(problem()).steps(every(1_000))]
    assert [stretch.first for stretch in stretches] == [0, *(4 * k + 1 for k in range(40))]
    torch.testing.assert_close(torch.cat([stretch.losses for stretch in stretches]), torch.stack(each))


def test_lanes_leave_their_shares() -> None:
    def ends(course: Course) -> list[tuple[tuple[int, ...], torch.Tensor]]:
        seen = []
        for until, leaving in ((20, [3]), (40, [0, 1]), (60, [2]), (None, [])):
            steps = list(course.steps(until))
            seen.append((tuple(key.lane for key in course.keys), steps[-1].weights["0.weight"].clone()))
            course.leave(leaving)
        return seen

    run = prepare(problem(), RATES, 1)
    for mine, theirs in zip(
        ends(run.course(run.plan.lanes)), ends(shared(problem()).course(run.plan.lanes)), strict=True
    ):
        assert mine[0] == theirs[0]
        torch.testing.assert_close(mine[1], theirs[1])
    assert mine[0] == (2,), "the last one stays: nobody would be left"


def test_a_share_that_is_not_finite_any_more_ends_alone() -> None:
    def exploding(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return output.square().sum()

    run = shared(problem(loss=exploding, optimizer=torch.optim.SGD, val=None))
    steps = [(step.index, [key.lane for key in step.keys]) for step in run.steps()]
    assert steps[0] == (0, [0, 1, 2, 3])
    assert steps[-1] == (160, [0, 1]), "the higher rates are gone"


def test_one_process_says_of_the_other_what_went_wrong() -> None:
    X, y = problem().train
    later = torch.randperm(64, generator=torch.Generator().manual_seed(0))[40]
    wrong = y.clone()
    wrong[later] = 7
    with pytest.raises(TrainingError, match="step 2 raised RuntimeError: index 7 is out of bounds"):
        list(shared(problem(train=(X, wrong), val=None)).steps())
    assert workers() == []


def bounded(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if not bool((output.abs() < 100).all()):
        raise ValueError("too large")
    return nn.functional.cross_entropy(output, target) + output.square().mean()


@pytest.mark.parametrize("val", [True, False])
def test_a_share_whose_lanes_all_raise_ends_alone(val: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"loss": bounded, "optimizer": torch.optim.SGD, **({} if val else {"val": None})}
    run = prepare(problem(**changes), (1e-3, 1e-2, 30.0, 40.0), 1)
    run.processes = 2
    steps = [copied(step) for step in run.steps(every(64))]
    assert [key.lane for key in steps[-1]["keys"]] == [0, 1]
    losses = {step["index"]: step["losses"] for step in steps if step["losses"] is not None}
    assert all(bool(torch.isfinite(losses_L[:2]).all()) for losses_L in losses.values())
    assert torch.isnan(losses[64][2:]).all()
    assert sum("stopped at step" in note for note in run.notes) == 2
    assert workers() == []


def test_shares_whose_lanes_all_raise_end_the_run() -> None:
    run = prepare(problem(loss=bounded, optimizer=torch.optim.SGD, val=None), (30.0, 40.0), 1)
    run.processes = 2
    with pytest.raises(TrainingError, match="raised ValueError: too large"):
        list(run.steps(every(1_000)))
    assert workers() == []


def test_notes_of_all_shares_are_told_once() -> None:
    def fragile(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(output, target)
        return nn.functional.binary_cross_entropy(loss / (1 + loss), torch.ones(()))

    run = shared(problem(loss=fragile, optimizer=torch.optim.SGD, val=None))
    for _ in run.steps(every(1_000)):
        pass
    assert len(run.notes) == len(set(run.notes))


def test_a_worker_that_is_killed_is_told() -> None:
    steps = shared(problem()).steps()
    next(steps)
    (worker,) = workers()
    worker.kill()
    with pytest.raises(TrainingError, match="exit code -9"):
        list(steps)
    assert workers() == []


@pytest.mark.parametrize("started", [0, 1])
def test_lanes_are_trained_in_one_process_where_there_can_be_no_other(
    started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, fork = [None] * started, os.fork

    def full() -> int:
        if not left:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        left.pop()
        return fork()

    alone = [copied(step) for step in prepare(problem(), RATES, 1, lanes_per_block=1).steps()]
    monkeypatch.setattr(os, "fork", full)
    run = shared(problem(), 3)
    run._per_block = 1
    steps = [copied(step) for step in run.steps()]
    assert len(steps) == len(alone)
    assert all(equal(one[name], other[name]) for one, other in zip(alone, steps, strict=True) for name in one)
    list(run.steps())
    assert [note for note in run.notes if "process" in note] == [
        "no process could be added (Resource temporarily unavailable): all lanes are trained in this one"
    ]
    assert workers() == []


def test_workers_end_with_an_unfinished_course() -> None:
    steps = shared(problem(), 3).steps()
    next(steps)
    assert len(workers()) == 2
    steps.close()  # type: ignore[attr-defined]
    assert workers() == []


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX, where it was imported, warns of any
def test_workers_end_with_the_process_that_made_them(tmp_path: Path) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        steps = shared(problem(epochs=100_000), 3).steps(every(1_000))
        next(steps)
        os.write(tell, " ".join(str(worker.pid) for worker in workers()).encode())
        for _ in steps:
            pass
        os._exit(0)
    pids = [int(pid) for pid in os.read(told, 100).split()]
    assert len(pids) == 2
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 30
    while any(running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(running(pid) for pid in pids)


def running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_sweep_in_processes_records_what_one_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses, weights, gradients, histograms: of every lane, whoever trained it."""
    made = Run.course

    def divided(run: Run, *arguments: object, **options: object) -> Course:
        run.processes = 2
        return made(run, *arguments, **options)  # type: ignore[arg-type]

    alone = lrscope.sweep(problem(), RATES, seeds=2, lanes_per_block=1)
    monkeypatch.setattr(Run, "course", divided)
    team = lrscope.sweep(problem(), RATES, seeds=2, lanes_per_block=1)
    for name in ("loss", "val_loss"):
        assert team.scalars(name).equals(alone.scalars(name), null_equal=True), name
    for name in ("weight_norm", "gradient_norm", "update_ratio", "unchanged_share"):
        assert team.tensors(name).equals(alone.tensors(name)), name
    assert team.histograms().equals(alone.histograms())
    assert team.trajectories().equals(alone.trajectories())


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX, where it was imported, warns of any
def test_a_process_of_a_pool_trains_alone() -> None:
    """Python lets such a process have no children."""
    context = multiprocessing.get_context("fork")
    told, tell = context.Pipe(duplex=False)
    child = context.Process(target=lambda: tell.send(possible()), daemon=True)
    child.start()
    assert told.recv() is False
    child.join()
