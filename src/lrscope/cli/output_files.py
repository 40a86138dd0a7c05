"""Keeping: what a command that trains writes, checked before it trains and told of afterwards."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lrscope.cli.output_paths import check_report, check_study
from lrscope.cli.report import written
from lrscope.errors import UsageError
from lrscope.language import say

if TYPE_CHECKING:
    from lrscope.study import Study

OUT = click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the study to this *.lrscope file."
)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace an existing study at --out.")
REPORT = click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write the HTML report to this file.",
)


def check_files(out: Path | None, report: Path | None, *, overwrite: bool) -> None:
    """Raise UsageError unless what will be written can be written: nothing is lost after a long run."""
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


def stamp(path: Path | None) -> tuple[int, int] | None:
    """Which file stands at a path: an overwritten study stays until the new one stands."""
    if path is None or not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def kept(path: Path | None, before: tuple[int, int] | None, command: str) -> str:
    """What an interrupted command leaves behind; `before` is the stamp of the path when it began."""
    if path is None:
        return f"nothing was kept; a {command} with --out FILE keeps what it had recorded"
    if stamp(path) == before:
        return "nothing had been recorded yet"
    name = shlex.quote(str(path))
    return f"what was recorded is in {name}; look at it: lrscope show {name}"


def say_where(study: "Study", out: Path | None, report: Path | None, reference: str) -> None:
    """Say how long it took, where things were written, and how to keep a study that was not."""
    from lrscope.output.text import duration_text, printable

    time = duration_text(study.note("seconds") or 0)
    click.echo(say("trained in {time}", "训练用时 {time}", time=time), err=True)
    for what, path in (("study", out), ("report", report)):
        if path is not None:
            click.echo(written(what, path), err=True)
    if out is None:
        name = shlex.quote(f"{Path(reference.partition(':')[0]).stem}.lrscope")
        hint = f"the study was kept in memory only; to keep it, add --out {printable(name)}"
        click.echo(hint, err=True)
