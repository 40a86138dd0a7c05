"""Table files: one table as Parquet, CSV or JSON. Read back, each equals the frame it came from.

All three keep every digit of a number. In CSV a missing value is an empty cell, a text always stands in
quotes, and a list is a JSON array in its cell: "[0,3]". In JSON a table is one object of columns, each an
array.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from lrscope.outlets.export.manifest import Written
from lrscope.outlets.export.tables import Table
from lrscope.outlets.json_document import strict

_ROWS = 20_000
"""Rows that are turned into text at a time."""

_LONGEST = 80

_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""File names that some systems keep for devices."""


def write(table: Table, folder: Path, to: str) -> Written:
    """Write one table as parquet, csv or json into a folder; return what was written."""
    frame = table.read()
    path = folder / _free(folder, table.name, to)
    if to == "parquet":
        frame.write_parquet(path)
    elif to == "csv":
        _write_csv(frame, path)
    else:
        _write_json(frame, path)
    columns = {name: str(dtype) for name, dtype in frame.schema.items()}
    facts = {"table": table.name, "kind": table.kind, "unit": table.unit, "source": table.source}
    return Written(path.name, {**facts, "rows": frame.height, "columns": columns})


def _free(folder: Path, name: str, ending: str) -> str:
    """A file name made of the name of a table, whatever that is; none that is taken, in capitals or not."""
    stem = re.sub(r"[^\w.=,+-]", "_", name, flags=re.ASCII)[:_LONGEST].lstrip(".-") or "_"
    stem = f"_{stem}" if _DEVICES.match(stem) else stem
    taken = {entry.name.lower() for entry in folder.iterdir()} | {"study.json"}
    number, free = 1, f"{stem}.{ending}"
    while free.lower() in taken:
        number += 1
        free = f"{stem}-{number}.{ending}"
    return free


def _write_csv(frame: pl.DataFrame, path: Path) -> None:
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    with path.open("wb") as file:
        for number, part in enumerate(_parts(frame)):
            cells = part.with_columns(pl.Series(name, _cells(part[name]), pl.String) for name in lists)
            cells.write_csv(file, include_header=number == 0, quote_style="non_numeric", line_terminator="\n")


def _cells(lists: pl.Series) -> list[str | None]:
    return [None if one is None else _json(one) for one in lists.to_list()]


def _write_json(frame: pl.DataFrame, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("{")
        for i, name in enumerate(frame.columns):
            file.write(f"{',' if i else ''}\n{json.dumps(name)}: [")
            for number, part in enumerate(_parts(frame.select(name))):
                texts = _json(part[name].to_list())[1:-1]
                file.write(f"{',' if number and texts else ''}{texts}")
            file.write("]")
        file.write("\n}\n")


def _parts(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The frame in slices; one without rows for an empty frame."""
    for start in range(0, max(frame.height, 1), _ROWS):
        yield frame.slice(start, _ROWS)


def _json(value: Any) -> str:
    """Strict JSON in which every float reads back as itself."""
    return json.dumps(strict(value), allow_nan=False, separators=(",", ":"))
