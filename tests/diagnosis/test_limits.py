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
    ("Adam", {}, adam(0.9)),
    ("Adam", {"betas": (0.95, 0.99)}, adam(0.95)),
    ("AdamW", {"weight_decay": 3.0}, adam(0.9, w=3.0)),
    ("AdamW", {}, adam(0.9, w=0.01)),
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


def test_the_line_of_four_samples() -> None:
    hessian = 2 * np.array([[7.5, 2.5], [2.5, 1.0]])
    assert stability_limit("SGD", {}, np.linalg.eigvalsh(hessian)[-1]) == pytest.approx(0.119756, abs=5e-7)


@pytest.mark.parametrize(
    ("optimizer", "options", "sharpness"),
    [("NAdam", {}, 1.0), ("RMSprop", {"momentum": 0.9}, 1.0), ("SGD", {}, 0.0), ("Adam", {}, -1.0)],
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
    [{"optimizer": "Adam"}, {"steps_per_epoch": 2}, {"schedule": "cosine"}, {"clip_norm": 1.0}],
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
