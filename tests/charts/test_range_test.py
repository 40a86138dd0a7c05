"""The chart of a range test: every ramp can be drawn, in both looks, and nothing is drawn beyond its end."""

import json
from typing import Any

import numpy as np
import pytest
import vl_convert
from altair.utils.schemapi import debug_mode
from numpy.typing import NDArray

from lrscope.charts.range_test import SCHEMA, draw, frame
from lrscope.charts.theme import DARK, LIGHT
from lrscope.diagnosis.range_reading import RangeReading
from lrscope.diagnosis.range_rules import RULES


def reading(losses: NDArray[np.float64]) -> RangeReading:
    rates = np.geomspace(1e-7, 10, losses.shape[1])
    return RangeReading(
        "name", "SGD", rates, losses, tuple(range(len(losses))), 250, f"{len(losses)} lanes", (), 1.0
    )


def falling(seeds: int, steps: int = 100, cliff: float = 0.5) -> NDArray[np.float64]:
    rates = np.geomspace(1e-7, 10, steps)
    random = np.random.default_rng(seeds)
    losses = 2.3 - 1.8 / (1 + 1e-2 / rates) + (rates / cliff) ** 3
    return losses * (1 + 0.1 * random.standard_normal((seeds, steps)))


RAMPS = {
    "four seeds": falling(4),
    "one seed": falling(1),
    "64 seeds": falling(64),
    "never breaks": falling(3, cliff=1e9),
    "thousands of steps": falling(1, steps=5000),
    "breaks at once": np.where(np.arange(100) < 3, 1.0, np.nan)[None],
    "all broken": np.full((2, 100), np.nan),
    "constant": np.full((2, 100), 2.0),
    "negative": falling(2) - 100,
    "huge": np.where(np.arange(100) < 60, 1.0, 1e200)[None],
}


@pytest.mark.parametrize("name", RAMPS)
def test_every_ramp_is_drawn(name: str) -> None:
    theme = DARK if name == "one seed" else LIGHT
    with debug_mode(name == "one seed"):  # checked against the schema of Vega-Lite once
        chart = draw(frame(reading(RAMPS[name])), theme)
    spec = json.dumps(chart.to_dict(validate=name == "one seed"), allow_nan=False)
    svg = vl_convert.vegalite_to_svg(spec)
    assert svg.startswith("<svg")
    assert ("No loss was finite." in svg) == (name == "all broken")
    if name != "all broken":
        assert all(rule.name.replace("<", "&lt;") in svg for rule in RULES)


def test_the_frame_ends_each_seed_where_it_breaks() -> None:
    losses = falling(2)
    losses[0, 50:] = np.nan
    rows = frame(reading(losses))
    assert dict(rows.schema) == SCHEMA
    raw = rows.filter((rows["kind"] == "raw") & (rows["seed"] == 0))
    assert raw["loss"].to_list() == losses[0, :50].tolist()
    end = rows.filter((rows["kind"] == "end") & (rows["seed"] == 0))
    assert end["rate"].to_list() == [np.geomspace(1e-7, 10, 100)[49]]
    rules = rows.filter(rows["kind"] == "rule")
    assert rules["rule"].unique(maintain_order=True).to_list() == [rule.name for rule in RULES]
    assert rules.height == 2 * len(RULES)


def texts(spec: dict[str, Any]) -> set[str]:
    return {row["text"] for rows in spec["datasets"].values() for row in rows if "text" in row}


def test_a_rule_that_finds_something_for_some_seeds_says_for_how_many() -> None:
    losses = falling(3, cliff=1e9)
    losses[0, 80:] = np.nan
    said = texts(draw(frame(reading(losses)), LIGHT).to_dict())
    assert any("(1 of 3 seeds)" in text for text in said)
    assert "nothing found" in texts(draw(frame(reading(falling(3, cliff=1e9))), LIGHT).to_dict())
