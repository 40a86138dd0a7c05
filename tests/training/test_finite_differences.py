import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lrscope.errors import ProblemError
from lrscope.training import nudged_network
from lrscope.training.finite_differences import (
    CENTRAL,
    FORWARD,
    Difference,
    derivatives_of,
    train_lanes,
    unmoved_share,
    update,
)
from lrscope.training.scratch_network import Network, forward_loss, to_torch

X, Y = np.array([[1], [2], [3], [4]]), np.array([[3], [6], [9], [12]])
"""The four samples of the line, integers."""


def zeros(dtype=np.float32):
    return [np.zeros((1, 1), dtype), np.zeros(1, dtype)]


def loop(parameters, inputs, targets, network=None, difference=FORWARD):
    """Loss and derivatives as a learner writes them: copy all parameters, nudge one, run the network."""
    base = forward_loss(parameters, inputs, targets, network)
    derivatives = [np.zeros(array.shape) for array in parameters]
    for place, array in enumerate(parameters):
        for index in np.ndindex(array.shape):
            losses = []
            for sign in (1, -1):
                nudged = copy.deepcopy(parameters)
                nudged[place][index] += sign * difference.nudge
                losses.append(forward_loss(nudged, inputs, targets, network))
            if difference.central:
                derivatives[place][index] = (losses[0] - losses[1]) / (2 * difference.nudge)
            else:
                derivatives[place][index] = (losses[0] - base) / difference.nudge
    return base, derivatives


def loop_update(parameters, inputs, targets, rate, network=None, sign=-1):
    _, derivatives = loop(parameters, inputs, targets, network)
    updated = copy.deepcopy(parameters)
    for array, derivative in zip(updated, derivatives, strict=True):
        for index in np.ndindex(array.shape):
            array[index] += sign * derivative[index] * rate
    return updated


def random_case(widths, activations, loss, samples, seed, dtype=np.float64, scale=1.0):
    generator = np.random.default_rng(seed)
    parameters = []
    for before, after in pairwise(widths):
        parameters.append((scale * generator.normal(size=(after, before)) / before**0.5).astype(dtype))
        parameters.append(generator.normal(size=after).astype(dtype))
    inputs = generator.normal(size=(samples, widths[0]))
    if loss == "cross_entropy":
        targets = generator.integers(0, widths[-1], samples)
    else:
        targets = generator.normal(size=(samples, widths[-1]))
    return parameters, inputs, targets, Network(tuple(activations), loss)


def stacked(parameters, lanes=1):
    return [np.repeat(array[None], lanes, axis=0) for array in parameters]


def worst(derivatives, references):
    """The largest error of each tensor, in terms of its largest derivative."""
    return max(
        np.abs(mine[0] - theirs).max() / np.abs(theirs).max()
        for mine, theirs in zip(derivatives, references, strict=True)
    )


class TestTheLine:
    def test_ten_epochs_at_a_hundredth_end_at_the_reference_values(self):
        *_, last = train_lanes(zeros(), [0.01], X, Y, epochs=10)
        assert last.updated[0].dtype == np.float32
        assert last.updated[1][0, 0] == np.float32(0.7404298)
        assert last.updated[0][0, 0, 0] == np.float32(2.265477)

    def test_a_thousand_epochs_end_at_the_reference_value(self):
        *_, last = train_lanes(zeros(), [0.01], X, Y, epochs=1000)
        assert last.updated[0][0, 0, 0] == np.float32(2.9842885)

    def test_all_rates_go_as_the_loop_does_to_the_last_bit(self):
        rates = [0.01, 0.1, 0.12, 1.0]
        alone = [zeros() for _ in rates]
        for epoch in train_lanes(zeros(), rates, X, Y, epochs=300):
            for lane, rate in enumerate(rates):
                base, derivatives = loop(alone[lane], X, Y)
                assert epoch.losses[lane] == base
                for place in (0, 1):
                    assert epoch.parameters[place][lane] == alone[lane][place]
                    assert epoch.derivatives[place][lane] == derivatives[place]
                alone[lane] = loop_update(alone[lane], X, Y, rate)
        assert epoch.epoch == 299

    def test_at_a_rate_of_one_rounding_freezes_it_far_from_the_minimum(self):
        *_, last = train_lanes(zeros(), [0.1, 1.0], X, Y, epochs=1000)
        weight = last.updated[0][1].item()
        assert weight == pytest.approx(12755.16, abs=0.01)
        assert np.float32(weight) + np.float32(1e-4) == np.float32(weight)
        assert [derivative[1].item() for derivative in last.derivatives] == [0.0, 0.0]
        assert last.losses[1] == pytest.approx(1.474e9, rel=1e-3)
        assert unmoved_share(last.updated).tolist() == [0.0, 1.0]
        assert last.updated[0][0].item() == pytest.approx(3, abs=1e-3)


