"""Each lane against its own limit: the rule at 1, and what is not known is not drawn."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest
from studies import lost, ringing

from lrscope.charts.lines import SCHEMA
from lrscope.charts.sharpness import SHARPNESS, frame
from lrscope.plan import Plan
from lrscope.record import Series
from lrscope.store.recorder import Record, Recorder
from lrscope.study import Study

LIMIT = 2 / (17 + np.sqrt(269)) * 2


def study(series: dict[str, float], **changes: Any) -> Study:
    """Two lanes that hold still, with curvature as given."""
    plan = Plan(
        problem="still",
        rates=(0.01, 0.1),
        seeds=(0,),
        epochs=30,
        steps_per_epoch=1,
        batch_size=4,
        optimizer="SGD",
        curvature_examples=64,
    )
    plan = dataclasses.replace(plan, **changes)
    lanes, steps = np.arange(2, dtype=np.int32), np.arange(0, 31, 3)
    known = [Series(name, "", "scalar", "") for name in ("loss", *series)]
    with Recorder(None, plan, known, about={}) as writer:
        writer.write(Record("loss", np.arange(30), lanes, np.geomspace(1, 0.1, 30)[:, None] * np.ones(2)))
        for name, value in series.items():
            values = np.linspace(1, 0.5, 11) if name == "learning_rate" else np.ones(11)
            writer.write(Record(name, steps, lanes, value * values[:, None] * [1, 1]))
    return Study(writer.study_file())


def layers(spec: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [layer for layer in spec["layer"] if layer["mark"]["type"] == kind]


def test_a_lane_of_gradient_descent_stands_at_its_rate_over_the_limit() -> None:
    found = frame(ringing())
    assert found.schema == pl.Schema(SCHEMA)
    for rate in (0.01, 0.1, 0.119):
        values = found.filter(pl.col("rate") == rate)["value"].to_numpy()
        np.testing.assert_allclose(values, rate / LIMIT, rtol=1e-9)
    assert "Lanczos on 4 examples, 21 times, 2 products each" in found["note"][0]
    assert "its residual at most 1.0% of the eigenvalue" in found["note"][0]


def test_the_limit_is_a_rule_at_one_that_is_always_on_the_axis() -> None:
    for one in (ringing(), lost(), study({"sharpness": 0.2})):
        spec = SHARPNESS.of(one).to_dict()
        rule = layers(spec, "rule")[0]
        (row,) = spec["datasets"][rule["data"]["name"]]
        assert row == {"y": 1.0, "text": "limit"}
        low, high = rule["encoding"]["y"]["scale"]["domain"]
        assert low < 1 < high
        assert rule["encoding"]["y"]["scale"]["type"] == "log"


def test_adam_is_held_against_its_preconditioned_sharpness() -> None:
    found = frame(study({"sharpness": 1e9, "preconditioned_sharpness": 1900.0}, optimizer="Adam"))
    np.testing.assert_allclose(found.filter(pl.col("rate") == 0.01)["value"].to_numpy(), 0.5)
    assert "at good rates too" in found["note"][0]


def test_a_schedule_s_rate_of_the_moment_counts() -> None:
    found = frame(study({"sharpness": 10.0, "learning_rate": 0.1}, schedule="linear"))
    values = found.filter(pl.col("lane") == 0).sort("step")["value"].to_numpy()
    np.testing.assert_allclose(values[[0, -1]], [0.5, 0.25])


@pytest.mark.parametrize(
    ("optimizer", "why"), [("Adadelta", "no limit is known"), ("Adam", "after the division by Adam")]
)
def test_without_a_limit_the_sharpness_itself_is_drawn_without_a_rule(optimizer: str, why: str) -> None:
    """Its optimizer is not known, or the study was written before the sharpness it takes was recorded."""
    one = study({"sharpness": 10.0}, optimizer=optimizer)
    found = frame(one)
    assert set(found["value"]) == {10.0}
    assert why in found["note"][0]
    spec = SHARPNESS.of(one).to_dict()
    assert all("limit" not in str(rows) for rows in spec["datasets"].values())


def test_a_direction_that_bends_down_has_no_limit() -> None:
    assert not frame(study({"sharpness": -3.0})).height
