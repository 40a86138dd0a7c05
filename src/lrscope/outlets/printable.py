"""Printable: text from anywhere, made safe to show in a terminal.

Names of problems, tensors, metrics and files come from other people. ESC sequences in them could move the
cursor, retitle the window or hide a line; bidirectional overrides could reorder it.
"""

import unicodedata

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that a terminal obeys or cannot show: controls, formats, surrogates, separators."""

_JOINERS = "\u200c\u200d"
"""Format characters that spelling needs (Persian, Hindi, emoji) and that move nothing."""


def printable(text: str) -> str:
    r"""Spell out every character that a terminal would obey: ESC becomes the four characters `\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(character) for character in text)


def one_line(text: str) -> str:
    """`printable`, with line breaks, tabs and runs of blanks as one blank: for messages of exceptions."""
    return printable(" ".join(text.split()))


def _spelled(character: str) -> str:
    """The character itself, or its Python escape."""
    if unicodedata.category(character) in _OBEYED and character not in _JOINERS:
        return character.encode("unicode_escape").decode("ascii")
    return character