class TestUpdate:
    def test_maximising_adds_what_minimising_subtracts(self):
        down, up = (update(zeros(np.float64), X, Y, 0.01, maximise=flag) for flag in (False, True))
        for one, other in zip(down, up, strict=True):
            np.testing.assert_array_equal(one, -other)
        assert forward_loss(up, X, Y) > forward_loss(zeros(np.float64), X, Y) > forward_loss(down, X, Y)

    def test_what_it_is_given_is_left_as_it_is(self):
        parameters, inputs, targets, network = random_case(
            (3, 4, 2), ("relu", "identity"), "mean_squared_error", 5, 0
        )
        before = copy.deepcopy([*parameters, inputs, targets])
        update(parameters, inputs, targets, 0.1, network)
        for array, kept in zip([*parameters, inputs, targets], before, strict=True):
            np.testing.assert_array_equal(array, kept)


SHAPES = [
    ((1, 1), ("identity",)),
    ((3, 2), ("identity",)),
    ((3, 2), ("sigmoid",)),
    ((1, 6, 1), ("tanh", "identity")),
    ((4, 5, 3), ("relu", "identity")),
    ((4, 5, 3), ("sigmoid", "tanh")),
    ((4, 5, 6, 3), ("tanh", "relu", "identity")),
    ((2, 3, 4, 3, 2), ("relu", "tanh", "sigmoid", "identity")),
]


@pytest.mark.parametrize("difference", [FORWARD, CENTRAL], ids=["forward", "central"])
@pytest.mark.parametrize("loss", ["mean_squared_error", "cross_entropy"])
@pytest.mark.parametrize(("widths", "activations"), SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_derivative_is_that_of_the_loop(widths, activations, loss, difference, dtype):
    parameters, inputs, targets, network = random_case(widths, activations, loss, 6, 1, dtype)
    if difference.central and dtype == np.float32:
        difference = Difference(central=True, nudge=5e-3)
    base, references = loop(parameters, inputs, targets, network, difference)
    losses, derivatives = derivatives_of(stacked(parameters), inputs, targets, network, difference)
    assert losses[0] == pytest.approx(base, rel=1e-14)
    for derivative, reference in zip(derivatives, references, strict=True):
        # The loop subtracts two losses that are rounded: what that leaves, and no more, may differ.
        np.testing.assert_allclose(
            derivative[0], reference, rtol=0, atol=2e-15 * max(base, 1) / difference.nudge
        )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_central_differences_agree_with_autograd(data):
    widths = data.draw(st.lists(st.integers(1, 7), min_size=2, max_size=5))
    smooth = st.sampled_from(["identity", "tanh", "sigmoid"])
    activations = data.draw(st.lists(smooth, min_size=len(widths) - 1, max_size=len(widths) - 1))
    loss = data.draw(
        st.sampled_from(["mean_squared_error", "cross_entropy"] if widths[-1] > 1 else ["mean_squared_error"])
    )
    samples, seed = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 10**6))
    parameters, inputs, targets, network = random_case(widths, activations, loss, samples, seed)
    module = to_torch(parameters, network)
    function = nn.CrossEntropyLoss() if loss == "cross_entropy" else nn.MSELoss()
    function(module(torch.tensor(inputs)), torch.tensor(targets)).backward()
    gradients = [parameter.grad.numpy() for parameter in module.parameters()]
    losses, derivatives = derivatives_of(stacked(parameters), inputs, targets, network, CENTRAL)
    assert losses[0] == pytest.approx(
        function(module(torch.tensor(inputs)), torch.tensor(targets)).item(), rel=1e-12
    )
    assert worst(derivatives, gradients) < 1e-7


def test_a_forward_difference_is_off_by_half_the_nudge_times_the_curvature():
    _, derivatives = derivatives_of(stacked(zeros(np.float64)), X, Y)
    assert derivatives[0].item() == pytest.approx(-45 + 0.5 * 1e-4 * 15, abs=1e-8)
    assert derivatives[1].item() == pytest.approx(-15 + 0.5 * 1e-4 * 2, abs=1e-8)
    _, derivatives = derivatives_of(stacked(zeros(np.float64)), X, Y, difference=CENTRAL)
    assert derivatives[0].item() == pytest.approx(-45, abs=1e-8)


