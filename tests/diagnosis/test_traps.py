"""What a judge of learning rates is easily wrong about, case by case."""

import dataclasses
import math

import numpy as np
import pytest

from lrscope.diagnosis.curve import Curve, Track
from lrscope.diagnosis.judge import judge

from .simulate import adam, blobs, line, plan_for, quadratic, relu_network, sgd, train

SHAPES = [(1, 1), (1,)]


def kinds(curves, plan):
    return [verdict.kind for verdict in judge(curves, plan)]


def lane(index, rate, loss, seed=0, **others):
    return Curve(index, rate, seed, np.asarray(loss, float), **others)


def moving(curve):
    """The same lane, of which every step was measured that moved its weights."""
    at = np.arange(curve.steps)
    return dataclasses.replace(curve, tensors={"unchanged_share": Track(at, np.zeros((curve.steps, 1)))})


def falling(to, steps=400, start=2.3, pace=8.0, noise=0.0, seed=0):
    """A loss that comes down from `start` towards `to`, `pace` e-folds a run."""
    curve = to + (start - to) * np.exp(-pace * np.arange(steps) / steps)
    return curve * (1 + noise * np.random.default_rng(seed).normal(size=steps))


def noisy_plan(rates, steps=400, **others):
    return plan_for(rates, steps, [(10,)], steps_per_epoch=others.pop("steps_per_epoch", 40), **others)


# frozen


def test_a_lane_that_converged_before_its_updates_fell_below_rounding_is_good():
    plan = plan_for([0.1], 1000, SHAPES)
    (curve,) = train(line(), np.zeros(2, np.float32), plan, sgd())
    assert curve.tensors["unchanged_share"].values[-20:].min() == 1 or curve.loss[-1] == 0
    assert kinds([curve], plan) == ["good"]


def far_start(rate, steps=200):
    """Weights of 1,000 in float32, whose numbers are 6e-5 apart there."""
    plan = plan_for(rate, steps, [(4,)])
    curvature = quadratic(np.array([1.0, 0.5, 0.3, 0.1]), np.eye(4))
    return train(curvature, np.full(4, 1000.0, np.float32), plan, sgd()), plan


def test_a_lane_frozen_from_the_start_is_frozen_also_alone():
    curves, plan = far_start([1e-9])
    (verdict,) = judge(curves, plan)
    assert (verdict.kind, verdict.step) == ("frozen", 0)
    assert "100% of the weights" in verdict.evidence


def test_frozen_lanes_beside_a_good_one():
    curves, plan = far_start([1e-10, 1e-9, 0.5, 1.5])
    assert kinds(curves, plan) == ["frozen", "frozen", "good", "good"]


def test_a_lane_that_rounding_stopped_half_way_is_frozen():
    steps = np.arange(0, 400, 4)
    share = np.where(steps < 100, 0.1, 0.97)[:, None]
    stuck = np.concatenate([np.linspace(2.3, 1.2, 100), np.full(300, 1.2)])
    tensors = {
        "unchanged_share": Track(steps, share),
        "weight_norm": Track(steps, np.full((100, 1), 3.0)),
        "distance": Track(steps, np.linspace(0, 0.5, 100)[:, None]),
    }
    plan = plan_for([0.1, 1.0], 400, [(10,)], dtype="bfloat16")
    verdict, other = judge([lane(0, 0.1, stuck, tensors=tensors), lane(1, 1.0, falling(0.1))], plan)
    assert (verdict.kind, verdict.step, other.kind) == ("frozen", 100, "good")


# collapsed, failed


