"""`lrscope chart`: one chart of a study as a figure, for a paper or a slide."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lrscope.cli.command import Command
from lrscope.cli.language_option import LANG, warnings_told
from lrscope.cli.options import positive
from lrscope.cli.output_paths import check_figure
from lrscope.cli.report import written
from lrscope.errors import UsageError

if TYPE_CHECKING:
    from lrscope.charts.chart import Chart  # it loads altair


@click.command(
    "chart",
    cls=Command,
    short_help="Save one chart of a study as a figure.",
    examples=(
        ("lrscope chart digits.lrscope valley -o valley.pdf --width 84mm", "a figure one column wide"),
        ("lrscope chart digits.lrscope loss -o loss.png --width 1200px --theme dark", "for a slide"),
        ("lrscope chart digits.lrscope histogram -o histogram.html", "with its slider"),
    ),
)
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("name")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File of the figure: .pdf, .svg, .png, .html or .json (Vega-Lite). [default: STUDY-NAME.pdf]",
)
@click.option(
    "--width",
    metavar="LENGTH",
    help="Width of the whole figure: 84mm, 8.4cm, 3.3in, 900px. [default: the chart's]",
)
@click.option("--height", metavar="LENGTH", help="Height of the whole figure. [default: the chart's]")
@click.option(
    "--theme",
    type=click.Choice(("light", "dark")),
    default="light",
    show_default=True,
    help="Colours of the figure.",
)
@click.option(
    "--dpi",
    callback=positive("300"),
    metavar="NUMBER",
    help="Dots per inch of a PNG. [default: 300; one dot a px if a size is in px]",
)
@click.option("--title/--no-title", default=True, help="Print title and question above the chart.")
@LANG
def chart_command(
    study: Path,
    name: str,
    out: Path | None,
    width: str | None,
    height: str | None,
    theme: str,
    dpi: float | None,
    title: bool,
) -> None:
    """Save the chart NAME of STUDY as a figure of exactly the size asked for, with letters of 7 to 10 points.

    An unknown NAME lists the charts.
    """
    from lrscope.output.figure import dots_per_inch, figure_bytes, figure_format, save_figure
    from lrscope.output.text import read_length

    wide = None if width is None else read_length(width, "--width")
    high = None if height is None else read_length(height, "--height")
    path = study.with_name(f"{study.stem}-{name}.pdf") if out is None else out
    to = figure_format(path)
    chosen = _chart(name)
    check_figure("-o", path)

    from altair.utils.schemapi import debug_mode

    from lrscope.charts import THEMES
    from lrscope.charts.snapshot import Snapshot
    from lrscope.output.absent import refuse_empty
    from lrscope.output.figure import figure
    from lrscope.study import open_study

    look = next(one for one in THEMES if one.name == theme)
    # A px of a PNG is a dot of it; elsewhere it is 1/96 inch.
    scale = 96 / dots_per_inch(wide, high, dpi) if to == "png" else 1.0
    sizes = [
        None if one is None else one.number * scale if one.unit == "px" else one.pixels
        for one in (wide, high)
    ]
    with open_study(study) as opened:
        snapshot = Snapshot(opened)
        frame = chosen.frame(snapshot)
        with debug_mode(False):  # Altair need not check its own parts: that takes longer than the drawing
            refuse_empty(chosen, chosen.draw(frame, look), snapshot)
    made = figure(chosen, frame, look, width=sizes[0], height=sizes[1], titled=title)
    with warnings_told():
        content = figure_bytes(made, to, width=wide, height=high, dpi=dpi)
    save_figure(content, path)
    millimetres = " x ".join(f"{size / 96 * 25.4:.0f}" for size in (made.width, made.height))
    click.echo(f"{written('figure', path)[:-1]}, {millimetres} mm)", err=True)


def _chart(name: str) -> "Chart":
    from lrscope.charts import CHARTS

    for chart in CHARTS:
        if chart.name == name:
            return chart
    raise UsageError(f"there is no chart {name!r}; there are {', '.join(chart.name for chart in CHARTS)}")
