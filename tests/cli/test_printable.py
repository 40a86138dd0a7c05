import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrscope.outlets.text import one_line, printable


@pytest.mark.parametrize("text", ["digits", "données", "数字", "λ = 2/η", "می‌خواهم", "👩‍🔬"])
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb", "a\\nb"),
        ("a\rb", "a\\rb"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
        ("\udcff", "\\udcff"),
        ("\x00", "\\x00"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_nothing_is_left_to_obey_and_everything_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert shown.encode("utf-8").decode("utf-8") == shown


@given(st.text())
def test_a_message_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