def test_networks_driven_to_a_constant_answer_are_collapsed():
    inputs, targets = blobs(10, 20, 32, 1)
    batch, start, shapes, constant = relu_network(np.abs(inputs), targets, 48, 1)
    rates = [1e-3, 3e-3, 1e-2, 0.1, 0.3]
    plan = plan_for(rates, 300, shapes, constant_loss=constant, optimizer="Adam")
    curves = train(batch, start, plan, adam())
    found = judge(curves, plan)
    assert [verdict.kind for verdict in found][3:] == ["collapsed", "collapsed"]
    assert all(abs(curve.loss[-1] / constant - 1) < 0.02 for curve in curves[3:])
    unknown = plan_for(rates, 300, shapes, optimizer="Adam")
    assert "collapsed" not in kinds(curves, unknown)


def test_a_slow_lane_that_passes_the_constant_loss_has_not_collapsed():
    plan = plan_for([1e-4, 0.05], 900, SHAPES, constant_loss=11.25)
    curves = train(line(), np.zeros(2, np.float32), plan, sgd())
    steps = int(np.argmax(curves[0].loss < 11.3)) + 1
    plan = plan_for([1e-4, 0.05], steps, SHAPES, constant_loss=11.25)
    cut = [curve.until(steps) for curve in curves]
    assert abs(cut[0].loss[-1] / 11.25 - 1) < 0.02
    assert kinds(cut, plan) == ["too_slow", "good"]


@pytest.mark.parametrize("end", [2.3, 2.6, 9.0])
def test_what_learned_nothing_is_failed_above_the_good_rates_and_too_slow_below(end):
    still = np.full(400, 2.3)
    high = 2.3 + (end - 2.3) * np.minimum(np.arange(400) / 100, 1)
    plan = plan_for([1e-4, 1e-2, 1.0], 400, [(10,)])
    curves = [lane(0, 1e-4, still), lane(1, 1e-2, falling(0.1)), lane(2, 1.0, high)]
    assert kinds([moving(curve) for curve in curves], plan) == ["too_slow", "good", "failed"]
    # Where nothing was measured, the lane that stands still may be one that rounding froze.
    assert kinds(curves, plan) == ["cannot_tell", "good", "failed"]
    assert judge(curves, plan)[0].findings[0].sentence == "unknown.unmeasured"


def test_too_few_points_in_the_last_quarter_leave_it_open_whether_rounding_froze_a_lane():
    plan = plan_for([1e-4, 1e-2], 400, [(10,)], dtype="bfloat16")
    still = lane(0, 1e-4, np.full(400, 2.3))
    for points, kind in ((25, "cannot_tell"), (100, "frozen"), (400, "frozen")):
        at = np.linspace(0, 399, points).astype(int)
        tensors = {"unchanged_share": Track(at, np.ones((points, 1)))}
        curve = dataclasses.replace(still, tensors=tensors)
        verdict = judge([curve, lane(1, 1e-2, falling(0.1))], plan)[0]
        assert verdict.kind == kind
    short = plan_for([1e-4, 1e-2], 40, [(10,)], dtype="bfloat16")
    tensors = {"unchanged_share": Track(np.arange(30, 40), np.ones((10, 1)))}
    curve = dataclasses.replace(lane(0, 1e-4, np.full(40, 2.3)), tensors=tensors)
    assert judge([curve, lane(1, 1e-2, falling(0.1, steps=40))], short)[0].kind == "frozen"


def test_a_rate_that_does_worse_than_a_constant_answer_is_never_good():
    inputs, targets = blobs(4, 20, 6, 0)
    batch, start, shapes, constant = relu_network(inputs, targets, 16, 0)
    plan = plan_for([1.0, 3.0, 10.0], 300, shapes, constant_loss=constant, optimizer="Adam")
    curves = train(batch, start * 20, plan, adam())
    for curve, verdict in zip(curves, judge(curves, plan), strict=True):
        assert verdict.kind != "good" or curve.loss[-20:].mean() < 0.98 * constant


def test_a_start_far_above_the_constant_answer_does_not_make_it_good():
    plan = plan_for([1.0, 10.0], 400, [(10,)], constant_loss=2.3)
    curves = [lane(0, 1.0, falling(2.4, start=50.0)), lane(1, 10.0, falling(6.0, start=50.0))]
    assert kinds(curves, plan) == ["cannot_tell", "cannot_tell"]


