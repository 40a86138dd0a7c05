"""The recommendation: the rate, its interval and margin, or why it cannot be told and what to type."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from lrscope.diagnosis.comparison import compare
from lrscope.diagnosis.evidence import rate_text
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.recommend import recommend
from lrscope.rates import read_rates

from .simulate import line, plan_for, sgd, train
from .test_traps import falling, lane, noisy_plan, validated


def advice(curves, plan):
    return recommend(curves, judge(curves, plan), plan)


def ends(values, *, seeds=1, rates=None, scatter=0.0, steps=400):
    """Lanes that end at given losses, None for one that stops; rates a third of a decade apart from 1e-3."""
    rates = rates or [1e-3 * 10 ** (index / 3) for index in range(len(values))]
    rng = np.random.default_rng(0)
    plan = plan_for(rates, steps, [(10,)], seeds=seeds)
    curves = []
    for seed in range(seeds):
        for rate, value in zip(rates, values, strict=True):
            end = value[seed] if isinstance(value, tuple) else value
            loss = falling(0.1 if end is None else end * math.exp(scatter * rng.normal()), steps)
            if end is None:
                loss[steps // 2 :] = np.nan
            curves.append(lane(len(curves), rate, loss, seed))
    return curves, plan


def test_the_middle_of_the_rates_as_good_with_interval_and_margin():
    curves, plan = ends([1.0, 0.5, 0.201, 0.2, 0.202, 0.6, None])
    advised = advice(curves, plan)
    assert advised.rate == plan.rates[3]
    assert advised.near_optimal == plan.rates[2:5]
    # A parabola through the last good rate and the next one crosses the border near the good one.
    assert advised.low == pytest.approx(plan.rates[2] * (plan.rates[1] / plan.rates[2]) ** (1 / 4), rel=0.2)
    assert plan.rates[1] < advised.low < plan.rates[2]
    assert plan.rates[4] < advised.high < math.sqrt(plan.rates[4] * plan.rates[5])
    assert advised.first_failing == plan.rates[6]
    assert advised.margin == pytest.approx(10)
    assert (advised.confidence, advised.cannot_tell) == ("low", None)
    assert advised.sentence() == (
        f"Use 0.01 (the best is between {rate_text(advised.low)} and {rate_text(advised.high)}); "
        "the first rate that fails is 0.1, 10x higher. "
        "Judged by the smoothed training loss at the end. Confidence low: one seed."
    )


def test_between_two_lanes_as_good_the_lower_is_advised_and_the_middle_preferred():
    curves, plan = ends([1.0, 0.2, 0.2, 0.6], rates=[1e-3, 1e-2, 1e-1, 1.0])
    advised = advice(curves, plan)
    assert (advised.rate, advised.preferred_rate) == (1e-2, 0.032)


@pytest.mark.parametrize("seeds", [1, 3])
def test_to_a_lane_next_to_one_that_fails_it_is_gone_half_the_way_on_any_number_of_seeds(seeds):
    curves, plan = ends([1.0, 0.5, 0.201, 0.2, None], seeds=seeds)
    advised = advice(curves, plan)
    assert advised.rate == plan.rates[2]
    assert advised.preferred_rate == pytest.approx(math.sqrt(plan.rates[2] * plan.rates[3]), rel=0.02)
    assert advised.high == pytest.approx(plan.rates[3] * (plan.rates[4] / plan.rates[3]) ** 0.75)
    assert advised.caution is None
    assert advised.at_cliff
    assert "Next: the best rate stands next to one that fails" in advised.sentence()
    assert "warmup" in advised.next_experiment


def test_a_lane_a_decade_below_the_first_that_fails_is_not_next_to_it():
    curves, plan = ends([1.0, 0.2, None], rates=[0.01, 0.1, 1.0])
    advised = advice(curves, plan)
    assert (advised.rate, advised.first_failing, advised.margin) == (0.1, 1.0, 10.0)
    assert advised.caution is None


def test_where_the_only_good_lane_stands_at_the_cliff_the_safer_side_is_advised():
    curves, plan = ends([1.0, 0.5, 0.28, 0.2, None])
    advised = advice(curves, plan)
    assert advised.rate == plan.rates[2]
    assert advised.low == advised.rate
    assert "only 2.2 times higher, 1 of 1 lanes failed" in advised.caution
    assert advised.caution in advised.sentence()
    curves, plan = ends([1.0, 0.9, 0.8, 0.2, None])
    alone = advice(curves, plan)
    assert alone.rate == plan.rates[3]
    assert "only 2.2 times higher" in alone.caution
    assert "Next: the best rate stands next to one that fails: before a lower rate, try" in alone.sentence()
    assert "--clip-norm" in alone.sentence("zh")


def test_a_rate_that_failed_on_one_seed_is_never_advised():
    curves, plan = ends([1.0, 0.5, 0.3, (0.1, None), 1.0], seeds=2)
    advised = advice(curves, plan)
    assert advised.first_failing is None
    assert advised.worse_from == plan.rates[3]
    assert [(one.rate, one.failed, one.lanes) for one in advised.failures] == [(plan.rates[3], 1, 2)]
    assert "at 0.01 1 of 2 lanes failed" in advised.sentence()
    assert advised.rate < plan.rates[3]
    assert plan.rates[3] not in advised.near_optimal
    curves, plan = ends([1.0, 0.5, 0.3, (0.1, None, None), 1.0], seeds=3)
    assert advice(curves, plan).first_failing == plan.rates[3]


@pytest.mark.parametrize(
    ("values", "word", "typed"),
    [
        ([1.0, 0.8, 0.5, 0.2], "highest tested", "--rates 4.64e-3:0.1:6"),
        ([0.2, 0.5, 0.8, 1.0], "lowest tested", "--rates 1e-4:2.15e-3:6"),
        ([0.2, None, None], "lowest tested", "--rates 1e-4:2.15e-3:6"),
    ],
)
def test_at_the_edge_of_the_grid_it_says_what_to_widen_to(values, word, typed):
    advised = advice(*ends(values))
    assert advised.rate is None
    assert word in advised.cannot_tell
    assert typed in advised.next_experiment
    assert typed in advised.sentence()
    assert advised.confidence == "low"


@pytest.mark.parametrize(
    ("values", "best", "word", "typed"),
    [
        ([1.0, 0.8, 0.5, 0.2], 3, "highest tested", "--rates 4.64e-3:0.1:6"),
        ([0.2, 0.5, 0.8, 1.0], 0, "lowest tested", "--rates 1e-4:2.15e-3:6"),
    ],
)
def test_a_search_that_ends_at_the_edge_answers_with_a_warning(values, best, word, typed):
    curves, plan = ends(values)
    searched = dataclasses.replace(plan, chosen=tuple((rate, 0) for rate in plan.rates))
    advised = advice(curves, searched)
    assert (advised.rate, advised.cannot_tell) == (plan.rates[best], None)
    assert word in advised.caution
    assert advised.caution in advised.sentence()
    assert typed in advised.next_experiment
    assert typed in advised.sentence()
    assert (advised.confidence, advised.because) == ("low", "the best may lie beyond the rates tested")


def constant_beside(values, *, val_size, constant=1.0):
    """Two seeds that end at given validation losses, having begun at the loss of a constant answer."""
    rates = [1e-4, 1e-3, 1e-2, 1e-1]
    plan = noisy_plan(rates, val_size=val_size, seeds=2, constant_val_loss=constant)
    curves = [
        lane(2 * i + seed, rate, falling(0.1), seed, val=validated(np.linspace(constant, value, 11)))
        for i, (rate, value) in enumerate(zip(rates, values, strict=True))
        for seed in (0, 1)
    ]
    return curves, plan


@pytest.mark.parametrize(
    ("lowest", "val_size", "told"),
    [
        (0.975, 120, False),  # 4 / 120 is 3.3%
        (0.96, 120, True),
        (0.975, 1000, True),
        (0.985, 100_000, False),  # 2% at least
        (0.92, 10, False),
        (0.88, 10, True),  # 10% at most, however few the examples
    ],
)
def test_a_gain_over_a_constant_answer_must_be_more_than_chance(lowest, val_size, told):
    curves, plan = constant_beside([0.999, lowest, 0.995, 1.5], val_size=val_size)
    advised, verdicts = advice(curves, plan), judge(curves, plan)
    assert (advised.rate is not None) == told
    # The verdicts see it the same way.
    assert ("good" in [verdict.kind for verdict in verdicts]) == told
    if not told:
        assert any("did better than a constant answer" in verdict.evidence for verdict in verdicts)
        reason = "no signal: no rate did better than a constant answer by more than chance"
        assert advised.cannot_tell == reason


def far_above(training, validation, **others):
    """Three lanes of a noisy study whose training begins at 50, far above a constant answer's 2.3."""
    plan = noisy_plan([0.01, 0.1, 1.0], constant_loss=2.3, val_size=50, **others)
    return [
        lane(i, rate, falling(end, start=50.0), val=validated(values))
        for i, (rate, end, values) in enumerate(zip(plan.rates, training, validation, strict=True))
    ], plan


