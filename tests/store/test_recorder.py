"""The recorder: when it commits, what it refuses, how it ends, and what it leaves alone."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from recorders import PLAN, SERIES, losses, record, recorder

from lrscope.errors import StudyError
from lrscope.record import HistogramRecord, Record
from lrscope.store import recorder as recorder_module
from lrscope.store.recorder import Recorder
from lrscope.store.study_file import StudyFile
from lrscope.store.target import check_target


def heights(path: Path) -> int:
    return StudyFile(path).scalars("loss").height


def test_what_is_committed_is_seen_and_what_is_not_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.lrscope"
    with recorder(path) as writer:
        study = StudyFile(path)
        assert study.commits == 0
        writer.write(losses(0, 3))
        assert study.scalars("loss").height == 0
        writer.commit()
        assert study.scalars("loss").height == 24
        assert study.commits == 1
        writer.note("how", "slowly")
        assert study.note("how") is None
        writer.commit()
        assert study.note("how") == "slowly"
        assert study.commits == 2
    assert study.commits == 3


def test_half_a_second_after_a_commit_writing_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.lrscope"
    clock = [100.0]
    monkeypatch.setattr(recorder_module.time, "monotonic", lambda: clock[0])
    with recorder(path) as writer:
        clock[0] += 0.49
        writer.write(losses(0, 0))
        assert heights(path) == 0
        clock[0] += 0.02
        writer.write(losses(1, 1))
        assert heights(path) == 12
        clock[0] += 0.3
        writer.write(losses(2, 2))
        assert heights(path) == 12
        clock[0] += 0.3
        writer.write(record("val_loss", [0], np.ones((1, 6))))
        assert heights(path) == 18


@pytest.mark.parametrize(
    ("error", "state", "lanes"),
    [
        (None, "finished", "finished"),
        (KeyboardInterrupt(), "interrupted", "interrupted"),
        (RuntimeError("no"), "failed", "interrupted"),
        (SystemExit(), "failed", "interrupted"),
    ],
)
def test_the_end_is_kept_and_with_it_all_that_came_before(
    tmp_path: Path, error: BaseException | None, state: str, lanes: str
) -> None:
    path = tmp_path / "x.lrscope"

    def write() -> None:
        with recorder(path) as writer:
            writer.write(losses(0, 3))
            if error is not None:
                raise error

    if error is None:
        write()
    else:
        with pytest.raises(type(error)):
            write()
    study = StudyFile(path)
    assert study.state == state
    assert study.scalars("loss").height == 24
    assert study.lanes()["state"].to_list() == [lanes] * 6
    assert os.listdir(tmp_path) == ["x.lrscope"]  # one plain file, to be copied and mailed


def test_a_reader_at_the_end_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "x.lrscope"
    with recorder(path) as writer:
        writer.write(losses(0, 3))
        writer.commit()
        study = StudyFile(path)
        assert study.scalars("loss").height == 24
        writer.write(losses(4, 11))
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert study.scalars("loss").height == 72
    assert StudyFile(path).state == study.state == "finished"


def test_there_is_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "x.lrscope"
    with recorder(path) as writer:
        for moment in range(3):
            other = sqlite3.connect(path, timeout=0, isolation_level=None)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            other.close()
            with pytest.raises(StudyError, match="is being written by another sweep"):
                recorder(path, overwrite=True)
            writer.write(losses(moment, moment))
            writer.commit()
    assert heights(path) == 18


def test_a_lane_stops_at_its_first_loss_that_is_not_finite() -> None:
    with recorder(None) as writer:
        values = np.ones((3, 6), np.float32)
        values[2, 1] = np.nan
        values[0, 2] = -np.inf
        values[2, 2] = np.inf
        writer.write(record("loss", [0, 1, 2], values))
        writer.write(record("loss", [3, 4, 5], values))  # what a stopped lane sends on does not count
        writer.commit()
        lanes = writer.study_file().lanes()
    assert lanes["stopped_step"].to_list() == [None, 2, 0, None, None, None]
    assert lanes["steps"].to_list() == [6, 2, 0, 6, 6, 6]


ONES = np.ones((2, 6))
BINS = (np.arange(3.0), np.arange(3.0))
COUNTS = (np.ones((6, 2), np.uint32), np.ones((6, 2), np.uint32))
NONE = (np.zeros(6, np.uint32), np.zeros(6, np.uint32))
ALL = np.arange(6, dtype=np.int32)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (record("los", [4, 5], ONES), "no series 'los'; announced were loss, val_loss"),
        (record("loss", [4, 5, 6], ONES), r"loss have the shape \(2, 6\), not \(3, 6\)"),
        (record("weight_norm", [0, 1], ONES), r"the shape \(2, 6\), not \(2, 6, 2\)"),
        (record("trajectory", [0, 1], np.ones((2, 6, 2))), r"the shape \(2, 6, 2\), not \(2, 6, 3\)"),
        (record("loss", [5, 4], ONES), "loss: steps from 5 do not rise"),
        (record("loss", [3, 4], ONES), "loss: steps from 3 do not rise from 3"),
        (record("loss", [-1], np.ones((1, 6))), "loss: steps from -1 do not rise"),
        (record("loss", [4], np.ones((1, 2)), lanes=[1, 0]), r"lanes \[1, 0\] are not rising"),
        (record("loss", [4], np.ones((1, 2)), lanes=[5, 6]), r"lanes \[5, 6\] are not rising lanes below 6"),
        (record("loss", [4], np.ones((1, 2)), lanes=[-1, 0]), r"lanes \[-1, 0\]"),
        (HistogramRecord(0, ALL, BINS, COUNTS, NONE), "histogram: steps from 0 do not rise from 0"),
        (
            HistogramRecord(1, ALL, BINS[:1], COUNTS[:1], NONE[:1]),
            "1 histograms came; the plan has 2 tensors",
        ),
        (HistogramRecord(1, ALL[:3], BINS, COUNTS, NONE), r"counts \(6, 2\) do not fit 3 lanes and 3 edges"),
        (HistogramRecord(1, ALL, (np.arange(4.0),) * 2, COUNTS, NONE), r"do not fit 6 lanes and 4 edges"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_and_leaves_no_trace(
    bad: Record | HistogramRecord, message: str
) -> None:
    with recorder(None) as writer:
        writer.write(losses(0, 3))
        writer.write(HistogramRecord(0, ALL, BINS, COUNTS, NONE))
        with pytest.raises(ValueError, match=message):
            writer.write(bad)
        writer.write(losses(4, 5))
        study = writer.study_file()
        assert study.scalars("loss").height == 36
        assert study.histograms().height == 12


def test_what_is_not_json_is_refused() -> None:
    with recorder(None) as writer:
        with pytest.raises(ValueError, match="JSON"):
            writer.note("seconds", float("nan"))
        writer.note("seconds", 1.5)
        assert writer.study_file().note("seconds") == 1.5


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.lrscope"
    path.write_text("precious")
    with pytest.raises(StudyError, match=r"is there already: .*--overwrite \(overwrite=True\)"):
        recorder(path)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["x.lrscope"]


def test_overwrite_replaces_a_study_and_what_a_killed_one_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "x.lrscope"
    writer = recorder(tmp_path / "other.lrscope")
    writer.write(losses(0, 11))
    writer.commit()
    for ending in ("", "-wal", "-shm"):  # as a kill leaves them
        shutil.copy(tmp_path / f"other.lrscope{ending}", tmp_path / f"x.lrscope{ending}")
    with writer:
        pass
    (tmp_path / "x.lrscope-journal").write_bytes(b"old")
    assert heights(path) == 72
    with recorder(path, overwrite=True) as writer:
        writer.write(losses(0, 0))
        writer.commit()
        assert heights(path) == 6
    assert heights(path) == 6
    assert sorted(os.listdir(tmp_path)) == ["other.lrscope", "x.lrscope"]


def test_a_log_without_its_study_is_not_taken_for_the_new_ones(tmp_path: Path) -> None:
    (tmp_path / "x.lrscope-wal").write_bytes(b"\x37\x7f\x06\x82" + b"\0" * 5000)
    with recorder(tmp_path / "x.lrscope") as writer:
        writer.write(losses(0, 0))
    assert heights(tmp_path / "x.lrscope") == 6


def test_the_old_study_stays_until_the_new_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.lrscope"
    with recorder(path) as writer:
        writer.write(losses(0, 11))
    with pytest.raises(TypeError, match="not JSON serializable"):
        Recorder(path, PLAN, SERIES, overwrite=True, about={"what": object()})

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StudyError, match=f"cannot be made in the folder {tmp_path}"):
        recorder(path, overwrite=True)
    assert heights(path) == 72
    assert os.listdir(tmp_path) == ["x.lrscope"]


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "x.lrscope"
    link.symlink_to(tmp_path / "disk" / "real.lrscope")
    with recorder(link) as writer:
        writer.write(losses(0, 0))
    with recorder(link, overwrite=True) as writer:
        writer.write(losses(0, 1))
    assert link.is_symlink()
    assert heights(tmp_path / "disk" / "real.lrscope") == heights(link) == 12


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("check_only", [False, True])
def test_a_place_where_no_study_can_be_is_named(tmp_path: Path, overwrite: bool, check_only: bool) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    cases = {
        tmp_path: "is a folder: give the path of a file in it",
        tmp_path / "no" / "x.lrscope": f"needs the folder {tmp_path / 'no'}, which is not there",
        tmp_path / "file" / "x.lrscope": f"needs the folder {tmp_path / 'file'}, which is not there",
        tmp_path / "pipe": "is no ordinary file" if overwrite else "is there already",
        tmp_path / "nul\0": "is no path",
        tmp_path / ("x" * 300): "is no path",
    }
    for path, message in cases.items():
        with pytest.raises(StudyError) as caught:
            check_target(path, overwrite=overwrite) if check_only else recorder(path, overwrite=overwrite)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="wants a folder that not even root can write to")
def test_a_folder_that_cannot_be_written_to_is_named() -> None:
    with pytest.raises(
        StudyError, match=r"cannot be made in the folder /proc \(.*\): give a path in a folder"
    ):
        recorder("/proc/x.lrscope")


def test_a_relative_path_and_one_of_odd_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.lrscope", "a?b#c%20 d'\".lrscope", "学习率.lrscope", "file:x"):
        with recorder(name) as writer:
            writer.write(losses(0, 0))
            writer.commit()
            assert heights(Path(name)) == 6
        assert heights(Path(name)) == 6
        os.remove(name)
    assert os.listdir(tmp_path) == []


def test_a_file_has_the_rights_the_user_gives_to_new_files(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    with recorder(tmp_path / "x.lrscope"):
        pass
    assert (tmp_path / "x.lrscope").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_forked_child_that_ends_does_no_harm(tmp_path: Path) -> None:
    """Workers of a DataLoader are forked while the study is written."""
    script = f"""
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {str(Path(__file__).parent)!r})
from recorders import losses, recorder
with recorder({str(tmp_path / "x.lrscope")!r}) as writer:
    for step in range(12):
        writer.write(losses(step, step))
        writer.commit()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert heights(tmp_path / "x.lrscope") == 72
