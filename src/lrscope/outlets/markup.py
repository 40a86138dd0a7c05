"""Markup: HTML elements made of text that is escaped unless it is HTML already."""

import html
from typing import TypeAlias

from lrscope.outlets.text import printable


class Html(str):
    """Text that is HTML. Only `element` and `join` make it, so nothing from outside becomes it unescaped."""

    __slots__ = ()


Content: TypeAlias = str | Html | None

_VOID = ("br", "hr")


def element(tag: str, *content: Content, **attributes: str | None) -> Html:
    """An element: `element("p", "a < b", class_="note")` is `<p class="note">a &lt; b</p>`.

    Args:
        tag: its name.
        content: text, escaped; HTML, as it is; None, left out.
        attributes: their values; None leaves one out. A trailing underscore is dropped, others are hyphens.
    """
    listed = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_escaped(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    end = "" if tag in _VOID else f"</{tag}>"
    return Html(f"<{tag}{listed}>{join(*content)}{end}")


def join(*content: Content) -> Html:
    """Contents one after the other."""
    return Html("".join(part if isinstance(part, Html) else _escaped(part) for part in content if part))


def _escaped(text: str) -> str:
    return html.escape(printable(text))
