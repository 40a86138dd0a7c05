"""Whether more or less of a metric is better: said, read from the lanes, or not to be told."""

import dataclasses

import numpy as np
import pytest

from lrscope.diagnosis.curve import Curve, Track
from lrscope.diagnosis.direction import more_is_better, read_metric
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.objective import check_objective
from lrscope.diagnosis.recommend import recommend
from lrscope.diagnosis.thresholds import DEFAULT
from lrscope.errors import UsageError
from lrscope.language import speaking

from .simulate import plan_for
from .test_traps import falling, lane

STEPS = np.arange(0, 401, 40)
RATES = (1e-3, 1e-2, 1e-1, 1.0)
DESCENTS = tuple(np.linspace(2.3, end, 11) for end in (1.8, 0.9, 0.3, 1.2))


def measured(losses, metric, index=0, seed=0):
    """A lane with these validation losses and this metric."""
    return lane(
        index,
        RATES[index % 4],
        falling(0.1),
        seed,
        val=Track(STEPS, np.asarray(losses)),
        metrics={"m": Track(STEPS, np.asarray(metric, float))},
    )


def told(*curves):
    return more_is_better("m", curves, DEFAULT)


def accuracy(losses):
    return np.clip(1 - np.asarray(losses) / 2.5, 0, 1)


def lanes(metric_of):
    return [measured(losses, metric_of(losses), index) for index, losses in enumerate(DESCENTS)]


def test_accuracy_rises_and_error_falls_with_the_loss():
    assert told(*lanes(accuracy)) is True
    assert told(*lanes(lambda losses: 1 - accuracy(losses))) is False


def test_a_lane_that_overfits_does_not_turn_it_round():
    """Its accuracy goes on rising long after its loss has turned: most of its points say the opposite."""
    losses = np.concatenate([[2.3, 1.6, 1.2, 1.0], np.linspace(1.1, 4.0, 7)])
    rising = np.concatenate([[0.1, 0.4, 0.5, 0.6], np.linspace(0.61, 0.7, 7)])
    overfitted = measured(losses, rising, 2)
    assert np.corrcoef(losses, rising)[0, 1] > 0.2
    assert told(*lanes(accuracy), overfitted) is True
    flipped = measured(losses, 1 - rising, 2)
    assert told(*lanes(lambda losses: 1 - accuracy(losses)), flipped) is False


def test_also_alone_a_lane_that_overfits_is_read_where_its_loss_falls():
    losses = np.concatenate([np.linspace(2.3, 1.0, 6), np.linspace(1.2, 4.0, 5)])
    assert told(measured(losses, np.linspace(0.1, 0.7, 11))) is True


def test_shorter_lanes_help_where_the_longest_do_not_tell():
    at_once = np.concatenate([[2.3, 0.9], np.full(9, 1.0)])
    longest = measured(at_once, np.concatenate([[0.1, 0.7], np.full(9, 0.7)]), 2)
    assert told(longest) is None
    short = [curve.until(200) for curve in lanes(accuracy)]
    assert told(longest, *short) is True


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_metric_that_does_not_move_with_the_loss_cannot_be_told(scale):
    rng = np.random.default_rng(3)
    assert told(*lanes(lambda losses: 0.5 + scale * rng.normal(size=len(losses)))) is None


def test_unrelated_metrics_are_hardly_ever_believed():
    rng = np.random.default_rng(0)
    believed = [told(*lanes(lambda losses: rng.normal(size=len(losses)))) is not None for _ in range(400)]
    assert sum(believed) <= 8


def test_two_points_are_too_few():
    def pair(index):
        return dataclasses.replace(
            measured(DESCENTS[index], accuracy(DESCENTS[index]), index),
            val=Track(STEPS[[0, 10]], DESCENTS[index][[0, 10]]),
            metrics={"m": Track(STEPS[[0, 10]], accuracy(DESCENTS[index])[[0, 10]])},
        )

    assert told(pair(2)) is None
    assert told(*(pair(index) for index in range(4))) is True  # a shared start and four ends


def test_without_lanes_or_measurements():
    assert told() is None
    empty = Curve(0, 0.1, 0, falling(0.1), metrics={"m": Track(STEPS[:0], np.empty(0))})
    assert told(empty) is None
    assert told(lane(0, 0.1, falling(0.1))) is None


def test_what_is_not_finite_is_left_out():
    broken = measured(np.where(STEPS > 200, np.nan, DESCENTS[2]), accuracy(DESCENTS[2]), 2)
    lost = measured(DESCENTS[1], np.where(STEPS > 200, np.nan, accuracy(DESCENTS[1])), 1)
    assert told(broken, lost) is True


@pytest.mark.parametrize(
    ("objective", "found"),
    [
        ("f1", ("f1", None)),
        ("f1:max", ("f1", True)),
        ("f1:min", ("f1", False)),
        ("odd:max", ("odd:max", None)),  # a metric of that name
        ("odd:max:min", ("odd:max", False)),
    ],
)
def test_what_is_better_may_be_said(objective, found):
    assert read_metric(objective, ("f1", "odd:max")) == found


@pytest.mark.parametrize(
    "objective", ["val-loss:max", "train-loss:min", "f2", "f2:max", "f1:more", "", ":max"]
)
def test_what_is_no_objective_is_said_in_a_line(objective):
    with pytest.raises(UsageError, match="wants one of val-loss, train-loss, f1; got"):
        check_objective(objective, ("f1",), validated=True)


def test_without_validation_data_there_is_the_training_loss():
    check_objective("train-loss", ("f1",), validated=False)
    for objective in ("val-loss", "f1:max"):
        with pytest.raises(UsageError, match="got"):
            check_objective(objective, ("f1",) if objective == "val-loss" else (), validated=False)


def advice(curves, objective):
    plan = plan_for(RATES, 400, [(10,)], steps_per_epoch=40, metrics=("m",), val_size=2000)
    plan = dataclasses.replace(plan, objective=objective)
    return recommend(curves, judge(curves, plan), plan)


def test_the_recommendation_goes_by_the_metric_either_way():
    ends = [0.2, 0.9, 0.5, 0.3]  # the best by the metric is not the best by the loss

    def curves(sign):
        return [
            measured(losses, sign * np.linspace(0.1, end, 11), index)
            for index, (losses, end) in enumerate(zip(DESCENTS, ends, strict=True))
        ]

    higher, lower = advice(curves(1), "m"), advice(curves(-1), "m")
    assert higher.objective == "final m (higher is better)"
    assert lower.objective == "final m (lower is better)"
    assert higher.best_rate == lower.best_rate == RATES[1]
    assert advice(curves(1), "val-loss").best_rate == RATES[2]


def test_what_cannot_be_told_is_said_with_what_to_type():
    rng = np.random.default_rng(1)
    curves = lanes(lambda losses: rng.uniform(0.4, 0.6, size=len(losses)))
    unsure = advice(curves, "m")
    assert unsure.rate is None
    assert unsure.cannot_tell == "these lanes do not tell whether more or less m is better"
    assert "--objective m:max, or --objective m:min" in unsure.next_experiment
    assert unsure.next_experiment in unsure.sentence()
    with speaking("zh"):
        assert "m:min" in unsure.sentence()
    assert advice(curves, "m:max").objective == "final m (higher is better)"
    assert advice(curves, "m:min").objective == "final m (lower is better)"
