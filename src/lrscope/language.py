"""Language: texts in every language, and the language in force.

A sentence and its translation stand together in the code, as a `Text`. Code that judges fills `Text`s and
needs no language. Code that shows a text asks for the language in force (`said`, `say`). `speaking` sets it,
from an option of a command or an argument of a call.
"""

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from lrscope.errors import UsageError

LANGUAGES = ("en", "zh")
"""The languages, by their ISO 639-1 codes; `Text` has a field for each."""

_spoken: ContextVar[str] = ContextVar("lrscope_language", default="en")


class Text(str):
    """A text in every language. As a string, and so for programs, it is the English text.

    Args:
        en, zh: English and simplified Chinese, with the same gaps.
    """

    zh: str

    def __new__(cls, en: str, zh: str) -> "Text":
        """Make a text of its English and Chinese form."""
        text = super().__new__(cls, en)
        text.zh = zh
        return text

    def __reduce__(self) -> tuple[type["Text"], tuple[str, str]]:
        """Return what copies and pickles are made of."""
        return Text, (self.en, self.zh)

    @property
    def en(self) -> str:
        """Return the English text."""
        return str.__str__(self)

    def format(self, *_: object, **values: object) -> "Text":
        """Fill the gaps in every language; a value may itself be a Text."""
        own = {name: value.zh if isinstance(value, Text) else value for name, value in values.items()}
        return Text(self.en.format(**values), self.zh.format(**own))


def said(text: str) -> str:
    """Return a text in the language in force; return a plain string as it is."""
    return str(getattr(text, spoken())) if isinstance(text, Text) else text


def say(en: str, zh: str, **values: object) -> str:
    """Return the text in the language in force, with its gaps filled."""
    text = Text(en, zh)
    return said(text.format(**values) if values else text)


def joined(texts: Iterable[str], between: Text) -> Text:
    """Join texts in every language, each with the separator of that language."""
    every = [text if isinstance(text, Text) else Text(text, text) for text in texts]
    return Text(between.en.join(text.en for text in every), between.zh.join(text.zh for text in every))


def capitalised(text: str) -> Text:
    """Return a text with a capital, to begin a sentence."""
    zh = text.zh if isinstance(text, Text) else text
    return Text(f"{text[:1].upper()}{text[1:]}", zh)


COMMA = Text(", ", "，")
SEMICOLON = Text("; ", "；")
BLANK = Text(" ", "")
"""Separators of texts. Between two sentences English has a blank and Chinese nothing."""


TAG = Text("en", "zh-CN")
"""The tag of the language in HTML (BCP 47)."""


def spoken() -> str:
    """Return the language in force: English, unless `speaking` has set another."""
    return _spoken.get()


@contextlib.contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Set the language in force for the duration of a `with` block.

    Args:
        language: "en" or "zh"; None keeps the language in force.

    Raises:
        UsageError: there is no such language.
    """
    token = _spoken.set(checked(language, "lang=") if language is not None else spoken())
    try:
        yield
    finally:
        _spoken.reset(token)


def checked(language: Any, came_by: str) -> str:
    """Return the language if it is one of `LANGUAGES`.

    Args:
        language: the language as given.
        came_by: the option or argument that gave it, such as "--lang"; begins the message.

    Raises:
        UsageError: there is no such language.
    """
    if language not in LANGUAGES:
        raise UsageError(f"{came_by} wants en (English) or zh (Chinese); got {language!r}")
    return str(language)
