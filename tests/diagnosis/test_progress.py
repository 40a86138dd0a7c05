"""Smoothing, regret and times, against slow twins."""

import math

import numpy as np
import pytest

from lrscope.diagnosis.progress import (
    centred_mean,
    first_reach,
    highest_climb,
    largest_rise,
    regret,
    running_mean,
    smoothed_noise,
)


@pytest.mark.parametrize("half_life", [0.4, 1.0, 3.7, 20.0, 500.0])
@pytest.mark.parametrize("length", [1, 2, 57, 1000])
def test_running_mean_is_the_weighted_mean_of_its_definition(length, half_life):
    loss = np.random.default_rng(length).normal(size=length) * np.geomspace(1e6, 1e-6, length)
    fade = 2 ** (-1 / half_life)
    expected = []
    for t in range(length):
        weights = fade ** np.arange(t, -1, -1.0)
        expected.append(weights @ loss[: t + 1] / weights.sum())
    # Next to a value 1e12 times as large, 1e-9 of the smallest weight is all that double precision keeps.
    scale = running_mean(np.abs(loss), half_life)
    assert np.abs(running_mean(loss, half_life) - expected).max() <= 1e-9 * scale.max()
    assert np.allclose(running_mean(np.abs(loss) + 1, half_life)[0], abs(loss[0]) + 1)


def test_running_mean_of_nothing_and_without_half_life():
    assert len(running_mean(np.empty(0), 3.0)) == 0
    assert running_mean(np.array([3.0, 1.0]), 0.0).tolist() == [3.0, 1.0]


def test_running_mean_forgets_half_in_a_half_life():
    step = np.concatenate([np.ones(1000), np.zeros(10)])
    assert running_mean(step, 10.0)[-1] == pytest.approx(0.5, rel=1e-9)


def test_running_mean_takes_losses_of_any_size():
    with np.errstate(over="raise", invalid="raise"):
        assert np.isfinite(running_mean(np.array([1.0, 1e300, 1e308, -1e308]), 0.5)).all()


@pytest.mark.parametrize(("length", "half_width"), [(1, 4), (2, 1), (9, 4), (10, 4), (200, 7), (200, 0)])
def test_centred_mean_is_the_mean_of_its_window(length, half_width):
    loss = np.random.default_rng(0).normal(size=length)
    means = centred_mean(loss, half_width)
    width = min(half_width, (length - 1) // 2)
    expected = [loss[t - min(t, width) : t + min(t, width) + 1].mean() for t in range(length - width)]
    assert means == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_centred_mean_does_not_lag_where_the_running_mean_does():
    loss = np.exp(-0.05 * np.arange(1000))
    crossing = 100  # exp(-5)
    assert abs(first_reach(centred_mean(loss, 20), loss[crossing]) - crossing) <= 4
    assert first_reach(running_mean(loss, 20.0), loss[crossing]) > 140


def test_first_reach():
    assert first_reach(np.array([3.0, 2.0, 2.5, 1.0]), 2.0) == 1
    assert first_reach(np.array([3.0, 2.0]), 1.9) is None
    assert first_reach(np.array([3.0, 2.0]), 3.0) == 0


def test_regret_is_independent_of_scale_and_zero():
    assert regret(2.0, 1.0, 5.0) == pytest.approx(0.25)
    assert regret(-98.0, -99.0, -95.0) == pytest.approx(0.25)
    assert regret(200.0, 100.0, 500.0) == pytest.approx(0.25)


def test_regret_where_nothing_was_learned():
    assert regret(1.0, 1.0, 1.0) == 0
    assert regret(2.0, 1.0, 1.0) == math.inf


def test_largest_rise_is_by_ratio_and_late():
    smooth = np.array([9.0, 40.0, 2.0, 1.0, 3.0, 2.0, 5.0, 4.0])
    rise = largest_rise(smooth, after=4, settled=2)
    assert (rise.low, rise.low_step, rise.high, rise.high_step) == (1.0, 3, 5.0, 6)


def test_a_rise_from_next_to_nothing_does_not_hide_a_real_one():
    smooth = np.array([1.0, 1e-12, 1e-9, 0.2, 0.9, 0.9])
    plain = largest_rise(smooth, after=1, settled=0)
    floored = largest_rise(smooth[:3], after=1, settled=0, floor=0.01)
    assert plain.high == 0.9
    assert floored.high / max(floored.low, 0.01) < 1


def test_largest_rise_of_negative_losses_needs_an_offset():
    rise = largest_rise(np.array([-1.0, -5.0, -4.9, -2.0]), after=1, settled=0, offset=5.2)
    assert (rise.low, rise.high) == (-5.0, -2.0)


def test_highest_climb_is_a_difference():
    assert highest_climb(np.array([9.0, 1.0, 5.0, 0.0, 2.0]), after=3, settled=0) == 2.0
    assert highest_climb(np.array([9.0, 1.0, 5.0, 0.0, 2.0]), after=2, settled=0) == 4.0


def test_smoothed_noise_is_that_of_white_noise():
    rng = np.random.default_rng(0)
    ends = []
    for _ in range(400):
        loss = rng.normal(size=400)
        ends.append(running_mean(loss, 8.0)[-1])
    loss = rng.normal(size=40_000)
    assert smoothed_noise(loss, running_mean(loss, 8.0), 8.0) == pytest.approx(np.std(ends), rel=0.1)
