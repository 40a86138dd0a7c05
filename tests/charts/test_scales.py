"""Scales: domains that no wild lane spoils, places and ticks."""

import math
import re

import altair as alt
import numpy as np
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from lrscope.charts.scales import RATE_TICK, Span, rate_span, span
from lrscope.rates import format_rate

AXES = (Span(0.001, 100.0, "log"), Span(-3.0, 5.0, "linear"), Span(-50.0, 20.0, "symlog", 0.1))


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.kind)
@given(part=st.floats(0, 1))
def test_a_place_on_the_axis_and_its_value_belong_together(axis: Span, part: float) -> None:
    assert axis.part(axis.at(part)) == pytest.approx(part, abs=1e-9)


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.kind)
def test_ticks_are_inside_rising_and_enough(axis: Span) -> None:
    assert 3 <= len(axis.ticks) <= 9
    assert axis.ticks == sorted(set(axis.ticks))
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


@given(st.floats(-200, 200), st.floats(0.001, 300))
def test_log_ticks_stand_inside_whatever_the_span(power: float, decades: float) -> None:
    axis = Span(10.0**power, 10.0 ** min(power + decades, 300), "log")
    assert all(axis.low * (1 - 1e-9) <= tick <= axis.high * (1 + 1e-9) for tick in axis.ticks)
    assert len(axis.ticks) <= 12


def test_one_wild_lane_does_not_flatten_the_others() -> None:
    calm = np.linspace(-1.0, 2.0, 50)
    axis = span(calm, np.append(calm, [1e30, -1e30]), room=3.0, log=False)
    assert (2.0 - -1.0) / (axis.high - axis.low) > 0.3
    losses = np.geomspace(0.01, 2.3, 50)
    axis = span(losses, np.append(losses, 1e300), room=10.0)
    assert axis.kind == "log"
    assert axis.high < 30
    assert axis.low < 0.01


def test_where_all_are_wild_all_is_shown() -> None:
    every = np.geomspace(1.0, 1e300, 100)
    axis = span(np.empty(0), every, room=10.0)
    assert axis.kind == "log"
    assert axis.part(1e300) > 0.95
    both_ways = every * np.where(np.arange(100) % 2, 1, -1)
    axis = span(np.empty(0), both_ways, room=3.0)
    assert axis.kind == "symlog"
    assert 0 < axis.part(-1e100) < 0.45 < 0.55 < axis.part(1e100) < 1


@pytest.mark.parametrize(
    "values", [[], [0.0], [3.0, 3.0], [math.nan], [math.inf, 1.0], [-5.0], [1e-320, 1e308]]
)
@pytest.mark.parametrize("log", [True, False, None])
def test_a_span_is_finite_and_open_whatever_comes(values: list[float], log: bool | None) -> None:
    axis = span(np.array(values), np.array(values), room=3.0, log=log)
    assert math.isfinite(axis.low)
    assert math.isfinite(axis.high)
    assert axis.low < axis.high
    assert axis.scale["domain"] == [axis.low, axis.high]


def test_the_rate_axis_has_room_for_one_rate_and_for_many() -> None:
    assert rate_span(np.array([0.01])).part(0.01) == pytest.approx(0.5)
    axis = rate_span(np.geomspace(1e-5, 1, 16))
    assert 1e-6 < axis.low < 1e-5
    assert 1 < axis.high < 10
    assert axis.ticks == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def test_a_line_is_cut_at_the_edge_with_a_gap() -> None:
    axis = Span(0.0, 10.0, "linear")
    across, up = axis.cut(np.arange(5.0), np.array([5.0, 15.0, 25.0, -10.0, 5.0]))
    assert np.all(np.isnan(up) | ((up >= 0) & (up <= 10)))
    np.testing.assert_allclose(across[:2], [0, 0.5])
    np.testing.assert_allclose(up[:2], [5, 10])
    assert np.isnan(up[2])
    assert up[-1] == 5
    # The jump from 25 to -10 crosses the panel: it is drawn from edge to edge.
    crossing = np.flatnonzero(up == 0)
    np.testing.assert_allclose(across[crossing[0]], 2 + 25 / 35)


def test_rate_ticks_are_written_as_rates_are_everywhere_else() -> None:
    rates = [1e-7, 1.5e-3, 9.9e-3, 0.01, 0.02, 0.12, 0.5, 1.0, 10.0, 500.0, 1e3, 2e5]
    ticks = alt.Chart(alt.Data(values=[{}])).mark_point()
    axis = alt.Axis(values=rates, labelExpr=RATE_TICK, labelOverlap=False)
    scale = alt.Scale(type="log", domain=[1e-8, 1e6])
    chart = ticks.encode(x=alt.X("rate:Q", scale=scale, axis=axis)).properties(width=2000)
    svg = vl_convert.vegalite_to_svg(chart.to_json())
    assert [text for text in re.findall(r">([^<>]+)</text>", svg) if text != "rate"] == [
        format_rate(rate) for rate in rates
    ]
