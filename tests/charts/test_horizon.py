"""Best rate against budget, where it can be worked out by hand."""

import math

import numpy as np
import polars as pl
import pytest
from studies import STUDIES, descend_line, recorded

from lrscope.charts.best_rates import HORIZONS
from lrscope.charts.horizon import HORIZON
from lrscope.plan import Plan
from lrscope.study import Study

RATES = (1e-4, 1e-3, 1e-2, 1e-1)


def drifting(seeds: int = 1, broken: int | None = None, schedule: str | None = None) -> Study:
    """32 epochs; by construction the best rate is 0.1 up to epoch 4, 0.01 up to 16, then 1e-3."""
    epochs = 32
    plan = Plan(
        problem="drift",
        rates=RATES,
        seeds=tuple(range(seeds)),
        epochs=epochs,
        steps_per_epoch=10,
        batch_size=8,
        val_size=100,
        schedule=schedule,
    )
    best = np.array([3 if e <= 4 else 2 if e <= 16 else 1 for e in range(epochs + 1)])
    place = np.tile(np.arange(len(RATES)), seeds)
    val = 0.5 + 0.2 * np.abs(place[None, :] - best[:, None]) + 1.0 / (1 + np.arange(epochs + 1))[:, None]
    val[0] = 3.0
    loss = np.repeat(val[1:], 10, axis=0)
    if broken is not None:
        loss[200:, broken] = math.inf
        val[20:, broken] = math.inf
    path = np.empty((0, len(plan.lanes), 0))
    return recorded(
        plan,
        loss=loss,
        validated={"val_loss": val},
        stats=(np.empty(0), {}),
        path=path,
        histograms={},
        unit="",
    )


def best(study: Study) -> dict[int, float]:
    frame = HORIZON.frame(study).filter(kind="best")
    return dict(frame.select("steps", "rate").iter_rows())


def test_the_best_rate_at_each_of_six_lengths() -> None:
    assert best(drifting()) == {10: 0.1, 20: 0.1, 40: 0.1, 80: 0.01, 160: 0.01, 320: 0.001}
    assert len(best(drifting())) == HORIZONS


def test_a_rate_of_which_a_seed_broke_is_not_the_best_from_there_on() -> None:
    """Lane 5 is the rate 1e-3 of the second seed, which would be best at the end."""
    found = best(drifting(seeds=2, broken=5))
    assert found[320] != 1e-3
    assert found[160] == 0.01
    alone = HORIZON.frame(drifting(seeds=2, broken=5)).filter(kind="seed", steps=320)
    assert alone.filter(seed=0)["rate"].to_list() == [1e-3]
    assert 1e-3 not in alone.filter(seed=1)["rate"].to_list()


def test_the_rates_as_good_are_those_within_a_hundredth_of_what_was_learned() -> None:
    frame = HORIZON.frame(drifting()).filter(kind="best")
    assert (frame["low"] == frame["rate"]).all()
    assert (frame["high"] == frame["rate"]).all()


def test_without_validation_it_is_the_training_loss() -> None:
    frame = HORIZON.frame(descend_line((0.01, 0.05, 0.1, 0.13), epochs=320))
    assert set(frame["objective"]) == {"mean training loss before the end"}
    rows = frame.filter(kind="best").sort("steps")
    assert rows["steps"].to_list() == [10, 20, 40, 80, 160, 320]
    assert set(rows["rate"]) <= {0.01, 0.05, 0.1}


def test_the_slope_is_that_of_the_recommendation() -> None:
    study = STUDIES["usual"]()
    told = study.recommendation().horizon
    frame = HORIZON.frame(study)
    if told is None:
        assert frame["slope"].is_null().all()
    else:
        assert frame["slope"][0] == pytest.approx(told.slope)
        fitted = frame.filter(kind="fit").select("steps", "rate")
        assert fitted.rows() == list(zip(told.steps, told.rates, strict=True))


def test_where_nothing_is_learned_or_all_is_lost_there_is_no_best_rate() -> None:
    assert HORIZON.frame(STUDIES["empty"]()).height == 0
    assert HORIZON.frame(STUDIES["alone"]()).height == 0
    frame = HORIZON.frame(STUDIES["lost"]())
    assert frame.filter(pl.col("value") > 11.25 * 2).height == 0
