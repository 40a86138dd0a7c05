"""Places: labels that never cover each other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lrscope.charts.label_placement import LABEL_GAP, apart, name_early, name_right
from lrscope.charts.scales import Span

AXIS = Span(0.0, 1.0, "linear")


@given(st.lists(st.floats(-50, 400), max_size=40))
def test_labels_are_apart_in_order_and_inside(wanted: list[float]) -> None:
    places = np.array(apart(wanted, 13.0, 0.0, 340.0))
    assert len(places) == len(wanted)
    if len(wanted) < 2:
        return
    order = np.argsort(wanted, kind="stable")
    gap = min(13.0, 340.0 / (len(wanted) - 1))
    assert np.diff(places[order]).min() >= gap - 1e-6
    assert places.min() >= -1e-6
    assert places.max() <= 340 + 1e-6


def test_labels_with_room_do_not_move_and_a_block_moves_least() -> None:
    assert apart([10.0, 100.0], 13.0, 0.0, 340.0) == [10.0, 100.0]
    np.testing.assert_allclose(apart([100.0, 100.0, 100.0], 10.0, 0.0, 340.0), [90.0, 100.0, 110.0])


def rows(*ends: tuple[float, float, float]) -> list[dict[str, float | str]]:
    return [{"rate": rate, "label": f"{rate:g}", "x": x, "y": y} for rate, x, y in ends]


def test_neighbouring_rates_that_end_at_one_place_share_a_name() -> None:
    ends = rows((0.01, 1, 0.5), (0.001, 1, 0.5), (0.1, 1, 0.9), (1.0, 1, 0.5))
    name_right(ends, AXIS, 340.0)
    named = {row["text"]: row["label_y"] for row in ends if "text" in row}
    assert set(named) == {"0.001 – 0.01", "0.1", "1"}
    heights = sorted(float(place) * 340 for place in named.values())
    assert np.diff(heights).min() >= LABEL_GAP - 1e-6


def test_64_names_do_not_crowd() -> None:
    ends = rows(*((rate, 1.0, i / 64) for i, rate in enumerate(np.geomspace(1e-5, 1, 64))))
    name_right(ends, AXIS, 220.0)
    named = [row for row in ends if "text" in row]
    assert 10 <= len(named) <= 17
    assert "text" in ends[0]
    assert "text" in ends[-1]


def test_lanes_that_end_early_at_one_place_share_a_name_too() -> None:
    across = Span(0.0, 100.0, "linear")
    ends = rows((1.0, 1, 1.0), (10.0, 2, 1.0), (100.0, 3, 1.0), (1000.0, 4, 1.0), (5.0, 90, 1.0))
    name_early(ends, across, AXIS, 360.0, 220.0)
    assert [row.get("text") for row in ends] == [None, None, None, "1, 10, 100, …", "5"]
    low = rows((1.0, 50, 0.0))
    name_early(low, across, AXIS, 360.0, 220.0)
    assert float(low[0]["text_y"]) > 0