# not started


def test_a_lane_whose_weights_stand_still_has_not_started():
    plan = plan_for([1e-7, 0.3], 200, [(4,)])
    start = np.array([1.0, -1.0, 2.0, 0.5])
    found = judge(train(quadratic(np.array([1.0, 0.9, 0.8, 0.7]), np.eye(4)), start, plan, sgd()), plan)
    assert [verdict.kind for verdict in found] == ["not_started", "good"]
    assert "about 5,898 times" in found[0].evidence  # 0.1 over a displacement of 1.7e-5


# diverged


def test_the_step_at_which_the_loss_was_lost():
    loss = falling(0.1)
    broken = loss.copy()
    broken[123:] = np.nan
    plan = plan_for([0.1, 1.0], 400, [(10,)])
    _, verdict = judge([lane(0, 0.1, loss), lane(1, 1.0, broken)], plan)
    assert (verdict.kind, verdict.step) == ("diverged", 123)


def test_a_validation_loss_that_is_lost_at_the_end():
    val = Track(np.array([0, 200, 400]), np.array([2.3, 0.5, np.nan]))
    plan = plan_for([0.1], 400, [(10,)], steps_per_epoch=200)
    (verdict,) = judge([lane(0, 0.1, falling(0.1), val=val)], plan)
    assert (verdict.kind, verdict.step) == ("diverged", 400)


@pytest.mark.parametrize(("start", "diverges"), [(2.0, True), (2.3, False), (0.0, False)])
def test_weights_that_explode_are_divergence_where_the_loss_rose(start, diverges):
    steps = np.array([0, 200, 400])
    norms = Track(steps, np.array([[1.0], [50.0], [2000.0]]))
    loss = np.linspace(2.1, 2.2, 400) if start != 0 else falling(0.1, start=2.1)
    loss[0] = 2.1
    plan = plan_for([0.1], 400, [(10,)])
    (verdict,) = judge([lane(0, 0.1, loss, tensors={"weight_norm": norms})], plan)
    assert (verdict.kind == "diverged") == (start != 0)
    assert diverges or start != 2.0


@pytest.mark.parametrize("start", [1e-9, 0.0, -0.5, -300.0])
def test_blowing_up_is_additive_where_the_start_is_no_scale(start):
    """A loss that begins next to zero or below it cannot have grown tenfold."""
    calm = start - 1 + np.exp(-np.arange(400) / 50)
    wild = start + np.linspace(0, 20, 400)
    wilder = start + np.linspace(0, 1e5, 400)
    plan = plan_for([0.1, 1.0, 10.0], 400, [(10,)])
    found = judge([lane(0, 0.1, calm), lane(1, 1.0, wild), lane(2, 10.0, wilder)], plan)
    assert found[0].kind == "good"
    assert found[2].kind == "diverged"
    assert found[1].kind in ("diverged", "failed")


def test_a_single_heavy_first_batch_is_no_reason_for_divergence():
    """The first batch may be easy by chance: nine against a mean of 67 on four samples of y = 3x."""
    rng = np.random.default_rng(0)
    loss = 67 * rng.exponential(size=(1, 400)) * np.array([[1.0], [0.9]])
    loss[:, 0] = 0.5
    plan = plan_for([1e-6, 1e-5], 400, SHAPES, steps_per_epoch=4)
    assert "diverged" not in kinds([lane(0, 1e-6, loss[0]), lane(1, 1e-5, loss[1])], plan)


# unstable


def test_a_late_spike_is_unstable():
    loss = falling(0.1)
    spiked = loss.copy()
    spiked[250:300] = 1.5
    plan = plan_for([0.1, 0.3], 400, [(10,)])
    found = judge([lane(0, 0.1, loss), lane(1, 0.3, spiked)], plan)
    assert [verdict.kind for verdict in found] == ["good", "unstable"]
    assert 250 <= found[1].step < 300


