"""The format of a study is a promise to files that exist already."""

import hashlib
import sqlite3
from pathlib import Path

from recorders import losses, recorder

from lrscope.store import schema

HASHES = {1: "a6b7c4a8186aa8b0"}
"""Of the tables of each version there has been."""


def test_tables_change_only_with_the_version() -> None:
    text = "\n".join(f"{name}: {statement}" for name, statement in schema.TABLES.items())
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == HASHES[schema.VERSION]


def test_the_file_is_one_of_sqlite_that_names_its_format(tmp_path: Path) -> None:
    with recorder(tmp_path / "x.lrscope") as writer:
        writer.write(losses(0, 0))
    connection = sqlite3.connect(tmp_path / "x.lrscope")
    facts = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "page_size", "journal_mode", "integrity_check")
    }
    connection.close()
    assert facts == {
        "application_id": 0x6C727363,
        "user_version": schema.VERSION,
        "page_size": 8192,
        "journal_mode": "delete",
        "integrity_check": "ok",
    }
