import math
import sys
from itertools import count, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrscope.errors import RatesError
from lrscope.rates import MOST_RATES, format_rate, format_rates, read_rates

positive = st.floats(min_value=5e-324, max_value=sys.float_info.max)
usual = st.floats(min_value=1e-12, max_value=1e6)


def test_a_string_of_numbers_is_returned_rising():
    assert read_rates("0.1, 1e-2 ,1") == (0.01, 0.1, 1.0)


def test_a_range_is_even_in_the_logarithm_with_both_ends_exact():
    rates = read_rates("1e-5:1:16")
    assert len(rates) == 16
    assert (rates[0], rates[-1]) == (1e-5, 1.0)
    np.testing.assert_allclose(np.diff(np.log10(rates)), 5 / 15, rtol=1e-12)


def test_the_decades_of_a_range_are_the_numbers_a_user_would_type():
    assert read_rates("1e-5:1:6") == (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


@pytest.mark.parametrize(
    "rates",
    [
        [1, 0.1],
        (0.1, 1),
        np.array([1.0, 0.1]),
        {0.1, 1.0},
        (rate for rate in (1.0, 0.1)),
        [np.float64(0.1), 1],
    ],
)
def test_every_sequence_of_numbers_is_read(rates):
    read = read_rates(rates)
    assert read == (0.1, 1.0)
    assert all(type(rate) is float for rate in read)


@given(st.lists(positive, min_size=1, max_size=30, unique=True))
def test_what_is_written_out_in_full_is_read_back(rates):
    text = ",".join(repr(rate) for rate in rates)
    assert read_rates(text) == read_rates(rates) == tuple(sorted(rates))


@given(positive, positive, st.integers(min_value=2, max_value=200))
def test_a_range_rises_between_its_exact_ends_or_is_refused(one, other, number):
    start, stop = min(one, other), max(one, other)
    try:
        rates = read_rates(f"{start!r}:{stop!r}:{number}")
    except RatesError:
        assert stop <= start * 1.000001 or stop < 1e-300
        return
    assert len(rates) == number
    assert (rates[0], rates[-1]) == (start, stop)
    assert all(smaller < larger for smaller, larger in pairwise(rates))


def test_a_range_next_to_the_largest_number_is_refused():
    with pytest.raises(RatesError, match="too close"):
        read_rates("1.7976931348622105e+308:1.7976931348622107e+308:3")


@given(usual, st.floats(min_value=1.01, max_value=1e6), st.integers(min_value=3, max_value=60))
def test_the_ratio_of_neighbours_in_a_range_is_constant(start, factor, number):
    rates = np.array(read_rates(f"{start!r}:{start * factor!r}:{number}"))
    np.testing.assert_allclose(rates[1:] / rates[:-1], factor ** (1 / (number - 1)), rtol=1e-9)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ("", "no learning rate"),
        ([], "no learning rate"),
        ("0,1", "rate '0' is not positive"),
        ("0.1,-1e-3", "rate '-1e-3' is not positive"),
        ("nan", "rate 'nan' is not a number"),
        ("0.1,inf", "rate 'inf' is infinite"),
        ("1e400", "rate '1e400' is infinite"),
        ([10**400], "is infinite"),
        ("fast", "rate 'fast' is not a number"),
        ("0.1,,1", "rate '' is not a number"),
        ([None], "rate None is not a number"),
        ([True, 0.1], "rate True is not a number"),
        ([[0.1], [1.0]], "is not a number"),
        (np.array([[0.1], [1.0]]), "wants a string or a sequence of numbers"),
        (0.1, "wants a string or a sequence of numbers; got 0.1"),
        (b"0.1", "wants a string or a sequence of numbers"),
        (None, "wants a string or a sequence of numbers; got None"),
        ("0.1,1,0.10", "rate 0.1 stands twice"),
        ("0.1:1:3,1", "rate 1.0 stands twice"),
        ("1e-5:1", "has 2 parts"),
        ("1e-5:1:4:2", "has 4 parts"),
        ("1:1e-5:4", "does not rise"),
        ("0.1:1:1", "asks for 1 rates"),
        ("0.1:1:4.5", "not a whole number"),
        ("0.1:1:" + "9" * 5000, "not a whole number"),
        ("1e-5:inf:4", "rate 'inf' is infinite"),
        ("1:1.0000000000000002:9", "too close for 9 different rates"),
        ("x" * 10_000, "is not a number"),
        ("0.1\n\n1", "is not a number"),
    ],
)
def test_bad_rates_are_refused_in_one_short_line(rates, words):
    with pytest.raises(RatesError) as caught:
        read_rates(rates)
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert len(message) < 260


def test_ten_thousand_rates_are_read_at_once_and_a_thousand_million_are_refused_unread():
    assert len(read_rates("1e-5:1:10000")) == 10_000
    assert len(read_rates(",".join(str(rate) for rate in range(1, 10_001)))) == 10_000
    for too_many in ("1e-5:1:1000000000", (1 + number for number in count()), "1:2:99999,3:4:99999"):
        with pytest.raises(RatesError, match=f"more than {MOST_RATES:,}"):
            read_rates(too_many)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (1e-5, "1e-5"),
        (1e-3, "1e-3"),
        (0.01, "0.01"),
        (0.0316227766, "0.0316"),
        (3.16227766e-5, "3.16e-5"),
        (0.1, "0.1"),
        (1.0, "1"),
        (2.5, "2.5"),
        (10.0, "10"),
        (100.0, "100"),
        (999.4, "999"),
        (999.6, "1e3"),
        (0.0099999, "0.01"),
        (12755.16, "1.28e4"),
        (1e-10, "1e-10"),
        (0.0, "0"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_a_rate_is_written_as_people_type_it(rate, text):
    assert format_rate(rate) == text


@given(st.floats(min_value=1e-300, max_value=1e300), st.integers(min_value=3, max_value=17))
def test_what_is_written_reads_back_to_the_digits_shown(rate, digits):
    written = float(format_rate(rate, digits))
    assert math.isclose(written, rate, rel_tol=0.5 * 10.0 ** (1 - digits) * 1.001)


@given(st.lists(positive, min_size=1, max_size=40))
def test_different_rates_are_written_differently_and_equal_ones_alike(rates):
    texts = dict(zip(rates, format_rates(rates), strict=True))
    assert len(set(texts.values())) == len(set(rates))
