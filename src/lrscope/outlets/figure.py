"""A chart as a picture of a given size, and as a pdf, svg, png, html or json file.

Vega adds axes, names and legends to the size of a plotting area, so the size of a figure is only known once
it is drawn. It is drawn, measured and drawn again until it fits: plotting areas give way, letters stay as
large as they are. The last fraction of a pixel is empty margin.
"""

import contextlib
import dataclasses
import functools
import json
import math
import os
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import vl_convert
from altair.utils.schemapi import debug_mode

from lrscope.charts import THEMES, range_test
from lrscope.charts.chart import Chart
from lrscope.charts.plate import EMPTY
from lrscope.charts.room import Room
from lrscope.charts.theme import Theme
from lrscope.diagnosis.range_reading import RangeReading
from lrscope.errors import UsageError
from lrscope.outlets.text import Length
from lrscope.outlets.web_chart import chart_page
from lrscope.wrapping import wrapped

FIGURE_FORMATS = ("pdf", "svg", "png", "html", "json")
"""The endings of a figure's file."""

DPI = 300.0
"""Dots per inch of a PNG, as journals want them."""

_POINTS, _PIXELS = 72.0, 96.0
"""Per inch."""

_MAX_DOTS = 100_000_000
"""Of a PNG: more is a slip, and would take the memory of the machine."""

FONT = (
    '"Liberation Sans", Arial, Helvetica, '
    '"Noto Sans CJK SC", "WenQuanYi Micro Hei", "DejaVu Sans", sans-serif'
)
"""The first three are of one width: an SVG is measured here and shown there; a wider font is cut off."""

_DRAWINGS = 7
"""Attempts at a size; two or three do nearly always. Names that come and go with the height make it swing."""

_SLACK = 1.6
"""Pixels of empty margin that do no harm."""

_LEAST, _LEAST_ROW = 60.0, 9.0
"""Pixels of a plotting area, and of a row of histograms, in which nothing could be read any more."""

_TITLE, _SUBTITLE, _PADDING = 13.0, 11.0, 3
_LETTER = {"title": 0.56, "subtitle": 0.5}
"""The mean width of a letter as a part of the size of its font, bold and regular."""

_KEY = 96.0
"""Pixels of an entry of a legend."""

_SVG = re.compile(r'<svg ([^>]*?)width="([\d.]+)" height="([\d.]+)" viewBox="0 0 [\d.]+ [\d.]+"')
_GROUND = re.compile(r'(<rect )width="[\d.]+" height="[\d.]+"( fill="#[0-9a-f]+")')

_CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]")


class GlyphWarning(UserWarning):
    """A picture shows boxes in place of characters."""


class Figure(NamedTuple):
    """A chart, drawn.

    Attributes:
        spec: its Vega-Lite specification.
        svg: the picture; its user unit is a CSS pixel.
        width, height: of the picture, in CSS pixels.
    """

    spec: dict[str, Any]
    svg: str
    width: float
    height: float


def figure(
    chart: Chart,
    frame: pl.DataFrame,
    theme: Theme,
    *,
    width: float | None = None,
    height: float | None = None,
    titled: bool = True,
) -> Figure:
    """Draw a chart at a size.

    Args:
        chart, frame: what is drawn.
        theme: the look.
        width, height: of the whole picture in CSS pixels; None for what looks well.
        titled: with title and question, or without, for a figure that has a caption.

    Raises:
        UsageError: it is too small for this chart.
    """
    if width is None and height is None:
        return drawn(_specification(chart, frame, theme, titled=titled))
    if width is None:
        width = drawn(_specification(chart, frame, theme, titled=titled)).width
    room = Room(width, max(_LEAST, width - 110), None if height is None else max(_LEAST, height - 120))
    wrap, best, rows = width, None, 1.0
    former: tuple[float, float] | None = None
    least = _LEAST_ROW if chart.name == "histogram" else _LEAST
    for _ in range(_DRAWINGS):
        spec = _specification(chart, frame, dataclasses.replace(theme, room=room), titled=titled, wrap=wrap)
        made = drawn(spec)
        over, above = made.width - width, 0.0 if height is None else made.height - height
        larger = best is None or made.width + made.height > best.width + best.height
        best = made if over <= 0 and above <= 0 and larger else best
        # So many rows of panels there are, as far as can be seen.
        if room.height is not None and former is not None and abs(room.height - former[0]) > 1:
            rows = max(1.0, (made.height - former[1]) / (room.height - former[0]))
        # Plotting areas are whole pixels high: what is left is less than one for each row.
        if -_SLACK <= over <= 0 and (height is None or -_SLACK - rows <= above <= 0):
            break
        if over > 0 and room.width <= _LEAST:
            # It is not the plotting area that is too wide: titles and legends take more lines.
            wrap = max(60.0, wrap - over)
        former = None if room.height is None else (room.height, made.height)
        room = room._replace(
            width=max(_LEAST, room.width - math.ceil(over)),
            height=None if room.height is None else max(least, room.height - math.ceil(above / rows)),
        )
    if best is None:
        sizes = (("--width", width, made.width), ("--height", height, made.height))
        needs = (
            f"{name} {math.ceil(size / _PIXELS * 25.4)}mm"
            for name, asked, size in sizes
            if asked and size > asked
        )
        free = "any height" if height is None else _millimetres(height)
        raise UsageError(
            f"{chart.name} has no room in {_millimetres(width)} x {free}; it needs about {' '.join(needs)}"
        )
    return _grown(best, width, best.height if height is None else height)


