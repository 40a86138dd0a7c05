"""Room: what a figure has for its plotting areas, where it is not as large as a chart likes to be."""

from typing import NamedTuple

from lrscope.charts.lines import Size

_PANEL = 230
"""Pixels of a figure that a panel takes with its axis and the names beside it; with less, panels stand below
each other."""

_SHALLOWEST = 100
_HEIGHT_TO_WIDTH = 0.7
_OF_STACKED = 0.5
"""The same of panels that stand below each other for want of width: all of them are to fit on a page."""


class Room(NamedTuple):
    """The room of a figure, in CSS pixels.

    Attributes:
        figure: the width of all of it.
        width: of the plotting areas that stand side by side, together.
        height: of each plotting area; None for what looks well.
    """

    figure: float
    width: float
    height: float | None = None

    def fitted(self, size: Size) -> Size:
        """The size of a panel in this room that a chart would make so large."""
        columns = max(1, min(size.columns, int(self.figure // _PANEL)))
        width = max(1, round(self.width / columns))
        if self.height is not None:
            return Size(width, max(1, round(self.height)), columns)
        ratio = _HEIGHT_TO_WIDTH if columns == size.columns else _OF_STACKED
        height = min(size.height, max(_SHALLOWEST, round(ratio * width)))
        return Size(width, height, columns)

    def columns(self, wanted: int, least: float) -> int:
        """How many columns of at least `least` pixels, of so many wanted, the figure has room for."""
        return max(1, min(wanted, int(self.figure // least)))
