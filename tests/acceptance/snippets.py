"""Snippets: the fenced blocks of a page, run as its reader would run them, and the output that it states.

Every command runs in a process of its own; the Python blocks of a page share one, as in a reader's session.

    ```python       runs; one that begins with a comment that names a file, "# mine.py", is that file
    ```text         right after a python block: what that block prints
    ```console      lines after "$ " are commands; what follows a command is what it shows

Where an output says `...`, anything may stand; how many blanks there are does not matter.

`python tests/acceptance/snippets.py` runs README.md and the English tutorial and writes into them what they
show now, where that is not what they state. The Chinese tutorial takes its snippets from the English one.
"""

import dataclasses
import doctest
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from user import Ended, done, environment, fetched, served

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ENGLISH = ROOT / "docs" / "tutorial.md"
CHINESE = ROOT / "docs" / "tutorial.zh.md"

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
    """What a snippet showed on standard output and on standard error."""

    output: str
    errors: str = ""

    def agrees(self, stated: str) -> bool:
        """Return whether this is what the page states."""
        checker = doctest.OutputChecker()
        shown = (self.output, self.errors, self.errors + self.output)
        return any(checker.check_output(stated, text, _RULES) for text in shown)


class Session:
    """A reader's Python session, and a terminal beside it, in one folder.

    Args:
        folder: where both are.
        processes: that lrscope may train in.

    Attributes:
        ended: the commands that were run.
    """

    def __init__(self, folder: Path, processes: int = 1) -> None:
        self._folder, self._processes = folder, processes
        self._python: subprocess.Popen[str] | None = None
        self.ended: list[Ended] = []

    def __enter__(self) -> "Session":
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave Python."""
        if self._python is not None:
            self._python.kill()
            self._python.communicate()

    def run(self, snippet: Snippet) -> Shown:
        """Run a snippet.

        Raises:
            AssertionError: it ended in an error, or with a warning.
        """
        if snippet.kind == "file":
            named = _FILE.match(snippet.source)
            assert named is not None
            (self._folder / named[1]).write_text(snippet.source, encoding="utf-8")
            return Shown("")
        if snippet.kind == "python":
            return Shown(self._executed(snippet))
        output = errors = ""
        for line in snippet.source.split(" && "):
            if not line.startswith("lrscope "):
                continue
            if line.startswith("lrscope live"):
                with served(line, self._folder) as address:
                    assert "<html" in fetched(address)
                continue
            ended = done(line, self._folder, self._processes)
            self.ended.append(ended)
            output, errors = output + ended.output, errors + ended.errors
        return Shown(output, errors)

    def _executed(self, snippet: Snippet) -> str:
        """Run a block of Python; return what it prints."""
        if self._python is None:
            with (self._folder / "python.txt").open("w") as errors:
                self._python = subprocess.Popen(
                    [sys.executable, "-c", _PYTHON],
                    cwd=self._folder,
                    env=environment(self._processes),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        where = f"{snippet.page}, line {snippet.line}"
        self._python.stdin.write(json.dumps([snippet.source, where]) + "\n")
        self._python.stdin.flush()
        answer = self._python.stdout.readline()
        said = (self._folder / "python.txt").read_text()
        assert answer, f"{where}: {said}"
        assert "Warning" not in said, f"{where}: {said}"
        printed: str = json.loads(answer)
        return printed


_PYTHON = """
import contextlib, io, json, sys

sys.path.insert(0, "")
names = {"__name__": "__main__"}
for line in sys.stdin:
    source, where = json.loads(line)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(source, where, "exec"), names)
    print(json.dumps(printed.getvalue()), flush=True)
"""


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
    for path in paths:
        with tempfile.TemporaryDirectory() as folder, Session(Path(folder)) as session:
            furnish(Path(folder))
            new = rewritten(path, {snippet: session.run(snippet) for snippet in snippets(path)})
        path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    _rewrite([Path(name).resolve() for name in sys.argv[1:]] or [README, ENGLISH])
