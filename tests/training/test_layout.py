"""How many lanes share a call: tried on copies, chosen by time, said in words."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest
import torch
from lrscope.training.layout import Layout, enough_work, fastest, in_threads, layouts, sizes, words
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lrscope.problems.problem import Problem
from lrscope.training import layout, trials
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

    def step(self, size: int, seconds: float) -> Callable[[], Callable[[], None]]:
        def made() -> None:
            self.made.append(size)
            self.now += seconds

        return lambda: made


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
    trials = {Layout(16): clock.step(16, 0.02), Layout(1): clock.step(1, 0.06)}
    assert fastest(trials, 10.0, clock)[0] == Layout(16)
    assert clock.made.count(1) == 2, "and once before"


def test_no_trial_begins_once_the_time_is_spent() -> None:
    clock = Clock()
    trials = {Layout(16): clock.step(16, 1.0), Layout(1): clock.step(1, 0.1)}
    assert fastest(trials, 0.5, clock)[0] == Layout(16)
    assert 1 not in clock.made


def test_a_short_step_is_not_given_up_for_one_that_was_long() -> None:
    """The first ones rehearse optimizers, and any may wait for a busy machine."""
    clock = Clock()
    waits = iter([0.02])

    def step() -> None:
        clock.now += next(waits) if clock.made.count(8) == 1 else 0.002
        clock.made.append(8)

    trials = {Layout(16): clock.step(16, 0.004), Layout(8): lambda: step}
    assert fastest(trials, 10.0, clock) == (Layout(8), pytest.approx(0.002))


def test_processes_pay_for_tiny_passes_where_there_is_work() -> None:
    """Reckoned, so that a sweep of a small model is the same every time."""
    assert enough_work(7_510, 32, 16, 900), "sixteen rates on the digits"
    assert not enough_work(7_510, 32, 3, 900), "three"
    assert not enough_work(7_510, 32, 16, 300), "over soon"
    assert not enough_work(2, 4, 16, 1_000_000), "finding out what to run takes all of the time"


def test_each_is_tried_with_its_threads_and_one_is_left() -> None:
    clock = Clock()
    seen: dict[Layout, set[int]] = {Layout(4): set(), Layout(4, 2): set()}

    def made(layout: Layout, seconds: float) -> Callable[[], Callable[[], None]]:
        def step() -> None:
            seen[layout].add(torch.get_num_threads())
            clock.now += seconds

        return lambda: step

    trials = {Layout(4): made(Layout(4), 0.02), Layout(4, 2): made(Layout(4, 2), 0.015)}
    assert fastest(trials, 10.0, clock)[0] == Layout(4, 2)
    assert seen == {Layout(4): {1}, Layout(4, 2): {2}}
    assert torch.get_num_threads() == 1


def test_sizes_are_those_that_the_lanes_can_have() -> None:
    assert list(sizes(16, 1e-3)) == [16, 1, 4, 2, 8]
    assert list(sizes(3, 1e-3)) == [3, 1, 2]
    assert list(sizes(64, 1e-3)) == [64, 1, 4, 2, 8, 16, 32]
    assert list(sizes(16, 1e-2)) == [1, 4, 2], "long passes gain least by company, and keep much"
    assert list(sizes(16, 1e-3, kept=2**25)) == [1], "what a pass keeps is as large as the cache"
    assert list(sizes(16, 1e-4)) == [16], "where deciding what to run takes longer than running it"


def test_processes_are_tried_and_threads_where_there_are_none() -> None:
    def tried(count: int, seconds: float, most: int, *, fork: bool, per_block: int | None = None) -> object:
        return list(layouts(per_block, count, seconds, most, fork=fork))

    assert tried(4, 1e-2, 2, fork=True) == [Layout(1, 1, 2, 2), Layout(2, 1, 2)]
    assert tried(5, 1e-3, 8, fork=True) == [Layout(1, 1, 5)], "no more than lanes"
    assert tried(2, 1e-2, 2, fork=False) == [Layout(1, 2, 1, 2), Layout(1, calls=2), Layout(2, 2), Layout(2)]
    assert tried(2, 1e-3, 2, fork=False) == [Layout(2), Layout(1, calls=2)], "too short to be divided"
    assert tried(2, 1e-2, 1, fork=True) == [Layout(1, calls=2), Layout(2)]
    assert tried(16, 1e-2, 2, fork=True, per_block=4) == [Layout(4, 1, 2, 2)]


def chosen(best: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a layout be what trials find, however short the run is."""
    monkeypatch.setattr(trials, "WORTH_IT", 0.0)
    monkeypatch.setattr(layout, "TINY_SECONDS", 0.0)
    monkeypatch.setattr(trials, "layouts", lambda *_, **__: [Layout(4), best])
    monkeypatch.setattr(trials, "fastest", lambda *_: (best, 0.1))


def test_many_threads_are_chosen_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model large enough; the thread count outside is the user's again."""
    chosen(Layout(4, 2), monkeypatch)
    before = torch.get_num_threads()
    with undisturbed() as threads:
        assert threads == before
        assert torch.get_num_threads() == 1
        prepared = prepare(problem(), RATES, 1, threads=2)
        assert prepared.how == "4 lanes in one pass, in 2 threads"
        next(iter(prepared.steps()))
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_trials_must_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("over before it is found out")

    monkeypatch.setattr(trials, "fastest", refuse)
    monkeypatch.setattr(layout, "TINY_SECONDS", 0.0)
    assert prepare(problem(), RATES, 1, threads=2).how == "4 lanes in one pass"
    monkeypatch.setattr(trials, "WORTH_IT", 0.0)
    with pytest.raises(AssertionError):
        prepare(problem(), RATES, 1, threads=2)


