"""Workers that are killed are replaced, and the study is bitwise the undisturbed one."""

import os
import random
import signal
import threading
import time

import polars as pl
import pytest
import torch
from torch import nn

import lrscope
from lrscope.executors import processes
from lrscope.executors.processes import Processes, ProcessRunner
from lrscope.training import prepare

RATES = "1e-3:1:4"
ROUNDS = 20


def problem() -> lrscope.Problem:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(600, 20, generator=generator)
    return lrscope.Problem(
        name="killed",
        model=lambda: nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3)),
        train=(X, X[:, :3].argmax(1)),
        val=(X[:100], X[:100, :3].argmax(1)),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.AdamW,
        batch_size=16,
        epochs=2,
    )


def numbers(study: lrscope.Study) -> dict[str, pl.DataFrame]:
    """Every number of a study; a frame has a row once, or it would be longer."""
    scalars = {one.name: study.scalars(one.name) for one in study.series if one.kind == "scalar"}
    tensors = {one.name: study.tensors(one.name) for one in study.series if one.kind == "tensor"}
    frames = {"histograms": study.histograms(), "trajectories": study.trajectories(), "lanes": study.lanes}
    return {**scalars, **tensors, **frames}


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> list[ProcessRunner]:
    """Make every sweep use two processes and keep a checkpoint at every flush; the Runners it opened."""
    opened: list[ProcessRunner] = []
    make = Processes.open

    def spied(self: Processes, *arguments: object) -> object:
        runner = make(self, *arguments)
        assert isinstance(runner, ProcessRunner)
        opened.append(runner)
        return runner

    monkeypatch.setattr(prepare, "lay_out", lambda *_: prepare.Layout(2, 2, processes=2))
    monkeypatch.setattr(processes, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("lrscope.executors.block_runner.FLUSH_SECONDS", 0.05)
    monkeypatch.setattr("lrscope.training.capture.CALLS_BEFORE", 10**9)  # capturing takes seconds
    monkeypatch.setattr(Processes, "open", spied)
    return opened


def test_workers_killed_at_random_moments_lose_no_row_and_write_none_twice(
    in_processes: list[ProcessRunner],
) -> None:
    with lrscope.sweep(problem(), RATES) as study:
        expected = numbers(study)
    assert len(in_processes) == 2
    chance = random.Random(1)
    killed = 0
    for _ in range(ROUNDS):
        in_processes.clear()
        done = threading.Event()

        def kill(wait: float, done: threading.Event = done) -> None:
            if done.wait(wait):
                return
            alive = [runner for runner in in_processes if not runner.closed and runner.pid]
            if alive:
                os.kill(chance.choice(alive).pid, signal.SIGKILL)

        thread = threading.Thread(target=kill, args=(chance.uniform(0.02, 0.6),))
        thread.start()
        with lrscope.sweep(problem(), RATES) as study:
            done.set()
            thread.join()
            found = numbers(study)
        killed += len(in_processes) > 2
        assert found.keys() == expected.keys()
        for name, frame in expected.items():
            assert found[name].equals(frame), name
    assert killed >= ROUNDS // 4, "most rounds ended before anything was killed"


def test_a_worker_that_dies_again_and_again_ends_the_sweep_in_one_line(
    in_processes: list[ProcessRunner],
) -> None:
    parent = os.getpid()

    class Deadly(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if os.getpid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().forward(x)

    X = torch.randn(40, 4)
    deadly = lrscope.Problem(
        name="deadly", model=lambda: Deadly(4, 2), train=(X, X[:, :2]), loss=nn.MSELoss(), batch_size=8
    )
    with pytest.raises(lrscope.TrainingError, match=r"lost 4 times.*exit code -9"):
        lrscope.sweep(deadly, (0.1, 0.2), seeds=2)
    assert all(runner.closed for runner in in_processes)


def test_no_process_outlives_an_interruption(in_processes: list[ProcessRunner]) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lrscope.sweep(problem(), RATES, progress=interrupt)
    deadline = time.monotonic() + 10
    while any(not runner.closed for runner in in_processes) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert all(runner.closed for runner in in_processes)


@pytest.mark.parametrize("name", ["digits", "diabetes-mlp", "line"])
def test_two_sweeps_of_one_plan_write_the_same_numbers(name: str) -> None:
    options = {"rates": "1e-3:1:5", "seeds": 2, "epochs": 3}
    with lrscope.sweep(name, **options) as one, lrscope.sweep(name, **options) as other:
        first, second = numbers(one), numbers(other)
    for key, frame in first.items():
        assert frame.equals(second[key]), key
