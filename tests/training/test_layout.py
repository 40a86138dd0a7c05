"""How many lanes share a call: tried on copies, chosen by time, said in words."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from lrscope.errors import UsageError
from lrscope.problems.problem import Problem
from lrscope.training import layout, run
from lrscope.training.layout import Layout, fastest, in_threads, layouts, sizes, words, worth_trying
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed

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
    trials = {
        Layout(16): clock.step(16, 0.03),
        Layout(1): clock.step(1, 0.04),
        Layout(4): clock.step(4, 0.02),
    }
    assert fastest(trials, 10.0, clock) == (Layout(4), pytest.approx(0.02))
    assert clock.made.count(4) >= 5, "tried for a tenth of a second"


def test_a_hopeless_layout_is_timed_once() -> None:
    clock = Clock()
    trials = {Layout(16): clock.step(16, 0.02), Layout(1): clock.step(1, 0.05)}
    assert fastest(trials, 10.0, clock)[0] == Layout(16)
    assert clock.made.count(1) == 1


def test_no_trial_begins_once_the_time_is_spent() -> None:
    clock = Clock()
    trials = {Layout(16): clock.step(16, 1.0), Layout(1): clock.step(1, 0.1)}
    assert fastest(trials, 1.5, clock)[0] == Layout(16)
    assert 1 not in clock.made


def test_each_is_tried_with_its_threads_and_one_is_left() -> None:
    clock = Clock()
    seen: dict[Layout, set[int]] = {Layout(4): set(), Layout(4, 2): set()}

    def made(layout: Layout, seconds: float) -> Callable[[], None]:
        def step() -> None:
            seen[layout].add(torch.get_num_threads())
            clock.now += seconds

        return step

    trials = {Layout(4): made(Layout(4), 0.02), Layout(4, 2): made(Layout(4, 2), 0.015)}
    assert fastest(trials, 10.0, clock)[0] == Layout(4, 2)
    assert seen == {Layout(4): {1}, Layout(4, 2): {2}}
    assert torch.get_num_threads() == 1


def test_sizes_are_those_that_the_lanes_can_have() -> None:
    assert list(sizes(16, 1e-3)) == [16, 1, 4, 2, 8]
    assert list(sizes(3, 1e-3)) == [3, 1, 2]
    assert list(sizes(64, 1e-3)) == [64, 1, 4, 2, 8, 16, 32]
    assert list(sizes(16, 1e-2)) == [1, 4, 16, 2, 8], "long passes gain least by company"
    assert list(sizes(16, 1e-3, 2)) == [16, 8, 1, 4, 2], "a block for each thread"
    assert list(sizes(5, 1e-2, 2)) == [1, 4, 3, 5, 2]


def test_threads_are_tried_where_an_operation_is_long() -> None:
    one, eight = Layout(1), Layout(8)
    assert list(layouts((8, 1), 16, 1e-2, 2, beside=True)) == [Layout(8, 1, 2), Layout(1, 1, 2)]
    assert list(layouts((8, 1), 16, 1e-2, 2, beside=False)) == [Layout(8, 2), eight, Layout(1, 2), one]
    assert list(layouts((8, 1), 8, 1e-2, 2, beside=True)) == [eight, Layout(1, 1, 2)], "a call is alone"
    assert list(layouts((1,), 1, 1e-2, 2, beside=False)) == [Layout(1, 2), one]
    assert list(layouts((8, 1), 16, 1e-4, 2, beside=True)) == [eight, one]
    assert list(layouts((8, 1), 16, 1e-2, 1, beside=True)) == [eight, one]


def test_many_threads_are_chosen_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model large enough; the thread count outside is the user's again."""
    chosen = Layout(4, 2)
    monkeypatch.setattr(run, "worth_trying", lambda *_: True)
    monkeypatch.setattr(run, "layouts", lambda *_, beside: [Layout(4), chosen])
    monkeypatch.setattr(run, "fastest", lambda *_: (chosen, 0.1))
    before = torch.get_num_threads()
    with undisturbed() as threads:
        assert threads == before
        assert torch.get_num_threads() == 1
        prepared = prepare(problem(), RATES, 1, threads=2)
        assert prepared.how == "4 lanes in one pass, in 2 threads"
        next(iter(prepared.steps()))
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("draws", "size"), [(False, 2), (True, 1)])
def test_lanes_are_taken_side_by_side_where_nothing_is_drawn(
    draws: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random numbers come from one generator, whose order two threads would mix."""
    monkeypatch.setattr(run, "worth_trying", lambda *_: True)
    monkeypatch.setattr(layout, "THREADS_FROM", 0.0)
    monkeypatch.setattr(layout, "CREW_FROM", 0.0)
    monkeypatch.setattr(
        run, "fastest", lambda trials, _: (next(one for one in trials if one.lanes == 1), 0.1)
    )
    asked = problem()
    if not draws:
        object.__setattr__(asked, "model", lambda: nn.Linear(6, 3))
    prepared = prepare(asked, RATES, 1, threads=2)
    assert prepared.crew.size == size
    assert prepared.how == "4 lanes, one after another: that is fastest here, in 2 threads"
    assert torch.isfinite(torch.stack([s.losses for s in prepared.steps() if s.losses is not None])).all()


def test_trials_must_pay() -> None:
    assert worth_trying(1e-2, 16, 1000)
    assert worth_trying(1e-2, 1, 1000), "one lane may take more threads"
    assert not worth_trying(1e-4, 16, 1_000_000), "so small that all together is fastest"
    assert not worth_trying(1e-2, 16, 5), "over before it is found out"


def test_words() -> None:
    assert words(1, 1) == "1 lane"
    assert words(16, 16) == "16 lanes in one pass"
    assert words(16, 4) == "16 lanes in blocks of 4"
    assert words(16, 1) == "16 lanes, one after another: that is fastest here"
    assert in_threads(words(16, 4), 1) == "16 lanes in blocks of 4"
    assert in_threads(words(16, 4), 2) == "16 lanes in blocks of 4, in 2 threads"


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

    def every_one(trials: dict[Layout, Callable[[], object]], seconds: float) -> tuple[Layout, float]:
        for tried, step in trials.items():
            step()
            steps.append(tried.lanes)
        return Layout(chosen), 0.1

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
