"""How a verdict looks on a chart: a shape, a colour and a word; never a colour alone."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import altair as alt

from lrscope.charts.theme import Theme

_CROSS = "M-.9,-.6L-.6,-.9L0,-.3L.6,-.9L.9,-.6L.3,0L.9,.6L.6,.9L0,.3L-.6,.9L-.9,.6L-.3,0Z"
_RING = "M0,-.85A.85,.85 0 1,1 0,.85A.85,.85 0 1,1 0,-.85ZM0,-.45A.45,.45 0 1,0 0,.45A.45,.45 0 1,0 0,-.45Z"
_BAR = "M-.95,-.3L.95,-.3L.95,.3L-.95,.3Z"


class Look(NamedTuple):
    """One verdict's look: its word, its Vega shape, and which of the theme's verdict colours it takes."""

    word: str
    shape: str
    family: str

    def colour(self, theme: Theme) -> str:
        """Its colour in a theme."""
        return str(getattr(theme, self.family))


LOOKS: dict[str, Look] = {
    "good": Look("good", "circle", "good"),
    "too_slow": Look("too slow", "triangle-left", "slow"),
    "not_started": Look("not started", "triangle-down", "slow"),
    "frozen": Look("frozen", "square", "slow"),
    "too_high": Look("too high", "triangle-right", "risky"),
    "unstable": Look("unstable", "diamond", "risky"),
    "failed": Look("failed", _BAR, "bad"),
    "collapsed": Look("collapsed", "triangle-down", "bad"),
    "diverging": Look("diverging", "triangle-up", "bad"),
    "diverged": Look("diverged", _CROSS, "bad"),
    "invalid": Look("invalid", "cross", "unknown"),
    "cannot_tell": Look("cannot tell", _RING, "unknown"),
}
"""From the best to the worst: the order of legends."""

CALM = frozenset({"good", "too_slow", "not_started"})
"""Lanes whose values an axis is made to show; the others are drawn as far as they fit."""

LOST = frozenset({"diverged", "diverging"})
"""Lanes whose final loss means nothing."""


def look(verdict: str) -> Look:
    """The look of a verdict; one that a later version gave is shown as what it is called."""
    return LOOKS.get(verdict, Look(verdict.replace("_", " "), _RING, "unknown"))


def looks_of(verdicts: Iterable[str]) -> list[Look]:
    """The looks of the verdicts that occur, from the best to the worst."""
    present = set(verdicts)
    known = [one for name, one in LOOKS.items() if name in present]
    return known + [look(name) for name in sorted(present - set(LOOKS))]


def verdict_channels(looks: Sequence[Look], theme: Theme) -> dict[str, Any]:
    """The Vega-Lite channels shape and color of a field `verdict` (its word), with one legend for both."""
    words = [one.word for one in looks]
    key = alt.Legend(title=None, orient="bottom", direction="horizontal", columns=6)
    shapes = alt.Scale(domain=words, range=[one.shape for one in looks])
    colours = alt.Scale(domain=words, range=[one.colour(theme) for one in looks])
    return {
        "shape": alt.Shape("verdict:N", scale=shapes, legend=key),
        "color": alt.Color("verdict:N", scale=colours, legend=key),
    }
