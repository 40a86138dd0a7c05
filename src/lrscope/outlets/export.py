"""Everything a study holds, as files that other programs read, or as pandas frames.

    parquet      a file for each table
    csv          the same; lists stand as JSON in their cell: "[0,3]"
    json         the same; an object of columns, {"lane": [0, ...], "value": [2.3, ...]}
    tensorboard  a folder for each lane, which TensorBoard shows as runs

Next to them stands `study.json`: which file is which table, the plan, the notes, the recommendation. Tables
are read and written one after the other, so that a study needs no more memory than its largest series. Every
number keeps all its digits. In CSV a missing value is an empty cell, and a text always stands in quotes.
"""

import contextlib
import importlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import polars as pl

from lrscope.errors import UsageError
from lrscope.outlets.json_document import document, strict
from lrscope.outlets.text import printable

if TYPE_CHECKING:
    from lrscope.charts.chart import Readable  # it loads altair

    class Exportable(Readable, Protocol):
        """A study as far as an export reads it."""

        @property
        def noted(self) -> dict[str, Any]:
            """Every note of the run, by its key."""


FORMATS = ("parquet", "csv", "json", "tensorboard")
"""What a study is exported to."""

MANIFEST = "study.json"

VERSION = 1
"""Of the layout of an export; a later number means that something stands elsewhere."""

_ROWS = 20_000
"""Rows that are turned into text at a time."""

_LONGEST_NAME = 80

