"""y = 3x, whose limits of stability are known: 2 / 16.7006 for plain gradient descent, and so on."""

import numpy as np
import pytest

from lrscope.diagnosis.judge import judge

from .simulate import LINE_LIMIT, adam, line, plan_for, sgd, train

SHAPES = [(1, 1), (1,)]
CONSTANT = 11.25  # the variance of 3, 6, 9, 12

FACTORS = (0.5, 0.9, 0.99, 0.995, 1.005, 1.01, 1.1)


def verdicts(rates, steps=1000, *, optimizer=None, order=None, steps_per_epoch=1, dtype=np.float32):
    plan = plan_for(
        rates,
        steps,
        SHAPES,
        steps_per_epoch=steps_per_epoch,
        constant_loss=CONSTANT,
        dtype=np.dtype(dtype).name,
    )
    curves = train(line(order), np.zeros(2, dtype), plan, optimizer or sgd())
    return judge(curves, plan)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("momentum", "nesterov", "limit"),
    [(0.0, False, 2.0), (0.9, False, 3.8), (0.9, True, 3.8 / 2.8)],
    ids=["gradient descent", "heavy ball", "Nesterov"],
)
def test_what_is_above_the_limit_diverges_and_what_is_below_does_not(momentum, nesterov, limit, dtype):
    rates = [factor * limit / 2 * LINE_LIMIT for factor in FACTORS]
    found = verdicts(rates, optimizer=sgd(momentum, nesterov), dtype=dtype)
    assert [verdict.kind in ("diverged", "diverging") for verdict in found] == [False] * 4 + [True] * 3


def test_one_percent_above_the_limit_is_seen_before_the_loss_has_blown_up():
    (below, above) = verdicts([0.99 * LINE_LIMIT, 1.001 * LINE_LIMIT], steps=300)
    assert above.kind == "diverging"
    assert "1.002 times the one before" in above.evidence
    assert below.kind != "diverging"


def test_the_classic_three_rates():
    slow, fast, broken = verdicts([0.01, 0.1, 1.0])
    assert (slow.kind, fast.kind, broken.kind) == ("good", "good", "diverged")
    assert slow.attributes == ()
    assert fast.attributes == ("ringing",)
    assert "10 times as many steps as the fastest lane (0.1)" in slow.evidence
    assert 10 < broken.step < 40
    assert f"step {broken.step} of 1,000" in broken.evidence


@pytest.mark.parametrize(("rate", "rings"), [(0.05, False), (0.09, True), (0.1, True)])
def test_ringing_is_rate_times_curvature_above_one(rate, rings):
    found = verdicts([0.01, rate])
    assert ("ringing" in found[1].attributes) == rings


def shuffled(batch, epochs, seed):
    rng = np.random.default_rng(seed)
    return [chunk for _ in range(epochs) for chunk in np.split(rng.permutation(4), 4 // batch)]


@pytest.mark.parametrize(("batch", "below", "above"), [(1, 0.115, 0.140), (2, 0.130, 0.150)])
@pytest.mark.parametrize("seed", range(5))
def test_mini_batches_diverge_above_their_own_limit(batch, below, above, seed):
    """The almost-sure limits of shuffled epochs, 0.1295 and 0.1412: above that of the full batch."""
    per_epoch = 4 // batch
    order = shuffled(batch, 1000, seed)
    found = verdicts([0.03, below, above], 1000 * per_epoch, order=order, steps_per_epoch=per_epoch)
    assert [verdict.kind for verdict in found][::2] == ["good", "diverged"]
    assert found[1].kind != "diverged"


def test_adam_does_not_diverge_on_a_quadratic():
    found = verdicts([0.01, 0.03, 0.1, 0.3, 1.0], optimizer=adam())
    assert not {verdict.kind for verdict in found} & {"diverged", "diverging"}


@pytest.mark.parametrize("scale", [1e-3, 100.0])
def test_verdicts_of_gradient_descent_move_with_the_scale_of_the_loss(scale):
    rates = [1e-5, 1e-3, 0.01, 0.1, 0.12, 1.0]

    def scaled(weights, step):
        loss, gradient = line()(weights, step)
        return loss * scale, gradient * weights.dtype.type(scale)

    plan = plan_for(rates, 500, SHAPES)
    moved = plan_for([rate / scale for rate in rates], 500, SHAPES)
    plain = judge(train(line(), np.zeros(2), plan, sgd()), plan)
    found = judge(train(scaled, np.zeros(2), moved, sgd()), moved)
    assert [verdict.kind for verdict in found] == [verdict.kind for verdict in plain]


@pytest.mark.parametrize("shift", [-10.0, -200.0, -67.5])
def test_losses_below_zero_are_judged_by_their_differences(shift):
    rates = [1e-5, 1e-4, 0.01, 0.1, 0.13, 1.0]

    def shifted(weights, step):
        loss, gradient = line()(weights, step)
        return loss + shift, gradient

    plan = plan_for(rates, 500, SHAPES)
    found = judge(train(shifted, np.zeros(2), plan, sgd()), plan)
    kinds = [verdict.kind for verdict in found]
    assert kinds == ["too_slow", "too_slow", "good", "good", "diverged", "diverged"]


def test_too_slow_tells_the_exact_number_of_steps():
    rates = [3e-5, 3e-3]
    slow, fast = verdicts(rates, steps=500)
    assert (slow.kind, fast.kind) == ("too_slow", "good")
    plan = plan_for(rates, 500, SHAPES)
    lanes = train(line(), np.zeros(2, np.float32), plan, sgd())
    reached = int(np.argmax(lanes[1].loss <= lanes[0].loss[-1]))
    assert reached == 5
    assert "after 5 of 499 steps: about 100 times more steps are needed" in slow.evidence