@pytest.mark.parametrize("capture", [False, True])
def test_processes_are_chosen_and_change_nothing(capture: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = losses()
    monkeypatch.setattr(trials, "WORTH_IT", 0.0)
    monkeypatch.setattr(trials, "WORTH_CAPTURE", 0.0 if capture else 1e9)
    monkeypatch.setattr(layout, "TINY_SECONDS", 0.0)
    prepared = prepare(problem(), RATES, 2, threads=2)
    assert prepared.processes == 2
    assert prepared.how.startswith("8 lanes in 2 processes, ")
    shared = torch.stack([step.losses.clone() for step in prepared.steps() if step.losses is not None])
    torch.testing.assert_close(shared, alone, rtol=1e-5, atol=1e-6)


class Branching(nn.Module):
    """Cannot be vectorised."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h: torch.Tensor = self.layer(x)
        return h if h.sum() > 0 else -h


def test_lanes_that_share_no_call_are_shared_out_and_both_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    branching = dataclasses.replace(problem(), model=Branching)
    alone = prepare(branching, RATES, 1)
    assert alone.how.startswith("4 lanes, one after another: the model cannot be vectorised")
    monkeypatch.setattr(trials, "WORTH_IT", 0.0)
    monkeypatch.setattr(layout, "TINY_SECONDS", 0.0)
    shared = prepare(branching, RATES, 1, threads=2)
    assert shared.processes == 2
    assert shared.how.startswith("4 lanes in 2 processes, one after another: the model cannot be vectorised")
    for one, other in zip(alone.steps(), shared.steps(), strict=True):
        assert one.losses is None or torch.equal(one.losses, other.losses)


class Rows(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Data that come by way of Python."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((6,), float(index)), torch.tensor(index % 3)


def test_what_only_this_process_can_do_stays_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a dataset holds open, Python that keeps state, what is measured of all lanes at once."""
    monkeypatch.setattr(trials, "WORTH_IT", 0.0)
    monkeypatch.setattr(layout, "TINY_SECONDS", 0.0)
    counted = []

    def counting(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        counted.append(1)
        return nn.functional.cross_entropy(output, target)

    tensors = problem().train
    loader = DataLoader(TensorDataset(*tensors), batch_size=16)
    for changes, options, processes in (
        ({}, {}, 2),
        ({"train": Rows()}, {}, 1),
        ({"train": loader}, {}, 2),
        ({"train": DataLoader(Rows(), batch_size=16)}, {}, 1),
        ({"val": DataLoader(Rows(), batch_size=16)}, {}, 1),
        ({"loss": counting}, {}, 1),
        ({}, {"curvature": True}, 1),
        ({}, {"probes": True}, 1),
        ({}, {"threads": 1}, 1),
    ):
        asked = dataclasses.replace(problem(), **changes)
        assert prepare(asked, RATES, 1, **{"threads": 2, **options}).processes == processes, (
            changes,
            options,
        )


def test_words() -> None:
    assert words(1, 1) == "1 lane"
    assert words(16, 16) == "16 lanes in one pass"
    assert words(16, 4) == "16 lanes in blocks of 4"
    assert words(16, 1) == "16 lanes, one after another: that is fastest here"
    assert words(16, 1, asked=True) == "16 lanes, one after another"
    assert words(16, 8, 2) == "16 lanes in 2 processes, each in one pass"
    assert words(16, 1, 2, reason="it branches") == "16 lanes in 2 processes, one after another: it branches"
    assert words(16, 2, 2) == "16 lanes in 2 processes in blocks of 2"
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


@pytest.mark.parametrize(("size", "how"), [(8, "in one pass"), (4, "in blocks of 4"), (1, "one after")])
def test_trials_change_nothing_of_the_run(size: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    untried = losses(lanes_per_block=size)
    steps: list[int] = []

    def every_one(
        trials: dict[Layout, Callable[[], Callable[[], None]]], seconds: float
    ) -> tuple[Layout, float]:
        for tried, prepared in trials.items():
            prepared()()
            steps.append(tried.lanes)
        return Layout(size), 0.1

    monkeypatch.setattr(trials, "WORTH_IT", 0.0)
    monkeypatch.setattr(layout, "TINY_SECONDS", 0.0)
    monkeypatch.setattr(trials, "fastest", every_one)
    state = torch.get_rng_state()
    prepared = prepare(problem(), RATES, 2)
    assert how in prepared.how
    assert steps == [8, 1, 4, 2]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(losses(), untried)


def test_real_trials_choose_a_layout_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "WORTH_IT", 0.0)
    monkeypatch.setattr(layout, "TINY_SECONDS", 0.0)
    monkeypatch.setattr(layout, "TRIAL_SECONDS", 0.0)
    prepared = prepare(problem(), RATES, 1)
    assert prepared.how in {words(4, size) for size in (4, 2, 1)}
