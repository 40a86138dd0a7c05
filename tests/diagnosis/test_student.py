"""Student's t against the printed tables, and Holm's correction against its definition."""

import math

import pytest

from lrscope.diagnosis.student import holm, inside, quantile

TABLE = {
    (0.95, 1): 12.706,
    (0.95, 2): 4.303,
    (0.95, 3): 3.182,
    (0.95, 4): 2.776,
    (0.95, 9): 2.262,
    (0.95, 30): 2.042,
    (0.99, 1): 63.657,
    (0.99, 7): 3.499,
    (0.5, 10): 0.700,
    (0.999, 19): 3.883,
}
"""Two-sided, as every statistics book prints them."""


@pytest.mark.parametrize(("share", "freedom"), TABLE)
def test_quantiles_are_those_of_the_tables(share: float, freedom: int) -> None:
    t = quantile(share, freedom)
    assert t == pytest.approx(TABLE[share, freedom], abs=6e-4)
    assert inside(t, freedom) == pytest.approx(share, abs=1e-12)


def test_closed_forms_of_one_and_two_degrees_of_freedom() -> None:
    for t in (0.0, 0.1, 1.0, 7.0, 1e4):
        assert inside(t, 1) == pytest.approx(2 / math.pi * math.atan(t), abs=1e-15)
        assert inside(t, 2) == pytest.approx(t / math.sqrt(2 + t * t), abs=1e-15)
    assert inside(math.inf, 5) == 1.0


def test_many_degrees_of_freedom_come_to_the_normal_distribution() -> None:
    for freedom in (9999, 10000):
        assert inside(1.96, freedom) == pytest.approx(math.erf(1.96 / math.sqrt(2)), abs=1e-4)


def test_holm_multiplies_by_the_number_left_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.9, 0.5]) == (1.0, 1.0)
    assert holm([0.02]) == (0.02,)
    assert holm([]) == ()
