import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrscope.training.scratch_network import ACTIVATIONS, LOSSES
from lrscope.training.small_changes import ACTIVATION_CHANGES, LARGEST, LOSS_CHANGES, SMALL

EVERY = slice(None)
LANES, NODES, VERSIONS, OUTPUTS, SAMPLES = 2, 3, 4, 5, 6
WIDE = float(np.finfo(np.longdouble).eps)
"""What is left of rounding where the slow way is taken in extended precision; not every machine has one."""

sizes = st.floats(-9, 0).map(lambda power: 10.0**power)


def case(seed, size):
    """Outputs, their targets, directions, and moves whose products with the directions reach `size`."""
    generator = np.random.default_rng(seed)
    outputs = 3 * generator.normal(size=(LANES, OUTPUTS, SAMPLES))
    targets = {
        "mean_squared_error": generator.normal(size=(OUTPUTS, SAMPLES)),
        "cross_entropy": generator.integers(0, OUTPUTS, SAMPLES),
    }
    directions = generator.normal(size=(LANES, NODES, OUTPUTS))
    moves = generator.uniform(-1, 1, (LANES, NODES, VERSIONS, SAMPLES))
    moves *= size / np.abs(moves).max() / np.abs(directions).max()
    return outputs, targets, directions, moves


def all_outputs(directions, moves):
    return directions[:, :, None, :, None] * moves[:, :, :, None, :]


def slow(name, outputs, targets, moves):
    """The losses of the moved outputs, less that of the outputs, in extended precision."""
    outputs = outputs.astype(np.longdouble)
    changes = np.empty(moves.shape[:3], np.longdouble)
    for lane, node, version in np.ndindex(changes.shape):
        moved = outputs[lane] + moves[lane, node, version]
        changes[lane, node, version] = LOSSES[name](moved, targets) - LOSSES[name](outputs[lane], targets)
    return changes.astype(float)


@pytest.mark.parametrize("name", ACTIVATION_CHANGES)
@given(z=st.floats(-30, 30), size=sizes, sign=st.sampled_from([-1, 1]))
def test_an_activation_s_change_is_the_difference_without_its_rounding(name, z, size, sign):
    z, d = np.float64(z), np.float64(sign * size * LARGEST)
    change = ACTIVATION_CHANGES[name](z, ACTIVATIONS[name](z), d)
    wide = np.longdouble(z)
    exact = float(ACTIVATIONS[name](wide + d) - ACTIVATIONS[name](wide))
    assert change == pytest.approx(exact, rel=1e-12, abs=1e-15 * size + 10 * WIDE * max(1, abs(z)))


@pytest.mark.parametrize("name", LOSS_CHANGES)
@given(seed=st.integers(0, 10**6), size=sizes)
def test_a_loss_s_change_is_the_difference_without_its_rounding(name, seed, size):
    outputs, targets, directions, moves = case(seed, size * LARGEST)
    moves = all_outputs(directions, moves)
    changes = LOSS_CHANGES[name](outputs, targets[name]).of(EVERY, moves)
    exact = slow(name, outputs, targets[name], moves)
    np.testing.assert_allclose(changes, exact, rtol=0, atol=1e-14 * size + 100 * WIDE)


@pytest.mark.parametrize("name", LOSS_CHANGES)
@given(seed=st.integers(0, 10**6), size=sizes)
def test_along_a_direction_it_is_the_same(name, seed, size):
    outputs, targets, directions, moves = case(seed, 0.99 * SMALL * size)
    change = LOSS_CHANGES[name](outputs, targets[name])
    exact = slow(name, outputs, targets[name], all_outputs(directions, moves))
    np.testing.assert_allclose(
        change.along(EVERY, directions, moves), exact, rtol=0, atol=1e-14 * SMALL * size + 100 * WIDE
    )


def test_large_moves_are_exact_for_the_squared_error_and_not_claimed_for_the_cross_entropy():
    outputs, targets, directions, moves = case(0, size=100.0)
    squared = LOSS_CHANGES["mean_squared_error"](outputs, targets["mean_squared_error"])
    exact = slow("mean_squared_error", outputs, targets["mean_squared_error"], all_outputs(directions, moves))
    np.testing.assert_allclose(squared.along(EVERY, directions, moves), exact, rtol=1e-12)
    cross = LOSS_CHANGES["cross_entropy"](outputs, targets["cross_entropy"])
    assert cross.along(EVERY, directions, moves) is None
    assert cross.along(EVERY, directions, moves * np.nan) is None
    assert cross.along(EVERY, directions, moves * 1e-6) is not None


@pytest.mark.parametrize("name", LOSS_CHANGES)
def test_no_move_is_no_change_and_a_choice_of_lanes_is_theirs(name):
    outputs, targets, directions, moves = case(0, 1e-3)
    change = LOSS_CHANGES[name](outputs, targets[name])
    assert not change.along(EVERY, directions, 0 * moves).any()
    assert not change.of(EVERY, 0 * all_outputs(directions, moves)).any()
    np.testing.assert_array_equal(
        change.along(slice(1, 2), directions[1:], moves[1:]), change.along(EVERY, directions, moves)[1:]
    )
    every = all_outputs(directions, moves)
    np.testing.assert_array_equal(change.of(slice(1, 2), every[1:]), change.of(EVERY, every)[1:])
