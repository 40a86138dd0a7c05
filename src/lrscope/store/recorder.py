"""Recorder: the only writer of a study file."""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lrscope.errors import StoreError
from lrscope.language import LANGUAGES, Text
from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record, Series
from lrscope.store import schema
from lrscope.store.connection import Connection, connect
from lrscope.store.study_file import StudyFile
from lrscope.store.target import make

COMMIT_SECONDS = 0.5
"""What was recorded is committed, and visible to readers, this long after the last commit."""

LOSS = "loss"
"""The series that tells how far a lane is, and whether it stopped."""


class Recorder:
    """Writes records into a new study, as they come, one transaction after the other.

    A write transaction is open at all times. So the file has one writer, whatever another process tries;
    readers are never in its way, and see everything up to the last commit, also when this process dies.

    Args:
        path: the new file; None keeps the study in memory.
        plan: the question that the study answers.
        series: what the records are going to be.
        overwrite: replace what stands at `path`; it is left alone until the new study stands.
        about: anything in JSON on the run: versions, machine.

    Raises:
        StudyError: the path is taken, or the file cannot be made.
        StoreError: the disk is full already.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        plan: Plan,
        series: Sequence[Series],
        *,
        overwrite: bool = False,
        about: Mapping[str, Any],
    ) -> None:
        self._path = path
        self._plan = plan
        self._series = {one.name: (number, one) for number, one in enumerate(series)}
        if len(self._series) < len(series):
            raise ValueError(f"two series of one name: {', '.join(one.name for one in series)}")
        lanes = len(plan.lanes)
        self._all_lanes: NDArray[np.int32] = np.arange(lanes, dtype=schema.LANE)
        # The last step that was written of each lane.
        self._last = {name: np.full(lanes, -1) for name in self._series}
        self._last_epoch = np.full(lanes, -1)
        self._steps = np.zeros(lanes, np.int64)
        self._stopped = np.full(lanes, -1, np.int64)
        self._commits = 0
        self._failure: StoreError | None = None
        if path is None:
            self._connection = connect(":memory:")
            self._lay_out(self._connection, about)
        else:
            self._connection = make(path, lambda draft: self._lay_out(draft, about), overwrite=overwrite)
        with self._storing():
            self._begin()

    def _lay_out(self, connection: Connection, about: Mapping[str, Any]) -> None:
        connection.execute(f"PRAGMA page_size = {schema.PAGE_SIZE}")
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        connection.execute("BEGIN")
        for statement in schema.TABLES.values():
            connection.execute(statement)
        facts = {
            "plan": self._plan.to_json(),
            "about": json.dumps(about, allow_nan=False),
            "state": json.dumps("running"),
            "commits": json.dumps(0),
            "committed": json.dumps(time.time()),
        }
        connection.executemany("INSERT INTO study VALUES (?, ?)", facts.items())
        connection.executemany("INSERT INTO lane VALUES (?, ?, ?, 0, NULL)", self._plan.lanes)
        connection.executemany(
            "INSERT INTO series VALUES (?, ?, ?, ?, ?)",
            [(number, one.name, one.unit, one.kind, one.source) for number, one in self._series.values()],
        )
        connection.execute("COMMIT")

    def write(self, record: Record | HistogramRecord) -> None:
        """Write a record; commit where the last commit is half a second old.

        Raises:
            ValueError: the record does not fit the plan and the series.
            StoreError: it cannot be written; what was committed before stays readable.
        """
        with self._storing():
            if isinstance(record, HistogramRecord):
                self._write_histograms(record)
            else:
                self._write_chunk(record)
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def _write_chunk(self, record: Record) -> None:
        if record.quantity not in self._series:
            raise ValueError(f"no series {record.quantity!r}; announced were {', '.join(self._series)}")
        number, series = self._series[record.quantity]
        steps = np.ascontiguousarray(record.steps, schema.STEP)
        lanes = np.ascontiguousarray(record.lanes, schema.LANE)
        values = np.ascontiguousarray(record.values, "<f4" if record.values.dtype == np.float32 else "<f8")
        shape: tuple[int, ...] = (len(steps), len(lanes))
        if series.kind != "scalar":
            shape += (schema.width(series.kind, self._plan),)
        if values.shape != shape:
            raise ValueError(f"values of {series.name} have the shape {values.shape}, not {shape}")
        if not values.size:
            return
        self._check_order(series.name, steps, lanes, self._last[series.name])
        if series.name == LOSS:
            self._watch(steps, lanes, values)
        first, last = int(steps[0]), int(steps[-1])
        every_step = last - first + 1 == len(steps)
        self._connection.execute(
            "INSERT INTO chunk(series, first, last, dtype, lanes, steps, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                first,
                last,
                values.dtype.str,
                self._lanes_column(lanes),
                None if every_step else steps.tobytes(),
                values.data,
            ),
        )

    def _write_histograms(self, record: HistogramRecord) -> None:
        lanes = np.ascontiguousarray(record.lanes, schema.LANE)
        if not len(record.edges) == len(record.counts) == len(record.nonfinite) == len(self._plan.tensors):
            raise ValueError(
                f"{len(record.edges)} histograms came; the plan has {len(self._plan.tensors)} tensors"
            )
        rows = []
        for tensor, (edges, counts, nonfinite) in enumerate(
            zip(record.edges, record.counts, record.nonfinite, strict=True)
        ):
            if counts.shape != (len(lanes), len(edges) - 1) or nonfinite.shape != (len(lanes),):
                raise ValueError(
                    f"counts {counts.shape} do not fit {len(lanes)} lanes and {len(edges)} edges"
                )
            arrays = ((edges, schema.EDGE), (counts, schema.COUNT), (nonfinite, schema.COUNT))
            blobs = (np.ascontiguousarray(array, dtype).tobytes() for array, dtype in arrays)
            rows.append((record.epoch, tensor, self._lanes_column(lanes), *blobs))
        self._check_order("histogram", np.array([record.epoch]), lanes, self._last_epoch)
        self._connection.executemany(
            "INSERT INTO histogram(epoch, tensor, lanes, edges, counts, nonfinite) VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )

    def extend(self, plan: Plan) -> None:
        """Go on with more lanes: the plan so far, with further ones chosen.

        Raises:
            ValueError: the first lanes are not those so far, or something else than lanes differs.
            StoreError: it cannot be written.
        """
        old, new = self._plan.lanes, plan.lanes
        if new[: len(old)] != old or (plan.tensors, plan.tracked) != (self._plan.tensors, self._plan.tracked):
            raise ValueError("a study grows by lanes at the end, and by nothing else")
        more = len(new) - len(old)
        self._plan = plan
        self._all_lanes = np.arange(len(new), dtype=schema.LANE)
        self._last = {name: np.append(last, np.full(more, -1)) for name, last in self._last.items()}
        self._last_epoch = np.append(self._last_epoch, np.full(more, -1))
        self._steps = np.append(self._steps, np.zeros(more, np.int64))
        self._stopped = np.append(self._stopped, np.full(more, -1, np.int64))
        with self._storing():
            self._connection.execute("UPDATE study SET value = ? WHERE key = 'plan'", (plan.to_json(),))
            self._connection.executemany("INSERT INTO lane VALUES (?, ?, ?, 0, NULL)", new[len(old) :])

    def _lanes_column(self, lanes: NDArray[np.int32]) -> bytes | None:
        # Of a study that grows "all lanes" would mean another thing later.
        everyone = self._plan.chosen is None and len(lanes) == len(self._all_lanes)
        return None if everyone else lanes.tobytes()

    def _check_order(
        self, name: str, steps: NDArray[np.int64], lanes: NDArray[np.int32], last: NDArray[np.int64]
    ) -> None:
        """Steps and lanes rise, lanes are lanes of the plan, and nothing is written twice."""
        if (lanes[1:] <= lanes[:-1]).any() or lanes[0] < 0 or lanes[-1] >= len(self._all_lanes):
            raise ValueError(
                f"{name}: lanes {lanes.tolist()} are not rising lanes below {len(self._all_lanes)}"
            )
        if (steps[1:] <= steps[:-1]).any() or steps[0] <= last[lanes].max():
            raise ValueError(f"{name}: steps from {steps[0]} do not rise from {last[lanes].max()}")
        last[lanes] = steps[-1]

    def _watch(self, steps: NDArray[np.int64], lanes: NDArray[np.int32], losses_NL: NDArray[Any]) -> None:
        """Count the updates, and keep the step of a lane's first loss that is not finite."""
        bad_NL = ~np.isfinite(losses_NL)
        running = self._stopped[lanes] < 0
        stops = bad_NL.any(axis=0) & running
        self._steps[lanes[running]] = steps[-1] + 1
        self._stopped[lanes[stops]] = self._steps[lanes[stops]] = steps[bad_NL.argmax(axis=0)[stops]]

    def note(self, key: str, value: Any) -> None:
        """Keep a JSON value beside the numbers; a later one under the same key replaces it.

        A `Text` is kept in every language.
        """
        with self._storing():
            text = json.dumps(_in_all_languages(value), allow_nan=False)
            self._connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (key, text))

    def commit(self) -> None:
        """Make everything written so far visible to readers, and safe from the death of this process.

        Raises:
            StoreError: it cannot be written; what was committed before stays readable.
        """
        with self._storing():
            self._commit()
            self._begin()

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._committed = time.monotonic()

    def _commit(self) -> None:
        self._commits += 1
        facts = {"commits": self._commits, "committed": time.time()}
        self._connection.executemany(
            "UPDATE study SET value = ? WHERE key = ?",
            [(json.dumps(value), key) for key, value in facts.items()],
        )
        stopped = [None if step < 0 else step for step in self._stopped.tolist()]
        self._connection.executemany(
            "UPDATE lane SET steps = ?, stopped_step = ? WHERE lane = ?",
            list(zip(self._steps.tolist(), stopped, self._all_lanes.tolist(), strict=True)),
        )
        self._connection.execute("COMMIT")

    def study_file(self) -> StudyFile:
        """The study as its readers see it."""
        return StudyFile(self._connection if self._path is None else self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit what there is, and say how it ended."""
        if self._failure is not None:
            return  # it was raised, and what could be saved was
        state = (
            "finished" if kind is None else "interrupted" if issubclass(kind, KeyboardInterrupt) else "failed"
        )
        try:
            with self._storing():
                self._end(state)
        except StoreError:
            if kind is None:
                raise

    def _set_state(self, state: str) -> None:
        self._connection.execute("UPDATE study SET value = ? WHERE key = 'state'", (json.dumps(state),))

    def _end(self, state: str) -> None:
        if not self._connection.in_transaction:  # interrupted between a commit and what follows it
            self._begin()
        self._set_state(state)
        self._commit()
        if self._path is not None:
            with contextlib.suppress(sqlite3.Error):  # somebody is reading: the companions stay
                self._connection.execute("PRAGMA busy_timeout = 0")
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()

    @contextlib.contextmanager
    def _storing(self) -> Iterator[None]:
        """Where SQLite gives up, so does the recorder: it saves what it can, and tells one error only."""
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
                self._set_state("failed")
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._failure = StoreError(
                f"{self._path or 'the study in memory'} could not be written any further ({error}): "
                "what was committed before can be read; free some space and sweep again"
            )
            raise self._failure from error


def _in_all_languages(value: Any) -> Any:
    """The same with an object of texts, by language, for every `Text`."""
    if isinstance(value, Text):
        return {language: getattr(value, language) for language in LANGUAGES}
    if isinstance(value, list | tuple):
        return [_in_all_languages(one) for one in value]
    return value
