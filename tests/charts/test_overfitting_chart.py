"""The overfitting test as a chart: its figures are those of the conclusion."""

import math

import polars as pl
import pytest
from studies import STUDIES

from lrscope.charts import LIGHT
from lrscope.charts.overfitting import COMPARISONS, OVERFITTING
from lrscope.study import Study


def claim(study: Study) -> dict[str, object]:
    found = next(c for one in study.conclusions() for c in one.claims if c.token == "overfits")
    return {"finding": found.finding(), **found.numbers}


@pytest.mark.parametrize("name", ["usual", "seeds"])
def test_its_figures_are_those_of_the_conclusion(name: str) -> None:
    study = STUDIES[name]()
    told = claim(study)
    frame = OVERFITTING.frame(study)
    assert frame.height
    assert told["finding"] in frame["note"][0]
    assert set(frame["reference"]) == {told["reference"]}
    for lower in told["lower"]:  # type: ignore[attr-defined]
        for panel, (key, _) in enumerate(COMPARISONS):
            rows = frame.filter(panel=panel, rate=lower["rate"])
            difference = lower[key]
            if difference is None:
                assert rows["kind"].to_list() == ["missing"]
                continue
            mean = rows.row(by_predicate=pl.col("kind") == "mean", named=True)
            share = math.expm1 if told["relative"] else float
            assert mean["value"] == pytest.approx(100 * share(difference["mean"]))
            assert (mean["low"] is None) == (difference["low"] is None)
            each = rows.filter(kind="seed").sort("seed")["value"].to_list()
            wanted = [100 * share(value) for value in difference["each"]]
            assert each == (pytest.approx(wanted) if len(wanted) > 1 else [])


def test_with_one_seed_nothing_is_called_good_or_worse() -> None:
    frame = OVERFITTING.frame(STUDIES["usual"]())
    assert set(frame.filter(kind="mean")["finding"]) == {"open"}
    assert frame.filter(kind="mean")["low"].is_null().all()


def test_every_comparison_has_a_panel_and_all_share_one_scale() -> None:
    spec = OVERFITTING.draw(OVERFITTING.frame(STUDIES["seeds"]()), LIGHT).to_dict()
    assert len(spec["concat"]) == len(COMPARISONS)
    domains = {
        str(layer["encoding"]["y"]["scale"]["domain"])
        for panel in spec["concat"]
        for layer in panel["layer"]
        if "scale" in layer["encoding"].get("y", {})
    }
    assert len(domains) == 1
