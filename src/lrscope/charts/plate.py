"""What every finished chart carries, and what one shows while there is nothing to draw."""

import textwrap
from typing import NamedTuple, TypeVar

import altair as alt

from lrscope.charts.chart import Drawing
from lrscope.charts.inline import inline
from lrscope.charts.theme import Theme

_ACTIONS = {"export": True, "source": False, "compiled": False, "editor": False}
"""The menu of a chart in a notebook: "Open in Vega Editor" would send the study to another machine."""

_PLATE = 720
_LETTER = 8
"""Pixels: of an empty plate, and of a letter on it, at most."""

Drawn = TypeVar("Drawn", bound=Drawing)


class Words(NamedTuple):
    """What is written on and about a chart.

    Attributes:
        title, question: its heading and its subtitle.
        about: the picture told to those who cannot see it.
        note: a second line under the title, "" for none.
    """

    title: str
    question: str
    about: str = ""
    note: str = ""


def finished(drawing: Drawn, theme: Theme, words: Words) -> Drawn:
    """The drawing with its words and its theme, changed in place.

    `.properties` would copy all of it once more.
    """
    subtitle = [words.question, words.note] if words.note else [words.question]
    drawing.title = alt.TitleParams(text=words.title, subtitle=subtitle)
    drawing.description = words.about
    drawing.config = theme.config
    drawing.usermeta = {"embedOptions": {"actions": _ACTIONS}}
    return drawing


def nothing(theme: Theme, words: Words) -> alt.LayerChart:
    """An empty plate with its title and, in a sentence (`about`), why it is empty."""
    width = _PLATE if theme.room is None else max(60, round(theme.room.width))
    lines = textwrap.wrap(words.about, width // _LETTER)
    why = (
        alt.Chart(inline([{"why": "\n".join(lines)}]))
        .mark_text(
            align="left",
            baseline="top",
            fontSize=13,
            color=theme.muted,
            limit=width,
            lineBreak="\n",
            lineHeight=17,
        )
        .encode(x=alt.value(0), y=alt.value(8), text="why:N")
    )
    height = 23 + 17 * len(lines)
    return finished(alt.LayerChart(layer=[why], width=width, height=height), theme, words)
