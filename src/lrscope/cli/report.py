"""`lrscope report`: write a study as one HTML page."""

import shlex
from pathlib import Path

import click

from lrscope.cli.command import Command
from lrscope.cli.language_option import LANG
from lrscope.cli.output_paths import check_report


@click.command(
    "report",
    cls=Command,
    short_help="Write a study as one HTML page that works offline.",
    examples=(
        ("lrscope report digits.lrscope", "writes digits.html beside the study"),
        ("lrscope report digits.lrscope -o page.html", "writes page.html"),
        ("lrscope report digits.lrscope --lang zh", "in Chinese"),
    ),
)
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="File of the page. [default: STUDY with the ending .html]",
)
@LANG
def report_command(study: Path, out: Path | None) -> None:
    """Write STUDY as one self-contained HTML page that works offline."""
    page = study.with_suffix(".html") if out is None else out
    check_report("-o", page)

    from lrscope.study import open_study

    with open_study(study) as opened:
        opened.report(page)
    click.echo(written("report", page), err=True)


def written(what: str, path: Path) -> str:
    """'report: digits.html (1.4 MB)'."""
    from lrscope.output.text import printable, size_text

    return printable(f"{what}: {shlex.quote(str(path))} ({size_text(path.stat().st_size)})")
