"""Files that are no studies, or no longer: refused in a line or read as they were; nothing in them runs."""

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorders import PLAN, SERIES, losses, record, recorder, twin

from lrscope.errors import StudyError
from lrscope.store import schema
from lrscope.store.study_file import StudyFile


def read_all(path: Path) -> list[object]:
    """Everything a reader can ask of a study."""
    study = StudyFile(path)
    try:
        answers: list[object] = [study.state, study.commits, study.note("how"), study.lanes().rows()]
        for one in SERIES:
            steps, values = study.array(one.name)
            answers.append((steps.tolist(), repr(values.tolist())))
        frames = (
            study.scalars("loss"),
            study.tensors("weight_norm"),
            study.trajectories(),
            study.histograms(),
        )
        return [*answers, *(frame.rows() for frame in frames)]
    finally:
        study.close()


def refusal(path: Path) -> str:
    with pytest.raises(StudyError) as caught:
        read_all(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200
    return message


def read_or_refusal(path: Path) -> list[object] | str:
    """What is read, or else the one line that says why nothing is; any other end is a failure."""
    try:
        return read_all(path)
    except StudyError as error:
        message = str(error)
    if "\n" in message:
        pytest.fail(f"more than a line: {message}")
    return message


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "x.lrscope"
    expected = twin(1)
    with recorder(path, expected.plan) as writer:
        writer.note("how", "in one pass")
        for one in expected.records:
            writer.write(one)
    return path


@contextlib.contextmanager
def tampered(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    yield connection
    connection.close()


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    assert "is not there" in refusal(tmp_path / "nothing.lrscope")
    assert "is a folder" in refusal(tmp_path)
    path = tmp_path / "x.lrscope"
    path.write_bytes(b"")
    assert "is no study" in refusal(path)
    path.write_text("rate,loss\n0.1,2.3\n" * 1000)
    assert "cannot be read (file is not a database)" in refusal(path)
    path.write_bytes(b"SQLite format 3\0")
    assert "cannot be read" in refusal(path)
    path.write_bytes(os.urandom(100_000))
    assert "cannot be read" in refusal(path)
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE study(key, value)")
    assert "is no study" in refusal(path)
    os.mkfifo(tmp_path / "pipe")
    assert "is no ordinary file" in refusal(tmp_path / "pipe")
    for odd in ("a\0b", "x" * 300):
        with pytest.raises(StudyError, match=r"no path of a study|not there"):
            StudyFile(odd)


def test_a_newer_format_says_to_upgrade(study: Path) -> None:
    with tampered(study) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
        connection.execute("ALTER TABLE study RENAME TO studies")
    assert f"has format {schema.VERSION + 1}" in refusal(study)


@pytest.mark.parametrize("running", [False, True])
def test_a_file_cut_short_is_refused_or_read_as_it_was(tmp_path: Path, study: Path, running: bool) -> None:
    whole = read_all(study)
    if running:  # the log holds everything: the file itself may be cut anywhere
        writer = recorder(tmp_path / "y.lrscope", twin(1).plan)
        for one in twin(1).records:
            writer.write(one)
        writer.commit()
        study = tmp_path / "y.lrscope"
    size = study.stat().st_size
    rng = np.random.default_rng(0)
    offsets = {0, 1, 16, 99, 100, 101, 8191, 8192, 8193, size - 8192, size - 1, size - 100}
    refused = 0
    for offset in sorted(offsets | set(rng.integers(0, size, 20).tolist())):
        copy = tmp_path / "cut.lrscope"
        for ending in ("", "-wal"):
            if Path(f"{study}{ending}").exists():
                shutil.copy(f"{study}{ending}", f"{copy}{ending}")
        with copy.open("r+b") as file:
            file.truncate(offset)
        found = read_or_refusal(copy)
        if isinstance(found, str):
            refused += 1
        else:
            assert running
            assert found[4:] == whole[4:]
        for ending in ("", "-wal", "-shm"):
            Path(f"{copy}{ending}").unlink(missing_ok=True)
    assert running or refused >= 30


def test_a_log_cut_short_gives_earlier_commits(tmp_path: Path) -> None:
    writer = recorder(tmp_path / "x.lrscope")
    for step in range(12):
        writer.write(losses(step, step))
        writer.commit()
    copy = tmp_path / "cut.lrscope"
    wal = (tmp_path / "x.lrscope-wal").read_bytes()
    seen = set()
    for offset in range(0, len(wal), 7777):
        shutil.copy(tmp_path / "x.lrscope", copy)
        Path(f"{copy}-wal").write_bytes(wal[:offset])
        Path(f"{copy}-shm").unlink(missing_ok=True)
        frame = StudyFile(copy).scalars("loss")
        assert frame.height % 6 == 0
        assert (frame["value"] - frame["step"] - frame["lane"] / 1000).abs().max() in (
            None,
            *[pytest.approx(0, abs=1e-6)],
        )
        seen.add(frame.height)
    assert len(seen) > 5
    assert max(seen) <= 72


def test_any_byte_may_be_wrong(tmp_path: Path, study: Path) -> None:
    whole = study.read_bytes()
    rng = np.random.default_rng(0)
    copy = tmp_path / "bad.lrscope"
    outcomes = {"refused": 0, "read": 0}
    for attempt in range(120):
        damaged = bytearray(whole)
        start = int(rng.integers(0, len(whole) if attempt % 2 else 2000))
        for offset in range(start, min(len(whole), start + int(rng.integers(1, 40)))):
            damaged[offset] = int(rng.integers(0, 256))
        copy.write_bytes(damaged)
        outcomes["refused" if isinstance(read_or_refusal(copy), str) else "read"] += 1
    assert min(outcomes.values()) > 2


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW extra AS SELECT 1",
        "CREATE TRIGGER trap AFTER INSERT ON note BEGIN DELETE FROM chunk; END",
        "DROP TABLE note; CREATE VIEW note AS SELECT 'how' AS key, load_extension('x') AS value",
        "DROP TABLE study; CREATE VIEW study(key, value) AS WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i FROM n",
        "DROP TABLE note; CREATE TABLE note(key TEXT PRIMARY KEY, value TEXT AS (zeroblob(900000000)))",
        "DROP INDEX chunk_of_series; CREATE INDEX chunk_of_series ON chunk(abs(series))",
        "CREATE VIRTUAL TABLE words USING fts5(word)",
        "DROP TABLE histogram",
        "ALTER TABLE lane ADD COLUMN extra",
        "UPDATE sqlite_master SET sql = 'CREATE TABLE note(' WHERE name = 'note'",
        "UPDATE sqlite_master SET rootpage = 1 WHERE name = 'chunk'",
        "UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'chunk'",
        "UPDATE sqlite_master SET name = x'00ff' WHERE name = 'chunk'",
        "UPDATE sqlite_master SET type = 'view' WHERE name = 'note'",
    ],
)
def test_a_crafted_schema_is_refused(study: Path, statement: str) -> None:
    with tampered(study) as connection:
        connection.executescript(statement)
    assert "is damaged" in refusal(study) or "cannot be read" in refusal(study)


