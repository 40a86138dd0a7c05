"""Destination: a file that a command will write, checked before the work that fills it."""

import shlex
import tempfile
from pathlib import Path

from lrscope.errors import UsageError

_SQLITE = b"SQLite format 3\x00"
"""What every SQLite file starts with (https://sqlite.org/fileformat.html, 1.3.1)."""


def check_destination(option: str, path: Path, example: str = "digits.html") -> None:
    """Raise UsageError unless a file can be written at `path`.

    Args:
        option: what the user typed it after, "--report"; begins the message.
        path: of the file, which may exist.
        example: of a name for a file.
    """
    came = f"{option} {shlex.quote(str(path))}"
    try:
        if path.is_dir():
            inside = shlex.quote(str(path / example))
            raise UsageError(f"{came} is a folder; name a file in it: {option} {inside}")
        if path.exists() and not path.is_file():
            raise UsageError(f"{came} is neither a file nor a free name; name another file")
        folder = path.parent
        if not folder.exists():
            raise UsageError(
                f"{came}: the folder does not exist; make it first: mkdir -p {shlex.quote(str(folder))}"
            )
        if not folder.is_dir():
            raise UsageError(f"{came}: {shlex.quote(str(folder))} is a file, not a folder")
        # Trying is the only test that holds for every file system, owner and access list.
        with tempfile.TemporaryFile(dir=folder):
            pass
        if path.exists():
            path.open("ab").close()
    except OSError as error:
        raise UsageError(
            f"{came} cannot be written ({error.strerror or error}); name a file in a folder of yours"
        ) from error


def check_report(option: str, path: Path) -> None:
    """Raise UsageError unless a report can be written at `path`, and under a name that says what it is."""
    check_figure(option, path)
    if path.suffix.lower() not in ("", ".html", ".htm"):
        raise UsageError(
            f"{option} {shlex.quote(str(path))}: a report is an HTML page; "
            f"type {option} {shlex.quote(str(path.with_suffix('.html')))}"
        )


def check_figure(option: str, path: Path) -> None:
    """Raise UsageError unless a figure can be written at `path`; a study there is never replaced by one."""
    check_destination(option, path)
    if path.exists() and _is_sqlite(path):
        raise UsageError(
            f"{option} {shlex.quote(str(path))} holds a study, which would be replaced; "
            f"type {option} {shlex.quote(str(path.with_suffix('.html')))}"
        )


def check_study(option: str, path: Path, *, overwrite: bool) -> None:
    """Raise UsageError unless a new study can be written at `path`; only a study is ever replaced by one."""
    if path.is_file() and not overwrite:
        raise UsageError(
            f"{option} {shlex.quote(str(path))} exists; name another file, or replace it with --overwrite"
        )
    check_destination(option, path, "digits.lrscope")
    if path.exists() and path.stat().st_size > 0 and not _is_sqlite(path):
        raise UsageError(
            f"{option} {shlex.quote(str(path))} exists and is no study, so --overwrite leaves it alone; "
            "name another file"
        )


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
