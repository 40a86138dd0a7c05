"""What every finished chart carries, and what one shows while there is nothing to draw."""

from typing import TypeVar

import altair as alt

from lrscope.charts.chart import Drawing
from lrscope.charts.inline import inline
from lrscope.charts.theme import Theme

Drawn = TypeVar("Drawn", bound=Drawing)


def finished(drawing: Drawn, theme: Theme, *, title: str, question: str, about: str, note: str = "") -> Drawn:
    """The drawing with its title, its question, a text for those who cannot see it, and its theme."""
    subtitle = [question, note] if note else [question]
    words = alt.TitleParams(text=title, subtitle=subtitle)
    return drawing.properties(title=words, description=about, config=theme.config)


def nothing(theme: Theme, *, title: str, question: str, why: str) -> alt.LayerChart:
    """An empty plate with its title and, in a sentence, why it is empty."""
    words = (
        alt.Chart(inline([{"why": why}]))
        .mark_text(align="left", baseline="top", fontSize=13, color=theme.muted, limit=720)
        .encode(x=alt.value(0), y=alt.value(8), text="why:N")
    )
    plate = alt.layer(words).properties(width=720, height=40)
    return finished(plate, theme, title=title, question=question, about=why)
