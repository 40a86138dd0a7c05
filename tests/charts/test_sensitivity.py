"""Learning-rate sensitivity: the number against its definition, and which lanes count."""

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from studies import alone, cut_off, lost, ringing, seeds

from lrscope.charts.sensitivity import SENSITIVITY, frame, sensitivity
from lrscope.language import speaking
from lrscope.plan import Plan
from lrscope.record import Series
from lrscope.store.recorder import Record, Recorder
from lrscope.study import Study

RATES = (1e-3, 1e-2, 1e-1, 1.0)


def study(ends_L: list[float], *, lengths: list[int] | None = None, seeds: int = 1) -> Study:
    """Lanes whose loss goes from 4 to these ends in a straight line over 40 steps, or fewer."""
    plan = Plan(
        problem="straight", rates=RATES, seeds=tuple(range(seeds)), epochs=40, steps_per_epoch=1, batch_size=4
    )
    plan = dataclasses.replace(plan, chosen=tuple((lane.rate, lane.seed) for lane in plan.lanes))
    with Recorder(None, plan, [Series("loss", "nats", "scalar", "")], about={}) as writer:
        for lane, end in enumerate(ends_L):
            steps = 40 if lengths is None else lengths[lane]
            losses = 4 + (end - 4) * np.arange(steps) / 39 if math.isfinite(end) else np.full(steps, 4.0)
            losses[-1] = losses[-1] if math.isfinite(end) else end
            writer.write(Record("loss", np.arange(steps), np.array([lane], np.int32), losses[:, None]))
    return Study(writer.study_file())


def test_a_log_uniform_mean_of_a_known_valley() -> None:
    """Excess (ln rate)^2 over a decade on either side: its mean is (ln 10)^2 / 3."""
    rates = np.geomspace(0.1, 10, 2001)
    assert sensitivity(rates, np.log(rates) ** 2) == pytest.approx(math.log(10) ** 2 / 3, rel=1e-5)


def test_how_the_rates_are_spread_does_not_matter() -> None:
    """A grid that is finer at the good rates would pull a plain mean down."""
    rates = np.concatenate([np.geomspace(0.1, 1, 1000), np.geomspace(1, 10, 20)[1:]])
    excess = np.abs(np.log10(rates))
    assert sensitivity(rates, excess) == pytest.approx(0.5)


def test_the_number_is_the_definition_and_the_best_rate_is_at_1() -> None:
    found = frame(study([3.0, 1.0, 2.0, 9.0])).sort("rate")
    assert found["excess"].to_list() == pytest.approx([2.0, 0.0, 1.0, 3.0])  # the last counts as 4, the start
    assert found["factor"].to_list() == pytest.approx([0.1, 1.0, 10.0, 100.0])
    assert found["learned"].to_list() == pytest.approx([3.0] * 4)
    expected = ((2 + 0) / 2 + (0 + 1) / 2 + (1 + 3) / 2) / 3
    assert found["sensitivity"].to_list() == pytest.approx([expected] * 4)


def test_a_lane_that_broke_counts_as_one_that_learned_nothing() -> None:
    found = frame(study([3.0, 1.0, 2.0, math.nan])).sort("rate")
    assert found["excess"].to_list() == pytest.approx([2.0, 0.0, 1.0, 3.0])
    assert found["excess"].to_list() == frame(study([3.0, 1.0, 2.0, 9.0])).sort("rate")["excess"].to_list()


def test_lanes_that_were_not_trained_to_the_end_do_not_count() -> None:
    """The first lane is lowest, but short."""
    found = frame(study([0.5, 1.0, 2.0, 3.0], lengths=[30, 40, 40, 40]))
    assert set(found["rate"]) == {1e-2, 1e-1, 1.0}
    assert found["learned"][0] == pytest.approx(3.0)


def test_seeds_are_averaged_at_each_rate() -> None:
    found = frame(study([3.0, 1.0, 2.0, 4.0, 3.0, 2.0, 2.0, 4.0], seeds=2)).sort("rate", "seed")
    assert found["excess"].to_list() == pytest.approx([1.5, 1.5, -0.5, 0.5, 0.5, 0.5, 2.5, 2.5])
    means = found.group_by("rate").agg(pl.col("excess").mean()).sort("rate")["excess"]
    assert found.unique("rate").sort("rate")["mean_excess"].to_list() == pytest.approx(means.to_list())


@pytest.mark.parametrize("make", [lost, alone, cut_off], ids=lambda make: make.__name__)
def test_nothing_is_drawn_where_nothing_can_be_compared(make: object) -> None:
    """All diverged; one rate; no lane trained to the end."""
    assert not frame(make()).height  # type: ignore[operator]


def test_validation_is_compared_where_there_is_any() -> None:
    assert frame(seeds())["axis"][0].startswith("final validation loss")
    assert frame(ringing())["axis"][0].startswith("smoothed training loss at the end")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_number_stands_below_the_question_in_every_language(lang: str) -> None:
    one = study([3.0, 1.0, 2.0, 9.0])
    with speaking(lang):
        spec = SENSITIVITY.of(one).to_dict()
    assert "1.17" in spec["title"]["subtitle"][1]
    assert "39%" in spec["title"]["subtitle"][1]
    assert spec["title"]["subtitle"][1] in spec["description"]
