"""Unbroken: text in which no line ends inside what is to be typed, or inside a number."""

import re

from lrscope.outlets.markup import Html, element, join

_KEPT = re.compile(r"(--[a-z-]+(?: [0-9](?:[0-9a-z.,:-]*[0-9])?| [a-z]+-[a-z]+)?|[0-9.]+e-[0-9]+)")


def unbroken(text: str) -> Html:
    """The text, with "--rates 1e-3:0.5:12" or "--schedule warmup-cosine" as code, and "1e-3" in one piece."""
    return join(*(_piece(part) if i % 2 else part for i, part in enumerate(_KEPT.split(text))))


def _piece(part: str) -> Html:
    return element("code", part) if part[0] == "-" else element("span", part, class_="unbroken")
