"""StudyFile: what a study holds, read-only, as frames and arrays."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lrscope.errors import StudyError
from lrscope.plan import Plan
from lrscope.record import Series
from lrscope.store import decode, schema
from lrscope.store.connection import UNREADABLE, Connection, open_to_read, reason
from lrscope.store.decode import DamageError
from lrscope.store.frames import Grid, grid, histogram_frame, long_frame, on_shared_edges

SILENT_SECONDS = 30.0
"""A recorder commits every second or so. One silent for this long was killed, or is at a very long step."""

STATES = ("running", "finished", "interrupted", "failed")

READ_WITH = {"scalar": "scalars", "tensor": "tensors", "trajectory": "trajectories"}


class StudyFile:
    """A study, open for reading; it may be written at the same time.

    No transaction is open between two calls, so a reader never holds the writer's log back. What comes from
    the file is checked: a file from elsewhere can be wrong, but it runs nothing.

    Args:
        source: the path of a study, or the connection of one in memory.

    Raises:
        StudyError: it is missing, no study, damaged, or of a newer version; every method may find damage.
    """

    def __init__(self, source: str | os.PathLike[str] | Connection) -> None:
        self.path = None if isinstance(source, Connection) else Path(source)
        self._connection = source if isinstance(source, Connection) else open_to_read(Path(source))
        try:
            with self._reading():
                self._check_format()
                facts = self._facts()
                self._read_plan()
                self.about: dict[str, Any] = decode.fact(facts.get("about"))
                if not isinstance(self.about, dict):
                    raise DamageError(f"about = {self.about!r:.40}")
                self._series = self._read_series()
        except StudyError:
            self.close()
            raise

    def _read_plan(self) -> None:
        """Read the plan, and with it the lanes there are by now: those of a search come one after another."""
        rows = self._rows("SELECT value, (SELECT count(*) FROM lane) FROM study WHERE key = 'plan'")
        if not rows:
            raise DamageError("there is no plan")
        self.plan: Plan = decode.plan(*rows[0])
        lanes = self.plan.lanes
        self._keys = pl.DataFrame(
            {
                "lane": pl.Series([key.lane for key in lanes], dtype=pl.Int64),
                "rate": pl.Series([key.rate for key in lanes], dtype=pl.Float64),
                "seed": pl.Series([key.seed for key in lanes], dtype=pl.Int64),
            }
        )

    def close(self) -> None:
        """Close the file. A study in memory stays as long as somebody holds it."""
        if self.path is not None:
            self._connection.close()

    def __del__(self) -> None:
        # A connection refers to itself: without this it would stay open until the garbage collector comes by,
        # and be in the way of a writer that wants to end with one plain file.
        if hasattr(self, "_connection"):
            self.close()

    @property
    def state(self) -> str:
        """How the study stands: running, finished, interrupted, failed, or unfinished.

        "unfinished": nobody said how it ended, and nothing was committed for half a minute: whoever wrote it
        was killed, or is at a very long step.
        """
        with self._reading():
            facts = self._facts()
            state, committed = decode.fact(facts.get("state")), decode.fact(facts.get("committed"))
            if state not in STATES or not isinstance(committed, float):
                raise DamageError(f"the state {state!r:.40} at {committed!r:.40}")
        return "unfinished" if state == "running" and time.time() - committed > SILENT_SECONDS else state

    @property
    def commits(self) -> int:
        """How many commits the study has had: as long as it stays the same, so does everything else."""
        with self._reading():
            return decode.integer(decode.fact(self._facts().get("commits")))

    @property
    def size(self) -> int:
        """Bytes."""
        with self._reading():
            return int(self._rows("PRAGMA page_count")[0][0] * self._rows("PRAGMA page_size")[0][0])

    @property
    def series(self) -> tuple[Series, ...]:
        """What the study holds; a series that is announced may still be empty."""
        return tuple(self._series.values())

    def note(self, key: str) -> Any:
        """What the sweep noted under this key, from JSON; None where it did not."""
        with self._reading():
            rows = self._rows("SELECT value FROM note WHERE key = ?", (key,))
            return decode.fact(rows[0][0]) if rows else None

    def notes(self) -> dict[str, Any]:
        """Every note by its key."""
        with self._reading():
            rows = self._rows("SELECT key, value FROM note ORDER BY key")
            return {str(key): decode.fact(value) for key, value in rows}

    def lanes(self) -> pl.DataFrame:
        """A row for each lane: lane, rate, seed, state, steps, stopped_step.

        state is running, finished, stopped (at a loss that is not finite), left (a search had seen enough of
        it) or interrupted; steps counts the updates done; stopped_step is null but for a stopped lane.
        """
        state = self.state
        with self._reading():
            steps, stopped = self._progress()
        words = [
            "stopped" if stop is not None
            else "left" if state == "finished" and self.plan.chosen is not None and done < self.plan.steps
            else "finished" if state == "finished" or done >= self.plan.steps
            else "running" if state == "running"
            else "interrupted"
            for done, stop in zip(steps, stopped, strict=True)
        ]  # fmt: skip
        return self._keys.with_columns(
            pl.Series("state", words, pl.String),
            pl.Series("steps", steps, pl.Int64),
            pl.Series("stopped_step", stopped, pl.Int64),
        )

    def scalars(self, name: str) -> pl.DataFrame:
        """A scalar series: lane, rate, seed, step, value (null where it was not finite)."""
        return long_frame(self._grid(name, "scalar"), self._keys)

    def tensors(self, name: str) -> pl.DataFrame:
        """A series measured on every tensor: lane, rate, seed, step, tensor, value (null as for scalars)."""
        return long_frame(self._grid(name, "tensor"), self._keys, _tensor_column(self.plan.tensors))

    def trajectories(self) -> pl.DataFrame:
        """The tracked scalars: lane, rate, seed, step, tensor, index (list), value (null as for scalars)."""
        tracked = self.plan.tracked
        places = _tensor_column([tensor for tensor, _ in tracked]).with_columns(
            pl.Series("index", [list(index) for _, index in tracked], pl.List(pl.Int64))
        )
        names = [one.name for one in self.series if one.kind == "trajectory"]
        found = (
            self._grid(names[0], "trajectory")
            if names
            else grid([], len(tracked), np.zeros(len(self._keys), np.int64))
        )
        return long_frame(found, self._keys, places)

    def histograms(self) -> pl.DataFrame:
        """Every tensor's histograms: lane, rate, seed, epoch, tensor, edges, counts (lists), nonfinite."""
        with self._reading():
            rows = self._rows(
                "SELECT epoch, tensor, lanes, edges, counts, nonfinite FROM histogram ORDER BY id"
            )
            self._read_plan()  # after the values: lanes only ever come in addition
            found = [decode.histogram(row, len(self._keys), len(self.plan.tensors)) for row in rows]
            last_epochs = self._stops() // self.plan.steps_per_epoch
        return histogram_frame(on_shared_edges(found), self._keys, self.plan.tensors, last_epochs)

    def array(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """A series of any kind as arrays: the fast way for whoever computes.

        Returns:
            steps [N], and values [N, L] of a scalar series or [N, L, w] of another, for all lanes; NaN where
            a lane has no row.
        """
        found = self._grid(name)
        return found.steps, found.values[:, :, 0] if self._series[name].kind == "scalar" else found.values

    def _grid(self, name: str, kind: str | None = None) -> Grid:
        if name not in self._series:
            there = ", ".join(one.name for one in self.series if kind in (None, one.kind))
            raise StudyError(f"{self} has no series {name!r}; it has {there or 'none'}")
        number, series = list(self._series).index(name), self._series[name]
        if kind not in (None, series.kind):
            raise StudyError(f"{name} is read with {READ_WITH[series.kind]}, not with {READ_WITH[str(kind)]}")
        width = schema.width(series.kind, self.plan)
        with self._reading():
            rows = self._rows(
                "SELECT first, last, dtype, lanes, steps, data FROM chunk WHERE series = ? ORDER BY id",
                (number,),
            )
            self._read_plan()  # after the values: lanes only ever come in addition
            chunks = [decode.chunk(row, len(self._keys), width) for row in rows]
            # Read after the values: a stop that is committed in between only cuts what is not there yet.
            return grid(chunks, width, self._stops())

    def _stops(self) -> NDArray[np.int64]:
        """int64 [L]: the last step that counts, of each lane."""
        never = np.iinfo(np.int64).max
        return np.array([never if step is None else step for step in self._progress()[1]], np.int64)

    def _progress(self) -> tuple[list[int], list[int | None]]:
        """The updates done and the stopped step of each lane."""
        rows = self._rows("SELECT lane, steps, stopped_step FROM lane ORDER BY lane")
        if len(rows) > len(self._keys):
            self._read_plan()
            rows = rows[: len(self._keys)]
        if [lane for lane, _, _ in rows] != list(range(len(self._keys))):
            raise DamageError("lanes that are not those of the plan")
        return (
            [decode.integer(steps) for _, steps, _ in rows],
            [None if step is None else decode.integer(step) for _, _, step in rows],
        )

    def _read_series(self) -> dict[str, Series]:
        rows = self._rows("SELECT id, name, unit, kind, source FROM series ORDER BY id")
        found = {row[1]: Series(*row[1:]) for row in rows}
        texts = all(isinstance(text, str) for one in found.values() for text in one)
        if [row[0] for row in rows] != list(range(len(found))) or not texts:
            raise DamageError("series that cannot be told apart")
        if unknown := {one.kind for one in found.values()} - READ_WITH.keys():
            raise DamageError(f"series of the kind {unknown.pop()!r:.40}")
        return found

    def _facts(self) -> dict[Any, Any]:
        return dict(self._rows("SELECT key, value FROM study"))

    def _check_format(self) -> None:
        """Only a file with exactly the tables of this version is read: no view, trigger or expression."""
        if self._rows("PRAGMA application_id")[0][0] != schema.APPLICATION_ID:
            raise StudyError(f"{self} is no study: give a file that a sweep wrote")
        version = self._rows("PRAGMA user_version")[0][0]
        if version > schema.VERSION:
            raise StudyError(
                f"{self} has format {version} and this lrscope reads {schema.VERSION}: pip install -U lrscope"
            )
        rows = self._rows("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        if version != schema.VERSION or len(rows) != len(schema.TABLES) or dict(rows) != schema.TABLES:
            raise DamageError("its tables are not those of a study")

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError as error:
            raise StudyError(f"{self} is closed: open it again") from error
        except (*UNREADABLE, DamageError) as error:
            raise StudyError(
                f"{self} is damaged ({reason(error)}): copy it again (with its -wal, if any) or sweep again"
            ) from error

    def __str__(self) -> str:
        return "the study in memory" if self.path is None else str(self.path)


def _tensor_column(names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({"tensor": pl.Series(list(names), dtype=pl.String)})
