"""What a user does: type a command line, look at all that it shows, open the page that it serves.

Every command runs in a process of its own. Nothing here looks inside lrscope.
"""

import contextlib
import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

WIDTH = 90
"""Columns of the terminal."""

SECONDS = 600
"""How long a command may take on a busy machine."""

COMPLAINTS = ("unexpected", "Traceback", "Warning", "undefined", "Error:")
"""Words that no command may show that ends well."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        line: as it was typed.
        code: the exit code.
        output, errors: what it wrote on standard output and on standard error.
    """

    line: str
    code: int
    output: str
    errors: str

    def __str__(self) -> str:
        """Show the command and all that came of it, for the reader of a failure."""
        return f"$ {self.line}\n{self.output}\n{self.errors}\nexit code {self.code}"

    def document(self) -> Any:
        """Return the JSON document on standard output, which may hold nothing that is not strict JSON."""

        def refuse(constant: str) -> NoReturn:
            raise AssertionError(f"{constant} is not JSON: {self}")

        return json.loads(self.output, parse_constant=refuse)

    def rates(self) -> list[float]:
        """Return the rates of the table on standard output, each once, in the table's order."""
        return [float(rate) for rate in skeleton(self.output)[1]]


def skeleton(output: str) -> tuple[list[str], list[str], str]:
    """Return what a command's output has on every machine: the table's columns and rows, the answer's verb.

    Args:
        output: as shown by the command, or as stated by a page.

    Returns:
        The titles of the columns; the first cell of every row, each once; `Use`, `Cannot` or `Every`. Empty
        where there is none of it.
    """
    table = re.search(r"^ *((?:rate|tensor|学习率) .*)\n((?:.+\n)*)", output, re.MULTILINE)
    rows = re.findall(r"^(?:→ | {0,2})(\S+) ", table[2], re.MULTILINE) if table else []
    verb = re.search(r"^(Use|Cannot|Every) ", output, re.MULTILINE)
    return table[1].split() if table else [], list(dict.fromkeys(rows)), verb[1] if verb else ""


def environment(processes: int = 1) -> dict[str, str]:
    """Return the variables of a terminal in which torch may use so many threads, and lrscope processes."""
    kept = {
        key: value for key, value in os.environ.items() if key not in ("LINES", "NO_COLOR", "LRSCOPE_LANG")
    }
    return {**kept, "COLUMNS": str(WIDTH), "OMP_NUM_THREADS": str(processes), "PYTHONUNBUFFERED": "1"}


def words(line: str) -> list[str]:
    """Return the words of a command line that begins with `lrscope`, as a process takes them."""
    first, *rest = shlex.split(line, comments=True)
    assert first == "lrscope", line
    return [sys.executable, "-m", "lrscope", *rest]


def typed(line: str, folder: Path, processes: int = 1) -> Ended:
    """Run a command line in a folder until it ends, however it ends."""
    done = subprocess.run(
        words(line),
        cwd=folder,
        env=environment(processes),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(line, done.returncode, done.stdout, done.stderr)


def done(line: str, folder: Path, processes: int = 1) -> Ended:
    """Run a command line in a folder; it has to end well, without a word of complaint."""
    ended = typed(line, folder, processes)
    assert ended.code == 0, str(ended)
    for word in COMPLAINTS:
        assert word not in ended.output + ended.errors, str(ended)
    return ended


def answer(ended: Ended) -> dict[str, Any]:
    """Return the recommendation of a JSON document: a rate inside its interval, or the reason for none."""
    told: dict[str, Any] = ended.document()["recommendation"]
    if told["cannot_tell"] is not None:
        assert told["rate"] is None, str(ended)
        assert told["cannot_tell"], str(ended)
    else:
        assert 0 < told["low"] <= told["rate"] <= told["high"] < float("inf"), str(ended)
        assert told["margin"] is None or told["margin"] > 1, str(ended)
    return told


@contextlib.contextmanager
def served(line: str, folder: Path) -> Iterator[str]:
    """Run a command that serves a page; give the page's address; then press Ctrl-C.

    It has to end with the exit code of an interrupted command or of one that is done, without a complaint.
    """
    with (folder / "served.txt").open("w+") as errors:
        process = subprocess.Popen(
            words(line), cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), f"{line}: {address}"
            yield address
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
            process.communicate()
        errors.seek(0)
        ended = Ended(line, process.returncode, output, errors.read())
    assert ended.code in (0, 130), str(ended)
    for word in COMPLAINTS:
        assert word not in ended.output + ended.errors, str(ended)


def fetched(address: str) -> str:
    """Return the page at an address of this machine, as a browser does: with cookies, past any proxy."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
    )
    with opener.open(address, timeout=60) as answered:
        assert answered.status == 200, address
        text: str = answered.read().decode("utf-8")
    return text