def test_a_loss_that_rises_towards_the_end_is_unstable():
    rising = falling(0.1)
    rising[200:] = np.linspace(rising[200], 0.35, 200)
    plan = plan_for([0.1, 0.3], 400, [(10,)])
    assert kinds([lane(0, 0.1, falling(0.1)), lane(1, 0.3, rising)], plan) == ["good", "unstable"]


def test_spikes_next_to_zero_are_no_instability():
    loss = falling(1e-9, pace=22)
    loss[300:310] *= 1e4
    plan = plan_for([0.1, 0.3], 400, [(10,)])
    assert kinds([lane(0, 0.1, loss), lane(1, 0.3, falling(1e-9, pace=22))], plan) == ["good", "good"]


def test_a_rise_that_all_lanes_share_is_the_batches_doing():
    hard = np.where((np.arange(400) > 250) & (np.arange(400) < 300), 4.0, 0.0)
    plan = noisy_plan([0.01, 0.1, 1.0])
    curves = [
        lane(0, 0.01, falling(1.8, pace=2, noise=0.05) + hard),
        lane(1, 0.1, falling(0.1, noise=0.05) + hard),
        lane(2, 1.0, falling(0.3, noise=0.05) + hard),
    ]
    assert kinds(curves, plan) == ["too_slow", "good", "too_high"]


def test_seeds_that_disagree():
    plan = plan_for([0.1, 0.3], 400, [(10,)], seeds=3)
    broken = falling(0.05)
    broken[200:] = np.inf
    curves = [lane(seed, 0.1, falling(0.1), seed) for seed in range(3)]
    curves += [lane(3 + seed, 0.3, falling(0.05) if seed else broken, seed) for seed in range(3)]
    found = judge(curves, plan)
    assert [verdict.kind for verdict in found] == ["good"] * 3 + ["diverged", "cannot_tell", "cannot_tell"]
    assert found[4].findings[0].sentence == "cannot_tell.seeds"
    assert found[4].findings[0].values == {"failed": 1, "seeds": 3}


def test_a_seed_that_has_not_learned_below_the_good_rates_is_only_slow():
    plan = plan_for([1e-3, 0.1], 400, [(10,)], seeds=2)
    curves = [
        lane(0, 1e-3, falling(2.2, pace=2)),
        lane(1, 0.1, falling(0.1)),
        lane(2, 1e-3, np.full(400, 2.3), 1),
        lane(3, 0.1, falling(0.1), 1),
    ]
    assert kinds([moving(curve) for curve in curves], plan) == ["too_slow", "good", "too_slow", "good"]


# overfitting


def validated(values):
    return Track(np.arange(len(values)) * 40, np.array(values, float))


def test_overfitting_is_said_beside_the_verdict_and_lanes_are_compared_at_their_best():
    slow = [2.3, 2.2, 2.1, 2.0, 1.9, 1.85, 1.8, 1.75, 1.72, 1.7, 1.68]
    fast = [2.3, 1.6, 1.5, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.7]
    plan = noisy_plan([1e-4, 1e-3], val_size=1000)
    curves = [
        lane(0, 1e-4, falling(1.2, pace=2), val=validated(slow)),
        lane(1, 1e-3, falling(0.0), val=validated(fast)),
    ]
    found = judge(curves, plan)
    assert [verdict.kind for verdict in found] == ["too_slow", "good"]
    assert found[0].attributes == ()
    assert found[1].attributes == ("overfitting",)
    assert "best at step 80 (1.5) and ended 80% above" in found[1].evidence
    assert "early-stopped validation loss" in found[0].evidence


