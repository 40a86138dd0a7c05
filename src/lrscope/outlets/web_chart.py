"""Charts for web pages: all charts of a study as plain data, and one chart as a page or frame of its own."""

import base64
import functools
import gzip
import html
from collections.abc import Iterator
from typing import Any, NamedTuple

from altair.utils.schemapi import debug_mode
from markupsafe import Markup

from lrscope.charts import CHARTS, DARK, LIGHT
from lrscope.charts.chart import Chart, Readable
from lrscope.charts.plate import EMPTY
from lrscope.language import BLANK, joined, said
from lrscope.outlets.web_page import asset, render, script_json, vega_bundle


class WebChart(NamedTuple):
    """One chart on a page.

    Attributes:
        name: of the chart.
        title, question, note: its words, which the page writes itself.
        about: the chart in words for a screen reader; where there is nothing to draw, why.
        empty: True if there is nothing to draw.
        spec: its Vega-Lite specification in light, without words.
        dark: what to replace in it for dark: a path of keys and places, and the value there.
    """

    name: str
    title: str
    question: str
    note: str
    about: str
    empty: bool
    spec: dict[str, Any]
    dark: list[tuple[list[str | int], Any]]


def web_charts(study: Readable) -> list[WebChart]:
    """Return all charts of a study, in order."""
    return [web_chart(chart, study) for chart in CHARTS]


def web_chart(chart: Chart, study: Readable) -> WebChart:
    """Return one chart of a study. The data is gathered once and drawn twice."""
    frame = chart.frame(study)
    # Altair would check every part of a chart against its schema as it is made, which takes longer than
    # all the rest of a report; the tests check the same charts.
    with debug_mode(False):
        light, dark = (chart.draw(frame, theme).to_dict(validate=False) for theme in (LIGHT, DARK))
    words = light.pop("title")
    question, *notes = words["subtitle"]
    # No row depends on the theme: rows are named by a hash of them, and both themes name the same.
    rows = light.pop("datasets")
    del dark["title"], dark["datasets"]
    replaced = list(differences(light, dark))
    about, empty = str(light.get("description", "")), EMPTY in light["usermeta"]
    note = said(joined(notes, BLANK))
    spec = {**light, "datasets": rows}
    return WebChart(chart.name, words["text"], question, note, about, empty, spec, replaced)


def differences(
    first: Any, second: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[list[str | int], Any]]:
    """Yield what has to be replaced in `first`, and where, to make it `second`.

    Two themes differ in some colours only: writing those costs a page a tenth of a second specification.
    """
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        for key in first:
            yield from differences(first[key], second[key], (*path, key))
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for place, pair in enumerate(zip(first, second, strict=True)):
            yield from differences(*pair, (*path, place))
    elif first != second:
        yield list(path), second


def chart_page(spec: dict[str, Any]) -> str:
    """Return a specification as a page that needs nothing else."""
    return _filled(spec, vega=Markup(vega_bundle()), packed="", margin="16px")


def chart_frame(spec: dict[str, Any], width: float, height: float) -> Markup:
    """Return a specification as an <iframe>, shut off from the page around it.

    A notebook has a frame in every cell, so Vega stands in it compressed, in a third of the bytes.

    Args:
        spec: in Vega-Lite.
        width, height: of the chart, in CSS pixels.
    """
    sliders = sum("bind" in parameter for parameter in spec.get("params", []))
    # A frame that is wider than the cell scrolls inside.
    size = f"width:100%;max-width:{round(width + 24)}px;height:{round(height + 34 * sliders + 24)}px"
    content = html.escape(_filled(spec, vega="", packed=_packed(), margin="0"))
    return Markup(
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(_title(spec))}" '
        f'style="border:0;{size}" srcdoc="{content}"></iframe>'
    )


def _filled(spec: dict[str, Any], **values: str) -> str:
    config = spec.get("config", {})
    page = render(
        "chart.html",
        title=_title(spec),
        about=spec.get("description", ""),
        background=config.get("background", "#ffffff"),
        colour=config.get("text", {}).get("color", "#1c1c1e"),
        style=Markup(asset("chart.css")),
        script=Markup(asset("chart.js")),
        spec=Markup(script_json(spec)),
        **values,
    )
    return str(page)  # `html.escape` would escape Markup twice


def _title(spec: dict[str, Any]) -> str:
    title = spec.get("title", {})
    words = title.get("text", "") if isinstance(title, dict) else title
    return " ".join(words) if isinstance(words, list) else str(words)


@functools.cache
def _packed() -> str:
    return base64.b64encode(gzip.compress(vega_bundle().encode("utf-8"), mtime=0)).decode("ascii")
