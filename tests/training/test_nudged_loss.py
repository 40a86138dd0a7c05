import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrscope.training.nudged_loss import LOSS_CHANGES, SMALL
from lrscope.training.scratch_network import LOSSES

EVERY = slice(None)
LANES, NODES, VERSIONS, OUTPUTS, SAMPLES = 2, 3, 4, 5, 6


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


def slow(name, outputs, targets, directions, moves):
    """The losses of the moved outputs, less that of the outputs, in extended precision."""
    outputs, directions, moves = (array.astype(np.longdouble) for array in (outputs, directions, moves))
    changes = np.empty(moves.shape[:3], np.longdouble)
    for lane, node, version in np.ndindex(changes.shape):
        moved = outputs[lane] + np.outer(directions[lane, node], moves[lane, node, version])
        changes[lane, node, version] = LOSSES[name](moved, targets) - LOSSES[name](outputs[lane], targets)
    return changes


@pytest.mark.parametrize("name", LOSS_CHANGES)
@given(seed=st.integers(0, 10**6), size=st.floats(1e-9, 0.99 * SMALL))
def test_the_change_is_that_of_the_losses_written_out(name, seed, size):
    outputs, targets, directions, moves = case(seed, size)
    changes = LOSS_CHANGES[name](outputs, targets[name])(EVERY, directions, moves)
    exact = slow(name, outputs, targets[name], directions, moves)
    np.testing.assert_allclose(changes, exact.astype(float), rtol=0, atol=1e-14 * size + 1e-17)


def test_a_large_move_is_exact_for_the_squared_error_and_not_claimed_for_the_cross_entropy():
    outputs, targets, directions, moves = case(0, size=100.0)
    changes = LOSS_CHANGES["mean_squared_error"](outputs, targets["mean_squared_error"])(
        EVERY, directions, moves
    )
    exact = slow("mean_squared_error", outputs, targets["mean_squared_error"], directions, moves)
    np.testing.assert_allclose(changes, exact.astype(float), rtol=1e-12)
    cross = LOSS_CHANGES["cross_entropy"](outputs, targets["cross_entropy"])
    assert cross(EVERY, directions, moves) is None
    assert cross(EVERY, directions, moves * np.nan) is None
    assert cross(EVERY, directions, moves * 1e-6) is not None


@pytest.mark.parametrize("name", LOSS_CHANGES)
def test_no_move_is_no_change_and_a_choice_of_lanes_is_theirs(name):
    outputs, targets, directions, moves = case(0, 1e-3)
    change = LOSS_CHANGES[name](outputs, targets[name])
    assert not change(EVERY, directions, 0 * moves).any()
    np.testing.assert_array_equal(
        change(slice(1, 2), directions[1:], moves[1:]), change(EVERY, directions, moves)[1:]
    )
