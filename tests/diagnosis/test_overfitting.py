"""The claim that too low a rate overfits, on curves made so that the truth is known.

Every lane's training loss is 0.1 + 0.9 exp(-rate step): the rate sets the pace and nothing else. Its
validation loss is a function of its training loss, the same for all rates unless a test says otherwise.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from lrscope.diagnosis.comparison import compare
from lrscope.diagnosis.curve import NO_TRACK, Curve, Track
from lrscope.diagnosis.overfitting import FairTest, fair_test, holm, lower_rates, reference_rate
from lrscope.diagnosis.too_low import overfits
from lrscope.plan import Plan

from .simulate import plan_for

RATES = (0.003, 0.01, 0.03)
BEST = 0.03
Validate = Callable[[np.ndarray, float, int], np.ndarray]


def valley(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """Falls to 0.5 where the training loss is 0.4, and rises again: lanes overfit, none more than another."""
    return (0.5 + (train - 0.4) ** 2) * (1 + 0.1 * seed)


def slope(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
    return (0.2 + 2 * train) * (1 + 0.1 * seed)


def lanes(
    validate: Validate | None,
    *,
    rates: Sequence[float] = RATES,
    seeds: int = 5,
    epochs: int = 2000,
    length: int = 1,
) -> tuple[list[Curve], Plan]:
    plan = plan_for(rates, epochs * length, [(1,)], steps_per_epoch=length, seeds=seeds)
    curves = []
    for key in plan.lanes:
        level = (0.1 + 0.9 * np.exp(-key.rate * np.arange(plan.steps + 1))) * (1 + 1e-3 * key.seed)
        ends = np.arange(0, plan.steps + 1, length)
        val = NO_TRACK if validate is None else Track(ends, validate(level[ends], key.rate, key.seed))
        curves.append(Curve(key.lane, key.rate, key.seed, level[:-1], val=val))
    return curves, plan


def fairly(curves: Sequence[Curve], plan: Plan, reference: float | None = BEST) -> FairTest:
    return fair_test(compare(curves, plan), reference)


def test_at_equal_training_loss_lanes_that_differ_only_in_pace_are_equal() -> None:
    test = fairly(*lanes(slope))
    assert [one.rate for one in test.lower] == [0.003, 0.01]
    assert (test.seeds, test.reference, test.relative, test.margin) == (5, BEST, True, math.log(1.05))
    for one in test.lower:
        assert one.equal_training is not None
        assert one.equal_training.each == pytest.approx([0] * 5, abs=1e-12)
        assert one.outcome == "refuted"
    assert (test.verdict, test.missing) == ("refuted", None)


@pytest.mark.parametrize("length", [1, 7, 40])
def test_a_valley_is_met_at_the_same_height_from_both_sides(length: int) -> None:
    curves, plan = lanes(valley, rates=(0.003 / length, 0.01 / length, 0.03 / length), length=length)
    test = fairly(curves, plan, 0.03 / length)
    for one in test.lower:
        assert one.equal_training is not None
        assert one.equal_training.mean == pytest.approx(0, abs=2e-3)
        assert one.best.mean == pytest.approx(0, abs=2e-3)
        assert not one.still_falling
    assert test.verdict == "refuted"


def test_lower_rates_that_truly_overfit_are_found() -> None:
    noise = np.random.default_rng(0).normal(size=(5, 3))

    def worse(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
        harm = {0.003: 1.2, 0.01: 1.12, 0.03: 1.0}[rate]
        return valley(train, rate, seed) * harm * (1 + 0.01 * noise[seed, RATES.index(rate)])

    test = fairly(*lanes(worse))
    assert (test.verdict, test.missing) == ("confirmed", None)
    assert [one.outcome for one in test.lower] == ["confirmed", "confirmed"]
    for one, index, harm in zip(test.lower, (0, 1), (1.2, 1.12), strict=True):
        assert one.equal_training is not None
        each = np.log(harm * (1 + 0.01 * noise[:, index]) / (1 + 0.01 * noise[:, 2]))
        reach = 2.776445 * each.std(ddof=1) / math.sqrt(5)
        assert one.best.each == pytest.approx(each, abs=1e-3)
        assert one.equal_training.each == pytest.approx(each, abs=1e-3)
        assert (one.best.low, one.best.high) == pytest.approx(
            (each.mean() - reach, each.mean() + reach), abs=1e-3
        )


def test_worse_at_equal_steps_alone_is_no_overfitting() -> None:
    def falling(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
        return slope(train, rate, seed)

    curves, plan = lanes(falling, rates=(0.001, 0.003, 0.01), epochs=1200)
    test = fairly(curves, plan, 0.01)
    slowest = test.lower[0]
    assert slowest.equal_steps.worse
    assert slowest.best.worse
    assert slowest.still_falling
    assert slowest.outcome == "not_reachable"
    assert test.lower[1].outcome == "refuted"
    assert test.verdict == "refuted"


def test_worse_at_equal_training_loss_but_not_early_stopped_is_no_overfitting() -> None:
    def later(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
        harm = 1.3 if rate < BEST else 1.0
        return np.where(train < 0.3, harm, 1.0) * valley(train, rate, seed)

    test = fairly(*lanes(later))
    for one in test.lower:
        assert one.equal_training is not None
        assert one.equal_training.worse
        assert one.best.as_good
        assert one.outcome == "refuted"


def test_a_harm_below_the_margin_is_none_however_certain() -> None:
    test = fairly(*lanes(lambda train, rate, seed: valley(train, rate, seed) * (1.03 if rate < BEST else 1)))
    for one in test.lower:
        assert one.best.chance == pytest.approx(0, abs=1e-6)
        assert one.best.as_good
        assert not one.best.worse
    assert test.verdict == "refuted"


def test_one_seed_cannot_tell() -> None:
    test = fairly(*lanes(valley, seeds=1))
    assert (test.verdict, test.missing, test.seeds) == ("cannot_tell", "one_seed", 1)
    assert test.lower[0].best.low is test.lower[0].best.high is None
    assert test.lower[0].best.mean == pytest.approx(0, abs=1e-3)


def test_seeds_that_change_nothing_count_once() -> None:
    curves, plan = lanes(valley, seeds=1)
    twice = [*curves, *(Curve(3 + c.lane, c.rate, 1, c.loss, val=c.val) for c in curves)]
    plan_twice = plan_for(RATES, plan.steps, [(1,)], seeds=2)
    test = fairly(twice, plan_twice)
    assert (test.verdict, test.missing, test.seeds) == ("cannot_tell", "one_seed", 1)


def test_seeds_that_disagree_cannot_tell() -> None:
    def scattered(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
        return valley(train, rate, seed) * (1 + (0.3 * (-1) ** seed if rate < BEST else 0.0))

    test = fairly(*lanes(scattered))
    assert (test.verdict, test.missing) == ("cannot_tell", "noise")
    assert {one.outcome for one in test.lower} == {"open"}


def test_without_validation_or_lower_rates_or_a_good_rate_nothing_is_told() -> None:
    assert fairly(*lanes(None)).missing == "no_validation"
    assert fairly(*lanes(valley, rates=(BEST,))).missing == "no_lower_rate"
    assert fairly(*lanes(valley, rates=(0.025, BEST))).missing == "no_lower_rate"
    assert fairly(*lanes(valley), None).missing == "no_reference"


def test_a_run_of_one_epoch_is_told_to_be_short_and_not_that_nothing_was_validated() -> None:
    curves, plan = lanes(valley, epochs=1, length=40)
    test = fairly(curves, plan)
    assert (test.verdict, test.missing) == ("cannot_tell", "one_epoch")
    claim = overfits(test, plan)
    assert "--epochs 2" in str(claim.phrases[0])
    assert str(claim.figure) == "one epoch: train longer"


def test_a_validation_loss_that_is_not_finite_is_none() -> None:
    assert fairly(*lanes(lambda train, rate, seed: np.full(len(train), np.nan))).missing == "no_validation"


def test_a_rate_too_low_to_get_there_says_how_many_epochs_would_do() -> None:
    rates, epochs = (0.0002, 0.002), 1500
    test = fairly(*lanes(valley, rates=rates, epochs=epochs), 0.002)
    assert (test.verdict, test.missing) == ("cannot_tell", "steps")
    needed = test.lower[0].epochs
    assert needed is not None
    assert epochs < needed < 20 * epochs
    longer = fairly(*lanes(valley, rates=rates, epochs=needed), 0.002)
    assert longer.lower[0].equal_training is not None
    assert longer.verdict == "refuted"


def test_a_rate_that_hardly_moves_is_not_waited_for() -> None:
    test = fairly(*lanes(valley, rates=(1e-7, BEST)))
    assert test.missing == "steps"
    assert test.lower[0].epochs is None


def test_negative_losses_are_compared_by_share_of_what_was_learned() -> None:
    def likelihood(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
        return train - 0.5 + (0.2 if rate < BEST else 0.0)

    test = fairly(*lanes(likelihood))
    assert not test.relative
    training = test.lower[0].equal_training
    assert training is not None
    assert training.mean == pytest.approx(0.2 / 0.9, rel=1e-2)


def test_the_rates_compared_are_near_a_third_and_a_tenth() -> None:
    rates = [10 ** (-4 + 0.25 * k) for k in range(17)]
    comparison = compare(*lanes(valley, rates=rates, seeds=1, epochs=200))
    assert lower_rates(comparison, rates[12]) == (rates[8], rates[10])
    assert lower_rates(comparison, rates[1]) == (rates[0],)
    assert lower_rates(comparison, rates[0]) == ()


def test_the_reference_is_the_middle_of_the_good_rates() -> None:
    comparison = compare(*lanes(valley, rates=(0.001, 0.003, 0.01, 0.03)))
    assert len(comparison.near_optimal) >= 3
    near = comparison.near_optimal
    assert reference_rate(comparison) == near[len(near) // 2]
    assert reference_rate(comparison, near[0], near[1]) == near[1]
    assert reference_rate(comparison, 5.0, 6.0) == near[len(near) // 2]


def test_holm_multiplies_by_the_number_left_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.9, 0.5]) == (1.0, 1.0)
    assert holm([0.02]) == (0.02,)
    assert holm([]) == ()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_and_chances_are_those_of_a_paired_t_test(seeds: int) -> None:
    def noisy(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
        return slope(train, rate, seed) * (1 + 0.02 * math.sin(9 * seed + 100 * rate))

    each = [rate.equal_training for rate in fairly(*lanes(noisy, seeds=seeds)).lower]
    tests = [stats.ttest_1samp(one.each, 0.0) for one in each if one is not None]
    assert len(tests) == len(each) == 2
    for one, expected in zip(each, tests, strict=True):
        assert one is not None
        assert (one.low, one.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert [one and one.chance for one in each] == pytest.approx(holm([float(one.pvalue) for one in tests]))
