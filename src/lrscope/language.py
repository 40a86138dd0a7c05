"""Language: a text in every language, and the language in which things are said.

A sentence and its translations stand together where the sentence is used, as a `Text`. Code that judges makes
and fills `Text`s and needs no language; code that shows asks for the one in force (`said`, `say`), which
`speaking` sets at the door: an option of a command, an argument of a call.
"""

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from lrscope.errors import UsageError

LANGUAGES = ("en", "zh")
"""By their ISO 639-1 codes; `Text` has a field for each."""

_spoken: ContextVar[str] = ContextVar("lrscope_language", default="en")


class Text(str):
    """A text in every language. As a plain string, and so to programs, it is the English one.

    Args:
        en, zh: English and simplified Chinese, with the same gaps.
    """

    zh: str

    def __new__(cls, en: str, zh: str) -> "Text":
        """Make it."""
        text = super().__new__(cls, en)
        text.zh = zh
        return text

    def __reduce__(self) -> tuple[type["Text"], tuple[str, str]]:
        """What copies and pickles are made of."""
        return Text, (self.en, self.zh)

    @property
    def en(self) -> str:
        """The English one."""
        return str.__str__(self)

    def format(self, *_: object, **values: object) -> "Text":
        """Fill the gaps, in every language; a value may be a text itself."""
        own = {name: value.zh if isinstance(value, Text) else value for name, value in values.items()}
        return Text(self.en.format(**values), self.zh.format(**own))


def said(text: str) -> str:
    """A text in the language in force; what is the same in all of them as it is."""
    return str(getattr(text, spoken())) if isinstance(text, Text) else text


def say(en: str, zh: str, **values: object) -> str:
    """The one of these that is in the language in force, its gaps filled."""
    text = Text(en, zh)
    return said(text.format(**values) if values else text)


def joined(texts: Iterable[str], between: Text) -> Text:
    """Texts one after the other, in every language, with that language's own sign between them."""
    every = [text if isinstance(text, Text) else Text(text, text) for text in texts]
    return Text(between.en.join(text.en for text in every), between.zh.join(text.zh for text in every))


def capitalised(text: str) -> Text:
    """The same as the beginning of a sentence."""
    zh = text.zh if isinstance(text, Text) else text
    return Text(f"{text[:1].upper()}{text[1:]}", zh)


COMMA = Text(", ", "，")
SEMICOLON = Text("; ", "；")
BLANK = Text(" ", "")
"""Signs between texts; between two sentences there is a blank, in Chinese nothing."""


TAG = Text("en", "zh-CN")
"""Of the language, as HTML and browsers know it (BCP 47)."""


def spoken() -> str:
    """The language in force: English, unless `speaking` says otherwise."""
    return _spoken.get()


@contextlib.contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Say things in a language as long as this lasts.

    Args:
        language: "en" or "zh"; None for the one in force, which is English unless a command was asked for
            another.

    Raises:
        UsageError: there is no such language.
    """
    token = _spoken.set(checked(language, "lang=") if language is not None else spoken())
    try:
        yield
    finally:
        _spoken.reset(token)


def checked(language: Any, came_by: str) -> str:
    """The language, if it is one of `LANGUAGES`.

    Args:
        language: as it was given.
        came_by: where, "--lang"; begins the message.

    Raises:
        UsageError: there is no such language.
    """
    if language not in LANGUAGES:
        raise UsageError(f"{came_by} wants en (English) or zh (Chinese); got {language!r}")
    return str(language)
