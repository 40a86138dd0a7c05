"""How a verdict looks on a chart: a shape, a colour and a word; never a colour alone."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import altair as alt

from lrscope.charts.theme import Theme
from lrscope.diagnosis.verdict import kind
from lrscope.language import said

# Hollow shapes are outlines filled between an outer path and an inner one that runs the other way round.
_CROSS = "M-.9,-.6L-.6,-.9L0,-.3L.6,-.9L.9,-.6L.3,0L.9,.6L.6,.9L0,.3L-.6,.9L-.9,.6L-.3,0Z"
_RING = "M0,-.85A.85,.85 0 1,1 0,.85A.85,.85 0 1,1 0,-.85ZM0,-.45A.45,.45 0 1,0 0,.45A.45,.45 0 1,0 0,-.45Z"
_SQUARE = "M-.8,-.8L.8,-.8L.8,.8L-.8,.8ZM-.45,-.45L-.45,.45L.45,.45L.45,-.45Z"
_LEFT = "M.8,-.95L-.95,0L.8,.95ZM.42,-.4L.42,.4L-.25,0Z"
_RIGHT = "M-.8,-.95L-.8,.95L.95,0ZM-.42,-.4L.25,0L-.42,.4Z"


class Look(NamedTuple):
    """One verdict's look.

    What it is called and its sign, its Vega shape, and which of the theme's verdict colours it takes.
    """

    name: str
    sign: str
    shape: str
    family: str

    @property
    def word(self) -> str:
        """Its name in the language in force."""
        return said(self.name)

    def colour(self, theme: Theme) -> str:
        """Its colour in a theme."""
        return str(getattr(theme, self.family))


_SHAPES = {
    "good": ("circle", "good"),
    "too_slow": ("triangle-left", "slow"),
    "not_started": (_LEFT, "slow"),
    "frozen": (_SQUARE, "slow"),
    "too_high": ("triangle-right", "risky"),
    "unstable": ("diamond", "risky"),
    "failed": (_RIGHT, "bad"),
    "collapsed": ("triangle-down", "bad"),
    "diverging": ("triangle-up", "bad"),
    "diverged": (_CROSS, "bad"),
    "invalid": ("cross", "unknown"),
    "cannot_tell": (_RING, "unknown"),
}
"""The shapes are the signs of the catalogue, drawn: the fonts of a PNG lack some of them."""

LOOKS: dict[str, Look] = {
    token: Look(kind(token).word, kind(token).sign, *shape) for token, shape in _SHAPES.items()
}
"""From the best to the worst: the order of legends."""

CALM = frozenset({"good", "too_slow", "not_started"})
"""Lanes whose values an axis is made to show; the others are drawn as far as they fit."""

LOST = frozenset({"diverged", "diverging"})
"""Lanes whose final loss means nothing."""


def look(verdict: str) -> Look:
    """The look of a verdict; one that a later version gave is shown as what it is called."""
    return LOOKS.get(verdict, Look(verdict.replace("_", " "), "?", _RING, "unknown"))


def looks_of(verdicts: Iterable[str]) -> list[Look]:
    """The looks of the verdicts that occur, from the best to the worst."""
    present = set(verdicts)
    known = [one for name, one in LOOKS.items() if name in present]
    return known + [look(name) for name in sorted(present - set(LOOKS))]


def verdict_channels(looks: Sequence[Look], theme: Theme) -> dict[str, Any]:
    """The Vega-Lite channels shape and color of a field `verdict` (its word), with one legend for both."""
    words = [one.word for one in looks]
    key = {"title": None, "orient": "bottom", "direction": "horizontal"}
    shapes = {"domain": words, "range": [one.shape for one in looks]}
    colours = {"domain": words, "range": [one.colour(theme) for one in looks]}
    return {
        "shape": alt.Shape("verdict:N", scale=shapes, legend=key),
        "color": alt.Color("verdict:N", scale=colours, legend=key),
    }
