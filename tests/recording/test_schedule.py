"""Recording schedules: what the verdicts need is there, whatever the length of the run."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lrscope
from lrscope.errors import UsageError
from lrscope.plan import RECORDS, Plan
from lrscope.recording.schedule import recording_schedule


def plan(epochs: int, per_epoch: int, record: str) -> Plan:
    return Plan("p", (0.1,), (0,), epochs, per_epoch, 8, record=record)


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from(["full", "light"]))
def test_the_last_quarter_holds_twenty_updates_and_both_ends_are_there(
    epochs: int, per_epoch: int, record: str
) -> None:
    own = plan(epochs, per_epoch, record)
    points, counted = recording_schedule(own)
    assert (points[0], points[-1]) == (0, own.steps)
    assert (counted[0], counted[-1]) == (0, epochs)
    assert all(a < b for a, b in itertools.pairwise(points))
    assert all(a < b for a, b in itertools.pairwise(counted))
    late = [point for point in points if 0.75 * own.steps <= point < own.steps]
    assert len(late) >= min(20, own.steps // 4)
    assert len(counted) <= 21
    assert len(points) <= (140 if record == "full" else 45)


def test_losses_alone_measure_no_tensor() -> None:
    assert recording_schedule(plan(3, 10, "losses")) == ((), ())


def test_two_sweeps_of_one_plan_measure_at_the_same_steps() -> None:
    def measured(record: str) -> list[int]:
        with lrscope.sweep("line", "0.01,0.1", epochs=300, record=record) as study:
            names = {one.name for one in study.series if one.kind == "tensor"}
            if record == "losses":
                assert not len(study.tensors("weight_norm"))
                return []
            assert {"update_ratio", "unchanged_share", "gradient_norm"} <= names
            return sorted(set(study.tensors("weight_norm")["step"].to_list()))

    for record in RECORDS:
        first = measured(record)
        assert first == measured(record) == list(recording_schedule(plan(300, 1, record)).points)


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(UsageError, match="full, light, losses"):
        lrscope.sweep("line", "0.1", record="much")
    old = dataclasses.replace(plan(1, 1, "full"))
    assert Plan.from_json(old.to_json().replace(', "record": "full"', "")).record == "full"
