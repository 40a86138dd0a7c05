"""Verdicts against exact truth, lane by lane: how often each is right.

Truth comes from closed forms: a quadratic's limit of stability, its loss after T steps in float64, and with
noisy gradients the expectation of that loss.
"""

import collections

import numpy as np
import pytest

from lrscope.diagnosis.judge import judge

from .simulate import plan_for, quadratic, sgd, train

FACTORS = (1e-10, 1e-9, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.995)
ABOVE = (1.01, 1.02, 1.05, 1.1, 1.5, 2.0, 5.0)
DIVERGENT = {"diverged", "diverging"}


def limit(momentum, nesterov, curvature):
    """Largest stable rate: (2 + 2b) / c, for Nesterov (2 + 2b) / ((1 + 2b) c)."""
    return (2 + 2 * momentum) / ((1 + 2 * momentum * nesterov) * curvature)


def exact_loss(curvatures, start, rate, momentum, nesterov, steps):
    """The loss after so many updates, in float64, direction by direction."""
    position, velocity = start.copy(), np.zeros_like(start)
    for _ in range(steps):
        gradient = curvatures * position
        velocity = momentum * velocity + gradient
        position = position - rate * (gradient + momentum * velocity if nesterov else velocity)
    return 0.5 * float(np.sum(curvatures * position**2))


def spectrum(rng, dimensions, widest):
    condition, largest = 10 ** rng.uniform(0, widest), 10 ** rng.uniform(-1, 1)
    return largest * condition ** -np.concatenate([[0.0], rng.uniform(0, 1, dimensions - 1)])


def quadratics(problems):
    """(truth, verdict) of random quadratics: gradient descent, heavy ball and Nesterov, in float32."""
    rng = np.random.default_rng(7)
    for number in range(problems):
        curvatures, start = spectrum(rng, 20, 3.5), rng.normal(size=20)
        rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
        momentum, nesterov = [(0.0, False), (0.5, False), (0.9, False), (0.5, True), (0.9, True)][number % 5]
        steps = int(rng.choice([200, 1000]))
        most = limit(momentum, nesterov, curvatures.max())
        plan = plan_for([float(most * factor) for factor in (*FACTORS, *ABOVE)], steps, [(20,)])
        first = (rotation @ start).astype(np.float32)
        curves = train(quadratic(curvatures, rotation), first, plan, sgd(momentum, nesterov))
        losses = [
            exact_loss(curvatures, start, rate, momentum, nesterov, steps - 1)
            for rate in plan.rates[: len(FACTORS)]
        ]
        begin, best = 0.5 * float(np.sum(curvatures * start**2)), min(losses)
        for index, (curve, verdict) in enumerate(zip(curves, judge(curves, plan), strict=True)):
            if index >= len(FACTORS):
                yield "diverged", verdict
                continue
            late = curve.tensors["unchanged_share"].last_quarter(steps, 20)
            regret = (losses[index] - best) / (begin - best)
            if np.median(late) >= 0.9 and losses[index] > 0.98 * begin:
                yield "frozen", verdict
            elif regret <= 0.01 or (best > 0.01 * begin and losses[index] <= 1.05 * best):
                yield "good", verdict
            else:
                yield ("slow" if index < losses.index(best) else "high"), verdict


