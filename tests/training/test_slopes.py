"""Slopes of functions whose derivative is known."""

import math

import pytest

from lrscope.training.slopes import AGREES, CANNOT_TELL, NOT_DIFFERENTIABLE, NUDGE, WRONG, compare


def outcome(function, at, autograd, scale=None, nudge=NUDGE):
    scale = abs(autograd) if scale is None else scale
    return compare(lambda t: function(at + t), function(at), autograd, scale, nudge)


SMOOTH = [
    (math.sin, math.cos, 0.7),
    (math.exp, math.exp, -3.0),
    (math.exp, math.exp, 8.0),
    (lambda x: x**4 + 1e3, lambda x: 4 * x**3, 2.0),
    (lambda x: 1e6 * math.tanh(x), lambda x: 1e6 / math.cosh(x) ** 2, 0.3),
    (lambda x: math.sin(100 * x), lambda x: 100 * math.cos(100 * x), 0.4),
]


@pytest.mark.parametrize(("function", "derivative", "at"), SMOOTH)
def test_the_derivative_of_a_smooth_function_agrees(function, derivative, at):
    slope = outcome(function, at, derivative(at))
    assert slope.outcome == AGREES
    assert slope.error < 1e-6
    assert slope.difference == pytest.approx(derivative(at), rel=1e-6)


@pytest.mark.parametrize(("function", "derivative", "at"), SMOOTH)
@pytest.mark.parametrize("factor", [0.0, -1.0, 0.5, 1.001])
def test_another_one_is_wrong(function, derivative, at, factor):
    slope = outcome(function, at, factor * derivative(at))
    assert slope.outcome == WRONG
    assert slope.error == pytest.approx(abs(factor - 1) / max(1, abs(factor)), rel=1e-2)


@pytest.mark.parametrize("autograd", [0.0, 0.5, 1.0, -1.0, 7.0])
def test_at_a_kink_nothing_is_called_wrong(autograd):
    slope = outcome(lambda x: 5 + max(x, 0.0), 0.0, autograd)
    assert slope.outcome == NOT_DIFFERENTIABLE


def test_a_kink_within_the_first_nudge_is_seen_through():
    function = lambda x: 5 + max(x, 0.0)  # noqa: E731
    assert outcome(function, 0.3 * NUDGE, 1.0).outcome == AGREES
    assert outcome(function, -0.3 * NUDGE, 0.0, scale=1.0).outcome == AGREES
    assert outcome(function, 0.3 * NUDGE, 0.9).outcome == CANNOT_TELL


@pytest.mark.parametrize("share", [0.001, 0.02, 0.05, 0.08, 0.095])
def test_one_within_the_second_is_never_called_wrong(share):
    slope = outcome(lambda x: 5 + max(x, 0.0), share * NUDGE, 1.0)
    assert slope.outcome in (NOT_DIFFERENTIABLE, CANNOT_TELL, AGREES)


def test_a_kink_whose_two_sides_cancel_is_one_all_the_same():
    assert outcome(abs, 0.0, 0.0, scale=1.0).outcome == NOT_DIFFERENTIABLE


def test_of_a_jump_nothing_can_be_told():
    assert outcome(lambda x: 5 + (x > 0), 0.0, 0.0, scale=1.0).outcome == CANNOT_TELL


def test_an_end_of_the_domain_is_not_differentiable():
    root = lambda x: math.sqrt(x) if x >= 0 else math.nan  # noqa: E731
    assert outcome(root, 0.0, 1.0).outcome == NOT_DIFFERENTIABLE


@pytest.mark.parametrize(("function", "at"), [(math.sin, 0.7), (abs, 0.0)])
@pytest.mark.parametrize("autograd", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_wrong_wherever_the_loss_is(function, at, autograd):
    slope = outcome(function, at, autograd, scale=1.0)
    assert (slope.outcome, slope.error) == (WRONG, math.inf)


def test_nothing_but_rounding_is_a_gradient_of_zero():
    noise = iter([3.0 + 2e-15, 3.0 - 1e-15])
    slope = compare(lambda t: next(noise), 3.0, 1e-18, 1e-17, NUDGE)
    assert (slope.outcome, slope.error) == (AGREES, 0.0)


def test_noise_above_rounding_is_not_called_wrong():
    """Of a model that computes in float32 inside."""
    noise = iter([3.0 + 3e-7, 3.0 - 2e-7, 3.0 - 1e-7, 3.0 + 4e-7])
    assert compare(lambda t: next(noise), 3.0, 0.01, 0.01, NUDGE).outcome in (CANNOT_TELL, NOT_DIFFERENTIABLE)
