"""Wrapping: no line is too long, nothing is lost, and marks stay where they belong."""

from hypothesis import given
from hypothesis import strategies as st

from lrscope.wrapping import width_of, wrapped

CHINESE = "太慢，例如 2.15e-3：最快的一条（0.01）在 881 步中的第 251 步就到了这一条最后的损失。"
ENGLISH = "too slow, as at 2.15e-3: the fastest lane (0.01) first reached this lane's end loss"


@given(st.sampled_from([CHINESE, ENGLISH]), st.integers(14, 100))
def test_lines_are_as_wide_as_was_asked_for_and_hold_all_of_the_text(text: str, letters: int) -> None:
    lines = wrapped(text, letters)
    assert all(width_of(line) <= letters for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line[0] in "，。；：、？！）" or line[-1] == "（" for line in lines)


def test_chinese_fills_its_lines_and_numbers_stay_whole() -> None:
    lines = wrapped(CHINESE, 40)
    assert min(width_of(line) for line in lines[:-1]) >= 34
    assert "（0.01）" in "|".join(lines)


def test_a_word_longer_than_a_line_has_one_of_its_own() -> None:
    assert wrapped("see lrscope.training.finite_differences there", 10) == [
        "see",
        "lrscope.training.finite_differences",
        "there",
    ]


def test_nothing_is_no_line() -> None:
    assert wrapped("", 10) == wrapped("   ", 10) == []
