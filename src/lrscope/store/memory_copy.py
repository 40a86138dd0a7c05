"""Still: a study as it was at one commit, whole in memory."""

import contextlib
import sqlite3
from pathlib import Path

from lrscope.errors import StudyError
from lrscope.store.connection import connect, open_to_read, reason
from lrscope.store.study_file import StudyFile


class Still(StudyFile):
    """A copy in memory of a study as of its last commit.

    Its frames belong together, however long it takes to read them, and the file is let go at once: whoever
    writes it ends with one plain file.

    Args:
        path: of the study; it is opened read-only.

    Raises:
        StudyError: it is missing, no study, damaged, or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._origin = path
        copy = connect(":memory:")
        try:
            with contextlib.closing(open_to_read(path)) as source:
                source.backup(copy)
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                copy.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise StudyError(
                f"{path} cannot be read ({reason(error)}): give a file that a sweep wrote"
            ) from error
        super().__init__(copy)

    def __str__(self) -> str:
        return str(self._origin)
