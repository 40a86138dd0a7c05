"""The page on the architecture: every file of the package has its room, and every room is there."""

import re
from pathlib import Path

import lrscope

PACKAGE = Path(lrscope.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def places() -> set[str]:
    """Files and folders of the table's first column; the first of a row may name the folder of the others."""
    found = set()
    for row in re.findall(r"^\| (`[^|]*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([^`]+)`", row):
            folder = f"{name.rpartition('/')[0]}/" if "/" in name else folder
            found.add(name if "/" in name else folder + name)
    return found


def test_every_place_is_there() -> None:
    assert [place for place in sorted(places()) if not (PACKAGE / place).exists()] == []


def test_every_file_has_a_place() -> None:
    listed = places()
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    own = {file for file in files if not Path(file).name.startswith("__")}
    assert "training/" not in listed, "its files are named one by one"
    folders = tuple(place for place in listed if place.endswith("/"))
    assert [file for file in sorted(own - listed) if not file.startswith(folders)] == []
