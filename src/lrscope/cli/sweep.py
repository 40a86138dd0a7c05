"""`lrscope sweep`: train a problem at many learning rates and show how each did."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrscope.cli.command import Command
from lrscope.cli.language_option import LANG
from lrscope.cli.live_page import LivePage
from lrscope.cli.options import counted
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
from lrscope.errors import UsageError
from lrscope.language import said
from lrscope.plan import DEFAULT_RATES, GRADIENTS, RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lrscope.output.progress import View
    from lrscope.problems.problem import Problem
    from lrscope.study import Study


@click.command(
    "sweep",
    cls=Command,
    short_help="Train a problem at many learning rates at once.",
    examples=(
        ("lrscope sweep digits --report digits.html", "real handwritten digits, a table and a page"),
        (
            "lrscope sweep digits --rates 1e-4:0.1:12 --seeds 3 --out digits.lrscope",
            "twelve rates, three seeds each, kept for later",
        ),
        (
            "lrscope sweep digits --optimizer sgd --opt momentum=0.9 --schedule cosine",
            "another optimizer, with a schedule",
        ),
        ("lrscope sweep digits --live", "a page that follows the training"),
        ("lrscope sweep mnist --data mnist/ --rates 1e-4:1:8", "a folder of IDX files"),
        ("lrscope sweep mine.py:problem --rates 0.01,0.1,1 --device cuda", "your own problem"),
    ),
)
@PROBLEM
@click.option(
    "--rates",
    default=DEFAULT_RATES,
    show_default=True,
    help="Learning rates: 0.01,0.1,1 or start:stop:count, spaced evenly in the logarithm.",
)
@counted("--seeds", 1, "Number of seeds; each trains every rate.", default=1)
@EPOCHS
@BATCH_SIZE
@OPTIMIZER
@OPT
@SCHEDULE
@CLIP_NORM
@click.option(
    "--gradient",
    type=click.Choice(GRADIENTS),
    default=GRADIENTS[0],
    show_default=True,
    help="How gradients are computed. Differences work for Linear layers and plain gradient descent only.",
)
@click.option(
    "--curvature/--no-curvature",
    default=None,
    help="Measure the sharpness of every lane, 21 times over the run. [default: for tiny models only]",
)
@click.option(
    "--probes",
    is_flag=True,
    help="Compute 20 extra gradients to detect overshooting, and continue briefly at a fifth of the rate "
    "after training.",
)
@click.option(
    "--record",
    type=click.Choice(RECORDS),
    default=RECORDS[0],
    show_default=True,
    help="How often tensors are measured: at about 125 steps, at about 45 steps, or never.",
)
@counted(
    "--lanes-per-block",
    1,
    "Lanes per vectorised call; 1 trains one after another. [default: chosen from their size]",
)
@click.option(
    "--compile",
    "compile_steps",
    is_flag=True,
    help="Compile the training step. Pays in runs of many minutes; needs a C++ compiler.",
)
@DEVICE
@click.option(
    "--track",
    multiple=True,
    metavar="SCALAR",
    help="Weight to keep at every step, such as '0.weight[0,0]'. Repeatable. [default: one of every tensor]",
)
@DATA
@OUT
@OVERWRITE
@REPORT
@click.option("--live", is_flag=True, help="Serve a page that follows the training; Ctrl-C ends it.")
@LANG
@JSON
@QUIET
@click.option(
    "--verbose", is_flag=True, help="Print a line an epoch, with the first tracked weight of every lane."
)
def sweep_command(
    problem: str,
    rates: str,
    seeds: int,
    epochs: int | None,
    batch_size: int | None,
    optimizer: str | None,
    opt: tuple[str, ...],
    schedule: str | None,
    clip_norm: float | None,
    gradient: str,
    curvature: bool | None,
    probes: bool,
    lanes_per_block: int | None,
    compile_steps: bool,
    record: str,
    device: str,
    track: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    overwrite: bool,
    report: Path | None,
    live: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Train PROBLEM at many learning rates at once and show how each did.

    PROBLEM is a built-in name (see `lrscope problems`), package.module:name or file.py:name. Every rate
    starts from the same weights and sees the same batches in the same order.
    """
    # Check everything possible before loading torch, which takes seconds.
    from lrscope.output.progress import progress_view
    from lrscope.rates import read_rates

    rates_read = read_rates(rates)
    choice = read_choice(
        problem, data=data, optimizer=optimizer, opt=opt, batch_size=batch_size, clip_norm=clip_norm
    )
    if quiet and verbose:
        raise UsageError("--quiet and --verbose came together; keep one")
    check_files(out, report, overwrite=overwrite)
    view = progress_view(
        sys.stderr, name=problem, rates=rates_read, seeds=seeds, quiet=quiet, verbose=verbose
    )
    page = click.get_current_context().with_resource(LivePage(out, problem)) if live else None
    if page is not None:
        out = page.path
        page.say(view, quiet=quiet)
    # What a user's model prints goes to standard error: standard output is for results, and may be JSON.
    with contextlib.redirect_stdout(sys.stderr):
        study = _train(
            choice.load,
            rates_read,
            out,
            view=view,
            progress=view,
            seeds=seeds,
            epochs=epochs,
            schedule=schedule,
            gradient=gradient,
            curvature=curvature,
            probes=probes,
            lanes_per_block=lanes_per_block,
            compile=compile_steps,
            record=record,
            device=device,
            overwrite=overwrite,
            track=track or None,
        )
    with study:
        try:
            print_study(study, as_json=as_json)
            sys.stdout.flush()
        finally:
            # Also where nobody reads the table to its end (`| head`): the page was asked for.
            if report is not None:
                study.report(report)
        if not quiet:
            say_where(study, out, report, problem)
    if page is not None:
        page.stay()


def _train(
    load: "Callable[[], Problem]",
    rates: tuple[float, ...],
    path: Path | None,
    *,
    view: "View",
    **settings: Any,
) -> "Study":
    """Load the problem and run the sweep; the view shows what is to be said of it."""
    before = stamp(path)
    try:
        with view:
            problem = load()
            view.hold(*map(said, problem.notes))

            from lrscope._sweep import sweep

            study = sweep(problem, rates, path=path, **settings)
            # What was found only while training; the problem's own notes have been said.
            view.say(*(said(note) for note in study.note("notes") or () if note not in problem.notes))
            return study
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(kept(path, before, "sweep")) from interrupt
