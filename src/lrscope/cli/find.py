"""`lrscope find`: find the rate to use within a budget of training runs."""

import contextlib
import sys
from pathlib import Path

import click

from lrscope.cli.command import Command
from lrscope.cli.language_option import LANG
from lrscope.cli.options import counted, positive
from lrscope.cli.output_files import OUT, OVERWRITE, REPORT, check_files, kept, say_where, stamp
from lrscope.cli.problem_options import (
    BATCH_SIZE,
    CLIP_NORM,
    DATA,
    DEVICE,
    EPOCHS,
    JSON,
    OPT,
    OPTIMIZER,
    PROBLEM,
    QUIET,
    SCHEDULE,
    read_choice,
)
from lrscope.cli.show import print_study
from lrscope.language import said, say


@click.command(
    "find",
    cls=Command,
    short_help="Find the rate to use, within a budget of training runs.",
    examples=(
        ("lrscope find digits", "the rate, its interval, the margin to the first rate that fails"),
        ("lrscope find digits --budget 16 --report digits.html", "more certain, and a page of charts"),
        ("lrscope find mine.py:problem --objective accuracy", "your own problem, by a metric of its own"),
        ("lrscope find digits --json -q | jq .recommendation.rate", "the rate alone"),
    ),
)
@PROBLEM
@click.option(
    "--budget",
    callback=positive("8"),
    default="8",
    show_default=True,
    metavar="RUNS",
    help="Most that the search may spend, in full training runs.",
)
@click.option(
    "--objective",
    metavar="NAME",
    help="Compare rates at the end of training by val-loss, train-loss or a metric; add :max or :min to "
    "say which direction is better. [default: val-loss, or train-loss without validation data]",
)
@counted("--seed", 0, "Random seed of the search.", default=0)
@EPOCHS
@BATCH_SIZE
@OPTIMIZER
@OPT
@SCHEDULE
@CLIP_NORM
@DEVICE
@DATA
@OUT
@OVERWRITE
@REPORT
@LANG
@JSON
@QUIET
def find_command(
    problem: str,
    budget: float,
    objective: str | None,
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    optimizer: str | None,
    opt: tuple[str, ...],
    schedule: str | None,
    clip_norm: float | None,
    device: str,
    data: Path | None,
    out: Path | None,
    overwrite: bool,
    report: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find the learning rate to use for PROBLEM, within a budget.

    Rates half a decade apart are first trained for a short time. The better ones train on, rates around the
    best are added, and few train to the end, on more than one seed. The recommended rate was trained to the
    end.
    """
    choice = read_choice(
        problem, data=data, optimizer=optimizer, opt=opt, batch_size=batch_size, clip_norm=clip_norm
    )
    check_files(out, report, overwrite=overwrite)
    before = stamp(out)

    notes: list[str] = []

    def show_progress(words: str, spent: float) -> None:
        # Only now: a command that turns out wrong says one line.
        while notes:
            click.echo(said(notes.pop(0)), err=True)
        if not quiet:
            click.echo(f"{spent:5.2f} of {budget:g} runs spent: {words}", err=True)

    # What a user's model prints goes to standard error: standard output is for results, and may be JSON.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            loaded = choice.load()
            notes += () if quiet else loaded.notes

            from lrscope._find import search

            study = search(
                loaded,
                budget,
                seed,
                objective=objective,
                epochs=epochs,
                schedule=schedule,
                device=device,
                path=out,
                overwrite=overwrite,
                progress=show_progress,
            )
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(kept(out, before, "search")) from interrupt
    from lrscope.output.text import duration_text

    with study:
        try:
            print_study(study, as_json=as_json)
            sys.stdout.flush()
        finally:
            if report is not None:
                study.report(report)
        if not quiet:
            spent = study.recommendation(objective).spent
            click.echo(
                say(
                    "spent {spent} of {budget} runs, {time} of processor time",
                    "花费了 {budget} 次训练中的 {spent} 次，处理器时间 {time}",
                    spent=f"{spent:.2f}",
                    budget=f"{budget:g}",
                    time=duration_text(study.note("cpu_seconds") or 0),
                ),
                err=True,
            )
            say_where(study, out, report, problem)
