"""Export: everything a study holds, as files that other programs read.

    parquet      a file for each table
    csv          the same; lists stand as JSON in their cell
    json         the same; an object of columns, {"lane": [0, ...], "value": [2.3, ...]}
    tensorboard  a folder for each lane, which TensorBoard shows as runs

Beside them stands `study.json`: which file is which table, the plan, the notes, the recommendation. Tables
are read and written one after the other, so that a study needs no more memory than its largest series.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lrscope.errors import UsageError
from lrscope.outlets.export import table_files
from lrscope.outlets.export.folder import filled
from lrscope.outlets.export.manifest import write_manifest
from lrscope.outlets.export.tables import tables

if TYPE_CHECKING:
    from lrscope.outlets.export.tables import Exportable

FORMATS = ("parquet", "csv", "json", "tensorboard")
"""What a study is exported to."""


def export(
    study: "Exportable", folder: str | os.PathLike[str], to: str = "parquet", *, overwrite: bool = False
) -> Path:
    """Write everything that a study holds into a folder.

    Args:
        study: finished or not; one that is being written is exported as far as it is.
        folder: a new or empty one, or one that holds an export, to be replaced.
        to: one of `FORMATS`.
        overwrite: replace the export that is there; files that are not of it stay.

    Returns:
        The folder.

    Raises:
        UsageError: there is no such format, its package is missing, or the folder cannot be written.
    """
    if to not in FORMATS:
        raise UsageError(f"cannot export to {to!r}; there are {', '.join(FORMATS)}")
    if to == "tensorboard":
        from lrscope.outlets.export.event_files import require_tensorboard, write_lanes

        require_tensorboard()
        with filled(Path(folder), overwrite=overwrite) as draft:
            write_manifest(study, draft, to, write_lanes(study, draft))
    else:
        with filled(Path(folder), overwrite=overwrite) as draft:
            written = [table_files.write(table, draft, to) for table in tables(study)]
            write_manifest(study, draft, to, written)
    return Path(folder)


__all__ = ["FORMATS", "export"]
