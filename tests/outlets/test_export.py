"""Exported and read back equals: for every format, with what its own readers make of the files."""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rough import METRICS, NOTES, rough
from studies import STUDIES

import lrscope
from lrscope.errors import UsageError
from lrscope.outlets.export import MANIFEST, listed, tables
from lrscope.outlets.json_document import strict
from lrscope.study import Study

MADE = {"rough": rough, **{name: STUDIES[name] for name in ("seeds", "hostile", "empty")}}

FILES = pytest.mark.parametrize("to", ["parquet", "csv", "json"])
EVERYWHERE = pytest.mark.parametrize("name", MADE)


def manifest(folder: Path) -> dict[str, Any]:
    def no_constant(text: str) -> None:
        raise AssertionError(f"{text} is not strict JSON")

    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"), parse_constant=no_constant)
    assert isinstance(content, dict)
    return content


def read(folder: Path, entry: dict[str, Any], to: str) -> pl.DataFrame:
    """A table as somebody reads it who has the files only."""
    path = folder / entry["file"]
    names = {"Int64": pl.Int64, "Float64": pl.Float64, "String": pl.String, "UInt32": pl.UInt32}
    lists = {f"List({name})": pl.List(dtype) for name, dtype in names.items()}
    schema = {column: (names | lists)[dtype] for column, dtype in entry["columns"].items()}
    if to == "parquet":
        return pl.read_parquet(path)
    if to == "json":
        return pl.DataFrame(json.loads(path.read_text(encoding="utf-8")), schema=schema)
    texts = {name: pl.String if isinstance(dtype, pl.List) else dtype for name, dtype in schema.items()}
    frame = pl.read_csv(path, schema=texts)
    parsed = [
        pl.Series(name, [json.loads(cell) for cell in frame[name]], dtype)
        for name, dtype in schema.items()
        if isinstance(dtype, pl.List)
    ]
    return frame.with_columns(parsed)


def bits(frame: pl.DataFrame) -> pl.DataFrame:
    """The same with every float as its bits: -0.0 is not 0.0."""
    floats = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    return frame.with_columns(pl.col(floats).reinterpret(signed=False))


@FILES
@EVERYWHERE
def test_what_was_exported_reads_back_equal(name: str, to: str, tmp_path: Path) -> None:
    study = MADE[name]()
    folder = study.export(tmp_path / "out", to)
    entries = {entry["table"]: entry for entry in manifest(folder)["files"]}
    assert list(entries) == [table.name for table in tables(study)]
    for table in tables(study):
        frame, back = table.read(), read(folder, entries[table.name], to)
        assert back.schema == frame.schema, table.name
        assert bits(back).equals(bits(frame)), table.name
        assert entries[table.name]["rows"] == frame.height
        assert entries[table.name]["unit"] == table.unit


@FILES
def test_every_series_and_everything_else_is_there(to: str, tmp_path: Path) -> None:
    study = rough()
    folder = study.export(tmp_path / "out", to)
    content = manifest(folder)
    there = {entry["table"] for entry in content["files"]}
    assert {"lanes", "verdicts", "loss", "val_loss", "weight_norm", "trajectories", "histograms"} <= there
    assert {"lanes_series", "LOSS", "../../up"} <= there
    assert content["noted"] == NOTES == study.noted
    assert content["plan"] == json.loads(study.plan.to_json())
    assert content["state"] == "finished"
    assert content["about"] == study.about
    assert content["recommendation"]["sentence"] == study.recommendation().sentence()
    assert [one["conclusion"] for one in content["conclusions"]] == ["too_high", "medium", "too_low"]
    assert strict(content) == content


@FILES
def test_no_name_leaves_the_folder_or_takes_anothers_file(to: str, tmp_path: Path) -> None:
    folder = rough().export(tmp_path / "out", to)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    names = [path.name for path in folder.iterdir()]
    assert len(names) == len({name.lower() for name in names}) == len(METRICS) + 8
    assert all(
        name.isascii() and name == Path(name).name and not name.startswith((".", "con.")) for name in names
    )
    assert sorted(names) == sorted([*(listed(folder) or []), MANIFEST])


def test_long_tables_are_written_in_parts_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrscope.outlets.export._ROWS", 7)
    study = rough()
    for to in ("csv", "json"):
        folder = study.export(tmp_path / to, to)
        for entry in manifest(folder)["files"]:
            frame = next(table for table in tables(study) if table.name == entry["table"]).read()
            assert bits(read(folder, entry, to)).equals(bits(frame)), entry["table"]