_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""File names that some systems keep for devices."""


class Table(NamedTuple):
    """One table of a study.

    Attributes:
        name: as it is asked for; no two tables share one.
        kind: lanes, verdicts, histogram, or the kind of the series: scalar, tensor, trajectory.
        series: the name under which it was recorded; "" for a table that is no series.
        unit, source: of the series; "" for the others.
        read: reads the frame.
    """

    name: str
    kind: str
    series: str
    unit: str
    source: str
    read: Callable[[], pl.DataFrame]


class Written(NamedTuple):
    """One file or folder of an export: its name inside the folder, and what it is, as JSON values."""

    file: str
    facts: dict[str, Any]


def tables(study: "Exportable") -> list[Table]:
    """Return every table of a study: lanes, verdicts, each series by its name, trajectories, histograms."""
    first = [
        Table("lanes", "lanes", "", "", "", lambda: study.lanes),
        Table("verdicts", "verdicts", "", "", "", study.verdicts),
    ]
    last = [Table("histograms", "histogram", "", "", "", study.histograms)]
    taken = {"lanes", "verdicts", "trajectories", "histograms"}
    for series in study.series:
        recorded = (series.kind, series.name, series.unit, series.source)
        if series.kind == "trajectory":
            last.insert(0, Table("trajectories", *recorded, study.trajectories))
            continue
        # A metric may be called "lanes".
        name = series.name if series.name not in taken else f"{series.name}_series"
        taken.add(name)
        read = study.scalars if series.kind == "scalar" else study.tensors
        first.append(Table(name, *recorded, lambda read=read, name=series.name: read(name)))  # type: ignore[misc]
    return first + last


def pandas_frames(study: "Exportable", name: str | None = None) -> Any:
    """Return a table as a pandas frame, or all of them by name. A missing value is NaN or None.

    Raises:
        UsageError: pandas is not installed, or there is no such table.
    """
    for package in ("pandas", "pyarrow"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UsageError(
                f"to_pandas needs the package {package} ({error}); type: pip install 'lrscope[pandas]'"
            ) from error
    every = {table.name: table for table in tables(study)}
    if name is None:
        return {table.name: table.read().to_pandas() for table in every.values()}
    if name not in every:
        raise UsageError(f"this study has no table {name!r}; it has {printable(', '.join(every))}")
    return every[name].read().to_pandas()


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
        from lrscope.outlets.tensorboard import require_tensorboard, write_lanes

        require_tensorboard()
    with _draft(Path(folder), overwrite=overwrite) as draft:
        if to == "tensorboard":
            written = write_lanes(study, draft)
        else:
            written = [_write(table, draft, to) for table in tables(study)]
        _write_manifest(study, draft, to, written)
    return Path(folder)


def _write_manifest(study: "Exportable", folder: Path, to: str, written: Sequence[Written]) -> None:
    """Write `study.json`.

    It holds `export` (the version of this layout), `format`, `files`, `noted` (every note by its key), and
    all that `lrscope show --json` prints.
    """
    content = {
        "export": VERSION,
        "format": to,
        "files": [{"file": entry.file, **entry.facts} for entry in written],
        "noted": strict(study.noted),
        **document(study),
    }
    text = json.dumps(content, allow_nan=False, indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8", newline="\n")


def listed(folder: Path) -> list[str] | None:
    """Return the files of an export in a folder, without the manifest; None where there is no export."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = [entry["file"] for entry in content["files"]] if content["export"] else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    # Whoever wrote the manifest: nothing outside of the folder is ever touched.
    return [
        name
        for name in names
        if isinstance(name, str) and name == Path(name).name and name not in ("", ".", "..")
    ]


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Check before the work that an export may be put into a folder.

    Raises:
        UsageError: it is a file, holds something else, holds an export that may not be replaced, or has no
        parent.
    """
    start = f"export to {str(folder)!r}"
    try:
        with contextlib.suppress(FileNotFoundError):
            folder.lstat()  # names the fault of a path, where the questions below only answer no
        if folder.is_dir():
            if next(folder.iterdir(), None) is None:
                return
            if listed(folder) is None:
                raise UsageError(f"{start}: the folder holds other files; name a new folder")
            if not overwrite:
                raise UsageError(
                    f"{start}: an export is there already; name another folder, or add --overwrite"
                )
        elif folder.exists() or folder.is_symlink():
            raise UsageError(f"{start}: that is a file; name a folder")
        elif not folder.absolute().parent.is_dir():
            raise UsageError(f"{start}: the folder {str(folder.parent)!r} does not exist; make it first")
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{start} cannot be done ({reason}); name another folder") from error


@contextlib.contextmanager
def _draft(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Make a folder to write into; what it holds in the end is moved to `folder`.

    An export that stood there is replaced file by file as the last thing that is done; other files stay.
    """
    check_folder(folder, overwrite=overwrite)
    target = folder.absolute()
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a process of this number that was killed
        draft.mkdir()
        yield draft
        _put(draft, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"export to {str(folder)!r} failed ({reason}); name a folder of yours on a disk with room"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, target: Path) -> None:
    """Move a finished draft to its place."""
    if not target.exists():
        draft.rename(target)
        return
    for name in listed(target) or ():
        _remove(target / name)
    # The manifest goes last: until then, the folder says of itself that it holds the former export.
    for entry in sorted(draft.iterdir(), key=lambda entry: entry.name == MANIFEST):
        if entry.is_dir():
            _remove(target / entry.name)
        entry.replace(target / entry.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(table: Table, folder: Path, to: str) -> Written:
    """Write one table as parquet, csv or json into a folder."""
    frame = table.read()
    path = folder / _file_name(folder, table.name, to)
    if to == "parquet":
        frame.write_parquet(path)
    elif to == "csv":
        _write_csv(frame, path)
    else:
        _write_json(frame, path)
    columns = {name: str(dtype) for name, dtype in frame.schema.items()}
    facts = {"table": table.name, "kind": table.kind, "unit": table.unit, "source": table.source}
    return Written(path.name, {**facts, "rows": frame.height, "columns": columns})


def _file_name(folder: Path, name: str, ending: str) -> str:
    """Return a file name made of the name of any table, and not taken, in capitals or not."""
    stem = re.sub(r"[^\w.=,+-]", "_", name, flags=re.ASCII)[:_LONGEST_NAME].lstrip(".-") or "_"
    stem = f"_{stem}" if _DEVICES.match(stem) else stem
    taken = {entry.name.lower() for entry in folder.iterdir()} | {MANIFEST}
    number, free = 1, f"{stem}.{ending}"
    while free.lower() in taken:
        number += 1
        free = f"{stem}-{number}.{ending}"
    return free


def _write_csv(frame: pl.DataFrame, path: Path) -> None:
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    with path.open("wb") as file:
        for number, part in enumerate(_parts(frame)):
            cells = part.with_columns(
                pl.Series(
                    name, [None if row is None else _json(row) for row in part[name].to_list()], pl.String
                )
                for name in lists
            )
            cells.write_csv(file, include_header=number == 0, quote_style="non_numeric", line_terminator="\n")


def _write_json(frame: pl.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("{")
        for i, name in enumerate(frame.columns):
            file.write(f"{',' if i else ''}\n{json.dumps(name)}: [")
            for number, part in enumerate(_parts(frame.select(name))):
                values = _json(part[name].to_list())[1:-1]
                file.write(f"{',' if number and values else ''}{values}")
            file.write("]")
        file.write("\n}\n")


def _parts(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the frame in slices; one without rows for an empty frame."""
    for start in range(0, max(frame.height, 1), _ROWS):
        yield frame.slice(start, _ROWS)


def _json(value: Any) -> str:
    """Return strict JSON in which every float reads back as itself."""
    return json.dumps(strict(value), allow_nan=False, separators=(",", ":"))
