"""Frames and arrays against rows written out one by one; states, notes, and questions that have no answer."""

import dataclasses
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from recorders import PLAN, SERIES, losses, record, recorder, twin

from lrscope.errors import StudyError
from lrscope.record import Record
from lrscope.store import study_file
from lrscope.store.study_file import StudyFile

KEYS = {"lane": pl.Int64, "rate": pl.Float64, "seed": pl.Int64}


@pytest.mark.parametrize("seed", range(20))
def test_frames_have_the_rows_that_were_recorded(tmp_path: Path, seed: int) -> None:
    expected = twin(seed)
    with recorder(None if seed % 2 else tmp_path / "x.lrscope", expected.plan) as writer:
        for one in expected.records:
            writer.write(one)
    study = writer.study_file()
    keys = expected.plan.lanes

    def scalars(name: str) -> list[tuple[object, ...]]:
        return [(*keys[lane], step, value) for lane, _, step, value in expected.rows[name]]

    for name in ("loss", "val_loss", "accuracy"):
        frame = study.scalars(name)
        assert frame.schema == pl.Schema(KEYS | {"step": pl.Int64, "value": pl.Float64})
        assert frame.rows() == scalars(name)
    tensors = study.tensors("weight_norm")
    assert tensors.schema == pl.Schema(KEYS | {"step": pl.Int64, "tensor": pl.String, "value": pl.Float64})
    assert tensors.rows() == [
        (*keys[lane], step, PLAN.tensors[place], value)
        for lane, place, step, value in expected.rows["weight_norm"]
    ]
    trajectories = study.trajectories()
    assert trajectories.schema["index"] == pl.List(pl.Int64)
    assert trajectories.rows() == [
        (*keys[lane], step, PLAN.tracked[place][0], list(PLAN.tracked[place][1]), value)
        for lane, place, step, value in expected.rows["trajectory"]
    ]
    histograms = study.histograms()
    assert list(histograms.schema.items())[3:] == [
        ("epoch", pl.Int64),
        ("tensor", pl.String),
        ("edges", pl.List(pl.Float64)),
        ("counts", pl.List(pl.UInt32)),
        ("nonfinite", pl.UInt32),
    ]
    assert [row[:5] for row in histograms.rows()] == [
        (*keys[lane], epoch, PLAN.tensors[tensor]) for lane, tensor, epoch, _ in expected.rows["histogram"]
    ]
    # The lanes of an epoch may stand on the edges of all of them together, with nothing in the bins between.
    for row, (_, _, _, what) in zip(histograms.rows(), expected.rows["histogram"], strict=True):
        edges, counts, nonfinite = (np.array(one) for one in what)
        shared, found = np.array(row[5]), np.array(row[6])
        assert row[7] == nonfinite
        assert found.sum() == counts.sum()
        for first, last, count in zip(edges[:-1], edges[1:], counts, strict=True):
            inside = (shared[:-1] < last) & (shared[1:] > first)
            assert found[inside].sum() >= count
    lanes = study.lanes()
    assert lanes["stopped_step"].to_list() == [expected.stopped.get(key.lane) for key in keys]
    assert lanes["steps"].to_list() == [expected.stopped.get(key.lane, expected.plan.steps) for key in keys]
    assert set(lanes["state"]) <= {"finished", "stopped"}


@pytest.mark.parametrize("seed", range(6))
def test_arrays_are_the_frames(seed: int) -> None:
    expected = twin(seed)
    with recorder(None, expected.plan) as writer:
        for one in expected.records:
            writer.write(one)
        study = writer.study_file()
    for one in SERIES:
        steps, values = study.array(one.name)
        assert steps.dtype == np.int64
        assert values.dtype == np.float64
        assert values.ndim == (2 if one.kind == "scalar" else 3)
        finite = {
            (lane, place, step): value
            for lane, place, step, value in expected.rows[one.name]
            if value is not None
        }
        grid = values.reshape(len(steps), len(expected.plan.lanes), -1)
        found = {
            (lane, place, int(steps[n])): float(grid[n, lane, place])
            for n, lane, place in np.argwhere(np.isfinite(grid)).tolist()
        }
        assert found == finite


