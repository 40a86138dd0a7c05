"""Figures of a stated size: measured in the files themselves, not in what made them."""

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from studies import STUDIES

from lrscope.charts import CHARTS, DARK, LIGHT
from lrscope.charts.chart import Chart
from lrscope.charts.snapshot import Snapshot
from lrscope.errors import UsageError
from lrscope.output.figure import FIGURE_FORMATS, Figure, drawn, figure, figure_bytes, figure_format
from lrscope.output.text import read_length

EVERY = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)

COLUMN = read_length("84mm", "--width")

SMALLEST = 9.0
"""Pixels: 6.75 points, the least that journals print."""

_read: dict[str, Snapshot] = {}


_made: dict[tuple[str, str], Figure] = {}


def made(chart: Chart, name: str = "seeds", **settings: Any) -> Figure:
    if name not in _read:
        _read[name] = Snapshot(STUDIES[name]())
    if not settings and (chart.name, name) in _made:
        return _made[chart.name, name]
    asked = {"width": COLUMN.pixels, **settings}
    found = figure(chart, chart.frame(_read[name]), asked.pop("theme", LIGHT), **asked)
    if not settings:
        _made[chart.name, name] = found
    return found


def named(name: str) -> Chart:
    return next(chart for chart in CHARTS if chart.name == name)


def media_box(pdf: bytes) -> tuple[float, float]:
    """Width and height of a page in points."""
    found = re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert found is not None
    return float(found[1]), float(found[2])


def dots(png: bytes) -> tuple[int, int, float]:
    """Dots across, dots up, and dots per inch."""
    across, up = struct.unpack(">II", png[16:24])
    place = png.index(b"pHYs") + 4
    per_metre, other, unit = struct.unpack(">IIB", png[place : place + 9])
    assert (per_metre, unit) == (other, 1)
    return across, up, per_metre * 0.0254


def boxes(svg: str) -> tuple[float, float]:
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found is not None
    return float(found[1]), float(found[2])


@EVERY
@pytest.mark.parametrize("name", ["hostile"])
def test_every_chart_fits_a_column_of_a_paper(chart: Chart, name: str) -> None:
    found = made(chart, name)
    assert found.width == COLUMN.pixels
    assert boxes(found.svg) == pytest.approx((found.width, found.height))
    # What Vega drew, axes, names and legends included, is no wider than that, and fills it.
    inside = drawn(found.spec)
    assert inside.width <= found.width
    frame = chart.frame(_read[name])
    assert not frame.height or inside.width > 0.9 * found.width
    assert inside.height == found.height
    # Nor longer than a page of A4 between its margins.
    assert found.height / 96 * 25.4 < 247


@EVERY
def test_letters_are_readable_at_84_mm_and_as_wide_elsewhere(chart: Chart) -> None:
    svg = made(chart).svg
    sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)px"', svg)}
    assert SMALLEST <= min(sizes) <= max(sizes) <= 15
    fonts = set(re.findall(r'font-family="([^"]*)"', svg))
    assert fonts
    assert all(font.startswith("&quot;Liberation Sans&quot;, Arial, Helvetica,") for font in fonts)
    assert all(font.endswith("sans-serif") for font in fonts)


@pytest.mark.parametrize("name", ["valley", "histogram"])
def test_both_sizes_are_exact(name: str) -> None:
    width, height = read_length("15cm", "--width"), read_length("5in", "--height")
    found = made(named(name), width=width.pixels, height=height.pixels)
    pdf = figure_bytes(found, "pdf", width=width, height=height)
    assert media_box(pdf) == pytest.approx((150 / 25.4 * 72, 5 * 72), abs=0.01)
    inside = drawn(found.spec)
    assert inside.width <= found.width
    assert 0.93 * found.height < inside.height <= found.height


def test_an_svg_states_its_size_in_the_unit_that_was_asked_for() -> None:
    svg = figure_bytes(made(named("valley")), "svg", width=COLUMN).decode()
    root = re.match(r"<svg [^>]*>", svg)
    assert root is not None
    assert ' width="84mm"' in root[0]
    stated = re.search(r' height="([\d.]+)mm"', root[0])
    assert stated is not None
    across, up = boxes(root[0])
    assert float(stated[1]) / 84 == pytest.approx(up / across, rel=1e-5)


@pytest.mark.parametrize(("dpi", "across"), [(None, 992), (150.5, 498)])
def test_a_png_has_the_dots_that_were_asked_for(dpi: float | None, across: int) -> None:
    png = figure_bytes(made(named("valley")), "png", width=COLUMN, dpi=dpi)
    wide, high, per_inch = dots(png)
    assert wide == across == round(84 / 25.4 * (dpi or 300))
    assert per_inch == pytest.approx(dpi or 300, rel=1e-3)
    assert high > 0.5 * wide


def test_html_and_json_are_of_that_size_too() -> None:
    found = made(named("valley"))
    spec = json.loads(figure_bytes(found, "json"))
    assert drawn(spec).width <= found.width
    page = figure_bytes(found, "html").decode()
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_dark_is_dark_up_to_its_edges() -> None:
    found = made(named("loss"), theme=DARK)
    ground = re.search(r'<rect width="([\d.]+)" height="([\d.]+)" fill="(#\w+)"', found.svg)
    assert ground is not None
    assert ground[3] == DARK.background
    assert (float(ground[1]), float(ground[2])) == pytest.approx((found.width, found.height))


def test_without_its_title_it_is_shorter() -> None:
    bare = made(named("valley"), titled=False)
    assert bare.height < made(named("valley")).height - 30
    assert "Which rates end lowest" not in bare.svg


def test_a_size_without_room_is_told_with_one_that_has() -> None:
    for settings in ({"width": 60.0}, {"width": 20.0, "height": 20.0}):
        with pytest.raises(
            UsageError, match=r"valley has no room in .*; it needs about --\w+ \d+mm"
        ) as caught:
            made(named("valley"), **settings)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "pixels"),
    [
        ("84mm", 317.48),
        ("8.4cm", 317.48),
        ("3.5in", 336.0),
        ("72pt", 96.0),
        ("900px", 900.0),
        (" .5 IN ", 48.0),
    ],
)
def test_lengths_are_read_as_people_write_them(text: str, pixels: float) -> None:
    assert read_length(text, "--width").pixels == pytest.approx(pixels, abs=0.01)


@pytest.mark.parametrize(
    "text", ["84", "", "mm", "-3mm", "1e3mm", "0mm", "nanmm", "infcm", "84 mm mm", "5ft", "９mm", "3m"]
)
def test_other_lengths_are_refused_with_what_to_type(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--width wants a") as caught:
        read_length(text, "--width")
    assert "\n" not in str(caught.value)


def test_a_length_beyond_reason_and_a_png_beyond_memory_are_refused() -> None:
    with pytest.raises(UsageError, match="up to 100 inches"):
        read_length("84000mm", "--width")
    with pytest.raises(UsageError, match=r"is too large; .*--dpi 300"):
        figure_bytes(made(named("valley")), "png", width=COLUMN, dpi=1e6)


def test_the_ending_tells_the_format() -> None:
    assert [figure_format(Path(f"a.b.{one.upper()}")) for one in FIGURE_FORMATS] == list(FIGURE_FORMATS)
    for name in ("figure", "figure.gif", ".pdf"):
        with pytest.raises(UsageError, match=r"end the name with one of .pdf, .svg, .png, .html, .json"):
            figure_format(Path(name))
