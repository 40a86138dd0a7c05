"""Where a lane stands to its limit of stability, and what is said of it."""

import dataclasses

import numpy as np
import pytest

from lrscope.diagnosis.curve import NO_TRACK, Curve, Track
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.limits import stability_limit, standing
from lrscope.plan import Plan

S = 16.7006


def test_the_line_of_four_samples() -> None:
    hessian = 2 * np.array([[7.5, 2.5], [2.5, 1.0]])
    assert stability_limit("SGD", {}, np.linalg.eigvalsh(hessian)[-1]) == pytest.approx(0.119756, abs=5e-7)


@pytest.mark.parametrize(
    ("optimizer", "options", "sharpness"),
    [
        ("Adadelta", {}, 1.0),
        ("Lion", {}, 1.0),
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
        {"optimizer": "Adadelta"},
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
