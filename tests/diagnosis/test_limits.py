"""Each row of the table against the optimizer's own recurrence on a quadratic."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from lrscope.diagnosis.curve import NO_TRACK, Curve, Track
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.limits import stability_limit, standing
from lrscope.plan import Plan

S = 16.7006


def growth(matrix_of: Callable[[float], np.ndarray], rate: float) -> float:
    """Spectral radius of one step at that rate."""
    return float(np.abs(np.linalg.eigvals(matrix_of(rate))).max())


def heavy_ball(b: float, d: float = 0.0, w: float = 0.0) -> Callable[[float], np.ndarray]:
    """(theta, v): v' = b v + (1 - d)(s + w) theta, theta' = theta - rate v'."""
    h = (1 - d) * (S + w)
    return lambda rate: np.array([[1 - rate * h, -rate * b], [h, b]])


def nesterov(b: float, w: float = 0.0) -> Callable[[float], np.ndarray]:
    """v' = b v + g, theta' = theta - rate (g + b v')."""
    h = S + w
    return lambda rate: np.array([[1 - rate * (h + b * h), -rate * b * b], [h, b]])


def adam(b: float, w: float = 0.0) -> Callable[[float], np.ndarray]:
    """m' = b m + (1 - b) s theta, theta' = (1 - rate w) theta - rate m'."""
    return lambda rate: np.array([[1 - rate * w - rate * (1 - b) * S, -rate * b], [(1 - b) * S, b]])


ROWS = [
    ("SGD", {}, heavy_ball(0.0)),
    ("SGD", {"weight_decay": 5.0}, heavy_ball(0.0, w=5.0)),
    ("SGD", {"momentum": 0.9}, heavy_ball(0.9)),
    ("SGD", {"momentum": 0.5, "weight_decay": 1.0}, heavy_ball(0.5, w=1.0)),
    ("SGD", {"momentum": 0.9, "dampening": 0.4}, heavy_ball(0.9, d=0.4)),
    ("SGD", {"momentum": 0.9, "nesterov": True}, nesterov(0.9)),
    ("SGD", {"momentum": 0.99, "nesterov": True, "weight_decay": 1.0}, nesterov(0.99, w=1.0)),
    ("RMSprop", {}, heavy_ball(0.0)),
    ("RMSprop", {"momentum": 0.9}, heavy_ball(0.9)),
    ("Adam", {}, adam(0.9)),
    ("Adam", {"betas": (0.95, 0.99)}, adam(0.95)),
    ("AdamW", {"weight_decay": 3.0}, adam(0.9, w=3.0)),
    ("AdamW", {}, adam(0.9, w=0.01)),
    ("Adam", {"weight_decay": 3.0, "decoupled_weight_decay": True}, adam(0.9, w=3.0)),
    # Coupled, the decay is in the preconditioned matrix already.
    ("Adam", {"weight_decay": 3.0}, adam(0.9)),
]


@pytest.mark.parametrize(("optimizer", "options", "matrix_of"), ROWS)
def test_steps_contract_exactly_below_the_limit(
    optimizer: str, options: dict[str, object], matrix_of: Callable[[float], np.ndarray]
) -> None:
    limit = stability_limit(optimizer, options, S)
    assert limit is not None
    assert growth(matrix_of, limit * (1 - 1e-6)) < 1
    assert growth(matrix_of, limit * (1 + 1e-6)) > 1
    assert growth(matrix_of, limit) == pytest.approx(1, abs=1e-9)


