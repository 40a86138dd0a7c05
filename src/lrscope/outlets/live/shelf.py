"""Shelf: the studies that a live page offers, one or a folder of them, and what is wrong with the others."""

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from lrscope.errors import StudyError
from lrscope.outlets.text import one_line, printable
from lrscope.store.schema import APPLICATION_ID
from lrscope.store.study_file import StudyFile

ENDING = ".lrscope"
MOST = 500
"""Files of a folder that are listed, the newest first."""

_MAGIC = b"SQLite format 3\x00"
_ID_AT = 68
"""Where SQLite keeps the application's number (https://sqlite.org/fileformat.html, 1.3)."""

UNREADABLE = "unreadable"

Stamp = tuple[int, ...]


class Listed(NamedTuple):
    """A file on the shelf, in words.

    Attributes:
        name: how it is asked for.
        modified: when it was written to last, in seconds since 1970.
        state: of the study; "waiting" where it is not there yet, "unreadable" where `reason` says why.
        problem, step, steps, rates, seeds: what it is, and how far.
        reason: one line, "" where nothing is wrong.
    """

    name: str
    modified: float
    state: str
    problem: str = ""
    step: int = 0
    steps: int = 0
    rates: int = 0
    seeds: int = 0
    reason: str = ""


class Shelf:
    """Studies by name. A name is only looked up among those that were found: it is never made into a path.

    Args:
        path: of a study, or of a folder with studies: files that end in .lrscope or are studies by content.
        wait: the study may not be there yet.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self.path = path
        self.is_folder = path.is_dir()
        self._wait = wait
        self._known: dict[str, tuple[Stamp, Listed]] = {}

    def find(self, name: str) -> Path | None:
        """The file of that name, None where there is none."""
        return self._files().get(name)

    def open(self, path: Path, read: Callable[[Path], StudyFile] = StudyFile) -> StudyFile:
        """Open a file of the shelf. In a folder, a link that leads out of it is not followed.

        Raises:
            StudyError: it is no readable study.
        """
        if self.is_folder and not path.resolve().is_relative_to(self.path.resolve()):
            raise StudyError(f"{path} is a link out of its folder: serve what it leads to")
        return read(path)

    def is_awaited(self, path: Path) -> bool:
        """Whether it is not there yet, and may come."""
        return self._wait and not path.exists()

    def listed(self) -> list[Listed]:
        """Everything on the shelf: what was written to last comes first, what cannot be read last.

        Only what changed is opened again.
        """
        files = self._files()
        for gone in self._known.keys() - files.keys():
            del self._known[gone]
        return sorted((self._listed(*one) for one in files.items()), key=_place)

    def _listed(self, name: str, path: Path) -> Listed:
        stamp = _stamp(path)
        known = self._known.get(name)
        # One that is running may have been killed since: that does not show in its file.
        if known is not None and known[0] == stamp and known[1].state != "running":
            return known[1]
        made = self._read(name, path, stamp)
        self._known[name] = (stamp, made)
        return made

    def _read(self, name: str, path: Path, stamp: Stamp) -> Listed:
        modified = max(stamp[::3], default=0) / 1e9
        if self.is_awaited(path):
            return Listed(name, modified, "waiting")
        try:
            with contextlib.closing(self.open(path)) as file:
                plan, state, lanes = file.plan, file.state, file.lanes()
        except (StudyError, OSError) as error:
            return Listed(name, modified, UNREADABLE, reason=one_line(str(error)))
        done = max(lanes["steps"].to_list(), default=0)
        return Listed(name, modified, state, plan.problem, done, plan.steps, len(plan.rates), len(plan.seeds))

    def _files(self) -> dict[str, Path]:
        if not self.is_folder:
            return {_name(self.path.name): self.path}
        found: list[tuple[int, Path]] = []
        try:
            with os.scandir(self.path) as entries:
                found += (
                    (_modified(entry), self.path / entry.name)
                    for entry in entries
                    if not entry.name.startswith(".") and _looks_like_one(entry)
                )
        except OSError:
            return {}
        newest = sorted(found, key=lambda one: (-one[0], one[1]))[:MOST]
        return {_name(path.name): path for _, path in newest}


def _place(one: Listed) -> tuple[bool, float, str]:
    return one.state == UNREADABLE, -one.modified, one.name


def etag(name: str, path: Path, file: StudyFile) -> str:
    """What changes with everything a page may show: the study, its last commit, its state, this program.

    A file that another has replaced is another study, also where it was asked the same.
    """
    status = path.stat()
    facts = [_version(), name, status.st_dev, status.st_ino, file.plan, file.commits, file.state]
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:24]


@functools.cache
def _version() -> str:
    return version("lrscope")


def _stamp(path: Path) -> Stamp:
    """What changes when a study or its log is written to; empty where there is no such file."""
    stamp: list[int] = []
    for one in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(OSError, ValueError):
            status = one.stat()
            stamp += (status.st_mtime_ns, status.st_ino, status.st_size)
    return tuple(stamp)


def _modified(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_mtime_ns
    except OSError:
        return 0


def _looks_like_one(entry: os.DirEntry[str]) -> bool:
    """By its ending, whatever is in it; or by its first bytes."""
    try:
        if entry.name.endswith(ENDING):
            return not entry.is_dir()
        if not entry.is_file():  # opening a pipe would wait for its other end
            return False
        with open(entry.path, "rb") as file:
            start = file.read(_ID_AT + 4)
    except OSError:
        return False
    return start.startswith(_MAGIC) and start[_ID_AT:] == APPLICATION_ID.to_bytes(4, "big")


def _name(file_name: str) -> str:
    """A name for URLs: the file's own, unless it holds what cannot be shown or sent."""
    if printable(file_name) == file_name:
        return file_name
    return f"study-{hashlib.sha256(os.fsencode(file_name)).hexdigest()[:12]}"