def test_a_validation_loss_that_ended_far_above_its_best_is_told_in_times():
    slow = [2.3, 2.2, 2.1, 2.0, 1.9, 1.85, 1.8, 1.75, 1.72, 1.7, 1.68]
    fast = [2.3, 1.6, 1.5, 1.5, 1.6, 1.8, 20.0, 220.0, 500.0, 800.0, 877.5]
    plan = noisy_plan([1e-4, 1e-3], val_size=1000)
    curves = [
        lane(0, 1e-4, falling(1.2, pace=2), val=validated(slow)),
        lane(1, 1e-3, falling(0.0), val=validated(fast)),
    ]
    assert "best at step 80 (1.5) and ended at 585 times that, 877.5" in judge(curves, plan)[1].evidence


def test_a_validation_loss_that_wobbles_is_no_overfitting():
    rng = np.random.default_rng(0)
    val = 0.5 + 0.4 * np.exp(-np.arange(11)) + 0.04 * rng.normal(size=11)
    plan = noisy_plan([0.1], val_size=100)
    (verdict,) = judge([lane(0, 0.1, falling(0.1), val=validated(val))], plan)
    assert verdict.attributes == ()


def test_a_validation_loss_that_rises_with_the_training_loss_is_no_overfitting():
    val = [2.3, 0.5, 0.5, 0.5, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.7]
    loss = np.concatenate([np.linspace(2.3, 0.2, 80), np.linspace(0.2, 1.5, 320)])
    plan = noisy_plan([0.1, 0.2], val_size=1000)
    curves = [
        lane(0, 0.1, falling(0.1), val=validated(np.linspace(2.3, 0.4, 11))),
        lane(1, 0.2, loss, val=validated(val)),
    ]
    found = judge(curves, plan)
    assert found[1].attributes == ()
    assert found[1].kind == "unstable"


# invalid, and studies with little in them


@pytest.mark.parametrize(("steps", "said"), [(1, "1 step is too few"), (3, "3 steps are too few")])
def test_a_lane_that_is_too_short_says_how_short(steps, said):
    assert judge([lane(0, 0.1, falling(1.0)[:steps])], noisy_plan([0.1]))[0].evidence.startswith(said)


def test_lanes_that_do_not_start_alike_are_not_compared():
    plan = plan_for([0.1, 0.2, 0.3], 400, [(10,)])
    curves = [lane(0, 0.1, falling(0.1)), lane(1, 0.2, falling(0.1)), lane(2, 0.3, falling(0.0, start=2.5))]
    found = judge(curves, plan)
    assert [verdict.kind for verdict in found] == ["good", "good", "invalid"]
    assert "2.5" in found[2].evidence
    assert "2.3" in found[2].evidence


def test_the_order_of_a_sum_is_no_different_start():
    plan = plan_for([0.1, 0.2], 400, [(10,)])
    first, second = falling(0.1), falling(0.1)
    second[0] *= 1 + 1e-6
    assert kinds([lane(0, 0.1, first), lane(1, 0.2, second)], plan) == ["good", "good"]


@pytest.mark.parametrize("steps", [0, 1, 2, 10, 19])
def test_few_steps_are_no_ground_for_a_verdict(steps):
    plan = plan_for([0.01, 0.1, 1.0], steps, SHAPES)
    curves = [lane(index, rate, falling(0.1)[:steps]) for index, rate in enumerate(plan.rates)]
    assert kinds(curves, plan) == ["invalid"] * 3


def test_divergence_is_certain_also_after_few_steps():
    plan = plan_for([0.1, 1.0], 10, SHAPES)
    broken = np.array([1.0, 1e20, np.inf])
    assert kinds([lane(0, 0.1, np.linspace(1, 0.5, 10)), lane(1, 1.0, broken)], plan) == [
        "invalid",
        "diverged",
    ]


def test_a_loss_that_is_lost_before_the_first_update_is_not_the_rates_doing():
    plan = plan_for([0.1, 1.0], 100, SHAPES)
    found = judge([lane(0, 0.1, [math.nan]), lane(1, 1.0, [math.nan])], plan)
    assert [verdict.kind for verdict in found] == ["invalid", "invalid"]
    assert "before the first update" in found[0].evidence


