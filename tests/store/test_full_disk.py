"""A full disk ends a sweep with one line; what was committed before is there."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorders import losses, recorder

from lrscope.errors import StoreError
from lrscope.store import connection as connection_module
from lrscope.store import recorder as recorder_module
from lrscope.store.study_file import StudyFile


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Databases opened from now on can have only so many pages, as if the disk were full then."""

    def limit(pages: int) -> None:
        class Limited:
            """The sqlite3 module, but for the limit."""

            def __getattr__(self, name: str) -> Any:
                return getattr(sqlite3, name)

            def connect(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
                connection = sqlite3.connect(*arguments, **options)
                connection.execute(f"PRAGMA max_page_count = {pages}")
                return connection

        monkeypatch.setattr(connection_module, "sqlite3", Limited())

    return limit


def test_a_full_disk_is_told_once_and_what_was_committed_stays(
    tmp_path: Path, small_disk: Callable[[int], None]
) -> None:
    path = tmp_path / "x.lrscope"
    small_disk(16)
    last = -1

    def write() -> None:
        nonlocal last
        with recorder(path) as writer:
            for step in range(12):
                writer.write(losses(step, step))
                writer.note(str(step), "x" * 9000)
                writer.commit()
                last = step

    with pytest.raises(StoreError) as caught:
        write()
    assert 0 < last < 11
    assert str(caught.value).startswith(f"{path} could not be written any further (database or disk is full)")
    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is caught.value.__cause__  # no error came on top of it
    study = StudyFile(path)
    assert study.state == "failed"
    assert study.scalars("loss").height == 6 * (last + 1)
    assert study.lanes()["steps"].to_list() == [last + 1] * 6


def test_after_the_first_error_every_other_call_tells_the_same(
    tmp_path: Path, small_disk: Callable[[int], None]
) -> None:
    small_disk(12)
    writer = recorder(tmp_path / "x.lrscope")
    with pytest.raises(StoreError) as first:
        writer.note("long", "x" * 200_000)
    for again in (lambda: writer.write(losses(0, 0)), lambda: writer.note("a", 1), writer.commit):
        with pytest.raises(StoreError) as caught:
            again()
        assert caught.value is first.value
    with writer:  # and its end is quiet
        pass


def test_an_end_that_cannot_be_written_is_told_unless_there_is_worse_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, state: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(recorder_module.Recorder, "_end", full)
    with pytest.raises(StoreError, match="disk is full"), recorder(tmp_path / "x.lrscope"):
        pass
    with pytest.raises(KeyboardInterrupt), recorder(tmp_path / "y.lrscope"):
        raise KeyboardInterrupt


def test_a_disk_that_is_full_already_leaves_nothing(
    tmp_path: Path, small_disk: Callable[[int], None]
) -> None:
    small_disk(2)
    with pytest.raises(
        StoreError, match=r"could not be written \(database or disk is full\): free some space"
    ):
        recorder(tmp_path / "x.lrscope")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("limit", [120_000, 1_000_000])
def test_the_system_refuses_to_write_any_more(tmp_path: Path, limit: int) -> None:
    script = f"""
import resource, sys
import numpy as np
sys.path.insert(0, {str(Path(__file__).parent)!r})
from recorders import PLAN, losses, recorder
from lrscope.errors import StoreError
import dataclasses

plan = dataclasses.replace(PLAN, epochs=1000, steps_per_epoch=1000)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
last = -1
try:
    with recorder({str(tmp_path / "x.lrscope")!r}, plan) as writer:
        for first in range(0, plan.steps, 100):
            writer.write(losses(first, first + 99, plan))
            writer.commit()
            last = first + 99
except StoreError as error:
    print(last, error)
"""
    ended = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    last, message = ended.stdout.rstrip("\n").split(" ", 1)
    assert message.startswith(f"{tmp_path / 'x.lrscope'} could not be written any further (")
    assert "\n" not in message
    study = StudyFile(tmp_path / "x.lrscope")
    assert int(last) > 0
    assert study.scalars("loss").height == 6 * (int(last) + 1)
    study.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "x.lrscope")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