def test_values_keep_the_precision_they_were_measured_in(tmp_path: Path) -> None:
    third = np.full((1, 6), 1 / 3)
    with recorder(tmp_path / "x.lrscope") as writer:
        writer.write(record("loss", [0], third))
        writer.write(record("val_loss", [0], third.astype(np.float32)))
        writer.write(record("accuracy", [0], third.astype(np.float16)))
    study = StudyFile(tmp_path / "x.lrscope")
    assert study.scalars("loss")["value"][0] == 1 / 3
    assert study.scalars("val_loss")["value"][0] == float(np.float32(1 / 3))
    assert study.scalars("accuracy")["value"][0] == float(np.float16(1 / 3))


def test_an_empty_study_has_empty_frames_of_the_same_columns() -> None:
    with recorder(None) as writer:
        study = writer.study_file()
        full = [study.scalars("loss"), study.tensors("weight_norm"), study.trajectories(), study.histograms()]
        assert [frame.height for frame in full] == [0, 0, 0, 0]
        steps, values = study.array("trajectory")
        assert steps.shape == (0,)
        assert values.shape == (0, 6, 3)
        assert study.lanes()["state"].to_list() == ["running"] * 6
        for one in twin(3).records:
            if not isinstance(one, Record) or one.quantity != "loss":
                writer.write(one)
        writer.write(losses(0, 1))
        again = [
            study.scalars("loss"),
            study.tensors("weight_norm"),
            study.trajectories(),
            study.histograms(),
        ]
        assert all(frame.height > 0 for frame in again)
        assert [frame.schema for frame in again] == [frame.schema for frame in full]


def test_a_stopped_lane_has_one_null_loss_and_no_later_row() -> None:
    plan = dataclasses.replace(PLAN, rates=(0.1, 1.0), seeds=(0,), epochs=2, steps_per_epoch=4)
    values = np.ones((8, 2))
    values[5, 1] = np.inf  # in the second epoch; what comes after it is noise
    with recorder(None, plan) as writer:
        writer.write(record("loss", range(8), values, lanes=[0, 1]))
        writer.write(record("val_loss", [0, 4, 8], np.ones((3, 2)), lanes=[0, 1]))
        writer.write(record("trajectory", range(9), np.ones((9, 2, 3)), lanes=[0, 1]))
    study = writer.study_file()
    stopped = pl.col("lane") == 1
    assert study.scalars("loss").filter(stopped)["value"].to_list() == [1, 1, 1, 1, 1, None]
    assert study.scalars("val_loss").filter(stopped)["step"].to_list() == [0, 4]
    assert study.trajectories().filter(stopped)["step"].max() == 5
    assert study.scalars("loss").filter(~stopped).height == 8
    assert study.lanes().select("state", "steps", "stopped_step").rows() == [
        ("finished", 8, None),
        ("stopped", 5, 5),
    ]


def test_plan_series_notes_and_about_come_back(tmp_path: Path) -> None:
    with recorder(tmp_path / "x.lrscope") as writer:
        writer.note("how", "in one pass")
        writer.note("notes", ["first"])
        writer.note("notes", ["first", "second"])
    study = StudyFile(tmp_path / "x.lrscope")
    assert study.plan == PLAN
    assert study.series == SERIES
    assert study.about == {"versions": {"numpy": np.__version__}}
    assert study.note("how") == "in one pass"
    assert study.note("notes") == ["first", "second"]
    assert study.note("no such note") is None
    assert study.path == tmp_path / "x.lrscope"
    assert study.size == (tmp_path / "x.lrscope").stat().st_size


