"""What panels share.

How they stand side by side, and an axis whose title can be read without turning the head.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from lrscope.charts.chart import Drawing
from lrscope.charts.scales import Span
from lrscope.charts.theme import Theme


def beside(
    panels: Sequence[alt.LayerChart], columns: int, params: Sequence[alt.TopLevelSelectionParameter] = ()
) -> Drawing:
    """Panels in rows of `columns` with one legend below all; one panel alone stays as it is.

    Built in one go and changed in place: every method of an Altair chart copies all of it, again and again.
    """
    if len(panels) > 1:
        return alt.ConcatChart(concat=list(panels), columns=columns, spacing=26, params=list(params))
    panels[0].params = list(params)
    return panels[0]


def upright(title: str, axis: Span, raise_by: float = 0) -> dict[str, Any]:
    """A y axis with its title written level above it, `raise_by` pixels higher than usual."""
    widest = max((len(f"{tick:.3g}") for tick in axis.ticks), default=3)
    return {
        "title": title,
        "values": axis.ticks,
        "labelExpr": axis.tick_text,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "end",
        "titleX": -8 - 6 * widest,
        "titleY": -13 - raise_by,
    }


def haloed(
    words: alt.Chart, theme: Theme, colour: str, place: dict[str, Any], **channels: Any
) -> list[alt.Chart]:
    """Text that lines may pass behind: itself, and beneath it the same, wider, in the background's colour.

    Args:
        words: the chart that holds the data, with its transforms.
        theme: the look; `colour` is that of the text.
        place: properties of the text mark: align, baseline, dx, ...
        channels: the encoding.
    """
    around = {"color": theme.background, "stroke": theme.background, "strokeWidth": 4}
    return [words.mark_text(**place, **look).encode(**channels) for look in (around, {"color": colour})]