def test_an_untrained_study_at_chance_failed():
    plan = plan_for([0.1, 1.0], 400, [(10,)], constant_loss=2.3026)
    curves = [lane(0, 0.1, np.full(400, 2.303)), lane(1, 1.0, np.full(400, 2.303))]
    assert kinds(curves, plan) == ["cannot_tell", "cannot_tell"]
    found = judge([moving(curve) for curve in curves], plan)
    assert [verdict.kind for verdict in found] == ["failed", "failed"]
    assert "at no rate of this study" in found[0].evidence


def test_a_single_lane_has_nothing_to_be_compared_with():
    plan = plan_for([0.1], 400, [(10,)])
    (verdict,) = judge([lane(0, 0.1, falling(0.8))], plan)
    assert verdict.kind == "cannot_tell"
    assert "the only rate" in verdict.evidence


def test_two_lanes():
    plan = plan_for([0.01, 0.1], 400, [(10,)])
    assert kinds([lane(0, 0.01, falling(0.8)), lane(1, 0.1, falling(0.2))], plan) == ["too_slow", "good"]
    assert kinds([lane(0, 0.01, falling(0.2)), lane(1, 0.1, falling(0.8))], plan) == ["good", "too_high"]


def test_every_lane_diverged():
    plan = plan_for([1.0, 10.0], 400, SHAPES)
    assert kinds(train(line(), np.zeros(2, np.float32), plan, sgd()), plan) == ["diverged", "diverged"]


def test_a_shorter_lane_is_told_to_fail_but_not_to_be_good():
    plan = plan_for([0.01, 0.1, 1.0], 400, [(10,)])
    curves = [lane(0, 0.01, falling(1.0, pace=3)), lane(1, 0.1, falling(0.1)), lane(2, 1.0, falling(0.1))]
    whole = kinds(curves, plan)
    cut = judge([curves[0], curves[1], curves[2].until(100)], plan)
    assert whole == ["too_slow", "good", "good"]
    assert [verdict.kind for verdict in cut] == ["too_slow", "good", "cannot_tell"]
    assert cut[2].findings[0].values == {"steps": 100, "longest": 400}
    lost = lane(2, 1.0, np.geomspace(2.3, 1e6, 100))
    assert kinds([curves[0], curves[1], lost], plan)[2] == "diverged"
    assert kinds([curves[0], curves[1], curves[2].until(10)], plan)[2] == "invalid"


def test_a_loss_that_interpolates_to_zero():
    loss = np.concatenate([np.geomspace(1, 1e-300, 200), np.zeros(200)])
    plan = plan_for([0.01, 0.1, 0.2], 400, [(10,)])
    curves = [lane(0, 0.01, np.geomspace(1, 0.3, 400)), lane(1, 0.1, loss), lane(2, 0.2, loss)]
    assert kinds(curves, plan) == ["too_slow", "good", "good"]


def test_a_small_gain_of_a_large_loss_is_measured_against_the_best_gain():
    """Where nine tenths of the loss cannot be learned, 2% of the start are more than there is."""
    plan = plan_for([1e-3, 1e-2, 0.1, 1.0], 400, [(10,)])
    bottoms = (99.9, 99.3, 99.0, 99.6)
    curves = [lane(i, rate, falling(bottoms[i], start=100)) for i, rate in enumerate(plan.rates)]
    assert kinds(curves, plan)[2] == "good"
    assert kinds(curves, plan)[0] == "too_slow"
    assert kinds(curves, plan)[3] == "too_high"


def test_two_large_losses_are_not_as_good_because_their_ratio_is_near_one():
    plan = plan_for([0.01, 0.1], 400, [(10,)])
    assert kinds([lane(0, 0.01, falling(97)), lane(1, 0.1, falling(94, start=100))], plan)[0] == "invalid"
    curves = [lane(0, 0.01, falling(97, start=100)), lane(1, 0.1, falling(94, start=100))]
    assert kinds(curves, plan) == ["too_slow", "good"]


