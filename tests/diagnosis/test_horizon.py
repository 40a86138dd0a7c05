"""The best rate against the length of the run: what is said of it, from one seed and from several."""

import itertools
import math

import numpy as np
import pytest

from lrscope.diagnosis.curve import Curve, Track
from lrscope.diagnosis.horizon import Horizon, horizon
from lrscope.diagnosis.thresholds import DEFAULT
from lrscope.language import speaking

from .simulate import plan_for
from .test_traps import falling

RATES = tuple(10 ** (-4 + index / 2) for index in range(9))
STEPS = 400
LENGTHS = (100, 200, 400)


def lanes(best, *, trained=None):
    """A lane for each rate and seed whose validation loss is a parabola in the logarithms, exactly.

    Args:
        best: for each seed the best rate at every length.
        trained: the best rate by the training loss at every length; the same everywhere unless given.
    """
    plan = plan_for(RATES, STEPS, [(10,)], seeds=len(best), steps_per_epoch=100)
    trained = trained or (0.01, 0.01, 0.01)
    curves = []
    for (seed, minima), rate in itertools.product(enumerate(best), RATES):
        values = [0.5 * math.exp(0.1 * math.log(rate / minimum) ** 2) for minimum in minima]
        levels = [0.4 * math.exp(0.1 * math.log(rate / minimum) ** 2) for minimum in trained]
        loss = np.repeat([*levels[:2], levels[2], levels[2]], 100)
        loss[:5] = 2.3
        track = Track(np.array([0, *LENGTHS]), np.array([2.3, *values]))
        curves.append(Curve(len(curves), rate, seed, loss, val=track))
    return curves, plan


def course(at_full, slope):
    """Best rates that fall as a power of the length."""
    return tuple(at_full * (steps / STEPS) ** slope for steps in LENGTHS)


def found(best, **others):
    told = horizon(*lanes(best, **others))
    assert told is not None
    return told


def test_the_vertex_at_every_length_and_the_slope_are_exact():
    told = found([course(0.01, -0.6)])
    assert told.steps == LENGTHS
    assert told.rates == pytest.approx(course(0.01, -0.6))
    assert told.slope == pytest.approx(-0.6)
    assert (told.error, told.seeds) == (None, 1)


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ((0.07, 0.025, 0.01), True),  # 7 times: more than two seeds are apart
        ((0.055, 0.025, 0.01), False),  # 5.5 times: two seeds may be
        ((0.0251, 0.00936, 0.0155), False),  # down and up again
        ((0.09, 0.008, 0.0081), False),  # ... however little it rises
        ((0.08, 0.01, 0.01), True),  # it may stay
        ((0.01, 0.01, 0.01), False),
        ((0.01, 0.025, 0.07), False),  # it rises
    ],
)
def test_of_one_seed_only_a_steady_fall_wider_than_seeds_are_apart_is_told(rates, told):
    one = found([rates])
    assert one.falls() is told
    assert (one.text() is not None) is told
    assert one.rates == pytest.approx(rates)


def test_the_border_for_one_seed_is_the_scatter_between_seeds():
    def falls(factor):
        return Horizon(LENGTHS, (factor, 2.0, 1.0), -1.0, None, None).falls()

    assert falls(DEFAULT.seed_scatter * 1.01)
    assert not falls(DEFAULT.seed_scatter * 0.99)


@pytest.mark.parametrize(
    ("slopes", "told"),
    [
        ((-0.50, -0.45, -0.55), True),
        ((-0.50, -0.51), True),
        ((-0.50, -0.60), False),  # two seeds: 12.7 standard errors
        ((-0.10, -0.90, -0.50), False),
        ((-0.20, -0.21, -0.19), False),  # certain, and too little to matter
        ((0.50, 0.45, 0.55), False),
    ],
)
def test_of_several_seeds_the_interval_of_the_slope_must_be_below_nothing(slopes, told):
    many = found([course(0.01, slope) for slope in slopes])
    assert many.seeds == len(slopes)
    assert many.slope == pytest.approx(np.mean(slopes), abs=0.02)
    assert many.error == pytest.approx(np.std(slopes, ddof=1) / math.sqrt(len(slopes)), rel=0.05)
    assert many.falls() is told


def test_student_s_t_for_the_seeds_there_are():
    many = found([course(0.01, slope) for slope in (-0.50, -0.45, -0.55)])
    assert many.reach() == pytest.approx(4.3027 * many.error, rel=1e-4)
    assert found([course(0.01, -0.5)]).reach() is None


def test_seeds_that_agree_on_a_course_that_turns_are_not_told_to_fall():
    many = found([(0.05 * f, 0.005 * f, 0.007 * f) for f in (1.0, 1.01, 0.99)])
    assert many.slope + many.reach() < 0
    assert many.text() is None


def test_the_sentence_gives_the_course_the_interval_and_a_longer_run():
    many = found([course(0.01, slope) for slope in (-0.50, -0.49, -0.51)])
    low, high = many.slope - many.reach(), many.slope + many.reach()
    assert many.sentence() == (
        "the best rate falls with the length of the run (0.02 at 100 steps, 0.0141 at 200 steps, "
        f"0.01 at 400 steps; slope -0.50 [{low:.2f}, {high:.2f}]): "
        "for a run twice as long 7.07e-3, extrapolated"
    )
    with speaking("zh"):
        assert "训练长一倍时" in many.sentence()


def test_a_fall_of_the_validation_loss_alone_is_early_stopping():
    seeds = [course(0.01, slope) for slope in (-1.0, -0.99, -1.01)]
    assert "stop early instead" in found(seeds).sentence()
    shared = found(seeds, trained=course(0.01, -1.0))
    assert "for a run twice as long" in shared.sentence()


def test_of_a_schedule_nothing_is_said():
    curves, plan = lanes([course(0.01, -0.5)])
    assert horizon(curves, plan) is not None
    scheduled = plan_for(RATES, STEPS, [(10,)], steps_per_epoch=100, schedule="cosine")
    assert horizon(curves, scheduled) is None


def test_a_best_rate_at_the_edge_of_the_grid_has_no_course():
    assert horizon(*lanes([(RATES[-1], 0.1, 0.01)])) is None


def test_lanes_without_validation_are_read_by_the_training_loss():
    plan = plan_for(RATES, STEPS, [(10,)])
    curves = [
        Curve(index, rate, 0, falling(0.2 * (1 + math.log(rate / 0.01) ** 2)))
        for index, rate in enumerate(RATES)
    ]
    told = horizon(curves, plan)
    assert told.rates == pytest.approx((0.01,) * 3, rel=0.05)
    assert told.text() is None
