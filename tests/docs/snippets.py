"""Snippets: the fenced blocks of a page, run as its reader would run them, and the output that it states.

    ```python       runs; one that begins with a comment that names a file, "# mine.py", is that file
    ```text         right after a python block: what that block prints
    ```console      lines after "$ " are commands; what follows a command is what it shows

Where an output says `...`, anything may stand; how many blanks there are does not matter.

`python tests/docs/snippets.py` runs README.md and the English tutorial and writes into them what they show
now, where that is not what they state. The Chinese tutorial takes its snippets from the English one.
"""

import contextlib
import dataclasses
import doctest
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from lrscope.cli import main

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ENGLISH = ROOT / "docs" / "tutorial.md"
CHINESE = ROOT / "docs" / "tutorial.zh.md"

WIDTH = 90
"""Columns of the terminal that the pages show."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w-]+\.py)\n")
_RULES = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclasses.dataclass(frozen=True)
class Snippet:
    """Something to run, and what the page says of its output.

    Attributes:
        page, line: where it stands, for the reader of a failure.
        kind: "python", "file" or "command".
        source: the code, or the command line.
        stated: the output as stated; None where the page states none.
        place: of that output in the page's text, start and end; for rewriting it.
    """

    page: str
    line: int
    kind: str
    source: str
    stated: str | None
    place: tuple[int, int]


def snippets(path: Path) -> list[Snippet]:
    """All of a page, in order."""
    text = path.read_text(encoding="utf-8")
    found: list[Snippet] = []
    for fence in _FENCE.finditer(text):
        tag, body, start = fence[1], fence[2], fence.start(2)
        line = text.count("\n", 0, start) + 1
        if tag == "python":
            named = _FILE.match(body)
            found.append(Snippet(path.name, line, "file" if named else "python", body, None, (0, 0)))
        elif tag == "text" and found and found[-1].kind == "python" and _adjoins(text, fence.start()):
            found[-1] = dataclasses.replace(found[-1], stated=body, place=fence.span(2))
        elif tag == "console":
            found += _commands(path.name, line, body, start)
    return found


def _adjoins(text: str, start: int) -> bool:
    """Whether nothing stands between this fence and the end of the one before."""
    return text[:start].rstrip().endswith("```")


def _commands(page: str, line: int, body: str, start: int) -> Iterator[Snippet]:
    for part in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
        place = (start + part.start(2), start + part.end(2))
        at = line + body.count("\n", 0, part.start())
        yield Snippet(page, at, "command", part[1], part[2] or None, place)


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a snippet showed: on standard output, and on a terminal, where standard error comes in between."""

    output: str
    terminal: str

    def agrees(self, stated: str) -> bool:
        """Whether this is what the page states."""
        checker = doctest.OutputChecker()
        return any(checker.check_output(stated, got, _RULES) for got in (self.output, self.terminal))


def run(snippet: Snippet, names: dict[str, Any]) -> Shown:
    """Run a snippet in the current folder.

    Args:
        snippet: to run.
        names: of the python blocks of its page, which build upon each other.

    Raises:
        AssertionError: a command ended with another exit code than 0.
    """
    if snippet.kind == "file":
        named = _FILE.match(snippet.source)
        assert named is not None
        Path(named[1]).write_text(snippet.source, encoding="utf-8")
        return Shown("", "")
    if snippet.kind == "python":
        printed = io.StringIO()
        code = compile("\n" * (snippet.line - 1) + snippet.source, snippet.page, "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        return Shown(printed.getvalue(), printed.getvalue())
    output = terminal = ""
    for words in commands(snippet.source):
        if words[0] != "lrscope":
            continue
        if words[1] == "live":
            _serve(words[1:])
            continue
        result = CliRunner().invoke(main, words[1:], env={"COLUMNS": str(WIDTH), "LINES": None})
        assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}"
        output, terminal = output + result.stdout, terminal + result.output
    return Shown(output, terminal)


def _serve(words: Sequence[str]) -> None:
    """Run a command that serves a page until it has said where."""
    command = [sys.executable, "-m", "lrscope", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said.startswith("http://127.0.0.1:"), shlex.join(words)


def commands(line: str) -> list[list[str]]:
    """The commands of a line, split at &&, as words."""
    return [shlex.split(part, comments=True) for part in line.split(" && ")]


def rewritten(path: Path, outputs: Mapping[Snippet, Shown]) -> str:
    """The text of a page with what its snippets show now, where it states something else."""
    text = path.read_text(encoding="utf-8")
    for snippet, shown in reversed(outputs.items()):
        if snippet.stated is None or shown.agrees(snippet.stated):
            continue
        lines = [line.rstrip() for line in shown.output.splitlines()]
        start, end = snippet.place
        text = text[:start] + "".join(f"{line}\n" for line in lines) + text[end:]
    return text


def furnish(folder: Path) -> None:
    """Put into a reader's folder what the pages take for granted: `images`, a few in the files of MNIST."""
    spec = importlib.util.spec_from_file_location("idx_files", ROOT / "tests" / "problems" / "idx_files.py")
    assert spec is not None
    assert spec.loader is not None
    idx_files = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(idx_files)
    (folder / "images").mkdir()
    for seed, part in enumerate(("train", "t10k")):
        idx_files.write_part(folder / "images", part, count=64, seed=seed)


def _rewrite(paths: Iterable[Path]) -> None:
    """Run pages in a folder of their own, and write what they print into them."""
    sys.path.insert(0, "")
    for path in paths:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            furnish(Path())
            names: dict[str, Any] = {}
            new = rewritten(path, {snippet: run(snippet, names) for snippet in snippets(path)})
        path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _rewrite([Path(name).resolve() for name in sys.argv[1:]] or [README, ENGLISH])
