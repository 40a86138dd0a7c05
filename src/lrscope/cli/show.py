"""`lrscope show`: a study in the terminal."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lrscope.cli.command import Command
from lrscope.cli.language_option import LANG
from lrscope.cli.problem_options import JSON

if TYPE_CHECKING:
    from lrscope.study import Study


@click.command(
    "show",
    cls=Command,
    short_help="Show a study: how each rate did, and the best.",
    examples=(
        ("lrscope show digits.lrscope", "the table of lanes and the recommendation"),
        ("lrscope show digits.lrscope --json", "the same for a program: one JSON document"),
        (
            "lrscope show digits.lrscope --json | jq .recommendation.rate",
            "the recommended rate alone",
        ),
        ("lrscope show digits.lrscope --objective accuracy", "the best rate by a metric"),
        ("lrscope show digits.lrscope --lang zh", "in Chinese"),
    ),
)
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--objective",
    metavar="NAME",
    help="Compare rates at the end of training by val-loss, train-loss or a metric; add :max or :min to "
    "say which direction is better. [default: as the study was made]",
)
@LANG
@JSON
def show_command(study: Path, objective: str | None, as_json: bool) -> None:
    """Show how each lane of STUDY did and why, and the recommended rate.

    STUDY is a file that `lrscope sweep --out` wrote. It may still be being written.
    """
    from lrscope.study import open_study

    with open_study(study) as opened:
        print_study(opened, as_json=as_json, objective=objective)


def print_study(study: "Study", *, as_json: bool, objective: str | None = None) -> None:
    """Print a study on standard output, as a table or as one strict JSON document."""
    from lrscope.output.json_document import document

    content = document(study, objective)
    if as_json:
        click.echo(json.dumps(content, allow_nan=False, indent=2))
    else:
        from lrscope.output.terminal import show

        show(content, sys.stdout)
