"""What lies ahead: the next look, and what is due before it."""

import functools

import pytest
import torch
from lrscope.training.course import Course
from lrscope.training.looks import Ahead, Lookout, each, every
from lrscope.training.run import Run
from lrscope.training.train import next_check

import lrscope


def test_what_is_beyond_an_earlier_look_is_left_for_later() -> None:
    ahead = Ahead(20, (3, 8, 20), (4, 9))
    assert ahead.within(30) == ahead
    assert ahead.within(8) == Ahead(8, (3, 8), (4,))
    assert ahead.within(2) == Ahead(2)


@pytest.mark.parametrize(("step", "stop"), [(-1, 3), (3, 4), (4, 8), (8, 9), (9, 20), (19, 20)])
def test_training_stops_where_something_is_due(step: int, stop: int) -> None:
    assert Ahead(20, (3, 8), (4, 9)).stop_after(step) == stop


def test_the_first_step_is_looked_at_whatever_is_wanted() -> None:
    after = Lookout([10], [4, 25]).with_(every(1_000))
    looks = [after(-1).look]
    while looks[-1] < 30:
        looks.append(after(looks[-1]).look)
    assert looks == [0, 4, 10, 20, 25, 30]
    assert [each(step).look for step in (-1, 0, 7)] == [0, 1, 8]


def test_with_no_period_only_what_is_wanted_is_looked_at() -> None:
    after = Lookout([]).with_(every(1_000))
    assert [after(step).look for step in (-1, 0, 1_000)] == [0, 1_000, 2_000]


@pytest.mark.parametrize(("step", "following"), [(0, 64), (63, 64), (64, 128), (100, 128)])
def test_a_check_follows_where_a_multiple_is_passed(step: int, following: int) -> None:
    assert next_check(step, 64) == following


def test_rates_are_noted_where_lanes_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of every lane, at the points of a run, in one process or in two."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(64, 4, generator=generator)
    problem = lrscope.Problem(
        name="scheduled",
        model=functools.partial(torch.nn.Linear, 4, 1),
        train=(X, X[:, :1]),
        loss=torch.nn.MSELoss(),
        optimizer=torch.optim.SGD,
        schedule=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99),
        batch_size=16,
        epochs=50,
    )
    made = Run.course

    def divided(run: Run, *arguments: object, **options: object) -> Course:
        run.processes = 2
        return made(run, *arguments, **options)  # type: ignore[arg-type]

    with lrscope.sweep(problem, (1e-3, 1e-2)) as study:
        alone = study.scalars("learning_rate")
    monkeypatch.setattr(Run, "course", divided)
    with lrscope.sweep(problem, (1e-3, 1e-2)) as study:
        assert study.scalars("learning_rate").equals(alone)
    assert len(alone) >= 2 * 125 - 2
    assert alone["value"].to_list() == pytest.approx(
        [rate * 0.99**step for rate, step in zip(alone["rate"], alone["step"], strict=True)]
    )
