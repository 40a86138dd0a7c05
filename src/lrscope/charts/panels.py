"""What panels share: how they stand side by side, and an axis whose title can be read without turning the head."""

from collections.abc import Sequence

import altair as alt

from lrscope.charts.chart import Drawing
from lrscope.charts.scales import NUMBER_TICK, Span


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


def upright(title: str, axis: Span) -> alt.Axis:
    """A y axis with its title written level above it."""
    return alt.Axis(
        title=title,
        values=axis.ticks,
        labelExpr=NUMBER_TICK,
        titleAngle=0,
        titleAlign="left",
        titleAnchor="end",
        titleX=-34,
        titleY=-13,
    )