Recurrence = Callable[[np.ndarray, np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def frozen_rmsprop(b: float, w: float) -> Recurrence:
    """v' = b v + (H + w) theta / P, theta' = theta - rate v'."""

    def step(
        hessian: np.ndarray, theta: np.ndarray, v: np.ndarray, rate: float
    ) -> tuple[np.ndarray, np.ndarray]:
        v = b * v + (hessian @ theta + w * theta) / P
        return theta - rate * v, v

    return step


def frozen_adam(b: float, coupled: float, apart: float) -> Recurrence:
    """m' = b m + (1 - b)(H + w) theta, theta' = (1 - rate w_apart) theta - rate m' / P."""

    def step(
        hessian: np.ndarray, theta: np.ndarray, m: np.ndarray, rate: float
    ) -> tuple[np.ndarray, np.ndarray]:
        m = b * m + (1 - b) * (hessian @ theta + coupled * theta)
        return (1 - rate * apart) * theta - rate * m / P, m

    return step


P = np.geomspace(1e-2, 10, 6)

FROZEN = [
    ("RMSprop", {}, frozen_rmsprop(0.0, 0.0), 0.0),
    ("RMSprop", {"momentum": 0.8, "weight_decay": 0.5}, frozen_rmsprop(0.8, 0.5), 0.5),
    ("Adam", {}, frozen_adam(0.9, 0.0, 0.0), 0.0),
    ("Adam", {"betas": (0.5, 0.99), "weight_decay": 2.0}, frozen_adam(0.5, 2.0, 0.0), 2.0),
    ("AdamW", {"weight_decay": 5.0}, frozen_adam(0.9, 0.0, 5.0), 0.0),
    ("AdamW", {}, frozen_adam(0.9, 0.0, 0.01), 0.0),
]


@pytest.mark.parametrize(("optimizer", "options", "step", "coupled"), FROZEN)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_frozen_preconditioner_swings_down_just_below_the_limit_and_up_just_above(
    optimizer: str, options: dict[str, object], step: Recurrence, coupled: float, seed: int
) -> None:
    factor = np.random.default_rng(seed).normal(size=(6, 6))
    hessian = factor @ factor.T + np.eye(6)
    root = P**-0.5
    matrix = root[:, None] * (hessian + coupled * np.eye(6)) * root
    limit = stability_limit(optimizer, options, float(np.linalg.eigvalsh(matrix)[-1]))
    assert limit is not None
    sizes = {}
    for share in (0.995, 1.005):
        theta, memory = np.ones(6), np.zeros(6)
        norms = []
        for _ in range(20_000):
            theta, memory = step(hessian, theta, memory, share * limit)
            norms.append(float(np.linalg.norm(theta)))
            if norms[-1] > 1e6:
                break
        sizes[share] = (max(norms[:200]), norms[-1])
    assert sizes[0.995][1] < 1e-2 * sizes[0.995][0]
    assert sizes[1.005][1] > 1e6


def test_the_line_of_four_samples() -> None:
    hessian = 2 * np.array([[7.5, 2.5], [2.5, 1.0]])
    assert stability_limit("SGD", {}, np.linalg.eigvalsh(hessian)[-1]) == pytest.approx(0.119756, abs=5e-7)


@pytest.mark.parametrize(
    ("optimizer", "options", "sharpness"),
    [
        ("NAdam", {}, 1.0),
        ("SGD", {"maximize": True}, 1.0),
        ("SGD", {"group_rates": [1.0, 0.1]}, 1.0),
        ("Adam", {"group_rates": [0.5]}, 1.0),
        ("SGD", {}, 0.0),
        ("Adam", {}, -1.0),
    ],
)
def test_no_limit_where_there_is_none(optimizer: str, options: dict[str, object], sharpness: float) -> None:
    assert stability_limit(optimizer, options, sharpness) is None


def lane(rate: float, sharpness: float, **changes: object) -> tuple[Curve, Plan]:
    plan = Plan(
        problem="bowl",
        rates=(rate,),
        seeds=(0,),
        epochs=100,
        steps_per_epoch=1,
        batch_size=4,
        optimizer="SGD",
        curvature_examples=4,
    )
    plan = dataclasses.replace(plan, **changes)  # type: ignore[arg-type]
    steps = np.array([0, 50, 80, 90, 100])
    # Early sharpness must not count, nor a lane's last measurement when it was no longer finite.
    values = np.array([900.0, 900.0, sharpness, sharpness, np.nan])
    return Curve(0, rate, 0, np.linspace(4.0, 1.0, 100), sharpness=Track(steps, values)), plan


def test_a_lane_stands_to_the_limit_of_its_late_sharpness() -> None:
    found = standing(*lane(0.1, S))
    assert found is not None
    assert found.sharpness == S
    assert found.limit == pytest.approx(2 / S)
    assert found.ratio == pytest.approx(0.1 * S / 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "Adam"},
        {"optimizer": "NAdam"},
        {"steps_per_epoch": 5},
        {"schedule": "cosine"},
        {"clip_norm": 1.0},
    ],
)
def test_nothing_is_said_where_sharpness_does_not_speak_of_stability(changes: dict[str, object]) -> None:
    assert standing(*lane(0.1, S, **changes)) is None


def test_nothing_is_said_where_sharpness_was_not_measured() -> None:
    curve, plan = lane(0.1, S)
    assert standing(dataclasses.replace(curve, sharpness=NO_TRACK), plan) is None