def test_from_far_above_a_constant_answer_the_best_on_the_way_down_is_named_with_a_warning():
    down = [np.linspace(50, end, 11) for end in (30, 3, 20)]
    curves, plan = far_above([30.0, 3.0, 20.0], down, constant_val_loss=2.3)
    assert [verdict.kind for verdict in judge(curves, plan)] == ["cannot_tell"] * 3
    advised = advice(curves, plan)
    assert advised.rate == 0.1
    assert advised.caution == "no rate did better than a constant answer by more than chance"
    # Next to one that fails, it is said beside that.
    curves[2] = dataclasses.replace(curves[2], stopped_step=100, loss=curves[2].loss[:100])
    near = dataclasses.replace(plan, rates=(0.01, 0.1, 0.2))
    curves = [dataclasses.replace(curve, rate=near.rates[i]) for i, curve in enumerate(curves)]
    for words in ("constant answer", "only 2.0 times higher"):
        assert words in advice(curves, near).caution


def test_training_that_rises_beside_a_random_validation_loss_is_no_way_down():
    # By the validation loss every lane has come down; a constant answer is known of the training data alone.
    by_chance = [np.linspace(6.0, end, 11) for end in (5.0, 4.0, 5.5)]
    curves, plan = far_above([60.0, 70.0, 80.0], by_chance)
    advised = advice(curves, plan)
    assert advised.rate is None
    assert "no rate did better than a constant answer" in advised.cannot_tell
    assert "good" not in [verdict.kind for verdict in judge(curves, plan)]


