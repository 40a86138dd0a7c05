"""The envelope: few points, and no spike lost; corners: fewer still, and nobody sees it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrscope.charts.envelope import POINTS_PER_CHART, corners, envelope, points_per_line


def test_short_lines_stay_as_they_are() -> None:
    assert envelope(np.arange(5), np.ones(5), 8).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_line_is_cut_at_its_first_value_that_is_not_finite(broken: float) -> None:
    values = np.arange(1000.0)
    values[700:] = broken
    kept = envelope(np.arange(1000), values, 100)
    assert kept[-1] == 699
    assert envelope(np.arange(3), np.full(3, broken), 8).size == 0


@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=400),
    st.integers(8, 60),
    st.integers(1, 9),
)
def test_the_extremes_and_the_ends_are_always_kept(values: list[float], points: int, stride: int) -> None:
    line = np.array(values)
    kept = envelope(np.arange(len(line)) * stride, line, points)
    assert len(kept) <= max(points, 8)
    assert np.all(np.diff(kept) > 0)
    assert line[kept].min() == line.min()
    assert line[kept].max() == line.max()
    assert kept[0] == 0
    assert kept[-1] == len(line) - 1


def test_all_lines_of_a_chart_share_its_points() -> None:
    assert points_per_line(1, 760) == 456
    for lines in (1, 16, 64, 500):
        assert lines * points_per_line(lines, 760) <= POINTS_PER_CHART


@settings(max_examples=200)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=120), st.floats(1e-4, 0.3))
def test_segments_between_corners_pass_every_point_within_the_tolerance(
    values: list[float], tolerance: float
) -> None:
    across, up = np.arange(len(values), dtype=float), np.array(values)
    kept = corners(across, up, tolerance)
    drawn = np.interp(across, across[kept], up[kept])
    assert np.abs(drawn - up).max() <= tolerance * (1 + 1e-9)


def test_a_straight_line_needs_its_ends_only_and_gaps_stay() -> None:
    across = np.arange(1000.0)
    assert corners(across, 2 * across, 1e-3).tolist() == [0, 999]
    up = np.zeros(9)
    up[4] = np.nan
    kept = corners(np.arange(9.0), up, 1e-3)
    assert {0, 3, 4, 5, 8} <= set(kept.tolist())