def set_plan(**changes: Any) -> Callable[[sqlite3.Connection], object]:
    def change(connection: sqlite3.Connection) -> None:
        plan = json.loads(connection.execute("SELECT value FROM study WHERE key = 'plan'").fetchone()[0])
        text = json.dumps({**plan, **changes})
        connection.execute("UPDATE study SET value = ? WHERE key = 'plan'", (text,))

    return change


def sql(statement: str, *values: object) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(statement, values)


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "tamper",
    [
        sql("DELETE FROM study WHERE key = 'plan'"),
        sql("UPDATE study SET value = 'nonsense' WHERE key = 'plan'"),
        sql("UPDATE study SET value = '{}' WHERE key = 'plan'"),
        sql("UPDATE study SET value = ? WHERE key = 'plan'", DEEP),
        sql("UPDATE study SET value = x'ffff' WHERE key = 'plan'"),
        set_plan(rates="0.1"),
        set_plan(rates=["a", "b", "c"]),
        set_plan(rates=[0.1, 0.2, float("nan")]),
        set_plan(rates=[0.1]),
        set_plan(seeds=[0, 10**30]),
        set_plan(seeds=[0, 0.5]),
        set_plan(problem=7),
        set_plan(epochs="3"),
        set_plan(steps_per_epoch=0),
        set_plan(tensors=["0.weight"]),
        set_plan(tensors=[], shapes=[]),
        set_plan(shapes=[[2, 2], 5]),
        set_plan(tracked=[["0.weight"]]),
        set_plan(tracked=[["0.weight", [0]]]),
        set_plan(optimizer_options=[]),
        sql("UPDATE study SET value = '[]' WHERE key = 'about'"),
        sql("UPDATE study SET value = '\"asleep\"' WHERE key = 'state'"),
        sql("UPDATE study SET value = '\"now\"' WHERE key = 'committed'"),
        sql("UPDATE study SET value = '-1' WHERE key = 'commits'"),
        sql("DELETE FROM study WHERE key = 'commits'"),
        sql("UPDATE note SET value = '{'"),
        sql("UPDATE note SET value = ?", DEEP),
        sql("UPDATE note SET value = x'00'"),
        sql("DELETE FROM lane WHERE lane = 2"),
        sql("DELETE FROM lane"),
        sql("UPDATE lane SET lane = 77 WHERE lane = 2"),
        sql("UPDATE lane SET steps = 'many'"),
        sql("UPDATE lane SET stopped_step = -5"),
        sql("UPDATE series SET kind = 'video'"),
        sql("UPDATE series SET kind = 'tensor' WHERE name = 'loss'"),
        sql("UPDATE series SET name = 'loss'"),
        sql("UPDATE series SET name = x'00' WHERE id = 0"),
        sql("UPDATE series SET id = 9 WHERE id = 0"),
        sql("UPDATE chunk SET data = x'00'"),
        sql("UPDATE chunk SET data = 'text'"),
        sql("UPDATE chunk SET data = data || x'00000000'"),
        sql("UPDATE chunk SET dtype = '<f2'"),
        sql("UPDATE chunk SET dtype = 'O'"),
        sql("UPDATE chunk SET first = 1.5"),
        sql("UPDATE chunk SET first = -3"),
        sql("UPDATE chunk SET first = last + 1"),
        sql("UPDATE chunk SET steps = NULL, last = 9223372036854775807"),
        sql("UPDATE chunk SET steps = NULL, last = first + 1000000000000"),
        sql("UPDATE chunk SET steps = zeroblob(8)"),
        sql("UPDATE chunk SET steps = zeroblob(length(data))"),
        sql("UPDATE chunk SET lanes = zeroblob(24)"),
        sql("UPDATE chunk SET lanes = x'ffffff7f'"),
        sql("UPDATE chunk SET lanes = 3"),
        sql("UPDATE histogram SET epoch = 'first'"),
        sql("UPDATE histogram SET tensor = 2"),
        sql("UPDATE histogram SET tensor = -1"),
        sql("UPDATE histogram SET edges = x''"),
        sql("UPDATE histogram SET edges = zeroblob(80)"),
        sql("UPDATE histogram SET counts = x'01'"),
        sql("UPDATE histogram SET nonfinite = zeroblob(400)"),
    ],
)
def test_a_crafted_value_is_refused(study: Path, tamper: Callable[[sqlite3.Connection], object]) -> None:
    with tampered(study) as connection:
        tamper(connection)
    assert "is damaged" in refusal(study)


