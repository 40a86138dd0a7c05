"""Every way out of a command: its exit code and its one line."""

import errno
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from lrscope.cli.command import Command, Door
from lrscope.errors import ProblemError, RatesError, StoreError, TrainingError, UsageError


def _door(error: BaseException | None = None) -> Door:
    @click.group(cls=Door)
    def door() -> None:
        """A group."""

    @door.command("sweep", cls=Command, examples=(("lrscope sweep digits", "the digits"),))
    @click.argument("problem")
    @click.option("--rates")
    def sweep(problem: str, rates: str | None) -> None:
        """A command."""
        if error is not None:
            raise error
        click.echo(problem)

    assert isinstance(door, Door)
    return door


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (None, 0, ""),
        (UsageError("no such thing; type this"), 2, "lrscope: no such thing; type this"),
        (RatesError("rate 0 is not positive"), 2, "lrscope: rate 0 is not positive"),
        (ProblemError("no\n  such\nproblem"), 2, "lrscope: no such problem"),
        (TrainingError("the model raised"), 1, "lrscope: the model raised"),
        (StoreError("the disk is full"), 1, "lrscope: the disk is full"),
        (KeyboardInterrupt(), 130, "lrscope: interrupted"),
        (KeyboardInterrupt("what was kept is in x"), 130, "lrscope: interrupted; what was kept is in x"),
        (OSError(errno.ENOSPC, "No space left", "page.html"), 1, "lrscope: page.html: No space left"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 0, ""),
        (EOFError("end"), 1, "lrscope: unexpected EOFError: end (LRSCOPE_DEBUG=1 shows the traceback)"),
        (ZeroDivisionError("a\nb"), 1, "lrscope: unexpected ZeroDivisionError: a b (LRSCOPE_DEBUG=1"),
        (TrainingError("\x1b[31mhostile\x07"), 1, "lrscope: \\x1b[31mhostile\\x07"),
    ],
)
def test_an_exception_is_one_exit_code_and_one_line(
    error: BaseException | None, code: int, line: str
) -> None:
    result = CliRunner().invoke(_door(error), ["sweep", "digits"])
    assert result.exit_code == code
    assert result.stderr.startswith(line)
    assert len(result.stderr.splitlines()) == (1 if line else 0)
    assert result.stdout == ("digits\n" if error is None else "")


def test_debugging_shows_the_traceback_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRSCOPE_DEBUG", "1")
    result = CliRunner().invoke(_door(TrainingError("the model raised")), ["sweep", "digits"])
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1] == "lrscope: the model raised"


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_behind_standard_output_is_said() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lrscope", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
