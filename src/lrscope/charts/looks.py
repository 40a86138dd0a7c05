"""How a verdict looks on a chart: a shape, a colour and a word; never a colour alone."""

from typing import NamedTuple

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
