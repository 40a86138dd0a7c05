"""The ramp: ordinary training at rising rates, equal to a loop that anyone would write."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from lrscope.errors import ProblemError, RatesError, TrainingError, UsageError
from lrscope.problems.problem import Problem
from lrscope.ramp import FEWEST_STEPS, ramp, ramp_rates


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()


def data(count: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return inputs, (inputs.sum(1) > 0).long()


def problem(**changes: Any) -> Problem:
    settings: dict[str, Any] = {
        "model": network,
        "train": data(),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": functools.partial(torch.optim.SGD, momentum=0.9),
        "batch_size": 16,
        "epochs": 7,
    }
    return Problem("ramped", **{**settings, **changes})


def by_hand(
    seed: int, rates: np.ndarray, optimizer: Callable[..., Any], clip: float | None = None
) -> list[float]:
    """The loop of a range test, its rates set by hand."""
    torch.manual_seed(seed)
    model = network()
    inputs, targets = data()
    made = optimizer(list(model.parameters()), lr=float(rates[0]))
    ratios = [group["lr"] / rates[0] for group in made.param_groups]
    generator = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    while True:
        for piece in torch.randperm(len(inputs), generator=generator).split(16):
            if len(losses) == len(rates):
                return losses
            for group, ratio in zip(made.param_groups, ratios, strict=True):
                group["lr"] = float(rates[len(losses)]) * ratio
            loss = nn.functional.cross_entropy(model(inputs[piece]), targets[piece])
            made.zero_grad()
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            made.step()
            losses.append(loss.item())


def two_groups(params: list[Tensor], lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam([{"params": params[:2]}, {"params": params[2:], "lr": lr / 10}], lr=lr)


@pytest.mark.parametrize(
    ("optimizer", "clip"),
    [(functools.partial(torch.optim.SGD, momentum=0.9), None), (two_groups, None), (torch.optim.SGD, 0.1)],
    ids=["momentum", "groups keep their ratio", "clipped"],
)
def test_a_ramp_is_the_loop_that_sets_its_rate_by_hand(
    optimizer: Callable[..., Any], clip: float | None
) -> None:
    asked = problem(optimizer=optimizer, clip_norm=clip)
    measured = ramp(asked, 2, low=1e-4, high=1.0, steps=50)
    for seed, losses in enumerate(measured.losses):
        np.testing.assert_allclose(losses, by_hand(seed, measured.rates, optimizer, clip), rtol=1e-9)
    assert measured.seeds == (0, 1)
    assert measured.full_run == 21


def test_rates_rise_evenly_in_the_logarithm_with_exact_ends() -> None:
    rates = ramp_rates(1e-7, 10.0, 100)
    assert (len(rates), rates[0], rates[-1]) == (100, 1e-7, 10.0)
    np.testing.assert_allclose(np.diff(np.log10(rates)), 8 / 99, rtol=1e-9)


def test_seeds_are_counted_or_named() -> None:
    named, counted = (ramp(problem(), seeds, steps=20) for seeds in ((1, 100), 2))
    assert named.seeds == (1, 100)
    np.testing.assert_array_equal(named.losses[0], counted.losses[1])


def test_the_schedule_of_the_problem_gives_way_and_that_is_said() -> None:
    scheduled = problem(schedule=lambda optimizer: CosineAnnealingLR(optimizer, 5))
    plain = ramp(problem(), 1, steps=30)
    ramped = ramp(scheduled, 1, steps=30)
    np.testing.assert_array_equal(plain.losses, ramped.losses)
    assert not plain.notes
    assert ramped.notes == ("the problem's own schedule is left out: the ramp takes its place",)


def test_nothing_outside_is_disturbed_and_a_ramp_is_the_same_twice() -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with_dropout = problem(
        model=lambda: nn.Sequential(nn.Linear(3, 8), nn.Dropout(), nn.Linear(8, 2)).double()
    )
    first, second = ramp(with_dropout, 2, steps=40), ramp(with_dropout, 2, steps=40)
    np.testing.assert_array_equal(first.losses, second.losses)
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()


def test_losses_are_nan_from_the_first_that_is_not_finite() -> None:
    squares = problem(
        model=lambda: nn.Linear(3, 1).double(),
        train=(data()[0], data()[0].sum(1, keepdim=True)),
        loss=nn.MSELoss(),
        optimizer=functools.partial(torch.optim.SGD, momentum=0.999),
    )
    losses = ramp(squares, 2, low=1e-3, high=1e9, steps=200).losses
    assert losses.shape == (2, 200)
    for row in losses:
        broken = int(np.flatnonzero(np.isnan(row))[0])
        assert 20 < broken < 200
        assert np.isfinite(row[:broken]).all()
        assert np.isnan(row[broken:]).all()


class Fragile(nn.Module):
    """Raises where its weights are no longer finite, or after so many calls."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        if not bool(torch.isfinite(self.layer.weight).all()):
            raise ValueError("weights are not finite")
        return self.layer(inputs)


def test_a_model_that_raises_on_every_seed_at_the_top_of_the_ramp_ends_it_there() -> None:
    inputs, _ = data()
    fragile = problem(
        model=Fragile,
        train=(inputs.float(), torch.randn(len(inputs), 2)),
        loss=nn.MSELoss(),
    )
    measured = ramp(fragile, 1, low=1e-3, high=1e20, steps=100)
    kept = int(np.isfinite(measured.losses).sum())
    assert FEWEST_STEPS < kept < 100
    assert any(
        "the ramp ended at rate" in note and "weights are not finite" in note for note in measured.notes
    )


class Late(nn.Module):
    """Raises after so many calls, whatever the rate."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        Late.calls += 1
        if Late.calls > 12 and not bool(torch.isnan(inputs).any()):
            raise ValueError("enough")
        return self.layer(inputs)


def test_a_model_that_raises_before_there_is_anything_to_read_raises() -> None:
    Late.calls = 0
    with pytest.raises((TrainingError, ProblemError), match="enough"):
        ramp(problem(model=lambda: Late().double()), 1)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"low": 1.0, "high": 0.1}, RatesError, "does not rise"),
        ({"low": 0.0}, RatesError, "low= wants a positive number"),
        ({"high": float("inf")}, RatesError, "high= wants a positive number"),
        ({"low": "1e-7"}, RatesError, "low= wants a positive number"),
        ({"steps": 19}, UsageError, "from 20 to 100,000"),
        ({"steps": 50.5}, UsageError, "whole number"),
        ({"seeds": 0}, UsageError, "seeds="),
        ({"device": "nowhere"}, UsageError, "--device nowhere"),
    ],
)
def test_what_cannot_be_ramped_is_one_line(
    settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        ramp(problem(), **settings)
    assert "\n" not in str(raised.value)
