"""The valley: what it marks is what the study recommends, and a lost lane never hides the others."""

from typing import Any

import polars as pl
import pytest
from studies import alone, cut_off, empty_study, lost, ringing, seeds, usual

from lrscope.charts import LIGHT
from lrscope.charts.valley import VALLEY
from lrscope.study import Study


def data(spec: dict[str, Any], *fields: str) -> list[dict[str, Any]]:
    """All rows that have these fields."""
    rows = (row for rows in spec["datasets"].values() for row in rows)
    return [row for row in rows if set(fields) <= set(row)]


def test_interval_cliff_and_margin_are_those_of_the_recommendation() -> None:
    study = usual()
    advice = study.recommendation()
    assert advice.rate
    assert advice.margin
    frame = VALLEY.frame(study)
    row = frame.row(0, named=True)
    assert (row["recommended"], row["low"], row["high"]) == (advice.rate, advice.low, advice.high)
    assert (row["worse_from"], row["first_failing"]) == (advice.worse_from, advice.first_failing)
    spec = VALLEY.of(study).to_dict()
    assert data(spec, "low", "high") == [{"low": advice.low, "high": advice.high}]
    assert data(spec, "from", "mid")[0]["from"] == advice.rate
    texts = [row["text"] for row in data(spec, "at", "text")]
    assert texts[0].startswith("recommended ")
    assert texts[1].startswith("fails from ")


@pytest.mark.parametrize("make", [usual, seeds, ringing, alone, cut_off])
def test_every_lane_is_one_point_at_the_loss_the_recommendation_compares_by(make: Any) -> None:
    study: Study = make()
    frame = VALLEY.frame(study)
    assert frame.select("lane", "rate", "seed").sort("lane").rows() == [tuple(k) for k in study.plan.lanes]
    assert frame["axis"].str.starts_with(study.recommendation().objective).all()
    spec = VALLEY.draw(frame, LIGHT).to_dict()
    assert len(data(spec, "label", "verdict", "y")) == len(study.plan.lanes)


def test_the_loss_is_the_smoothed_one_of_the_end_or_the_validation_loss_of_its_end() -> None:
    study = ringing()
    frame = VALLEY.frame(study)
    loss = study.scalars("loss").filter(pl.col("lane") == 0).sort("step")["value"]
    assert frame["axis"][0] == "smoothed training loss at the end (MSELoss)"
    assert frame.filter(pl.col("lane") == 0)["loss"][0] == pytest.approx(loss[-1])
    assert frame["training"].null_count() == frame.height
    assert frame["before"][0] == loss[0]


def test_lanes_that_diverged_stand_on_the_upper_edge() -> None:
    frame = VALLEY.frame(ringing())
    gone = frame.filter(pl.col("verdict") == "diverged")
    assert gone.height >= 2
    assert gone["loss"].null_count() == gone.height
    spec = VALLEY.draw(frame, LIGHT).to_dict()
    marks = data(spec, "label", "verdict", "y")
    top = max(row["y"] for row in marks)
    assert all(row["y"] == top for row in marks if row["verdict"] == "diverged")
    assert all(row["y"] < top for row in marks if row["verdict"] == "good")


def test_seeds_are_a_band_around_their_median() -> None:
    frame = VALLEY.frame(seeds())
    spec = VALLEY.draw(frame, LIGHT).to_dict()
    band = {row["rate"]: row for row in data(spec, "lowest", "highest")}
    for rate, row in band.items():
        losses = frame.filter(pl.col("rate") == rate)["loss"].drop_nulls()
        assert row["lowest"] == pytest.approx(max(losses.min(), row["lowest"]))  # type: ignore[type-var]
        assert row["lowest"] <= losses.median() or losses.median() > row["highest"]  # type: ignore[operator]
    assert len(band) >= 4
    assert "median" in spec["title"]["subtitle"][1]


def test_all_lost_and_nothing_yet_are_pictures_too() -> None:
    spec = VALLEY.of(lost()).to_dict()
    assert {row["verdict"] for row in data(spec, "label", "verdict", "y")} == {"diverged"}
    assert len(data(VALLEY.of(empty_study()).to_dict(), "why")) == 1