def test_seeds_that_scatter_too_much_are_not_decided():
    rates = list(10.0 ** np.arange(-4, 1.1))
    rng = np.random.default_rng(1)
    plan = plan_for(rates, 400, [(10,)], seeds=2)
    curves = []
    for seed in range(2):
        for index, rate in enumerate(rates):
            curves.append(lane(len(curves), rate, falling(0.5 * np.exp(0.6 * rng.normal())), seed))
            assert index < 6
    found = judge(curves, plan)
    assert "cannot_tell" in {verdict.kind for verdict in found}
    assert any("differ too much to tell" in verdict.evidence for verdict in found)


def test_judging_twice_gives_the_same_words():
    plan = plan_for([1e-3, 0.01, 0.1, 1.0], 300, SHAPES)
    curves = train(line(), np.zeros(2, np.float32), plan, sgd())
    again = train(line(), np.zeros(2, np.float32), plan, sgd())
    assert judge(curves, plan) == judge(again, plan) == judge(curves, plan)


def test_the_order_of_the_lanes_does_not_matter():
    plan = plan_for([1e-3, 0.01, 0.1, 1.0], 300, SHAPES)
    curves = train(line(), np.zeros(2, np.float32), plan, sgd())
    assert judge(curves[::-1], plan) == judge(curves, plan)[::-1]


# what the sentences say


def test_a_frozen_lane_is_told_the_rate_that_would_move_it():
    """Gradients of 100 to 1,000 on weights of 1,000: an update of eps = 1.2e-7 of the weights."""
    curves, plan = far_start([1e-9])
    (verdict,) = judge(curves, plan)
    ratio = 1e-9 * math.sqrt(1 + 0.25 + 0.09 + 0.01) / 2
    assert f"a rate of about {1e-9 * 2.0**-23 / ratio:.2g}".replace("e-0", "e-") in verdict.evidence
    assert "float32" in verdict.evidence


def test_rounding_that_swallows_part_of_the_steps_is_said_beside_too_slow():
    steps = np.arange(0, 400, 4)
    shares = {"unchanged_share": Track(steps, np.full((100, 1), 0.7))}
    plan = plan_for([0.01, 0.1], 400, [(10,)], dtype="bfloat16")
    slow, good = judge([lane(0, 0.01, falling(0.8), tensors=shares), lane(1, 0.1, falling(0.1))], plan)
    assert (slow.kind, good.kind) == ("too_slow", "good")
    assert "70% of the weights came out of an update bitwise unchanged (bfloat16)" in slow.evidence


def test_a_converged_lane_that_hardly_had_to_move_is_not_frozen():
    """A start next to the minimum: all of the loss is gone, and the weights moved by a thousandth."""
    steps = np.arange(0, 401, 4)
    tensors = {
        "unchanged_share": Track(steps[:-1], np.where(steps[:-1] < 100, 0.0, 1.0)[:, None]),
        "weight_norm": Track(steps, np.full((101, 1), 100.0)),
        "distance": Track(steps, np.linspace(0, 0.1, 101)[:, None]),
    }
    plan = plan_for([0.1], 400, [(10,)])
    (verdict,) = judge([lane(0, 0.1, np.geomspace(1, 1e-12, 400), tensors=tensors)], plan)
    assert verdict.kind == "good"


