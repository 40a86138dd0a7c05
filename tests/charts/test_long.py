"""40,000 steps of 16 lanes: every chart stays small, and no spike is lost."""

import json

import numpy as np
import pytest
from altair.utils.schemapi import debug_mode
from studies import recorded

from lrscope.charts import CHARTS, LIGHT
from lrscope.charts.chart import Chart
from lrscope.charts.envelope import POINTS_PER_CHART
from lrscope.charts.snapshot import Snapshot
from lrscope.plan import Plan

STEPS, LANES, EPOCHS = 40_000, 16, 20
SPIKES = (777, 31_415, 39_998)
"""Steps at which one loss of one lane alone is a thousand times as high."""


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    rng = np.random.default_rng(0)
    rates = tuple(float(f"{rate:.3g}") for rate in np.geomspace(1e-5, 1, LANES))
    plan = Plan(
        problem="long",
        rates=rates,
        seeds=(0,),
        epochs=EPOCHS,
        steps_per_epoch=STEPS // EPOCHS,
        batch_size=32,
        val_size=1000,
        loss="CrossEntropyLoss",
        constant_loss=2.3,
        tensors=("0.weight", "0.bias"),
        shapes=((64, 10), (10,)),
        tracked=(("0.weight", (0, 0)), ("0.bias", (0,))),
    )
    t = np.arange(STEPS)[:, None] / STEPS
    loss = 0.1 + 2.2 * np.exp(-8 * t * np.linspace(0.05, 1, LANES)) + 0.02 * rng.random((STEPS, LANES))
    for lane, step in enumerate(SPIKES):
        loss[step, 4 + lane] = 1000 * loss[step, 4 + lane]
    # Period 2, as at the limit of stability: every n-th point would show one side of it only.
    path = (
        np.where(np.arange(STEPS + 1) % 2 == 0, 1.0, -1.0)[:, None, None] * np.linspace(1, 2, LANES)[:, None]
    )
    path = np.repeat(path, 2, axis=2)
    return Snapshot(
        recorded(
            plan,
            loss=loss.astype(np.float32),
            validated={"val_loss": loss[:: STEPS // EPOCHS] + 0.1},
            stats=(np.empty(0), {}),
            path=path.astype(np.float32),
            histograms={},
            unit="nats",
        )
    )


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_chart_stays_small(chart: Chart, snapshot: Snapshot) -> None:
    frame = chart.frame(snapshot)
    assert frame.height <= POINTS_PER_CHART
    with debug_mode(False):
        spec = chart.draw(frame, LIGHT).to_dict(validate=False)
    assert len(json.dumps(spec, allow_nan=False)) < 700_000


def test_every_spike_of_one_step_is_still_there(snapshot: Snapshot) -> None:
    chart = next(chart for chart in CHARTS if chart.name == "loss")
    frame = chart.frame(snapshot).filter(kind="raw")
    for lane, step in enumerate(SPIKES):
        own = frame.filter(lane=4 + lane)
        assert step in own["step"].to_list()
        assert float(own["value"].max()) > 50  # type: ignore[arg-type]


def test_both_sides_of_a_line_that_alternates_are_still_there(snapshot: Snapshot) -> None:
    chart = next(chart for chart in CHARTS if chart.name == "trajectory")
    own = chart.frame(snapshot).filter(lane=LANES - 1, panel=0)["value"]
    assert own.min() == -2
    assert own.max() == 2
    assert abs(float((own > 0).mean()) - 0.5) < 0.1  # type: ignore[arg-type]
