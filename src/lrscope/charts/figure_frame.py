"""What every finished chart carries, and what one shows while there is nothing to draw."""

from typing import NamedTuple, TypeVar

import altair as alt

from lrscope.charts.chart import Drawing
from lrscope.charts.inline import inline
from lrscope.charts.theme import Theme
from lrscope.language import said, say
from lrscope.wrapping import wrapped

_ACTIONS = {"export": True, "source": False, "compiled": False, "editor": False}
"""The menu of a chart in a notebook: "Open in Vega Editor" would send the study to another machine."""

EMPTY = "empty"
"""Of an empty plate in the `usermeta` of its specification: a page writes the sentence itself."""

_PLATE = 720
_LETTER = 8
"""Pixels: of an empty plate, and of a letter on it, at most."""

Drawn = TypeVar("Drawn", bound=Drawing)


class Words(NamedTuple):
    """What is written on and about a chart; a `Text` is said in the language in force.

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
    subtitle = [said(line) for line in (words.question, words.note) if line]
    drawing.title = alt.TitleParams(text=said(words.title), subtitle=subtitle)
    drawing.description = said(words.about)
    drawing.config = theme.config
    actions = {"SVG_ACTION": say("Save as SVG", "存为 SVG"), "PNG_ACTION": say("Save as PNG", "存为 PNG")}
    drawing.usermeta = {"embedOptions": {"actions": _ACTIONS, "i18n": actions}}
    return drawing


def nothing(theme: Theme, words: Words) -> alt.LayerChart:
    """An empty plate with its title and, in a sentence (`about`), why it is empty."""
    width = _PLATE if theme.room is None else max(60, round(theme.room.width))
    lines = wrapped(said(words.about), width // _LETTER)
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
    plate = finished(alt.LayerChart(layer=[why], width=width, height=height), theme, words)
    plate.usermeta[EMPTY] = True
    return plate