@pytest.mark.parametrize("loss", ["mean_squared_error", "cross_entropy"])
@pytest.mark.parametrize(("widths", "activations"), SHAPES[3:], ids=str)
def test_blocks_of_any_size_give_the_same(monkeypatch, widths, activations, loss):
    parameters, inputs, targets, network = random_case(widths, activations, loss, 6, 2)
    lanes = stacked(parameters, 3)
    for lane in range(3):
        lanes[0][lane] *= lane + 1
    _, whole = derivatives_of(lanes, inputs, targets, network)
    for block in (1, 40, 500):
        monkeypatch.setattr(nudged_network, "BLOCK", block)
        _, pieces = derivatives_of(lanes, inputs, targets, network)
        for one, other in zip(whole, pieces, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def test_a_large_nudge_of_a_cross_entropy_is_measured_all_the_same():
    parameters, inputs, targets, network = random_case((4, 5, 3), ("tanh", "identity"), "cross_entropy", 6, 3)
    difference = Difference(nudge=0.5)
    _, derivatives = derivatives_of(stacked(parameters), inputs, targets, network, difference)
    assert worst(derivatives, loop(parameters, inputs, targets, network, difference)[1]) < 1e-13


@pytest.mark.parametrize("loss", ["mean_squared_error", "cross_entropy"])
def test_a_lane_that_diverges_leaves_the_others_to_the_last_bit(loss):
    case = random_case((3, 4, 2), ("relu", "identity"), loss, 5, 0, np.float32)
    rates = [0.01, 1e300, 0.02]
    together = list(train_lanes(case[0], rates, *case[1:], epochs=8))
    assert not np.isfinite(together[-1].losses[1])
    for lane in (0, 2):
        alone = list(train_lanes(case[0], [rates[lane]], *case[1:], epochs=8))
        for one, other in zip(together, alone, strict=True):
            assert one.losses[lane] == other.losses[0]
            for mine, theirs in zip(one.updated, other.updated, strict=True):
                np.testing.assert_array_equal(mine[lane], theirs[0])


def test_lanes_hold_what_they_yielded():
    epochs = list(train_lanes(zeros(), [0.01, 0.1], X, Y, epochs=5))
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2, 3, 4]
    for now, later in pairwise(epochs):
        for updated, after in zip(now.updated, later.parameters, strict=True):
            np.testing.assert_array_equal(updated, after)
    assert epochs[0].losses.tolist() == [67.5, 67.5]
    assert [array.shape for array in epochs[0].derivatives] == [(2, 1, 1), (2, 1)]


def test_the_share_of_what_the_nudge_does_not_move_is_counted_by_lane():
    parameters = [np.array([[[1e4, 1.0]], [[1.0, -1.0]]], np.float32), np.array([[-1e5], [0.0]], np.float32)]
    assert unmoved_share(parameters).tolist() == [pytest.approx(2 / 3), 0.0]
    assert unmoved_share(parameters, Difference(central=True)).tolist() == [pytest.approx(2 / 3), 0.0]
    assert unmoved_share([array.astype(np.float64) for array in parameters]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("loss", ["mean_squared_error", "cross_entropy"])
@pytest.mark.parametrize("samples", [1, 40])
@pytest.mark.parametrize("widths", [widths for widths, _ in SHAPES[1:] if widths[-1] > 1], ids=str)
def test_what_the_nudge_does_not_move_has_a_derivative_of_zero_exactly(widths, samples, loss):
    activations = ["identity"] * (len(widths) - 1)  # nothing saturates: the loss itself is far from flat
    case = random_case(widths, activations, loss, samples, 7, np.float32)
    frozen = stacked([np.float32(1e4) * array + np.copysign(np.float32(1e4), array) for array in case[0]])
    losses, derivatives = derivatives_of(frozen, *case[1:])
    assert losses[0] > 1e3
    assert unmoved_share(frozen).tolist() == [1.0]
    assert all(not derivative.any() for derivative in derivatives)


@pytest.mark.parametrize("nudge", [0.0, -1e-4, float("nan"), float("inf")])
def test_a_nudge_that_is_none_is_refused(nudge):
    with pytest.raises(ProblemError, match="nudge= wants a positive number"):
        Difference(nudge=nudge)
