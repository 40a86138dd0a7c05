"""The same lanes on a GPU: skipped, and said so, where there is none."""

import functools

import pytest
import torch
from runs import trained
from torch import nn

import lrscope
from lrscope.problems.problem import Problem
from lrscope.training.gradients import VmapGradients
from lrscope.training.lanes import Lanes

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="NO GPU HERE: --device cuda IS NOT TESTED ON THIS MACHINE"
)

RATES = (1e-3, 1e-2, 1e-1)

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
}


def problem(optimizer: str) -> Problem:
    generator = torch.Generator().manual_seed(3)
    X = torch.randn(64, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (64,), generator=generator)
    return Problem(
        name="on the device",
        model=lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double(),
        train=(X, y),
        val=(X[:20], y[:20]),
        loss=nn.CrossEntropyLoss(),
        optimizer=OPTIMIZERS[optimizer],
        batch_size=16,
        epochs=30,
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_sweep_on_the_device_is_that_of_the_processor(optimizer: str) -> None:
    here = lrscope.sweep(problem(optimizer), RATES, seeds=2)
    there = lrscope.sweep(problem(optimizer), RATES, seeds=2, device="cuda")
    assert there.plan.device.startswith("cuda")
    for name in ("loss", "val_loss"):
        ours, theirs = here.scalars(name), there.scalars(name)
        assert ours.drop("value").equals(theirs.drop("value"))
        assert theirs["value"].to_list() == pytest.approx(ours["value"].to_list(), rel=1e-6)
    assert there.histograms()["counts"].to_list()[0] == here.histograms()["counts"].to_list()[0]


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whatever makes the host wait for the device inside a step raises; the steps that were watched."""
    watched: list[int] = []
    for owner, name in ((Lanes, "step"), (VmapGradients, "__call__")):
        made = getattr(owner, name)

        def strict(*arguments: object, made: object = made) -> object:
            torch.cuda.set_sync_debug_mode("error")
            try:
                watched.append(1)
                return made(*arguments)  # type: ignore[operator]
            finally:
                torch.cuda.set_sync_debug_mode("default")

        monkeypatch.setattr(owner, name, strict)
    return watched


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_no_step_waits_for_the_device(optimizer: str, no_waiting: list[int]) -> None:
    run = trained(problem(optimizer), RATES, device="cuda", record="losses")
    assert len(no_waiting) >= 2 * run.prepared.plan.steps
