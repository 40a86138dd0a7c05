"""Manifest: `study.json`, which says what an export holds, and all of the study that is no table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lrscope.outlets.json_document import document, strict

if TYPE_CHECKING:
    from lrscope.outlets.export.tables import Exportable

MANIFEST = "study.json"

VERSION = 1
"""Of the layout of an export; a later number means that something stands elsewhere."""


class Written(NamedTuple):
    """One file or folder of an export.

    Attributes:
        file: its name inside the folder.
        facts: what it is, as JSON values.
    """

    file: str
    facts: dict[str, Any]


def write_manifest(study: "Exportable", folder: Path, to: str, written: Sequence[Written]) -> None:
    """Write `study.json`.

    It holds `export` (the version of this layout), `format`, `files`, `noted` (every note by its key), and
    all that `lrscope show --json` prints.
    """
    content = {
        "export": VERSION,
        "format": to,
        "files": [{"file": one.file, **one.facts} for one in written],
        "noted": strict(study.noted),
        **document(study),
    }
    text = json.dumps(content, allow_nan=False, indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8", newline="\n")


def listed(folder: Path) -> list[str] | None:
    """What an export in this folder consists of, but for the manifest; None where there is none."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = [one["file"] for one in content["files"]] if content["export"] else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    # Whoever wrote that file: nothing outside of the folder is ever touched.
    return [
        name
        for name in names
        if isinstance(name, str) and name == Path(name).name and name not in ("", ".", "..")
    ]