def test_a_plan_of_a_later_version_with_more_in_it_is_read(study: Path) -> None:
    with tampered(study) as connection:
        set_plan(curvature="lanczos")(connection)
    assert read_all(study)


def test_a_writer_killed_while_it_closed_the_file_left_a_journal(tmp_path: Path) -> None:
    """The last change of a file is made with a rollback journal; only a new writer could undo half of it."""
    path, copy = tmp_path / "x.lrscope", tmp_path / "killed.lrscope"
    with recorder(path) as writer:
        writer.note("how", "in one pass")
        writer.write(record("trajectory", range(13), np.ones((13, 6, 3))))
    before = read_all(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute("UPDATE chunk SET data = zeroblob(length(data))")
        connection.execute("INSERT INTO note VALUES ('long', zeroblob(200000))")
        shutil.copy(path, copy)
        shutil.copy(f"{path}-journal", f"{copy}-journal")
        connection.execute("ROLLBACK")
    assert copy.read_bytes() != path.read_bytes()
    assert read_all(copy) == before
    assert not Path(f"{copy}-journal").exists()


def test_reading_leaves_a_finished_study_as_it_is(study: Path) -> None:
    before, stamp = study.read_bytes(), study.stat().st_mtime_ns
    read_all(study)
    assert study.read_bytes() == before
    assert study.stat().st_mtime_ns == stamp
    assert os.listdir(study.parent) == [study.name]


def test_a_reader_cannot_write(study: Path) -> None:
    reader = StudyFile(study)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM chunk")
    assert PLAN.tensors == reader.plan.tensors
