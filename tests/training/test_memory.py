"""What a sweep takes is estimated before it runs, and refused with a smaller plan where it does not fit."""

import functools
import gc
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import lrscope
from lrscope.errors import UsageError
from lrscope.training import memory
from lrscope.training.footprint import ITSELF, VECTORISED, Footprint, footprint, need
from lrscope.training.memory import refuse_too_large
from lrscope.training.random_state import RandomState

CPU = torch.device("cpu")
MIB = 2**20


def problem(optimizer: object = torch.optim.Adam, batch: int = 32) -> lrscope.Problem:
    X = torch.zeros(64, 20)
    return lrscope.Problem(
        name="known",
        model=lambda: nn.Sequential(nn.Linear(20, 50), nn.Sigmoid(), nn.Linear(50, 3)),
        train=(X, torch.zeros(64, dtype=torch.int64)),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        batch_size=batch,
        epochs=1,
    )


def measured(subject: lrscope.Problem, batch: int = 32, validation: bool = False) -> Footprint:
    X, y = subject.train
    first = (X[:batch], y[:batch])
    return footprint(subject, subject.model(), first, first if validation else None, CPU)


WEIGHTS = 4 * (20 * 50 + 50 + 50 * 3 + 3)


@pytest.mark.parametrize(
    ("optimizer", "states"),
    [
        (torch.optim.SGD, 0),
        (functools.partial(torch.optim.SGD, momentum=0.9), 1),
        (torch.optim.Adam, 2),
        (functools.partial(torch.optim.Adam, amsgrad=True), 3),
    ],
)
def test_one_lane_is_measured(optimizer: object, states: int) -> None:
    one = measured(problem(optimizer))
    assert one.weights == one.gradients == WEIGHTS
    assert one.largest == 4 * 20 * 50
    assert states * WEIGHTS <= one.optimizer <= states * WEIGHTS + 4 * 4 * 8  # four step counters


def test_activations_are_those_kept_for_the_backward_pass() -> None:
    one, twice = measured(problem()), measured(problem(), batch=64)
    hidden = 4 * 32 * 50
    assert 2 * hidden <= one.activations <= 4 * hidden
    assert twice.activations == pytest.approx(2 * one.activations, rel=0.02)
    assert one.validation == 0
    assert measured(problem(), validation=True).validation >= hidden


def test_measuring_leaves_nothing_behind() -> None:
    subject = problem()
    model = nn.Sequential(nn.Linear(20, 3), nn.Dropout(), nn.BatchNorm1d(3))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = RandomState.now()
    footprint(subject, model, (subject.train[0] + 1, subject.train[1]), None, CPU)
    assert not random.differs_from(RandomState.now())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_was_looked_at_is_given_back() -> None:
    """What a layer gives is kept for the backward pass by the very operation that made it: a circle."""
    given: list[weakref.ref[torch.Tensor]] = []

    class Watched(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            output = torch.relu(super().forward(x))
            given.append(weakref.ref(output))
            return output

    subject = problem()
    footprint(subject, nn.Sequential(Watched(20, 3), nn.Linear(3, 3)), subject.train, subject.train, CPU)
    gc.collect()
    assert len(given) == 2
    assert all(one() is None for one in given)


def test_an_optimizer_that_cannot_just_step_counts_twice_the_weights() -> None:
    assert measured(problem(torch.optim.LBFGS)).optimizer == 2 * WEIGHTS


LANE = Footprint(10 * MIB, 10 * MIB, 20 * MIB, 100 * MIB, 5 * MIB, MIB)


def test_lanes_multiply_and_one_after_another_share_what_passes() -> None:
    together, apart = (need(LANE, 8, 1, at_once=lanes, recorded=True) for lanes in (8, 1))
    assert together.weights == apart.weights == 9 * 10 * MIB
    assert together.recording == 3 * 8 * 10 * MIB
    assert together.passing == round(8 * VECTORISED * 100 * MIB)
    assert apart.passing < together.passing
    assert together.total == (90 + 80 + 160 + 240 + 1600) * MIB + ITSELF
    assert apart.gradients == together.gradients / 8
    small = LANE._replace(largest=2**16)
    assert need(small, 8, 1, at_once=1, recorded=True).passing < apart.passing, "nothing is scattered"
    elsewhere = need(LANE, 8, 1, at_once=1, recorded=True, scatters=False)
    assert elsewhere.passing < apart.passing
    assert need(LANE, 8, 1, at_once=8, recorded=False).recording == 0


ALL = {"at_once": lambda lanes: lanes, "alive": lambda lanes: lanes}
RATES = tuple(1e-5 * 10 ** (k / 3) for k in range(16))


def refused(monkeypatch: pytest.MonkeyPatch, free: float, seeds: int = 1) -> str:
    monkeypatch.setattr(memory, "_free_memory", lambda: free)
    with pytest.raises(UsageError) as caught:
        refuse_too_large(LANE, RATES, seeds, "known", CPU, **ALL)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_smaller_plan_is_offered_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(monkeypatch, 2000 * MIB)
    assert message.startswith("16 lanes of 'known' need about ")
    assert "1.95 GiB are free; 7 rates fit at once: type --rates 1e-5:1e-3:7" in message
    kept = refuse_too_large(LANE, RATES[:7], 1, "known", CPU, **ALL)
    assert kept.total <= 2000 * MIB


@pytest.mark.parametrize(
    ("free", "lanes"), [(None, 16), (1e12, 16), (4000, 16), (3000, 8), (1500, 4), (1000, 1)]
)
def test_on_an_accelerator_as_many_lanes_share_a_call_as_fit(
    free: float | None, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All take 85 + 17 * 10 + 16 * 20 MiB, and each lane of a call 10 + 200, of three lanes at least."""
    monkeypatch.setattr(memory, "free_memory", lambda _: free and free * MIB)
    assert memory.lanes_that_fit(LANE, 16, 1, torch.device("cuda"), recorded=False) == lanes


def test_fewer_seeds_or_a_smaller_batch_are_offered_where_fewer_rates_do_not_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one_seed = refused(monkeypatch, 900 * MIB, seeds=3)
    assert "900 MiB are free; one rate fits at once, with one seed: type --rates 1e-5 --seeds 1" in one_seed
    assert "not even one lane fits: take a smaller --batch-size" in refused(monkeypatch, 50 * MIB)


def test_what_fits_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for free in (None, 1e12):
        monkeypatch.setattr(memory, "_free_memory", lambda free=free: free)
        assert refuse_too_large(LANE, RATES, 1, "known", CPU, **ALL).total > 0


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"memory.max": "1000", "memory.current": "400", "memory.stat": "anon 5\ninactive_file 100"}, 700),
        ({"memory.max": "max", "memory.current": "400"}, None),
        ({"memory/memory.limit_in_bytes": "900", "memory/memory.usage_in_bytes": "1000"}, 0),
        ({}, None),
    ],
)
def test_the_limits_of_a_container_count(
    files: dict[str, str], free: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory._free_of_group() == free
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=800))
    assert memory._free_memory() == (800 if free is None else free)


def test_a_sweep_that_does_not_fit_trains_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_free_memory", lambda: float(ITSELF))
    with pytest.raises(UsageError, match="not even one lane fits"):
        lrscope.sweep(problem(), (1e-3, 1e-2), path=tmp_path / "study.lrscope")
    assert not (tmp_path / "study.lrscope").exists()