def test_weights_driven_far_away_that_stand_still_are_not_frozen_above_the_best_rate():
    """Adam on dead units: hardly a gradient is left, and weights of 100 swallow what it asks for."""
    steps = np.arange(0, 401, 4)
    tensors = {
        "unchanged_share": Track(steps[:-1], np.where(steps[:-1] < 100, 0.0, 1.0)[:, None]),
        "weight_norm": Track(steps, np.linspace(1, 50, 101)[:, None]),
        "distance": Track(steps, np.linspace(0, 50, 101)[:, None]),
    }
    plan = plan_for([0.1, 1.0], 400, [(10,)])
    curves = [lane(0, 0.1, falling(0.1)), lane(1, 1.0, falling(1.7), tensors=tensors)]
    assert kinds(curves, plan) == ["good", "too_high"]
    assert (
        kinds([lane(0, 0.01, falling(1.7), tensors=tensors), lane(1, 0.1, falling(0.1))], plan)[0] == "frozen"
    )


def test_a_collapse_gives_its_four_numbers():
    inputs, targets = blobs(10, 20, 32, 1)
    batch, start, shapes, constant = relu_network(np.abs(inputs), targets, 48, 1)
    plan = plan_for([1e-3, 0.1], 300, shapes, constant_loss=constant, optimizer="Adam")
    _, verdict = judge(train(batch, start, plan, adam()), plan)
    assert verdict.kind == "collapsed"
    for words in ("that of a constant answer", "times the norm they had", "first size", "of its first norm"):
        assert words in verdict.evidence


def branch(loss):
    at = np.array([400])
    return {"branch_loss": Track(at, np.array([loss])), "branch_error": Track(at, np.array([0.005]))}


@pytest.mark.parametrize(("loss", "words"), [(0.6, "noise of its own steps"), (0.99, "did not lower it")])
def test_a_level_loss_at_too_high_a_rate_is_explained_by_its_branch(loss, words):
    level = 1 + 0.02 * np.random.default_rng(0).normal(size=400)
    level[:20] = np.linspace(2.3, 1, 20)
    plan = noisy_plan([0.1, 1.0])
    found = judge([lane(0, 0.1, falling(0.1)), lane(1, 1.0, level, probes=branch(loss))], plan)
    assert [verdict.kind for verdict in found] == ["good", "too_high"]
    assert words in found[1].evidence


def test_a_loss_that_still_falls_is_not_called_level():
    plan = noisy_plan([0.1, 1.0])
    high = lane(1, 1.0, falling(0.3, pace=3.0), probes=branch(0.2))
    found = judge([lane(0, 0.1, falling(0.1)), high], plan)
    assert found[1].kind == "too_high"
    assert "level" not in found[1].evidence


def asked(cosine):
    at = np.linspace(0, 399, 20).round().astype(np.int64)
    return {"same_batch_cosine": Track(at, np.full(20, cosine))}


@pytest.mark.parametrize(("cosine", "edge"), [(-0.97, True), (0.9, False)])
def test_gradients_that_turn_back_are_the_edge_of_full_batches(cosine, edge):
    plan = plan_for([0.1], 400, [(10,)])
    (verdict,) = judge([lane(0, 0.1, falling(0.0), probes=asked(cosine))], plan)
    assert ("edge" in verdict.attributes) == edge


def test_a_growing_update_that_turns_back_is_diverging_where_no_tracked_scalar_swings():
    """The tracked scalars are dead; the sizes of the updates and the cosine tell."""
    steps = np.arange(0, 400, 4)
    growing = 1e-3 * 1.02**steps
    tensors = {
        "weight_norm": Track(steps, np.ones((100, 1))),
        "update_ratio": Track(steps, growing[:, None]),
    }
    loss = 0.5 * np.exp(-np.arange(400) / 20) + 1e-6 * 1.04 ** np.arange(400)
    plan = plan_for([0.05, 0.1], 400, [(10,)])
    calm = lane(0, 0.05, 0.5 * np.exp(-np.arange(400) / 30))
    for cosine, kind in ((-0.97, "diverging"), (0.9, "failed")):
        swinging = lane(1, 0.1, loss, tensors=tensors, probes=asked(cosine))
        found = judge([calm, swinging], plan)
        assert found[1].kind == kind
        assert ("each swing 1.02 times the one before" in found[1].evidence) == (kind == "diverging")
