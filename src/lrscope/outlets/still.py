"""Still: a chart as it stands on a page before its scripts have run, and where they never do.

Vega needs about a second until its first chart stands; until then, and on paper from a reader without
scripts, this is that chart, as wide as on a page that has the room.
"""

import json
import re
from typing import Any
from xml.etree import ElementTree

import vl_convert

from lrscope.outlets.markup import Html, element
from lrscope.outlets.pictures import Picture
from lrscope.outlets.text import printable

_WIDTH = 838
"""Pixels of the plotting area where the page is as wide as it gets; picture.js comes to the same."""

_PADDING = {"left": 2, "right": 6, "top": 4, "bottom": 4}

_DRAWN = re.compile(
    r"width|height|viewBox|d|[xy]2?|d[xy]|transform|opacity|display|text-anchor|fill(-opacity)?|"
    r"stroke(-width|-opacity|-dasharray|-dashoffset|-linecap|-linejoin|-miterlimit)?|"
    r"font-(family|size|weight|style)"
)
"""The attributes that a picture is made of. Others say what the figure around it says better, or are styles,
which the policy of the page does not let in."""


def still(picture: Picture) -> Html:
    """A chart of one plotting area in light, on no ground."""
    config = {**picture.spec["config"], "background": "transparent", "padding": _PADDING}
    spec = {**picture.spec, "config": config, "width": _WIDTH}
    svg = vl_convert.vegalite_to_svg(json.dumps(spec, allow_nan=False))
    return element("div", _markup(ElementTree.fromstring(printable(svg))), class_="still", aria_hidden="true")


def _markup(node: ElementTree.Element) -> Html:
    """An element of an SVG as one of a page, its texts escaped anew."""
    kept: dict[str, Any] = {name: value for name, value in node.items() if _DRAWN.fullmatch(name)}
    parts = [part for child in node for part in (_markup(child), child.tail)]
    return element(node.tag.rpartition("}")[2], node.text, *parts, **kept)