def test_a_lane_that_cannot_be_compared_does_not_say_that_a_constant_answer_is_beaten():
    plan = plan_for([0.01, 0.1, 1.0], 400, [(10,)], seeds=2, constant_loss=2.3)
    curves = [
        lane(i, key.rate, falling(3.0 if key.rate == 0.1 else 30.0, start=50.0), key.seed)
        for i, key in enumerate(plan.lanes)
    ]
    other = next(i for i, curve in enumerate(curves) if (curve.rate, curve.seed) == (0.1, 1))
    curves[other] = lane(other, 0.1, falling(-90.0, start=-50.0), 1)
    assert "constant answer" in advice(curves, plan).caution


def test_a_rate_that_fails_between_two_good_ones_is_not_what_lies_between_them():
    broken = ends([0.2, None, 0.19, None], rates=[1e-5, 1e-4, 1e-3, 3e-3])
    advised = advice(*broken)
    assert (advised.rate, advised.first_failing) == (1e-3, 3e-3)
    assert advised.low > 1e-4
    assert "lower rates fail: 1e-4" in advised.sentence()
    # Nor one whose lane was cut short before it failed.
    curves, plan = ends([1.0, 0.2, 0.2, 0.2, 1.0], rates=[1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    short = np.full(300, 2.3)
    short[200:] = 1e9
    curves[2] = lane(2, 1e-2, short)
    assert judge(curves, plan)[2].kind == "diverged"
    advised = advice(curves, plan)
    assert advised.rate in (1e-3, 1e-1)
    assert 1e-2 not in advised.near_optimal


def test_one_rate():
    advised = advice(*ends([0.2]))
    assert "only rate" in advised.cannot_tell
    assert "--rates 3.33e-5:0.03:13" in advised.next_experiment


def test_every_rate_diverged():
    advised = advice(*ends([None, None, None]))
    assert advised.cannot_tell == "every rate diverged, also the lowest, 1e-3"
    assert advised.first_failing == 1e-3
    assert "--rates 1e-6:5e-4:12" in advised.next_experiment


def test_nothing_learned_is_no_signal():
    plan = plan_for([0.1, 0.2, 0.4], 400, [(10,)])
    advised = advice([lane(i, rate, np.full(400, 2.3)) for i, rate in enumerate(plan.rates)], plan)
    assert "no signal" in advised.cannot_tell


def test_nothing_to_judge():
    curves, plan = ends([0.3, 0.2, 0.3])
    assert "too few" in advice([curve.until(10) for curve in curves], plan).cannot_tell
    assert advice([], plan).cannot_tell is not None


def test_a_start_that_did_not_move_asks_for_higher_rates():
    plan = plan_for([1e-9, 1e-8, 1e-7], 100, [(1, 1), (1,)])
    advised = advice(train(line(), np.full(2, 0.5), plan, sgd()), plan)
    assert "higher rates: --rates 1e-7:1e-4:13" in advised.next_experiment


def test_wide_as_measured_is_an_answer_and_wide_by_noise_is_none():
    rates = [10.0**power for power in range(-5, 2)]
    flat, plan = ends([0.5, 0.2, 0.2, 0.2, 0.2, 0.2, 0.7], rates=rates, seeds=2, scatter=1e-4)
    advised = advice(flat, plan)
    assert advised.rate == 1e-2
    assert advised.low < 1e-4 < 1 < advised.high
    noisy, plan = ends([0.9, 0.25, 0.22, 0.2, 0.22, 0.25, 0.9], rates=rates, seeds=2, scatter=0.3)
    unsure = advice(noisy, plan)
    assert "seeds differ too much" in unsure.cannot_tell
    assert "--seeds 4" in unsure.next_experiment


@pytest.mark.parametrize(("seeds", "confidence"), [(1, "low"), (2, "medium"), (3, "high"), (5, "high")])
def test_confidence_is_in_seeds(seeds, confidence):
    advised = advice(*ends([1.0, 0.5, 0.2, 0.5, 1.0], seeds=seeds, scatter=1e-3))
    assert advised.confidence == confidence


def test_an_interrupted_study_tells_the_best_so_far_and_recommends_none():
    curves, plan = ends([1.0, 0.5, 0.2, 0.5, 1.0], seeds=3, scatter=1e-3)
    advised = advice([curve.until(100) for curve in curves], plan)
    assert (advised.rate, advised.best_rate) == (None, plan.rates[2])
    assert "the longest lanes did 100; the best of them is 4.64e-3" in advised.cannot_tell
    assert advised.spent == pytest.approx(15 / 4)


def test_a_search_that_paid_for_a_third_of_the_run_prefers_a_lower_rate_until_one_is_trained_to_the_end():
    """By 3^0.4, and the lower end of its interval by 3, the most there is; a sweep that stopped there says
    what it saw."""
    curves, plan = ends([1.0, 0.5, 0.2, 0.5, 1.0], seeds=2, scatter=1e-3)
    cut = [curve.until(plan.steps // 3) for curve in curves]
    seen = advice(cut, plan)
    searched = advice(cut, dataclasses.replace(plan, chosen=tuple((one.rate, one.seed) for one in cut)))
    times = plan.steps / (plan.steps // 3)
    assert (seen.rate, searched.rate) == (None, None)
    assert searched.preferred_rate == pytest.approx(seen.preferred_rate / times**0.4)
    whole, plan = ends([1.0, 0.5, 0.2, 0.5, 1.0], seeds=2, scatter=1e-3)
    mixed = [one if one.rate == plan.rates[1] else one.until(plan.steps // 3) for one in whole]
    chosen = dataclasses.replace(plan, chosen=tuple((one.rate, one.seed) for one in mixed))
    told = advice(mixed, chosen)
    assert (told.rate, told.confidence) == (plan.rates[1], "low")
    assert told.preferred_rate == searched.preferred_rate
    assert told.low < plan.rates[2] / 2.9
    assert told.high > plan.rates[2]


def test_a_rate_that_taught_what_is_validated_is_one_though_training_batches_do_not_show_it():
    """A warm start: its first batches happen to be as low as the late ones; validation falls by a third."""
    plan = noisy_plan([1e-3, 1e-2, 1e-1], val_size=400)
    loss = np.full(plan.steps, 0.05) + 0.01 * np.random.default_rng(0).normal(size=plan.steps)
    ended = (0.9, 0.66, 0.8)
    curves = [
        lane(number, rate, loss, val=validated(np.linspace(1.0, end, 11)))
        for number, (rate, end) in enumerate(zip(plan.rates, ended, strict=True))
    ]
    assert advice(curves, plan).rate == plan.rates[1]


def test_what_was_spent_is_in_full_runs():
    curves, plan = ends([0.3, 0.2, None])
    assert advice(curves, plan).spent == pytest.approx(2.5)


def test_the_line_is_advised_below_its_limit():
    plan = plan_for([0.001 * 10 ** (index / 4) for index in range(13)], 1000, [(1, 1), (1,)])
    advised = advice(train(line(), np.zeros(2, np.float32), plan, sgd()), plan)
    assert 0.02 < advised.rate < 0.1197
    assert advised.first_failing == pytest.approx(0.1778, rel=1e-3)
    assert advised.margin == pytest.approx(advised.first_failing / advised.rate)


def test_of_rates_that_all_come_down_to_nothing_slow_ones_are_not_advised():
    plan = plan_for([1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0], 1000, [(1, 1), (1,)])
    advised = advice(train(line(), np.zeros(2, np.float32), plan, sgd()), plan)
    assert len(advised.near_optimal) == 5
    assert advised.rate > 0.03
    assert advised.low > 3e-3


def test_validation_decides_and_its_rivals_are_reported():
    rates = [1e-4, 1e-3, 1e-2, 1e-1]
    plan = noisy_plan(rates)
    val_ends, train_ends = (1.0, 0.3, 0.4, 0.9), (1.0, 0.5, 0.1, 0.6)
    curves = [
        lane(
            i, rate, falling(train_ends[i]), val=validated(2.3 - (2.3 - val_ends[i]) * np.linspace(0, 1, 11))
        )
        for i, rate in enumerate(rates)
    ]
    advised = advice(curves, plan)
    assert advised.objective == "final validation loss"
    assert (advised.best_rate, advised.final_rate, advised.training_rate) == (1e-3, 1e-3, 1e-2)
    assert advised.early_stopped_rate == 1e-3
    assert "Judged by" not in advised.sentence()


def test_where_lanes_overfit_the_end_counts_and_early_stopping_is_told_beside_it():
    rates = [1e-4, 1e-3, 1e-2]
    plan = noisy_plan(rates, val_size=2000)
    shapes = (
        np.linspace(2.3, 1.3, 11),
        np.concatenate([np.linspace(2.3, 1.0, 5), np.linspace(1.0, 2.5, 6)]),
        np.concatenate([np.linspace(2.3, 1.5, 5), np.linspace(1.5, 2.5, 6)]),
    )
    curves = [lane(i, rate, falling(0.1), val=validated(shapes[i])) for i, rate in enumerate(rates)]
    advised = advice(curves, plan)
    assert advised.objective == "final validation loss"
    assert (advised.best_rate, advised.early_stopped_rate, advised.final_rate) == (1e-4, 1e-3, 1e-4)


@pytest.mark.parametrize(("lowest", "called"), [(1.5, "too_slow"), (1.01, "good")])
def test_why_the_recommended_rate_is_not_called_good_is_said(lowest, called):
    rates = [1e-5, 1e-4, 1e-3, 1e-2]
    plan = noisy_plan(rates, val_size=2000)
    shapes = (
        np.linspace(2.3, 2.1, 11),
        np.linspace(2.3, lowest, 11),
        np.concatenate([np.linspace(2.3, 1.0, 5), np.linspace(1.0, 2.0, 6)]),
        np.concatenate([np.linspace(2.3, 1.3, 5), np.linspace(1.3, 2.2, 6)]),
    )
    curves = [lane(i, rate, falling(0.1), val=validated(shapes[i])) for i, rate in enumerate(rates)]
    assert judge(curves, plan)[1].kind == called
    advised = advice(curves, plan)
    assert advised.rate == pytest.approx(1e-4, rel=0.5)
    said = (
        "Verdicts compare lanes at their best epoch, the recommendation at their end: so 1e-4 is called too"
    )
    assert (said in advised.sentence()) is (called == "too_slow")


def test_the_best_of_early_stopping_is_said_where_it_is_another_rate():
    advised = dataclasses.replace(
        advice(*ends([1.0, 0.5, 0.2, 0.5, None])), objective="final validation loss"
    )
    assert advised.low < advised.rate < advised.high
    words = "Where each lane is stopped at its best epoch, the best is 0.3."
    assert words in dataclasses.replace(advised, early_stopped_rate=0.3).sentence()
    for rate in (None, advised.rate, advised.high):
        assert "stopped" not in dataclasses.replace(advised, early_stopped_rate=rate).sentence()


def test_rivals_are_compared_on_the_seeds_they_share():
    """A rate trained on the easy seed alone is no better than those trained on both."""
    curves, plan = ends([(0.5, 1.0), (0.2, 0.4), (0.25, 0.5), (0.5, 1.0)], seeds=2)
    alone = [curve for curve in curves if (curve.rate, curve.seed) != (plan.rates[2], 1)]
    searched = dataclasses.replace(plan, chosen=tuple((curve.rate, curve.seed) for curve in alone))
    assert advice(alone, searched).training_rate == plan.rates[1]


def test_a_recommendation_is_plain_numbers():
    advised = dataclasses.asdict(advice(*ends([1.0, 0.5, 0.2, 0.5, None])))
    assert json.loads(json.dumps(advised, allow_nan=False))["rate"] == advised["rate"]


@pytest.mark.parametrize(
    "values", [[0.2, 0.5], [0.5, 0.2, None], [None, None], [0.4], [1, 0.5, 0.2, 0.5, None]]
)
def test_what_it_says_to_type_can_be_typed(values):
    text = advice(*ends(values)).next_experiment
    (typed,) = re.findall(r"--rates (\S+)", text)
    assert len(read_rates(typed)) >= 4


def test_safe_is_within_five_percent_on_every_seed():
    curves, plan = ends([1.0, 0.5, 0.2, (0.22, 0.25), (0.25, 0.9), None], seeds=2)
    assert advice(curves, plan).safe_rate == plan.rates[3]


def test_the_pool_of_noise_is_that_of_paired_seeds():
    """A seed that is worse everywhere adds nothing to the error."""
    curves, plan = ends([(1.0, 2.0), (0.2, 0.4), (0.205, 0.41), (0.5, 1.0)], seeds=2)
    standings = compare(curves, plan).standings
    assert standings[1].near
    assert not standings[1].near_by_noise
    assert not standings[3].near
