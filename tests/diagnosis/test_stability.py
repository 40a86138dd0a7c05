"""What the weights say by themselves, against exact values."""

import math

import numpy as np
import pytest

from lrscope.diagnosis import stability
from lrscope.diagnosis.curve import Curve, Track
from lrscope.diagnosis.thresholds import DEFAULT

from .simulate import LINE_LIMIT, line, plan_for, quadratic, sgd, train

LINE = [(1, 1), (1,)]


def line_lanes(rates, steps=1000, momentum=0.0, dtype=np.float32):
    plan = plan_for(rates, steps, LINE)
    return train(line(), np.zeros(2, dtype), plan, sgd(momentum))


def with_tensors(steps=(0, 50, 100), **tensors):
    tracks = {name: Track(np.array(steps), np.array(values, float)) for name, values in tensors.items()}
    return Curve(0, 0.1, 0, np.ones(100), tensors=tracks)


def test_unchanged_share_counts_elements_and_not_tensors():
    curve = with_tensors(unchanged_share=[[1.0, 0.0]] * 3, gradient_norm=[[1.0, 1.0]] * 3)
    assert stability.unchanged_share(curve, np.array([300.0, 100.0])).values.tolist() == [0.75] * 3


def test_a_tensor_without_gradient_has_no_share():
    curve = with_tensors(unchanged_share=[[1.0, 0.0]] * 3, gradient_norm=[[1.0, 0.0]] * 3)
    assert stability.unchanged_share(curve, np.array([300.0, 100.0])).values.tolist() == [1.0] * 3


def test_a_share_recorded_without_a_gradient_counts():
    curve = with_tensors(unchanged_share=[[1.0, 1.0]] * 3, gradient_norm=[[0.0, 0.0]] * 3)
    assert stability.unchanged_share(curve, np.array([300.0, 100.0])).values.tolist() == [1.0] * 3


def test_displacement_is_of_all_weights_together():
    curve = with_tensors(weight_norm=[[3.0, 4.0]] * 3, distance=[[0.0, 0.0], [1.0, 1.0], [0.3, 0.4]])
    assert stability.displacement(curve) == pytest.approx(0.1)


def test_displacement_from_zero_weights_is_infinite_and_unknown_without_norms():
    curve = with_tensors(weight_norm=[[0.0]] * 3, distance=[[0.0], [1.0], [2.0]])
    assert stability.displacement(curve) == math.inf
    assert stability.displacement(Curve(0, 0.1, 0, np.ones(30))) is None


def test_spread_names_the_tensor_that_grew_most():
    curve = with_tensors(weight_norm=[[2.0, 1.0], [2.0, 1.0], [4.0, 7.0]])
    assert stability.spread(curve, np.array([4.0, 1.0])) == (7.0, 1)
    with_empty = with_tensors(weight_norm=[[0.0, *row] for row in curve.tensors["weight_norm"].values])
    assert stability.spread(with_empty, np.array([0.0, 4.0, 1.0])) == (7.0, 2)


def test_spread_of_a_bias_from_zero_is_relative_to_the_network():
    curve = with_tensors(weight_norm=[[2.0, 0.0], [2.0, 1.0], [2.0, 6.0]])
    grown = stability.spread(curve, np.array([3.0, 1.0]))
    assert grown.tensor == 1
    assert grown.ratio == pytest.approx(6.0)  # a network of 4 elements of root mean square 1
    assert stability.spread(with_tensors(weight_norm=[[0.0]] * 3), np.array([4.0])) is None


def test_ringing_is_rate_times_curvature_above_one():
    curvature = 2 / LINE_LIMIT
    rates = [product / curvature for product in (0.3, 0.9, 1.5, 1.7, 1.95)]
    found = [stability.ringing(curve, "float32", DEFAULT) for curve in line_lanes(rates)]
    assert [ringing is not None for ringing in found] == [False, False, True, True, True]
    assert found[-1].last_step > found[2].last_step


def test_nothing_rings_at_the_end_of_a_run_that_converged():
    ringing = stability.ringing(line_lanes([0.1])[0], "float32", DEFAULT)
    assert 1 <= ringing.first_step <= 3
    assert ringing.last_step < 40


def test_noise_does_not_ring():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(100_000, 4))
    for values in (noise, np.cumsum(noise, axis=0)):
        curve = Curve(0, 0.1, 0, np.ones(100_000), trajectory=Track(np.arange(100_000), values))
        assert stability.ringing(curve, "float32", DEFAULT) is None


def test_two_neighbouring_numbers_do_not_ring():
    flip = np.where(np.arange(300) % 2, np.float32(3), np.nextafter(np.float32(3), np.float32(4)))
    curve = Curve(0, 0.1, 0, np.ones(300), trajectory=Track(np.arange(300), flip[:, None].astype(float)))
    assert stability.ringing(curve, "float32", DEFAULT) is None
    assert stability.ringing(curve, "float64", DEFAULT) is not None


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_growth_is_the_spectral_radius(momentum):
    curvature, excess = 4.0, 1.003
    rate = excess * (2 + 2 * momentum) / curvature
    iteration = np.array([[1 - rate * curvature, -rate * momentum], [curvature, momentum]])
    radius = max(abs(np.linalg.eigvals(iteration)))
    plan = plan_for([rate], 200, [(3,)])
    start = np.array([1e-3, 1.0, 1.0])
    (curve,) = train(quadratic(np.array([curvature, 1.0, 0.1]), np.eye(3)), start, plan, sgd(momentum))
    assert stability.growing_swing(curve, "float64", DEFAULT) == pytest.approx(radius, rel=1e-6)


def test_nothing_grows_below_the_limit():
    lanes = line_lanes([0.5 * LINE_LIMIT, 0.99 * LINE_LIMIT, 0.9999 * LINE_LIMIT], steps=200)
    assert [stability.growing_swing(curve, "float32", DEFAULT) for curve in lanes] == [None] * 3


def test_the_step_of_weights_that_are_lost():
    curve = with_tensors(weight_norm=[[1.0, 1.0], [1.0, np.nan], [np.inf, np.nan]])
    assert stability.lost_weights(curve) == (50, 1)
    assert stability.lost_weights(with_tensors(weight_norm=[[1.0]] * 3)) is None


def test_gradient_ratio_is_late_over_first():
    norms = [[3.0, 4.0]] + [[0.3, 0.4]] * 9
    curve = with_tensors(steps=range(0, 100, 10), gradient_norm=norms)
    assert stability.gradient_ratio(curve, 3) == pytest.approx(0.1)
