"""Figure file: a drawn figure as pdf, svg, png, html or json, of exactly the size that was asked for."""

import contextlib
import json
import os
from pathlib import Path

import vl_convert

from lrscope.errors import UsageError
from lrscope.outlets.figure import Figure, sized
from lrscope.outlets.glyphs import warn_of_boxes
from lrscope.outlets.standalone import page
from lrscope.outlets.text import Length

FIGURE_FORMATS = ("pdf", "svg", "png", "html", "json")
"""The endings of a figure's file."""

DPI = 300.0
"""Dots per inch of a PNG, as journals want them."""

_POINTS = 72.0
_PIXELS = 96.0
"""Per inch."""

_MOST_DOTS = 100_000_000
"""Of a PNG: more is a slip, and would take the memory of the machine."""


def figure_format(path: Path) -> str:
    """The format that the ending of a file name asks for.

    Raises:
        UsageError: there is no such format.
    """
    ending = path.suffix.lower().lstrip(".")
    if ending not in FIGURE_FORMATS:
        every = ", ".join(f".{one}" for one in FIGURE_FORMATS)
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
    """A figure in one of `FIGURE_FORMATS`.

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
    match to:
        case "json":
            return (json.dumps(made.spec, allow_nan=False, indent=1) + "\n").encode()
        case "html":
            return page(made.spec).encode()
        case "svg":
            return sized(
                made, _stated(width, height, made.width), _stated(height, width, made.height)
            ).encode()
        case "pdf":
            # vl-convert takes the user unit of an SVG for a point.
            points = _POINTS / _PIXELS
            return bytes(
                vl_convert.svg_to_pdf(
                    sized(made, f"{made.width * points:.8g}", f"{made.height * points:.8g}")
                )
            )
        case _:
            return _png(made, dots_per_inch(width, height, dpi))


def dots_per_inch(width: Length | None, height: Length | None, dpi: float | None) -> float:
    """Those asked for; else a dot for each px where a size is given in px, else `DPI`."""
    if dpi is not None:
        return dpi
    return _PIXELS if any(one is not None and one.unit == "px" for one in (width, height)) else DPI


def save_figure(content: bytes, path: Path) -> None:
    """Write a figure; a file that stands there is replaced when the new one is whole.

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
            f"figure {str(path)!r} cannot be written ({reason}); name a file in a folder of yours"
        ) from error


def _stated(length: Length | None, other: Length | None, pixels: float) -> str:
    """A size as an SVG states it: as it was asked for, else in the unit of the other one."""
    if length is not None:
        return f"{length.number:.8g}{length.unit}"
    return f"{pixels:.8g}" if other is None else f"{pixels * other.number / other.pixels:.6g}{other.unit}"


def _png(made: Figure, dpi: float) -> bytes:
    """Dots of a figure: whole numbers, so that its edges are those of dots."""
    across, up = (max(1, round(size / _PIXELS * dpi)) for size in (made.width, made.height))
    if across * up > _MOST_DOTS:
        raise UsageError(
            f"a PNG of {across:,} x {up:,} dots is too large; ask for fewer, for instance --dpi 300"
        )
    # vl-convert takes the user unit of an SVG for 1/72 inch.
    return bytes(vl_convert.svg_to_png(sized(made, str(across), str(up)), scale=_POINTS / dpi, ppi=dpi))
