"""What is measured stays within its share of the time, and covers the run however little that is."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

import lrscope
from lrscope.plan import Plan
from lrscope.problems.problem import Problem
from lrscope.quantities import observe
from lrscope.quantities.budget import DETAILS, Budget, Detail, histogram_epochs, points
from lrscope.quantities.observe import Observer
from lrscope.record import HistogramRecord, Record
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed

FEWEST, MOST = DETAILS[-1], DETAILS[0]


def problem(epochs: int = 30, size: int = 12) -> Problem:
    generator = torch.Generator().manual_seed(2)
    X = torch.randn(40, 6, generator=generator)
    return Problem(
        name="budgeted",
        model=lambda: nn.Sequential(nn.Linear(6, size), nn.Tanh(), nn.Linear(size, 3)),
        train=(X, X[:, :3].argmax(1)),
        val=(X[:10], X[:10, :3].argmax(1)),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam,
        batch_size=8,
        epochs=epochs,
    )


@pytest.fixture(scope="module")
def plan() -> Plan:
    with undisturbed():
        return dataclasses.replace(prepare(problem(), (1e-3, 1e-2), 1).plan, epochs=200)


@pytest.mark.parametrize("steps", [1, 10, 24, 25, 79, 80, 124, 125, 1000, 123_457])
@pytest.mark.parametrize("count", sorted({detail.points for detail in DETAILS}))
def test_points_cover_the_run(steps: int, count: int) -> None:
    chosen = points(steps, count)
    assert chosen[0] == 0
    assert chosen[-1] == steps
    assert min(count, steps + 1) <= len(chosen) <= count + 4
    assert max(np.diff(chosen)) <= max(1, math.ceil(steps / (0.6 * count)))


def test_histogram_epochs_are_all_or_so_many() -> None:
    assert histogram_epochs(5, FEWEST.epochs) == tuple(range(6))
    many = histogram_epochs(1000)
    assert len(many) == 200
    assert {0, 1000} <= set(many)


def simulate(
    plan: Plan, share: float, *, step: float, point: float, histogram: float, always: float, slow: int = 0
) -> Budget:
    """Run through a plan with known costs; the first `slow` steps take ten times as long."""
    budget = Budget(plan, share)
    for t in range(plan.steps + 1):
        budget.trained += step * (10 if t < slow else 1)
        spent = always
        if t in budget.points(t - 1):
            budget.point(point)
            spent += point
        epoch, rest = divmod(t, plan.steps_per_epoch)
        if not rest and budget.histogram_due(epoch):
            budget.histogram(histogram)
            spent += histogram
        budget.spent += spent
        budget.review(t)
    return budget


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("slow", [0, 50])
@pytest.mark.parametrize("point", [1e-4, 5e-4, 1e-3])
def test_recording_stays_within_its_share(plan: Plan, share: float, slow: int, point: float) -> None:
    budget = simulate(plan, share, step=2e-3, point=point, histogram=1e-4, always=5e-6, slow=slow)
    fewest = FEWEST.points * point + FEWEST.epochs * 1e-4 + plan.steps * 5e-6
    assert budget.spent <= max(share * budget.trained, fewest) * 1.1
    assert budget.measured >= FEWEST.points - 1
    # What there is room for is used: another half would not have fitted, or all is measured.
    assert (
        budget.spent * 1.5 >= share * budget.trained
        or budget.measured >= 0.9 * MOST.points
        or budget.spent >= fewest
    )


@pytest.mark.parametrize(("pace", "detail"), [(1e-4, FEWEST), (0.19, MOST)])
def test_steps_that_are_slow_to_begin_with_buy_nothing(plan: Plan, pace: float, detail: Detail) -> None:
    budget = Budget(plan, 0.05)
    budget.review(0)
    seen, first = 0.0, points(plan.steps, FEWEST.points)
    for step, seconds in ((40, 8.0), (140, 8.0 + 100 * pace)):
        budget.point(1e-2)
        budget.histogram(1e-2)
        budget.spent += 2e-2
        seen, budget.trained = budget.trained, seconds
        budget.review(step)
        if step == 40:
            assert budget.points(40) == tuple(point for point in first if point > 40)
    assert budget.pace(140) == pytest.approx((budget.trained - seen) / 100)
    assert budget.points(140) == tuple(p for p in points(plan.steps, detail.points) if p > 140)


def test_what_the_verdicts_read_comes_before_further_histograms(plan: Plan) -> None:
    budget = simulate(plan, 0.05, step=2e-3, point=5e-4, histogram=2e-4, always=0.0)
    assert budget.measured >= 70
    assert budget.counted < 150


def test_too_little_room_still_measures_the_fewest(plan: Plan) -> None:
    budget = simulate(plan, 1e-6, step=2e-3, point=1e-3, histogram=1e-3, always=1e-5)
    assert FEWEST.points <= budget.measured <= FEWEST.points + 5
    assert FEWEST.epochs <= budget.counted <= FEWEST.epochs + 2
    assert "the fewest there are, though recording was to take 0.0001% of the time" in budget.account()


def test_without_a_limit_everything_is_measured(plan: Plan) -> None:
    budget = simulate(plan, math.inf, step=1e-6, point=1.0, histogram=1.0, always=0.0)
    assert MOST.points - 5 <= budget.measured <= MOST.points + 5
    assert "to keep" not in budget.account()


def test_a_short_run_is_measured_at_every_step(plan: Plan) -> None:
    short = dataclasses.replace(plan, epochs=4)
    budget = simulate(short, 0.01, step=1e-4, point=1.0, histogram=1.0, always=0.0)
    assert (budget.measured, budget.counted) == (short.steps + 1, 5)


def records_of(share: float) -> list[Record | HistogramRecord]:
    with undisturbed():
        run = prepare(problem(), (1e-3, 1e-2), 1)
        run.plan = dataclasses.replace(run.plan, tracked=(("0.bias", (0,)),))
        observer = Observer(run.plan, share)
        return list(observer.records(run.steps(observer.looks, observer.measures)))


@pytest.mark.parametrize("share", [0.0, 1e-9, 0.05, math.inf])
def test_losses_trajectories_and_validation_are_kept_whatever_the_budget(share: float) -> None:
    steps: dict[str, list[int]] = {}
    for record in records_of(share):
        if isinstance(record, Record):
            steps.setdefault(record.quantity, []).extend(record.steps.tolist())
    assert steps["loss"] == list(range(150))
    assert steps["trajectory"] == list(range(151))
    assert steps["val_loss"] == list(range(0, 151, 5))
    assert ("weight_norm" in steps) == (share > 0)
    if share > 0:
        assert {0, 150} <= set(steps["weight_norm"])
        assert {0, 150} >= set(steps["weight_norm"]) - set(steps["gradient_norm"])
        assert steps["update_ratio"] == steps["gradient_norm"]
    if share == math.inf:
        assert len(steps["weight_norm"]) >= 80


def test_what_is_measured_does_not_depend_on_the_budget() -> None:
    """The fewest points and the most agree wherever both have measured."""

    def by_step(share: float) -> dict[tuple[str, int], np.ndarray]:
        return {
            (record.quantity, int(step)): row
            for record in records_of(share)
            if isinstance(record, Record)
            for step, row in zip(record.steps, record.values, strict=True)
        }

    few, many = by_step(1e-9), by_step(math.inf)
    shared = few.keys() & many.keys()
    assert len([name for name, _ in shared if name == "update_ratio"]) >= 10
    for place in shared:
        np.testing.assert_allclose(few[place], many[place], rtol=1e-6, atol=1e-12)


def test_a_study_says_what_was_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    with lrscope.sweep(problem(), (1e-3, 1e-2), record_budget=1e-9) as study:
        assert study.note("recording").startswith("tensor statistics at ")
        assert "of 151 points" in study.note("recording")
        assert "of 31 epochs" in study.note("recording")
        assert len(study.scalars("loss")) == 300
    with lrscope.sweep(problem(), (1e-3, 1e-2), record_budget=0) as study:
        assert study.note("recording").startswith("losses, validation and trajectories only")
        assert len(study.tensors("weight_norm")) == 0
        assert set(study.verdicts()["verdict"]) <= {"good", "too_slow", "too_high", "cannot_tell"}
        assert study.histograms().is_empty()


@pytest.mark.parametrize("budget", [-0.1, math.nan, "5%", True, None])
def test_a_budget_is_a_number_from_zero(budget: object) -> None:
    with pytest.raises(lrscope.UsageError, match="record_budget= wants a share"):
        lrscope.sweep(problem(), (1e-3,), record_budget=budget)


def test_the_values_of_a_chunk_are_those_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [r for r in records_of(math.inf) if isinstance(r, Record) and r.quantity == "trajectory"]
    monkeypatch.setattr(observe, "CHUNK_STEPS", 1)
    pieces = [r for r in records_of(math.inf) if isinstance(r, Record) and r.quantity == "trajectory"]
    assert len(pieces) > len(whole)
    assert np.array_equal(
        np.concatenate([r.values for r in whole]), np.concatenate([r.values for r in pieces])
    )
