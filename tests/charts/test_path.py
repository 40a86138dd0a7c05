"""The plane that paths are drawn in: of two weights that move."""

import polars as pl
from studies import STUDIES

from lrscope.charts.path import PATH, frame
from lrscope.charts.snapshot import Snapshot


class _Known(Snapshot):
    """A study that knows the loss over its first two scalars."""

    def note(self, key: str) -> object:
        known = {"x": [0.0, 1.0], "y": [0.0, 1.0], "loss": [[1.0, 2.0], [3.0, 4.0]]}
        return known if key == "landscape" else super().note(key)


def test_the_weight_of_a_black_pixel_is_passed_over_with_the_loss_over_it() -> None:
    study = STUDIES["usual"]()
    first = study.trajectories().filter(pl.col("tensor") == "0.weight")
    assert first.group_by("lane").agg(pl.col("value").n_unique())["value"].max() == 1
    rows = frame(_Known(study))
    assert rows["kind"].unique().to_list() == ["path"]
    assert rows.select("x_axis", "y_axis").unique().rows() == [("0.bias[0]", "1.weight[0, 0]")]


def test_seeds_that_begin_in_different_places_do_not_make_it_move() -> None:
    rows = frame(STUDIES["seeds"]())
    assert rows["x_axis"].unique().to_list() == ["0.bias[0]"]


def test_the_loss_is_drawn_over_the_first_two_where_they_move() -> None:
    rows = frame(_Known(STUDIES["ringing"]()))
    assert rows.filter(pl.col("kind") == "cell").height == 4
    assert rows["x_axis"].unique().to_list() == ["0.weight[0, 0]"]


def test_every_path_is_named_where_it_ends_and_needs_no_key() -> None:
    study = STUDIES["ringing"]()
    spec = PATH.of(study).to_dict()
    names = {
        name
        for rows in spec["datasets"].values()
        for row in rows
        if "text" in row
        for name in row["text"].split(", ")
    }
    assert names == {"0.01", "0.1", "0.119", "0.12", "0.13", "1"}
    keys = [
        layer["encoding"][channel].get("legend")
        for layer in spec["layer"]
        for channel in ("color", "shape")
        if channel in layer["encoding"]
    ]
    assert [key["orient"] for key in keys if key] == ["bottom"] * 2  # of the verdicts, shape and colour
