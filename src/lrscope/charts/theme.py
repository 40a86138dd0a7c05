"""Theme: the colours, the type and the Vega-Lite configuration of every chart, light and dark.

Lanes are coloured by rate along viridis (van der Walt and Smith 2015, CC0), whose lightness rises steadily,
cut to the part that keeps a contrast of 3:1 with the background (WCAG 2.2, 1.4.11): the whole ramp falls to
1.3:1 at one end.
"""

import dataclasses
from typing import Any

import numpy as np

from lrscope.charts.lines import Size
from lrscope.charts.size_limit import Room

FONT = (
    'system-ui, "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", "Noto Sans CJK SC", '
    '"WenQuanYi Micro Hei", "DejaVu Sans", sans-serif'
)
"""It ends in a generic family: a font that is not installed, named alone, makes the text of a PNG vanish."""

_VIRIDIS = (
    "#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c",
    "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Theme:
    """One look of all charts.

    Attributes:
        name: "light" or "dark".
        background, text, muted, grid: of the page, of what is read, of what is read second, of the grid's
            hairlines.
        ramp: the part of viridis, low rates to high, that keeps 3:1 on the background.
        good, slow, risky, bad, unknown: the colours of verdicts; told apart under protan, deutan and tritan
            vision, and never alone: a shape and a word always stand beside them.
        tensors: colours of tensors, in the order of the model.
        room: of the figure that is drawn; None where a chart is as large as it likes to be.
    """

    name: str
    background: str
    text: str
    muted: str
    grid: str
    ramp: tuple[float, float]
    good: str
    slow: str
    risky: str
    bad: str
    unknown: str
    tensors: tuple[str, ...]
    room: Room | None = None

    def fitted(self, size: Size) -> Size:
        """The size of a panel that would be so large, in the room there is."""
        return size if self.room is None else self.room.fitted(size)

    def lane_colours(self, count: int) -> tuple[str, ...]:
        """`count` colours from the lowest rate to the highest."""
        low, high = self.ramp
        places = np.linspace(low, high, count) if count > 1 else np.array([(low + high) / 2])
        return tuple(_viridis(float(place)) for place in places)

    def tensor_colours(self, count: int) -> tuple[str, ...]:
        """`count` colours in the order of the model; they repeat when there are more tensors than colours."""
        return tuple(self.tensors[i % len(self.tensors)] for i in range(count))

    @property
    def config(self) -> dict[str, Any]:
        """The Vega-Lite `config` of this look."""
        words = {
            "labelColor": self.muted,
            "titleColor": self.muted,
            "labelFontSize": 11,
            "titleFontSize": 11.5,
        }
        return {
            "background": self.background,
            "font": FONT,
            "padding": 8,
            # A text for every mark, of 20,000, takes longer to make than the chart; the whole chart has one.
            "aria": False,
            "view": {"stroke": None},
            "title": {
                "anchor": "start",
                "align": "left",
                "color": self.text,
                "fontSize": 15,
                "fontWeight": 600,
                "subtitleColor": self.muted,
                "subtitleFontSize": 12,
                "subtitlePadding": 5,
                "offset": 16,
            },
            "axis": {
                **words,
                "titleFontWeight": "normal",
                "titlePadding": 8,
                "gridColor": self.grid,
                "gridWidth": 1,
                "domain": False,
                "tickColor": self.grid,
                "tickSize": 4,
                "labelPadding": 4,
            },
            "axisX": {"grid": False, "domain": True, "domainColor": self.muted, "tickColor": self.muted},
            "legend": {
                **words,
                "titleFontWeight": "normal",
                "symbolSize": 80,
                "symbolStrokeWidth": 0,
                "labelColor": self.text,
                "columnPadding": 18,
                "columns": 6,
            },
            "header": {"labelColor": self.text, "titleColor": self.muted, "labelFontSize": 11},
            "point": {"opacity": 1},
            "text": {"color": self.text, "fontSize": 11},
        }


def _viridis(place: float) -> str:
    """The colour at `place` in 0..1, linear between the anchors of the table."""
    anchors = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in _VIRIDIS])
    at = np.linspace(0, 1, len(_VIRIDIS))
    red, green, blue = (round(float(np.interp(place, at, anchors[:, i]))) for i in range(3))
    return f"#{red:02x}{green:02x}{blue:02x}"


LIGHT = Theme(
    name="light",
    background="#ffffff",
    text="#1c1c1e",
    muted="#5f6368",
    grid="#e8e8ea",
    ramp=(0.0, 0.60),
    good="#117733",
    slow="#3b82c4",
    risky="#b8860b",
    bad="#c51b7d",
    unknown="#767676",
    tensors=("#33508c", "#c2571a", "#2f7d4f", "#9a3b8a", "#7a6a12", "#2b8296", "#b03a48", "#5f5f6b"),
)

DARK = Theme(
    name="dark",
    background="#121212",
    text="#ececee",
    muted="#a6a8ad",
    grid="#2b2b2e",
    ramp=(0.33, 1.0),
    good="#3aa564",
    slow="#5b9bd8",
    risky="#d9a520",
    bad="#e5539f",
    unknown="#9a9a9a",
    tensors=("#8fb0ef", "#f0a06a", "#77c795", "#d991cc", "#cdbb55", "#6cc3d6", "#ee8b96", "#b4b4bf"),
)

THEMES: tuple[Theme, ...] = (LIGHT, DARK)
