"""TensorBoard's own reader reads what was written for it: scalars, histograms, verdicts, lane by lane."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rough import TENSORS, rough
from studies import STUDIES

from lrscope.errors import UsageError

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

ALL = {"scalars": 0, "histograms": 0, "tensors": 0}
"""TensorBoard keeps a sample of every series; 0 is all of it."""


def read(folder: Path) -> Any:
    found = accumulator.EventAccumulator(str(folder), size_guidance=ALL)
    found.Reload()
    return found


def folders(folder: Path) -> dict[int, Path]:
    content = json.loads((folder / "study.json").read_text())
    return {entry["lane"]: folder / entry["file"] for entry in content["files"]}


def points(events: Any) -> list[tuple[int, float | None]]:
    return [(event.step, None if math.isnan(event.value) else event.value) for event in events]


def single(frame: pl.DataFrame) -> list[tuple[int, float | None]]:
    """Steps and values as single precision keeps them."""
    with np.errstate(over="ignore"):
        return [
            (step, None if value is None else float(np.float32(value)))
            for step, value in frame.select("step", "value").iter_rows()
        ]


@pytest.mark.parametrize("name", ["rough", "hostile"])
def test_its_reader_finds_every_scalar_and_histogram(name: str, tmp_path: Path) -> None:
    study = rough() if name == "rough" else STUDIES[name]()
    study.export(tmp_path / "runs", "tensorboard")
    lanes = folders(tmp_path / "runs")
    assert sorted(lanes) == study.lanes["lane"].to_list()
    wanted = {one.name: study.scalars(one.name) for one in study.series if one.kind == "scalar"}
    tensors = {one.name: study.tensors(one.name) for one in study.series if one.kind == "tensor"}
    paths, histograms, verdicts = study.trajectories(), study.histograms(), study.verdicts()
    for lane, folder in lanes.items():
        found = read(folder)
        for series, frame in wanted.items():
            assert points(found.Scalars(series)) == single(frame.filter(lane=lane)), series
        for series, frame in tensors.items():
            for (tensor,), rows in frame.filter(lane=lane).partition_by("tensor", as_dict=True).items():
                assert points(found.Scalars(f"{series}/{tensor}")) == single(rows)
        for tensor, index in study.plan.tracked:
            place = f"[{','.join(map(str, index))}]" if index else ""
            rows = paths.filter(lane=lane, tensor=tensor).filter(pl.col("index") == list(index))
            assert points(found.Scalars(f"trajectory/{tensor}{place}")) == single(rows)
        for (tensor,), rows in histograms.filter(lane=lane).partition_by("tensor", as_dict=True).items():
            events = found.Histograms(f"weights/{tensor}")
            assert [event.step for event in events] == [
                epoch * study.plan.steps_per_epoch for epoch in rows["epoch"]
            ]
            for event, row in zip(events, rows.iter_rows(named=True), strict=True):
                assert list(event.histogram_value.bucket_limit) == row["edges"]
                assert list(event.histogram_value.bucket) == [0, *row["counts"]]
                assert event.histogram_value.num == sum(row["counts"])
            left_out = {
                row["epoch"]: row["nonfinite"] for row in rows.iter_rows(named=True) if row["nonfinite"]
            }
            tag = f"nonfinite/{tensor}"
            written = points(found.Scalars(tag)) if tag in found.Tags()["scalars"] else []
            assert written == [
                (epoch * study.plan.steps_per_epoch, float(np.float32(n))) for epoch, n in left_out.items()
            ]
        text = found.Tensors("verdict")[0].tensor_proto.string_val[0].decode()
        row = verdicts.row(by_predicate=pl.col("lane") == lane, named=True)
        assert row["verdict"].replace("_", " ") in text
        assert row["evidence"] in text


def test_a_value_too_large_for_single_precision_is_infinite(tmp_path: Path) -> None:
    rough().export(tmp_path / "runs", "tensorboard")
    values = [event.value for event in read(folders(tmp_path / "runs")[0]).Scalars("loss")]
    assert values[2] == math.inf


def test_folders_are_called_by_rate_and_by_seed_where_there_are_several(tmp_path: Path) -> None:
    rough().export(tmp_path / "two", "tensorboard")
    assert [path.name for path in folders(tmp_path / "two").values()] == [
        "lr=1e-3,seed=0",
        "lr=0.3,seed=0",
        "lr=1e-3,seed=1",
        "lr=0.3,seed=1",
    ]
    STUDIES["ringing"]().export(tmp_path / "one", "tensorboard")
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        "lr=0.01", "lr=0.1", "lr=0.119", "lr=0.12", "lr=0.13", "lr=1", "study.json",
    }  # fmt: skip


def test_tensorboard_counts_every_element_once(tmp_path: Path) -> None:
    """As its page shows histograms: buckets with left and right ends, made of what was written."""
    from tensorboard import data_compat
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
    from tensorboard.util import tensor_util

    rough().export(tmp_path / "runs", "tensorboard")
    (path,) = folders(tmp_path / "runs")[1].iterdir()
    shown = 0
    for event in LegacyEventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.WhichOneof("value") == "histo" and sum(value.histo.bucket):
                buckets = tensor_util.make_ndarray(data_compat.migrate_value(value).tensor)
                assert buckets[:, 2].sum() == sum(value.histo.bucket)
                assert (buckets[:, 0] <= buckets[:, 1]).all()
                assert buckets[0, 0] == np.float32(value.histo.min)
                assert buckets[-1, 1] == np.float32(value.histo.max)
                shown += 1
    assert shown == 2 * len(TENSORS)


def test_without_tensorboard_it_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(UsageError, match=r"pip install 'lrscope\[tensorboard\]'") as caught:
        rough().export(tmp_path / "runs", "tensorboard")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_writing_it_loads_neither_torch_nor_tensorflow_nor_altair(tmp_path: Path) -> None:
    script = (
        "import sys; from rough import rough; rough().export(sys.argv[1], 'tensorboard'); "
        "print([name for name in ('torch', 'tensorflow', 'altair') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "runs")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    assert (ended.returncode, ended.stderr, ended.stdout.strip()) == (0, "", "[]")