def noisy_quadratics(problems):
    """(truth, verdict) of gradient descent to a minimum that jumps from batch to batch, by expected loss."""
    rng = np.random.default_rng(11)
    for number in range(problems):
        curvatures, start, steps = spectrum(rng, 10, 2.5), rng.normal(size=10), int(rng.choice([300, 1000]))
        jump = 10 ** rng.uniform(-1.3, 0)
        most = 2 / curvatures.max()
        rates = [float(most * 10 ** (power + rng.uniform(-0.1, 0.1))) for power in np.arange(-4, 1.01, 0.5)]
        plan = plan_for(rates, steps, [(10,)], steps_per_epoch=100)
        noise = np.random.default_rng(number).normal(size=(steps, 10)) * jump

        def batch(theta, step, noise=noise, curvatures=curvatures):
            away = theta.astype(np.float64) - noise[step]
            return (curvatures * away**2).sum(1) / 2, (curvatures * away).astype(theta.dtype)

        curves = train(batch, start.astype(np.float32), plan, sgd())
        below = [rate for rate in rates if rate < most]
        floor = 0.5 * jump**2 * curvatures.sum()
        losses = [floor + expected_loss(curvatures, start, rate, jump, steps) for rate in below]
        begin, best = floor + 0.5 * float(np.sum(curvatures * start**2)), min(losses)
        for index, verdict in enumerate(judge(curves, plan)):
            if index >= len(below):
                yield "diverged", verdict
                continue
            regret = (losses[index] - best) / (begin - best)
            if regret <= 0.01 or (losses[index] <= 1.05 * best and regret < 0.25):
                yield "good", verdict
            elif index < losses.index(best):
                yield "slow", verdict
            else:
                yield ("failed" if losses[index] > 0.98 * begin else "high"), verdict


def expected_loss(curvatures, start, rate, jump, steps):
    """Half the curvature times the mean squared distance: of the start, and of an AR(1) process."""
    factor = 1 - rate * curvatures
    settled = (rate * curvatures * jump) ** 2 / (1 - factor**2)
    variance = settled * (1 - factor ** (2 * steps))
    return 0.5 * float(np.sum(curvatures * ((factor**steps * start) ** 2 + variance)))


def matrix(pairs):
    """truth -> verdict -> lanes."""
    counts = collections.defaultdict(collections.Counter)
    for truth, verdict in pairs:
        counts[truth][verdict.kind] += 1
    return counts


@pytest.fixture(scope="module")
def exact():
    return matrix(quadratics(25))


@pytest.fixture(scope="module")
def noisy():
    return matrix(noisy_quadratics(30))


def lanes(counts):
    return sum(sum(row.values()) for row in counts.values())


def test_there_are_enough_lanes_to_say_something(exact, noisy):
    assert lanes(exact) == 25 * 22
    assert lanes(noisy) == 30 * 11


def test_divergence_is_found_from_one_percent_above_the_limit(exact, noisy):
    for counts in (exact, noisy):
        found = sum(counts["diverged"][kind] for kind in DIVERGENT)
        assert found >= 0.98 * sum(counts["diverged"].values())


def test_divergence_is_not_said_of_stable_lanes(exact, noisy):
    for counts in (exact, noisy):
        said = {truth: sum(row[kind] for kind in DIVERGENT) for truth, row in counts.items()}
        # An expected loss above the start is a lane that blew up for a while, if not for ever.
        false = sum(count for truth, count in said.items() if truth not in ("diverged", "failed"))
        assert false <= 0.01 * said["diverged"]


def test_frozen_lanes_are_found_and_no_others(exact):
    found = exact["frozen"]["frozen"]
    assert found >= 0.99 * sum(exact["frozen"].values()) > 0
    assert sum(row["frozen"] for row in exact.values()) == found


def test_too_slow_and_too_high_are_not_mixed_up(exact, noisy):
    for counts in (exact, noisy):
        slow, high = counts["slow"], counts["high"]
        mixed = slow["too_high"] + slow["failed"] + high["too_slow"] + high["not_started"]
        assert mixed <= 0.01 * (sum(slow.values()) + sum(high.values()))


def test_good_lanes_are_called_good_and_others_are_not(exact, noisy):
    for counts, wanted in ((exact, 0.98), (noisy, 0.90)):
        good = counts["good"]
        others = [row for truth, row in counts.items() if truth != "good"]
        sensitivity = good["good"] / sum(good.values())
        specificity = 1 - sum(row["good"] for row in others) / sum(sum(row.values()) for row in others)
        assert (sensitivity + specificity) / 2 >= wanted


def test_it_is_rarely_undecided(exact, noisy):
    for counts in (exact, noisy):
        assert sum(row["cannot_tell"] for row in counts.values()) <= 0.1 * lanes(counts)
