"""`lrscope sweep`: train a problem at many learning rates and show what each did."""

import contextlib
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrscope.cli.destination import check_report, check_study
from lrscope.cli.door import Command
from lrscope.cli.options import OptionValue, count, positive, read_options
from lrscope.cli.report import written
from lrscope.cli.show import print_study
from lrscope.errors import UsageError
from lrscope.plan import GRADIENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lrscope.outlets.progress import View
    from lrscope.problems.problem import Problem
    from lrscope.study import Study

DEFAULT_RATES = "1e-5:1:16"
"""Five decades, a factor of 2.15 apart: from too slow to diverged for nearly every model and optimizer."""


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
        ("lrscope sweep mnist --data mnist/ --rates 1e-4:1:8", "a folder of IDX files"),
        ("lrscope sweep mine.py:problem --rates 0.01,0.1,1 --device cuda", "your own problem"),
    ),
)
@click.argument("problem")
@click.option(
    "--rates",
    default=DEFAULT_RATES,
    show_default=True,
    help="Learning rates: 0.01,0.1,1 or start:stop:count, evenly spaced in the logarithm.",
)
@click.option("--seeds", callback=count(1), default="1", show_default=True, metavar="N", help="Seeds 0..N-1.")
@click.option(
    "--epochs", callback=count(1), metavar="N", help="Passes over the data. [default: the problem's]"
)
@click.option(
    "--batch-size",
    callback=count(0),
    metavar="N",
    help="Examples a step; 0 takes all. [default: the problem's]",
)
@click.option("--optimizer", metavar="NAME", help="A class of torch.optim: sgd, adam, adamw, ...")
@click.option(
    "--opt", multiple=True, metavar="KEY=VALUE", help="Option of --optimizer: momentum=0.9. Repeatable."
)
@click.option("--schedule", metavar="NAME", help="constant, cosine, linear, warmup-cosine, onecycle or step.")
@click.option(
    "--clip-norm", callback=positive, metavar="X", help="Scale every lane's gradient to at most this norm."
)
@click.option(
    "--gradient",
    type=click.Choice(GRADIENTS),
    default=GRADIENTS[0],
    show_default=True,
    help="How derivatives are got. By differences only for Linear layers and plain gradient descent.",
)
@click.option(
    "--curvature",
    is_flag=True,
    default=None,
    help="Measure the sharpness of every lane, 21 times over the run. [default: only for tiny models]",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option(
    "--track",
    multiple=True,
    metavar="SCALAR",
    help="Weight whose trajectory to keep: '0.weight[0,0]'. Repeatable. [default: the first of every tensor]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the data of mnist or fashion are.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Keep the study here, a *.lrscope file."
)
@click.option("--overwrite", is_flag=True, help="Replace the study at --out.")
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE.html", help="Write a page of charts here."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else on standard output."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, only results and errors.")
@click.option("--verbose", is_flag=True, help="A line an epoch, with the first tracked weight of every lane.")
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
    device: str,
    track: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    overwrite: bool,
    report: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Train PROBLEM at many learning rates at once and say what became of each.

    PROBLEM is a built-in name (see `lrscope problems`), package.module:name or file.py:name. Every rate
    starts from the same weights and sees the same batches in the same order.
    """
    # Everything that can be wrong without training is found before torch is loaded: that takes seconds.
    from lrscope.outlets.epochs import EpochLines
    from lrscope.outlets.progress import progress_view
    from lrscope.rates import read_rates

    rates_read = read_rates(rates)
    options = read_options(opt)
    if options and optimizer is None:
        raise UsageError(
            f"--opt {opt[0]} came without an optimizer; name its optimizer: --optimizer sgd --opt {opt[0]}"
        )
    if quiet and verbose:
        raise UsageError("--quiet and --verbose came together; keep one")
    _check_files(out, report, overwrite=overwrite)
    view = progress_view(sys.stderr, name=problem, rates=rates_read, seeds=seeds, quiet=quiet)
    # What a user's model prints goes to standard error: standard output is for results, and may be JSON.
    with contextlib.redirect_stdout(sys.stderr):
        study = _train(
            lambda: _load(problem, data, optimizer, options, batch_size, clip_norm),
            rates_read,
            out,
            view=view,
            progress=EpochLines(view, rates_read, seeds) if verbose else view,
            seeds=seeds,
            epochs=epochs,
            batch_size=batch_size,
            schedule=schedule,
            gradient=gradient,
            curvature=curvature,
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
            _say_where(study, out, report, problem)


def _check_files(out: Path | None, report: Path | None, *, overwrite: bool) -> None:
    """Raise UsageError unless what the sweep will write can be written: nothing is lost after a long run."""
    if out is not None:
        check_study("--out", out, overwrite=overwrite)
    elif overwrite:
        raise UsageError(
            "--overwrite came without --out; name the study to replace: --out digits.lrscope --overwrite"
        )
    if report is not None:
        check_report("--report", report)
    if report is not None and out is not None and report.resolve() == out.resolve():
        raise UsageError(f"--out and --report are both {shlex.quote(str(out))}; name two files")


def _load(
    reference: str,
    data: Path | None,
    optimizer: str | None,
    options: dict[str, OptionValue],
    batch_size: int | None,
    clip_norm: float | None,
) -> "Problem":
    """The problem, with the optimizer and the clipping that the command line names."""
    from lrscope.problems.load import load_problem

    problem = load_problem(reference, data)

    from torch.utils.data import DataLoader

    if batch_size is not None and isinstance(problem.train, DataLoader):
        raise UsageError(
            f"--batch-size {batch_size}: this problem's DataLoader makes its own batches; leave it out"
        )
    changes: dict[str, Any] = {}
    if optimizer is not None:
        from lrscope.training.optimizers import optimizer_by_name

        changes["optimizer"] = optimizer_by_name(optimizer, options)
    if clip_norm is not None:
        changes["clip_norm"] = clip_norm
    return dataclasses.replace(problem, **changes)


def _train(
    load: "Callable[[], Problem]",
    rates: tuple[float, ...],
    path: Path | None,
    *,
    view: "View",
    **settings: Any,
) -> "Study":
    """Load the problem and run the sweep; the view shows what is to be said of it."""
    before = _stamp(path)
    try:
        with view:
            problem = load()
            view.hold(*problem.notes)

            from lrscope.sweeping import sweep

            study = sweep(problem, rates, path=path, **settings)
            # What was found only while training; the problem's own notes have been said.
            view.say(*(note for note in study.note("notes") or () if note not in problem.notes))
            return study
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(_kept(path, before)) from interrupt


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """Which file stands at a path: an overwritten study stays until the new one stands."""
    if path is None or not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def _kept(path: Path | None, before: tuple[int, int] | None) -> str:
    """What an interrupted sweep leaves behind."""
    if path is None:
        return "nothing was kept; a sweep with --out FILE keeps what it had recorded"
    if _stamp(path) == before:
        return "nothing had been recorded yet"
    name = shlex.quote(str(path))
    return f"what was recorded is in {name}; look at it: lrscope show {name}"


def _say_where(study: "Study", out: Path | None, report: Path | None, reference: str) -> None:
    """Say how long it took, where things were written, and how to keep a study that was not."""
    from lrscope.outlets.numerals import duration_text
    from lrscope.outlets.printable import printable

    click.echo(f"trained in {duration_text(study.note('seconds') or 0)}", err=True)
    for what, path in (("study", out), ("report", report)):
        if path is not None:
            click.echo(written(what, path), err=True)
    if out is None:
        name = shlex.quote(f"{Path(reference.partition(':')[0]).stem}.lrscope")
        hint = f"the study was kept in memory only; to keep it, add --out {printable(name)}"
        click.echo(hint, err=True)