def drawn(spec: dict[str, Any]) -> Figure:
    """Draw a specification at its own size."""
    svg = vl_convert.vegalite_to_svg(json.dumps(spec, allow_nan=False))
    match = _SVG.search(svg)
    if match is None:
        raise RuntimeError("the picture says no size")
    return Figure(spec, svg, float(match[2]), float(match[3]))


def for_print(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a specification with a font that is equally wide wherever the picture is shown."""
    return {**spec, "config": {**spec["config"], "font": FONT}}


def _specification(
    chart: Chart, frame: pl.DataFrame, theme: Theme, *, titled: bool, wrap: float | None = None
) -> dict[str, Any]:
    """Return a chart as Vega-Lite; with `wrap`, its title and legends are at most so many pixels wide."""
    with debug_mode(False):
        spec = for_print(chart.draw(frame, theme).to_dict(validate=False))
    if not titled:
        del spec["title"]
    if wrap is None:
        return spec
    config = {**spec["config"], "padding": _PADDING}
    # Two legends stand below each other: beside each other they would be as wide as both.
    config["legend"] = {
        **config["legend"],
        "columns": max(1, min(6, int(wrap // _KEY))),
        "layout": {"bottom": {"direction": "vertical"}},
    }
    config["title"] = {**config["title"], "fontSize": _TITLE, "subtitleFontSize": _SUBTITLE, "offset": 12}
    if titled:
        words = spec["title"]
        lines = [part for line in words["subtitle"] for part in _lines(line, wrap, "subtitle", _SUBTITLE)]
        spec["title"] = {**words, "text": _lines(words["text"], wrap, "title", _TITLE), "subtitle": lines}
    return {**spec, "config": config}


def _lines(text: str, width: float, kind: str, size: float) -> list[str]:
    return wrapped(text, max(8, int(width / (_LETTER[kind] * size)))) or [""]


def _grown(made: Figure, width: float, height: float) -> Figure:
    """Return a figure with empty margin to the right and below, up to exactly this size."""
    size = f'width="{width:.10g}" height="{height:.10g}"'
    view = f'viewBox="0 0 {width:.10g} {height:.10g}"'
    svg = _SVG.sub(lambda match: f"<svg {match[1]}{size} {view}", made.svg, count=1)
    return Figure(made.spec, _GROUND.sub(rf"\g<1>{size}\g<2>", svg, count=1), width, height)


def sized(made: Figure, width: str, height: str) -> str:
    """Return its SVG with another width and height, "84mm" or a number; the user unit stays."""
    size = f'width="{width}" height="{height}" viewBox="0 0 {made.width:.10g} {made.height:.10g}"'
    return _SVG.sub(lambda match: f"<svg {match[1]}{size}", made.svg, count=1)


def _millimetres(pixels: float) -> str:
    return f"{pixels / 96 * 25.4:.0f}mm"


def figure_format(path: Path) -> str:
    """Return the format that the ending of a file name asks for.

    Raises:
        UsageError: there is no such format.
    """
    ending = path.suffix.lower().lstrip(".")
    if ending not in FIGURE_FORMATS:
        every = ", ".join(f".{ending}" for ending in FIGURE_FORMATS)
        raise UsageError(
            f"cannot tell the format of {str(path)!r}; end the name with one of {every}, for instance "
            f"{path.stem or 'figure'}.pdf"
        )
    return ending


def figure_bytes(
    made: Figure,
    to: str,
    *,
    width: Length | None = None,
    height: Length | None = None,
    dpi: float | None = None,
) -> bytes:
    """Return a figure in one of `FIGURE_FORMATS`.

    Args:
        made: drawn at this width and height.
        to: the format.
        width, height: as they were asked for; an SVG states them in their own units.
        dpi: dots per inch of a PNG; None for `DPI`, or, where a size is given in px, for a dot a px.

    Warns:
        GlyphWarning: a PNG or PDF has boxes in place of Chinese characters, for want of a font.

    Raises:
        UsageError: a PNG would have too many dots.
    """
    if to in ("png", "pdf"):
        warn_of_boxes(made.svg)
    if to == "json":
        return (json.dumps(made.spec, allow_nan=False, indent=1) + "\n").encode()
    if to == "html":
        return chart_page(made.spec).encode()
    if to == "svg":
        size = _stated(width, height, made.width), _stated(height, width, made.height)
        return sized(made, *size).encode()
    if to == "pdf":
        # vl-convert takes the user unit of an SVG for a point.
        points = (f"{size * _POINTS / _PIXELS:.8g}" for size in (made.width, made.height))
        return bytes(vl_convert.svg_to_pdf(sized(made, *points)))
    return _png(made, dots_per_inch(width, height, dpi))


def dots_per_inch(width: Length | None, height: Length | None, dpi: float | None) -> float:
    """Return the dots asked for; else one for each px where a size is given in px; else `DPI`."""
    if dpi is not None:
        return dpi
    return _PIXELS if any(length is not None and length.unit == "px" for length in (width, height)) else DPI


def save_figure(content: bytes, path: Path, kind: str = "figure") -> None:
    """Write a file; one that stands there is replaced when the new one is whole.

    Args:
        content, path: of the file.
        kind: what it is, for the error message.

    Raises:
        UsageError: no file can be written there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        reason = error.strerror or str(error)
        raise UsageError(
            f"{kind} {str(path)!r} cannot be written ({reason}); name a file in a folder of yours"
        ) from error


def _stated(length: Length | None, other: Length | None, pixels: float) -> str:
    """Return a size as an SVG states it: as it was asked for, else in the unit of the other size."""
    if length is not None:
        return f"{length.number:.8g}{length.unit}"
    return f"{pixels:.8g}" if other is None else f"{pixels * other.number / other.pixels:.6g}{other.unit}"


def _png(made: Figure, dpi: float) -> bytes:
    """Return a figure as a PNG of whole dots, so that its edges are those of dots."""
    across, up = (max(1, round(size / _PIXELS * dpi)) for size in (made.width, made.height))
    if across * up > _MAX_DOTS:
        raise UsageError(
            f"a PNG of {across:,} x {up:,} dots is too large; ask for fewer, for instance --dpi 300"
        )
    # vl-convert takes the user unit of an SVG for 1/72 inch.
    return bytes(vl_convert.svg_to_png(sized(made, str(across), str(up)), scale=_POINTS / dpi, ppi=dpi))


def save_range_figure(reading: RangeReading, path: Path, theme: str) -> None:
    """Draw a range test and write it as the ending of the file name says.

    Raises:
        UsageError: there is no such format or theme, no loss was finite, or no file can be written there.
    """
    to = figure_format(path)
    themes = {look.name: look for look in THEMES}
    if theme not in themes:
        raise UsageError(f"theme= wants one of {', '.join(themes)}; got {theme!r}")
    with debug_mode(False):
        spec = for_print(range_test.draw(range_test.frame(reading), themes[theme]).to_dict(validate=False))
    if EMPTY in spec["usermeta"]:
        raise UsageError(f"no chart of this range test: {spec['description']}")
    save_figure(figure_bytes(drawn(spec), to), path)


def warn_of_boxes(svg: str) -> None:
    """Warn if a picture holds Chinese and no font has it: the renderer draws boxes without a word."""
    if _CHINESE.search(svg) and not has_chinese():
        warnings.warn(
            "no font of this machine has Chinese characters: they are boxes in the picture; install one, for "
            "instance fonts-noto-cjk or fonts-wqy-microhei, or save it as .svg or .html",
            GlyphWarning,
            stacklevel=4,
        )


@functools.cache
def has_chinese() -> bool:
    """Return True if two different characters are drawn differently: as boxes they would be the same."""
    sample = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text x="2" y="16">{}</text></svg>'
    )
    first, second = (vl_convert.svg_to_png(sample.format(character)) for character in "学率")
    return bool(first != second)
