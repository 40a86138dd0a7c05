"""How many lanes share a call: tried on copies, chosen by time, said in words."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from lrscope.errors import UsageError
from lrscope.problems.problem import Problem
from lrscope.training import layout, run
from lrscope.training.layout import fastest, layouts, words, worth_trying
from lrscope.training.random_state import undisturbed
from lrscope.training.run import prepare

RATES = (1e-4, 1e-3, 1e-2, 1e-1)


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with undisturbed():
        yield


class Clock:
    """A clock that only steps move on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made: list[int] = []

    def __call__(self) -> float:
        return self.now

    def step(self, size: int, seconds: float) -> Callable[[], None]:
        def made() -> None:
            self.made.append(size)
            self.now += seconds

        return made


def test_the_layout_that_takes_least_is_chosen() -> None:
    clock = Clock()
    trials = {16: clock.step(16, 0.03), 1: clock.step(1, 0.04), 4: clock.step(4, 0.02)}
    assert fastest(trials, 10.0, clock) == 4
    assert clock.made.count(4) >= 5, "tried for a tenth of a second"


def test_a_hopeless_layout_is_timed_once() -> None:
    clock = Clock()
    trials = {16: clock.step(16, 0.02), 1: clock.step(1, 0.05)}
    assert fastest(trials, 10.0, clock) == 16
    assert clock.made.count(1) == 2, "once to warm up and once to be timed"


def test_no_trial_begins_once_the_time_is_spent() -> None:
    clock = Clock()
    trials = {16: clock.step(16, 1.0), 1: clock.step(1, 0.1)}
    assert fastest(trials, 2.0, clock) == 16
    assert 1 not in clock.made


def test_layouts_are_those_that_the_lanes_can_have() -> None:
    assert list(layouts(16)) == [16, 1, 4, 2, 8]
    assert list(layouts(3)) == [3, 1, 2]
    assert list(layouts(64)) == [64, 1, 4, 2, 8, 16, 32]


def test_trials_must_pay() -> None:
    assert worth_trying(1e-2, 16, 1000)
    assert not worth_trying(1e-2, 1, 100_000), "one lane leaves no choice"
    assert not worth_trying(1e-4, 16, 1_000_000), "so small that all together is fastest"
    assert not worth_trying(1e-2, 16, 5), "over before it is found out"


def test_words() -> None:
    assert words(1, 1) == "1 lane"
    assert words(16, 16) == "16 lanes in one pass"
    assert words(16, 4) == "16 lanes in blocks of 4"
    assert words(16, 1) == "16 lanes, one after another: that is fastest here"


def problem() -> Problem:
    generator = torch.Generator().manual_seed(3)
    return Problem(
        name="tried",
        model=lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3)),
        train=(torch.randn(40, 6, generator=generator), torch.randint(0, 3, (40,), generator=generator)),
        loss=nn.CrossEntropyLoss(),
        batch_size=16,
        epochs=3,
    )


def losses(**options: object) -> torch.Tensor:
    prepared = prepare(problem(), RATES, 2, **options)  # type: ignore[arg-type]
    return torch.stack([step.losses.clone() for step in prepared.steps() if step.losses is not None])


@pytest.mark.parametrize(("chosen", "how"), [(8, "in one pass"), (4, "in blocks of 4"), (1, "one after")])
def test_trials_change_nothing_of_the_run(chosen: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    untried = losses(lanes_per_block=chosen)
    steps: list[int] = []

    def every_one(trials: dict[int, Callable[[], object]], seconds: float) -> int:
        for size, step in trials.items():
            step()
            steps.append(size)
        return chosen

    monkeypatch.setattr(run, "worth_trying", lambda *_: True)
    monkeypatch.setattr(run, "fastest", every_one)
    state = torch.get_rng_state()
    prepared = prepare(problem(), RATES, 2)
    assert how in prepared.how
    assert steps == [8, 1, 4, 2]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(losses(), untried)


def test_real_trials_choose_a_layout_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "worth_trying", lambda *_: True)
    monkeypatch.setattr(layout, "TRIAL_SECONDS", 0.0)
    prepared = prepare(problem(), RATES, 1)
    assert prepared.how in {words(4, size) for size in (4, 2, 1)}


@pytest.mark.parametrize("lanes", [0, -1, 2.0, True, "4"])
def test_a_number_of_lanes_is_wanted(lanes: object) -> None:
    with pytest.raises(UsageError, match="whole number of at least 1"):
        prepare(problem(), RATES, 1, lanes_per_block=lanes)  # type: ignore[arg-type]


def test_lanes_that_cannot_share_a_call_cannot_be_asked_to() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h: torch.Tensor = self.a(x)
            return h if h.sum() > 0 else 2 * h

    asked = problem()
    object.__setattr__(asked, "model", Branching)
    with pytest.raises(UsageError, match=r"branches on the values.*leave out --lanes-per-block"):
        prepare(asked, RATES, 1, lanes_per_block=2)
    assert "branches" in prepare(asked, RATES, 1, lanes_per_block=1).how
