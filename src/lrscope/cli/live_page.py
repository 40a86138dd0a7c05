"""Live page: the page of a sweep, served by a process beside it."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from lrscope.errors import RunError
from lrscope.language import spoken
from lrscope.outlets.text import printable

if TYPE_CHECKING:
    from lrscope.outlets.progress import View

_STOP_SECONDS = 0.5
_TICK_SECONDS = 0.2

_FEW = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
"""The page takes a core at most, and that at low priority: the rest is for training."""


class LivePage:
    """Serves the study of a sweep from another process, which reads its file and cannot slow it down.

    Args:
        out: where the sweep will write; None for a temporary file, which is kept.
        reference: the problem as it was typed, for the name of that file.

    Attributes:
        path: of the study.
    """

    def __init__(self, out: Path | None, reference: str) -> None:
        self._temporary = out is None
        self.path = _temporary_path(reference) if out is None else out
        self._lines: tuple[str, ...] = ()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start the server.

        Raises:
            RunError: it could not be started.
        """
        serving = ["live", "--wait", "--beside", "--lang", spoken(), "--", os.path.abspath(self.path)]
        # -P: a folder called lrscope where the command was typed is not the program.
        command = [sys.executable, "-P", "-m", "lrscope", *serving]
        self._process = process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # ends with this process, however that ends, and the server with it
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_FEW},
            start_new_session=True,  # Ctrl-C is for the sweep
        )
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            self._stop()
            raise RunError(
                "--live: the page could not be served (see above); leave out --live to train without"
            )
        self._lines = (f"live page: {address}",)
        if self._temporary:
            name = printable(shlex.quote(str(self.path)))
            self._lines += (f"no --out: the study goes to a temporary file, {name}",)
        return self

    def say(self, view: "View", *, quiet: bool) -> None:
        """Say the address and where the study goes, once training begins: a wrong command says one line."""
        if quiet:
            click.echo("\n".join(self._lines), err=True)
        else:
            view.hold(*self._lines)

    def stay(self) -> None:
        """Go on serving until Ctrl-C: the sweep is done, so that is no interruption."""
        assert self._process is not None
        if self._process.poll() is not None:
            return
        click.echo("the live page stays until Ctrl-C", err=True)
        try:
            # Not one long wait: a signal that another thread of a library takes does not end it.
            while self._process.poll() is None:
                time.sleep(_TICK_SECONDS)
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                click.echo(err=True)  # the terminal has echoed ^C

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _temporary_path(reference: str) -> Path:
    """mine.lrscope for mine.py:problem, in a new folder that only its owner can read."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(reference.partition(":")[0]).stem).strip("-")
    return Path(tempfile.mkdtemp(prefix="lrscope-")) / f"{stem or 'study'}.lrscope"
