"""`lrscope range`: the learning-rate range test, by every published rule."""

import contextlib
import json
import sys
from pathlib import Path

import click

from lrscope.cli.command import Command
from lrscope.cli.language_option import LANG, warnings_told
from lrscope.cli.options import counted, positive
from lrscope.cli.output_paths import check_figure
from lrscope.cli.problem_options import (
    BATCH_SIZE,
    CLIP_NORM,
    DATA,
    DEVICE,
    JSON,
    OPT,
    OPTIMIZER,
    PROBLEM,
    QUIET,
    read_choice,
)
from lrscope.cli.report import written
from lrscope.errors import UsageError
from lrscope.language import said, say

_FEWEST, _MOST = 20, 100_000
"""Steps, as `training.ramp` has them: said here before torch is loaded."""

_SEEDS_AT_MOST = 256


@click.command(
    "range",
    cls=Command,
    short_help="The classic range test, by every published rule: a reference.",
    examples=(
        ("lrscope range digits", "the rate of each rule, and its spread over four seeds"),
        ("lrscope range digits --seeds 8 --chart range.html", "eight seeds, and the chart"),
        ("lrscope range mine.py:problem --low 1e-8 --high 1 --steps 200", "your own problem, a slower ramp"),
        ("lrscope range digits --json -q | jq '.rules[0].rate'", "the rate of the first rule alone"),
    ),
)
@PROBLEM
@click.option(
    "--low",
    callback=positive("1e-7"),
    default="1e-7",
    show_default=True,
    metavar="RATE",
    help="Rate of the first step.",
)
@click.option(
    "--high",
    callback=positive("10"),
    default="10",
    show_default=True,
    metavar="RATE",
    help="Rate of the last step.",
)
@counted("--steps", _FEWEST, "Steps of the ramp.", default=100)
@counted("--seeds", 1, "Number of seeds.", default=4)
@BATCH_SIZE
@OPTIMIZER
@OPT
@CLIP_NORM
@DEVICE
@DATA
@click.option(
    "--chart",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Save the chart: .html, .svg, .png, .pdf or .json (Vega-Lite).",
)
@click.option(
    "--theme",
    type=click.Choice(("light", "dark")),
    default="light",
    show_default=True,
    help="Colours of the chart.",
)
@LANG
@JSON
@QUIET
def range_command(
    problem: str,
    low: float,
    high: float,
    steps: int,
    seeds: int,
    batch_size: int | None,
    optimizer: str | None,
    opt: tuple[str, ...],
    clip_norm: float | None,
    device: str,
    data: Path | None,
    chart: Path | None,
    theme: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train PROBLEM for a few steps while the rate rises from --low to --high, and read a rate off the loss.

    The table shows every published rule with its spread over seeds. It is a reference; for an answer use
    `lrscope find`. The ramp replaces the problem's schedule.
    """
    choice = read_choice(
        problem,
        data=data,
        optimizer=optimizer,
        opt=opt,
        batch_size=batch_size,
        clip_norm=clip_norm,
        rates_come_from="the rates rise from --low to --high; leave it out",
    )
    _check(low, high, steps, seeds)
    if chart is not None:
        from lrscope.output.figure import figure_format

        figure_format(chart)
        check_figure("--chart", chart)
    # What a user's model prints goes to standard error: standard output is for results, and may be JSON.
    with contextlib.redirect_stdout(sys.stderr):
        loaded = choice.load()

        from lrscope._range_test import range_test
        from lrscope.output.text import one_line

        found = range_test(loaded, low=low, high=high, steps=steps, seeds=seeds, device=device)
        for note in found.notes if not quiet else ():
            click.echo(one_line(said(note)), err=True)
    from lrscope.output.range_table import range_document, show_range

    try:
        if as_json:
            click.echo(json.dumps(range_document(found), allow_nan=False, indent=2))
        else:
            show_range(found, sys.stdout)
        sys.stdout.flush()
    finally:
        # Also where nobody reads the table to its end (`| head`): the picture was asked for.
        if chart is not None:
            with warnings_told():
                found.save(chart, theme)
    if not quiet:
        from lrscope.output.text import duration_text, printable

        if chart is not None:
            click.echo(written("chart", chart), err=True)
        time = duration_text(found.seconds)
        click.echo(say("trained in {time}", "训练用时 {time}", time=time), err=True)
        click.echo(printable(f"for an answer with an interval: lrscope find {choice.words}"), err=True)


def _check(low: float, high: float, steps: int, seeds: int) -> None:
    """Raise UsageError where the ramp asked for cannot be run, before torch is loaded."""
    if not low < high:
        raise UsageError(
            f"--low {low:g} --high {high:g} does not rise; type for instance --low 1e-7 --high 10"
        )
    if steps > _MOST:
        raise UsageError(f"--steps wants at most {_MOST:,}; got {steps:,}; 100 are usual")
    if seeds > _SEEDS_AT_MOST:
        raise UsageError(f"--seeds wants at most {_SEEDS_AT_MOST}; got {seeds:,}; 4 to 8 show the spread")