def test_a_question_without_an_answer_names_the_answers() -> None:
    with recorder(None) as writer:
        study = writer.study_file()
    with pytest.raises(StudyError, match=r"no series 'los'; it has loss, val_loss, accuracy$"):
        study.scalars("los")
    with pytest.raises(StudyError, match=r"no series 'los'; it has loss, .*, trajectory$"):
        study.array("los")
    with pytest.raises(StudyError, match="loss is read with scalars, not with tensors"):
        study.tensors("loss")
    with pytest.raises(StudyError, match="trajectory is read with trajectories, not with scalars"):
        study.scalars("trajectory")


def test_lanes_say_how_far_they_are_while_the_study_runs(tmp_path: Path) -> None:
    with recorder(tmp_path / "x.lrscope") as writer:
        writer.write(record("loss", range(12), np.ones((12, 1)), lanes=[0]))  # lane after lane
        writer.write(record("loss", [0], [[np.nan]], lanes=[1]))
        writer.write(record("loss", range(3), np.ones((3, 1)), lanes=[2]))
        writer.commit()
        study = StudyFile(tmp_path / "x.lrscope")
        assert study.state == "running"
        assert study.lanes()["state"].to_list() == ["finished", "stopped", *["running"] * 4]
        assert study.lanes()["steps"].to_list() == [12, 0, 3, 0, 0, 0]


def test_a_study_that_falls_silent_is_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder(tmp_path / "x.lrscope") as writer:
        writer.write(losses(0, 1))
        writer.commit()
        study = StudyFile(tmp_path / "x.lrscope")
        now = time.time()
        monkeypatch.setattr(study_file.time, "time", lambda: now + study_file.SILENT_SECONDS - 1)
        assert study.state == "running"
        monkeypatch.setattr(study_file.time, "time", lambda: now + study_file.SILENT_SECONDS + 1)
        assert study.state == "unfinished"
        assert study.lanes()["state"].to_list() == ["interrupted"] * 6
    assert study.state == "finished"


def test_a_study_in_memory_lives_as_long_as_its_reader() -> None:
    study = _study_whose_recorder_is_gone()
    assert study.scalars("loss").height == 12 * 6
    study.close()
    assert study.scalars("loss").height == 12 * 6
    assert study.path is None


def _study_whose_recorder_is_gone() -> StudyFile:
    with recorder(None) as writer:
        writer.write(losses(0, 11))
    return writer.study_file()


def test_a_closed_study_says_so(tmp_path: Path) -> None:
    with recorder(tmp_path / "x.lrscope"):
        pass
    study = StudyFile(tmp_path / "x.lrscope")
    study.close()
    study.close()
    with pytest.raises(StudyError, match="is closed: open it again"):
        study.lanes()


def test_readers_of_several_threads_and_connections_see_whole_commits_while_it_is_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.lrscope"
    plan = dataclasses.replace(PLAN, epochs=100, steps_per_epoch=10)
    wrong: list[object] = []
    seen: list[int] = []
    done = threading.Event()

    def read(study: StudyFile) -> None:
        while not done.is_set():
            loss, trajectory = study.scalars("loss"), study.trajectories()
            expected = loss["step"] + loss["lane"] / 1000
            if (loss["value"] - expected).abs().max() not in (None, 0.0):
                wrong.append(loss)
            if loss.height % 60 or trajectory.height % 180 or trajectory.height < 3 * loss.height:
                wrong.append((loss.height, trajectory.height))
            seen.append(loss.height)

    with recorder(path, plan) as writer:
        shared = StudyFile(path)
        readers = [shared, shared, StudyFile(path)]
        threads = [threading.Thread(target=read, args=(one,)) for one in readers]
        for thread in threads:
            thread.start()
        for first in range(0, 1000, 10):
            writer.write(losses(first, first + 9, plan, np.float64))
            writer.write(record("trajectory", range(first, first + 10), np.ones((10, 6, 3))))
            writer.commit()
            time.sleep(0.005)
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(set(seen)) > 3  # they did read in between
    assert StudyFile(path).scalars("loss").height == 6000
