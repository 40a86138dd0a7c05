"""Target: the path at which a new study is made."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from lrscope.errors import StoreError, StudyError
from lrscope.store.connection import Connection, connect

COMPANIONS = ("-wal", "-shm", "-journal")
"""Files that SQLite keeps beside a database; left behind, they would be taken for those of a new one."""

FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""What SQLite says, extended or not, where the disk takes no more."""


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Whether a study may be made at this path: a question to ask before anything expensive.

    Raises:
        StudyError: it is a folder, is taken, is being written, or its folder is not there.
    """
    try:
        target = Path(os.path.realpath(path))
        taken, is_folder, is_file = target.exists(), target.is_dir(), target.is_file()
        has_home = target.parent.is_dir()
    except (OSError, ValueError) as error:
        raise StudyError(f"{str(path)!r} is no path for a study ({error}): give another") from error
    if is_folder:
        raise StudyError(f"{path} is a folder: give the path of a file in it, {Path(path) / 'study.lrscope'}")
    if not has_home:
        raise StudyError(
            f"{path} needs the folder {target.parent}, which is not there: make it or give another path"
        )
    if taken and not overwrite:
        raise StudyError(
            f"{path} is there already: give another path, or --overwrite (overwrite=True) to replace it"
        )
    if taken and not is_file:
        raise StudyError(f"{path} is no ordinary file: give another path")
    if taken and _is_being_written(target):
        raise StudyError(f"{path} is being written by another sweep: wait for its end or give another path")


def make(
    path: str | os.PathLike[str], lay_out: Callable[[Connection], None], *, overwrite: bool
) -> Connection:
    """Make a whole, empty study beside the path, then put it there: no half-made file is ever seen.

    Args:
        path: the new file.
        lay_out: fills the empty database.
        overwrite: replace what is there, as the last thing that is done.

    Raises:
        StudyError: see `check_target`; or the folder cannot be written to.
        StoreError: the disk is full.
    """
    check_target(path, overwrite=overwrite)
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _remove(draft, ("", *COMPANIONS))  # of a process of this number that was killed
        with contextlib.closing(connect(draft)) as connection:
            # Nobody knows of it before it is whole: there is nothing to undo, and one sync at its end.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            lay_out(connection)
            # A file system without shared memory gives another mode than WAL: slower, and just as safe.
            connection.execute("PRAGMA journal_mode = WAL")
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        _remove(target, COMPANIONS)
        draft.replace(target)
        connection = connect(target)
        connection.execute("PRAGMA synchronous = NORMAL")
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        if code in FULL or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"{path} could not be written ({error}): free some space and sweep again"
            ) from error
        raise StudyError(
            f"{path} cannot be made in the folder {target.parent} ({error}): "
            "give a path in a folder that can be written to"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            _remove(draft, ("", *COMPANIONS))
    return connection


def _remove(path: Path, endings: Sequence[str]) -> None:
    for ending in endings:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _is_being_written(path: Path) -> bool:
    """A recorder holds SQLite's write lock from its first moment to its last."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    return False
