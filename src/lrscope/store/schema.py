"""The study file: SQLite tables, and how arrays lie in them.

A study is data, never code. Array columns are little-endian bytes in C order; everything else is a number, a
name or JSON.

Letters: n steps, l lanes of a row, w what a series is measured on: 1 for a scalar, the tensors, the tracked
scalars.

    study      plan, about, state, commits (how many so far), committed (when, seconds since 1970)
    note       what a sweep has to say beyond its numbers
    lane       every lane of the plan; steps: updates done; stopped_step: of its first loss that is not finite
    series     what the quantities are
    chunk      one row for some steps of a series: values [n, l, w] of all lanes at once; a row for each
               scalar would cost twenty times the time and seven times the space
    histogram  one row for each epoch and tensor: edges f8 [bins + 1], counts u4 [l, bins], nonfinite u4 [l]

`chunk.steps` is NULL where the steps are all those from first to last, `lanes` NULL where they are all lanes.
"""

from typing import Any

import numpy as np

from lrscope.plan import Plan

APPLICATION_ID = int.from_bytes(b"lrsc", "big")

VERSION = 1
"""The file's `user_version`. A change of `TABLES` needs the next number."""

PAGE_SIZE = 8192
"""Bytes: the blobs of an epoch's histograms waste more than half of pages of 4096."""

TABLES = {
    "study": "CREATE TABLE study(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "note": "CREATE TABLE note(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "lane": "CREATE TABLE lane(lane INTEGER PRIMARY KEY, rate REAL NOT NULL, seed INTEGER NOT NULL, "
    "steps INTEGER NOT NULL, stopped_step INTEGER)",
    "series": "CREATE TABLE series(id INTEGER PRIMARY KEY, name TEXT NOT NULL, unit TEXT NOT NULL, "
    "kind TEXT NOT NULL, source TEXT NOT NULL)",
    "chunk": "CREATE TABLE chunk(id INTEGER PRIMARY KEY, series INTEGER NOT NULL, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, dtype TEXT NOT NULL, lanes BLOB, steps BLOB, data BLOB NOT NULL)",
    "chunk_of_series": "CREATE INDEX chunk_of_series ON chunk(series)",
    "histogram": "CREATE TABLE histogram(id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, "
    "tensor INTEGER NOT NULL, lanes BLOB, edges BLOB NOT NULL, counts BLOB NOT NULL, "
    "nonfinite BLOB NOT NULL)",
}
"""Name -> statement, word for word as SQLite keeps it: a reader takes no other schema."""

STEP = np.dtype("<i8")
LANE = np.dtype("<i4")
EDGE = np.dtype("<f8")
COUNT = np.dtype("<u4")
VALUE_TYPES: dict[str, np.dtype[Any]] = {"<f4": np.dtype("<f4"), "<f8": np.dtype("<f8")}
"""`chunk.dtype`: values are kept as precise as they were measured."""


def width(kind: str, plan: Plan) -> int:
    """w, the number of values a lane has at a step, for a kind of series.

    Raises:
        KeyError: there is no such kind.
    """
    return {"scalar": 1, "tensor": len(plan.tensors), "trajectory": len(plan.tracked)}[kind]
