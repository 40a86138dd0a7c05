"""Connection: how study files are opened, to be read or written."""

import contextlib
import os
import sqlite3
from pathlib import Path

from lrscope.errors import StudyError

UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""The second where SQLite's own message quotes bytes that are no text."""


class Connection(sqlite3.Connection):
    """Closes itself when nobody holds it: a study in memory lives as long as whoever reads it."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()


def connect(path: str | os.PathLike[str], *, uri: bool = False) -> Connection:
    """A connection that leaves transactions to who uses it, from whichever thread."""
    return sqlite3.connect(path, uri=uri, isolation_level=None, check_same_thread=False, factory=Connection)


def open_to_read(path: Path) -> Connection:
    """A read-only connection that trusts nothing in the file."""
    try:
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:
        raise StudyError(f"{str(path)!r} is no path of a study ({error})") from error
    if not exists:
        raise StudyError(f"{path} is not there: give the path of a file that a sweep wrote")
    if is_folder:
        raise StudyError(f"{path} is a folder: give the path of a study in it")
    if not is_file:
        raise StudyError(f"{path} is no ordinary file: give the path of a file that a sweep wrote")
    try:
        try:
            connection = _connect_to_read(path, "ro")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
            # The writer was killed while it closed the file: taking that back is up to whoever comes next.
            _connect_to_read(path, "rw").close()
            connection = _connect_to_read(path, "ro")
        # SQLite takes the missing end of the last page for zeros; where there is a log, the page is in that.
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        if path.stat().st_size % page_size and not path.with_name(path.name + "-wal").exists():
            connection.close()
            raise StudyError(f"{path} is damaged (its last page is cut): copy it again, or sweep again")
    except (*UNREADABLE, OSError) as error:
        raise StudyError(
            f"{path} cannot be read ({reason(error)}): give a file that a sweep wrote"
        ) from error
    return connection


def _connect_to_read(path: Path, mode: str) -> Connection:
    connection = connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)
    try:
        for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the first look into the file
    except UNREADABLE:
        connection.close()
        raise
    return connection


def reason(error: Exception) -> str:
    """SQLite quotes what it stumbled on, whatever that is."""
    return "".join(character if character.isprintable() else "?" for character in str(error))[:80]
