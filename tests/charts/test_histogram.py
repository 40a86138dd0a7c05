"""The histogram grid: every count kept, every row in its place, every epoch on one axis."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from studies import STUDIES, ringing, seeds, usual

from lrscope.charts import LIGHT
from lrscope.charts.histogram import HISTOGRAM, MOST_BINS, MOST_COUNTS, MOST_LANES
from lrscope.charts.spread import SPREAD
from lrscope.charts.spread_measures import percentile_width


def columns(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec["hconcat"])


@pytest.mark.parametrize("name", ["many", "seeds", "ringing", "cut_off"])
def test_the_grid_is_whole_whatever_became_of_the_lanes(name: str) -> None:
    frame = HISTOGRAM.frame(STUDIES[name]())
    places, lanes, epochs = (frame[key].n_unique() for key in ("place", "lane", "epoch"))
    assert frame.height == places * lanes * epochs
    assert lanes <= MOST_LANES
    assert frame["counts"].list.len().sum() <= MOST_COUNTS * 1.2
    assert frame["counts"].list.len().max() <= MOST_BINS  # type: ignore[operator]
    assert (frame["edges"].list.len() == frame["counts"].list.len() + 1).all()


def test_every_element_is_counted_in_the_bin_it_is_in() -> None:
    study = usual()
    frame = HISTOGRAM.frame(study)
    sizes = dict(zip(study.plan.tensors, map(np.prod, study.plan.shapes), strict=True))
    totals = frame.with_columns(total=pl.col("counts").list.sum())
    assert all(row["total"] == sizes[row["tensor"]] for row in totals.iter_rows(named=True))
    recorded = study.histograms().filter((pl.col("lane") == 3) & (pl.col("epoch") == 20))
    mine = frame.filter((pl.col("lane") == 3) & (pl.col("epoch") == 20))
    for tensor in study.plan.tensors:
        one, other = (rows.filter(pl.col("tensor") == tensor).row(0, named=True) for rows in (recorded, mine))
        assert one["counts"] == other["counts"]
        assert one["edges"] == other["edges"]


def test_a_lane_that_stopped_keeps_its_row_and_says_so() -> None:
    frame = HISTOGRAM.frame(ringing())
    gone = frame.filter((pl.col("rate") == 1.0) & (pl.col("epoch") == 400))
    assert gone["counts"].list.sum().to_list() == [0, 0]
    assert gone["absent"].str.starts_with("stopped at step ").all()
    spec = HISTOGRAM.draw(frame, LIGHT).to_dict()
    notes = [row.get("note") for rows in spec["datasets"].values() for row in rows if row.get("epoch") == 400]
    assert any(note and note.startswith("stopped at step") for note in notes)


def test_one_axis_holds_for_all_epochs_and_heights_for_all_rows() -> None:
    spec = HISTOGRAM.of(usual()).to_dict()
    for column in columns(spec):
        encodings = [layer["encoding"] for layer in column["spec"]["layer"] if "fill" in layer["encoding"]]
        assert [encoding["y"]["scale"]["domain"] for encoding in encodings] == [[0, 100]]
        low, high = encodings[0]["x"]["scale"]["domain"]
        edges = [x for rows in spec["datasets"].values() for row in rows for x in row.get("x", [])]
        assert edges
        assert low < 0 < high
        lanes = [row["h"] for rows in spec["datasets"].values() for row in rows if "h" in row]
        assert {max(h) for h in lanes} == {100}


def test_lanes_that_go_far_do_not_squeeze_the_others() -> None:
    frame = HISTOGRAM.frame(seeds())
    spec = HISTOGRAM.draw(frame, LIGHT).to_dict()
    scale = columns(spec)[0]["spec"]["layer"][1]["encoding"]["x"]["scale"]
    assert scale["type"] == "symlog"
    reach = frame.filter((pl.col("place") == 0) & (pl.col("verdict") == "good"))["edges"].list.max().max()
    assert reach is not None
    assert scale["constant"] < float(reach)  # type: ignore[arg-type]


def test_the_slider_has_equal_steps_and_starts_at_the_end() -> None:
    spec = HISTOGRAM.of(usual()).to_dict()
    (slider,) = spec["params"]
    assert slider["name"] == "epoch"
    assert slider["value"] == 20
    assert (slider["bind"]["min"], slider["bind"]["max"], slider["bind"]["step"]) == (0, 20, 1)
    epochs = sorted({row["epoch"] for rows in spec["datasets"].values() for row in rows if "epoch" in row})
    assert epochs == list(range(21))
    (slider,) = HISTOGRAM.of(ringing()).to_dict()["params"]
    assert (slider["bind"]["max"] - slider["bind"]["min"]) % slider["bind"]["step"] == 0


def test_a_percentile_width_is_that_of_the_elements() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    counts, edges = np.histogram(values, 400)
    expected = np.subtract(*np.quantile(values, [0.99, 0.01]))
    assert percentile_width(edges, counts.astype(float)) == pytest.approx(expected, rel=0.01)
    assert np.isnan(percentile_width(np.arange(3.0), np.zeros(2)))
    one_bin = percentile_width(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 5.0, 0.0]))
    assert one_bin == pytest.approx(0.98)


def test_spread_is_that_of_the_last_point_of_each_lane() -> None:
    study = usual()
    frame = SPREAD.frame(study)
    assert frame["measure"].unique(maintain_order=True).to_list() == [
        "standard deviation",
        "1st to 99th percentile",
        "largest magnitude",
    ]
    last = study.tensors("weight_std").filter((pl.col("lane") == 15) & (pl.col("tensor") == "0.weight"))
    mine = frame.filter((pl.col("lane") == 15) & (pl.col("tensor") == "0.weight"))
    assert mine["value"][0] == last.sort("step")["value"][-1]
    assert mine["before"][0] == last.sort("step")["value"][0]
    assert mine["value"][0] > 10 * mine["before"][0]
    assert frame["value"].min() > 0  # type: ignore[operator]


def test_single_scalars_have_no_spread_and_what_is_shown_is_said() -> None:
    frame = SPREAD.frame(ringing())  # tensors of one element each, some at 1e27
    assert set(frame["measure"]) == {"largest magnitude"}