@pytest.mark.parametrize(
    ("rate", "attributes"),
    [(0.05, ()), (0.1, ("ringing",)), (0.115, ("edge", "ringing")), (0.4, ("ringing",))],
)
def test_the_edge_and_ringing_follow_from_rate_times_sharpness(
    rate: float, attributes: tuple[str, ...]
) -> None:
    curve, plan = lane(rate, S)
    (verdict,) = judge([curve], plan)
    assert verdict.attributes == attributes
    said = "of" if rate < 2 / S else "times"
    ratio = 0.9603 if rate == 0.115 else round(rate * S / 2, 2 if rate < 0.2 else 1)
    assert f"{ratio:g} {said} the limit 0.1198" in verdict.evidence


def dividing(rate: float, sharpness: float, **changes: object) -> tuple[Curve, Plan]:
    """A lane of Adam on all examples, whose plain sharpness must not count."""
    curve, plan = lane(rate, 1e6, **{"optimizer": "Adam", **changes})
    steps, values = curve.sharpness
    known = {
        "preconditioned_residual": Track(steps[1:], np.array([9.0, 0.2, 0.1, np.nan])),
        "preconditioned_products": Track(steps[1:], np.array([30.0, 7.0, 6.0, np.nan])),
    }
    preconditioned = Track(steps[1:], np.where(values[1:] == 1e6, sharpness, values[1:]))
    return dataclasses.replace(curve, preconditioned=preconditioned, lanczos=known), plan


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "RMSprop"])
def test_optimizers_that_divide_stand_to_the_limit_of_the_preconditioned_sharpness(optimizer: str) -> None:
    found = standing(*dividing(0.01, 3000.0, optimizer=optimizer))
    assert found is not None
    limit = stability_limit(optimizer, {}, 3000.0)
    assert (found.sharpness, found.limit) == (3000.0, limit)
    assert (found.residual, found.products, found.preconditioned, found.binding) == (0.2, 7, True, False)


def test_of_adam_on_all_examples_the_edge_is_an_attribute_and_changes_no_verdict() -> None:
    kinds, attributes = [], []
    for product in (10.0, 37.0, 80.0):
        curve, plan = dividing(0.01, product / 0.01)
        (verdict,) = judge([curve], plan)
        kinds.append(verdict.kind)
        attributes.append(verdict.attributes)
        assert "the limit" not in verdict.evidence
    assert len(set(kinds)) == 1
    assert attributes == [(), ("edge",), ()]
    (verdict,) = judge(*[[dividing(0.01, 3700.0)[0]], dividing(0.01, 3700.0)[1]])
    assert "is 37 of 38 (sharpness 3700 ± 0.2, 7 products on 4 examples)" in verdict.evidence


@pytest.mark.parametrize("steps_per_epoch", [5, 45])
def test_of_adam_in_small_batches_nothing_is_said(steps_per_epoch: int) -> None:
    """There the ratio is as low at rates far too high as at the best."""
    curve, plan = dividing(0.01, 3700.0, steps_per_epoch=steps_per_epoch, epochs=100 // steps_per_epoch)
    assert standing(curve, plan) is None
    (verdict,) = judge([curve], plan)
    assert "edge" not in verdict.attributes
    assert "sharpness" not in verdict.evidence


def test_large_batches_have_the_edge_and_no_limit() -> None:
    """Their own limit of divergence is another one than that of all examples."""
    curve, plan = lane(0.115, S, steps_per_epoch=4, epochs=25)
    (verdict,) = judge([curve], plan)
    assert verdict.attributes == ("edge",)
    assert "the limit" not in verdict.evidence


def test_the_sharpness_at_the_start_decides_nothing() -> None:
    """It has no power there: a lane that goes on has none, one that stopped is told which it was."""
    curve, plan = lane(0.115, S)
    at_start = Track(np.array([0]), np.array([S]))
    going_on = dataclasses.replace(curve, sharpness=at_start)
    assert standing(going_on, plan) is None
    assert judge([going_on], plan)[0].attributes == ()
    stopped = dataclasses.replace(going_on, loss=np.append(curve.loss, np.nan), stopped_step=None)
    (verdict,) = judge([stopped], plan)
    assert verdict.attributes == ()
    assert "0.9603 of the limit 0.1198 that its sharpness at step 0, 16.7, set" in verdict.evidence
    assert standing(*dividing(0.01, 3700.0)) is not None
    adam, plan = dividing(0.01, 3700.0)
    assert standing(dataclasses.replace(adam, preconditioned=adam.preconditioned.until(50)), plan) is None
