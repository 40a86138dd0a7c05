"""Lines of lanes: spikes and ringing survive, a lane that diverged ends in a mark and flattens nothing."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from studies import cut_off, lost, ringing, seeds, usual

from lrscope.charts import LIGHT
from lrscope.charts.curves import TRAINING, VALIDATION
from lrscope.charts.motion import UPDATES
from lrscope.charts.outcomes import judged_lanes
from lrscope.charts.scales import Span
from lrscope.charts.trajectory import TRAJECTORY


def panels(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec.get("concat", [spec]))


def domain(panel: dict[str, Any]) -> Span:
    """The y axis of a panel."""
    scale = panel["layer"][0]["encoding"]["y"]["scale"]
    return Span(*scale["domain"], scale["type"], scale.get("constant", 1.0))


def rows(spec: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec["datasets"][layer["data"]["name"]])


def marks(spec: dict[str, Any], panel: dict[str, Any]) -> list[dict[str, Any]]:
    """Where lanes end, with their verdicts."""
    layer = next(layer for layer in panel["layer"] if layer["mark"]["type"] == "point")
    return rows(spec, layer)


def test_ringing_is_drawn_and_not_smoothed_away() -> None:
    study = ringing()
    frame = TRAJECTORY.frame(study)
    assert set(frame["kind"]) == {"raw"}
    lane = frame.filter((pl.col("panel") == 0) & (pl.col("rate") == 0.119)).sort("step")
    early = lane.filter(pl.col("step") < 60)["value"].to_numpy()
    # Period 2: neighbouring points lie on different sides of the solution, 3.
    assert np.mean((early[1:] > 3) != (early[:-1] > 3)) > 0.85
    spec = TRAJECTORY.draw(frame, LIGHT).to_dict()
    line = next(row for row in rows(spec, panels(spec)[0]["layer"][0]) if row["label"] == "0.119")
    drawn = np.array(line["y"][:40], float)
    assert np.mean((drawn[1:] > 3) != (drawn[:-1] > 3)) > 0.85


def test_a_lane_that_diverges_ends_in_a_mark_and_flattens_nothing() -> None:
    spec = TRAJECTORY.of(ringing()).to_dict()
    for panel in panels(spec):
        axis = domain(panel)
        assert axis.high - axis.low < 20
        ends = {row["label"]: row for row in marks(spec, panel)}
        assert ends["1"]["verdict"] == "diverged"
        assert ends["1"]["y"] in (axis.low, axis.high)
        assert ends["1"]["x"] < 10
        assert abs(ends["1"]["ends"]) > 1e100
        assert ends["0.01"]["x"] == 400
        drawn = [y for row in rows(spec, panel["layer"][0]) for y in row["y"] if y is not None]
        tolerance = 1e-3 * (axis.high - axis.low)
        assert min(drawn) >= axis.low - tolerance
        assert max(drawn) <= axis.high + tolerance


def test_where_every_lane_is_lost_each_is_seen_to_its_end() -> None:
    spec = TRAINING.of(lost()).to_dict()
    axis = domain(spec)
    assert axis.kind == "log"
    ends = marks(spec, spec)
    assert [row["verdict"] for row in ends] == ["diverged"] * 3
    assert all(axis.low < row["y"] <= axis.high for row in ends)
    assert axis.part(min(row["y"] for row in ends)) > 0.9


def test_the_mean_is_drawn_beside_the_noise_of_mini_batches_and_not_beside_full_batches() -> None:
    noisy = TRAINING.frame(usual())
    assert set(noisy["kind"]) == {"raw", "mean"}
    assert noisy["note"][0].startswith("Bold")
    loss = usual().scalars("loss").filter(pl.col("lane") == 8)["value"]
    mine = noisy.filter(pl.col("lane") == 8)
    raw, mean = (mine.filter(pl.col("kind") == kind)["value"] for kind in ("raw", "mean"))
    assert (raw.min(), raw.max()) == (loss.min(), loss.max())
    assert mean.len() == 60
    assert mean.mean() == pytest.approx(loss.mean(), rel=0.02)
    assert set(TRAINING.frame(ringing())["kind"]) == {"raw"}


def test_epochs_are_counted_from_before_training() -> None:
    frame = VALIDATION.frame(seeds())
    assert sorted(set(frame["step"])) == [0, 1, 2, 3, 4]
    assert frame.filter(pl.col("step") == 0)["value"].max() < 3  # type: ignore[operator]


def test_a_ratio_over_a_tensor_of_zeros_is_left_out_and_not_the_end_of_the_lane() -> None:
    frame = UPDATES.frame(ringing())
    lane = frame.filter((pl.col("rate") == 0.01) & (pl.col("panel") == 0))
    assert lane["step"].max() > 300  # type: ignore[operator]
    assert lane["value"].is_finite().all()


def test_a_scalar_that_no_lane_moves_has_no_panel_and_is_named() -> None:
    study = usual()
    still = study.trajectories().filter(pl.col("tensor") == "0.weight")  # of a pixel that is always black
    assert still["value"].n_unique() == 1
    frame = TRAJECTORY.frame(study)
    assert not (frame["panel_title"] == "0.weight[0, 0]").any()
    assert frame["note"][0] == "Never moves: 0.weight[0, 0]."

    class Frozen:
        plan = study.plan
        lanes = study.lanes
        verdicts, recommendation = study.verdicts, study.recommendation

        def trajectories(self) -> pl.DataFrame:
            return study.trajectories().with_columns(value=pl.lit(1.0))

    assert TRAJECTORY.frame(Frozen())["panel"].n_unique() == 4  # type: ignore[arg-type]


def test_steps_and_epochs_are_counted_in_whole_numbers() -> None:
    for chart in (TRAINING, VALIDATION):
        for layer in chart.of(cut_off()).to_dict()["layer"]:
            if layer["encoding"]["x"].get("field") == "x":
                ticks = layer["encoding"]["x"]["axis"]["values"]
                assert len(ticks) >= 3
                assert all(tick == int(tick) for tick in ticks)


def test_hovering_over_a_lane_dims_the_others_in_all_panels() -> None:
    spec = TRAJECTORY.of(seeds()).to_dict()
    (param,) = spec["params"]
    assert param["select"]["fields"] == ["label"]
    named = [layer["name"] for panel in panels(spec) for layer in panel["layer"] if "name" in layer]
    assert param["views"] == named
    assert len(named) == len(panels(spec)) == 3


def test_a_lane_whose_noise_leaves_the_scale_is_marked_where_its_mean_ends() -> None:
    study = usual()
    lane = int(judged_lanes(study).filter(pl.col("verdict") == "good")["lane"][0])
    frame = TRAINING.frame(study)
    noise = (pl.col("lane") == lane) & (pl.col("kind") == "raw") & (pl.col("step") > 100)
    deep = frame.with_columns(
        value=pl.when(noise & (pl.int_range(pl.len()) % 2 == 0)).then(1e-30).otherwise("value"),
        verdict=pl.when(pl.col("lane") == lane).then(pl.lit("unstable")).otherwise("verdict"),
    )
    spec = TRAINING.draw(deep, LIGHT).to_dict()
    (end,) = [row for row in marks(spec, spec) if row["lane"] == lane]
    assert end["x"] == frame["step"].max()
