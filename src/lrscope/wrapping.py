"""Wrapping: a text as lines of at most so many letters, in any language."""

import re
import unicodedata

_WIDE = r"[\u2e80-\u9fff\uf900-\ufaff\uff01-\uff60]"
"""Characters as wide as two letters."""

_OPENING, _CLOSING = "（“", "，。；：、？！）”"


def wrapped(text: str, letters: int) -> list[str]:
    """Lines of at most so many letters; a Chinese character takes the room of two, and may end a line.

    A mark that closes does not begin a line, one that opens does not end it, and nothing is broken inside a
    word or a number.
    """
    one = rf"[{_OPENING}]*(?:{_WIDE}|(?:(?!{_WIDE})\S)+)[{_CLOSING}]*"
    parts = re.findall(rf"{one}|\s+", text)
    lines, line = [], ""
    for part in parts:
        if line.strip() and width_of(line + part.rstrip()) > letters:
            lines.append(line.rstrip())
            line = ""
        line += part if line or not part.isspace() else ""
    return [*lines, line.rstrip()] if line.strip() else lines


def width_of(text: str) -> int:
    """In letters."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
