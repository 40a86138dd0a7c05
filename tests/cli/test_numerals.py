import pytest

from lrscope.outlets.text import count_text, duration_text, number_text, size_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.302585, "2.303"),
        (0.0123456, "0.01235"),
        (0.0, "0"),
        (1.234e-7, "1.23e-7"),
        (9.87654e12, "9.88e12"),
        (-0.5, "-0.5"),
        (None, "-"),
        (float("nan"), "-"),
        (float("inf"), "-"),
    ],
)
def test_losses(value: float | None, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"),
        (7980, "2 h 13 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (812, "812 B"),
        (41_000, "41 kB"),
        (999_600, "1.0 MB"),
        (1_240_000, "1.2 MB"),
        (52_400_000, "52 MB"),
        (3.2e9, "3.2 GB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_counts() -> None:
    assert [count_text(count, "rate") for count in (0, 1, 1797)] == ["0 rates", "1 rate", "1,797 rates"]