def test_an_export_is_replaced_only_when_asked_and_other_files_stay(tmp_path: Path) -> None:
    study, folder = rough(), tmp_path / "out"
    study.export(folder, "csv")
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"an export is there already; .*--overwrite"):
        study.export(folder, "csv")
    study.export(folder, "json", overwrite=True)
    assert not list(folder.glob("*.csv"))
    assert (folder / "mine.txt").read_text() == "mine"
    assert manifest(folder)["format"] == "json"
    study.export(folder, "tensorboard", overwrite=True)
    assert not list(folder.glob("l*.json"))
    study.export(folder, "parquet", overwrite=True)
    assert {path.suffix for path in folder.iterdir()} == {".parquet", ".json", ".txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_holds_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    for content in ("", "{}", "[]", '{"export": 1}', "\ud800"):
        (tmp_path / MANIFEST).write_text(content, errors="surrogatepass")
        with pytest.raises(UsageError, match="holds other files; name a new folder"):
            rough().export(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_a_manifest_from_elsewhere_removes_nothing_outside(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("kept")
    folder = tmp_path / "out"
    folder.mkdir()
    names = ["../precious.txt", str(precious), "..", ".", "", "sub/../../precious.txt", 7]
    (folder / MANIFEST).write_text(json.dumps({"export": 1, "files": [{"file": name} for name in names]}))
    rough().export(folder, overwrite=True)
    assert precious.read_text() == "kept"
    assert manifest(folder)["format"] == "parquet"


def test_a_failure_half_way_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, folder = rough(), tmp_path / "out"
    study.export(folder, "csv")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lrscope.outlets.export._write_json", full)
    with pytest.raises(UsageError, match=r"failed \(No space left on device\)"):
        study.export(folder, "json", overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_wrong_places_and_formats_are_told_in_a_line(tmp_path: Path) -> None:
    study = rough()
    (tmp_path / "file").write_text("")
    wrong = [
        (tmp_path / "file", "csv", "that is a file"),
        (tmp_path / "no" / "such", "csv", "does not exist; make it first"),
        (Path("a\0b"), "csv", "cannot be done"),
        (tmp_path / "out", "xlsx", "cannot export to 'xlsx'; there are parquet, csv, json, tensorboard"),
    ]
    for folder, to, words in wrong:
        with pytest.raises(UsageError, match=words) as caught:
            study.export(folder, to)
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_study_that_is_being_written_is_exported_as_far_as_it_is(tmp_path: Path) -> None:
    from lrscope.record import Record, Series
    from lrscope.store.recorder import Recorder

    study = rough()
    series = [Series("loss", "", "scalar", "")]
    loss = study.scalars("loss").filter(lane=0)["value"].to_numpy()[:2]
    with Recorder(tmp_path / "live.lrscope", study.plan, series, about={}) as writer:
        record = Record("loss", study.scalars("loss")["step"].to_numpy()[:2], *_lanes_of(loss))
        writer.write(record)
        writer.commit()
        with lrscope.open(tmp_path / "live.lrscope") as running:
            folder = running.export(tmp_path / "out", "json")
    content = manifest(folder)
    assert content["state"] == "running"
    assert {entry["table"]: entry["rows"] for entry in content["files"]}["loss"] == 8


def _lanes_of(loss: Any) -> tuple[Any, Any]:
    import numpy as np

    return np.arange(4, dtype=np.int32), np.tile(loss[:, None], 4)


@EVERYWHERE
def test_pandas_frames_hold_the_same(name: str) -> None:
    study: Study = MADE[name]()
    every = study.to_pandas()
    assert list(every) == [table.name for table in tables(study)]
    for table in tables(study):
        frame, back = table.read(), every[table.name]
        assert list(back.columns) == frame.columns
        assert len(back) == frame.height
        for column, dtype in frame.schema.items():
            values = [_plain(value) for value in back[column].to_list()]
            assert values == frame[column].to_list(), (table.name, column, dtype)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    return None if value is None or value != value else value


def test_one_pandas_frame_by_its_name() -> None:
    study = rough()
    loss = study.to_pandas("loss")
    assert list(loss.columns) == ["lane", "rate", "seed", "step", "value"]
    assert loss["step"].dtype.kind == "i"
    assert len(study.to_pandas("histograms")) == study.histograms().height
    with pytest.raises(UsageError, match="no table 'los'; it has lanes, verdicts, loss, val_loss") as caught:
        study.to_pandas("los")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_without_pandas_it_says_what_to_type(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=r"pip install 'lrscope\[pandas\]'") as caught:
        rough().to_pandas("loss")
    assert "\n" not in str(caught.value)
