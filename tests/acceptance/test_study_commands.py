"""What is done with a study that is there: shown, drawn, reported, exported, served."""

import csv
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from user import answer, done, fetched, served, typed

STUDY = "digits.lrscope"
TINY = "line.lrscope"
"""Of a model so small that its sharpness is measured."""

CHARTS = {
    "sensitivity": "svg",
    "loss": "png",
    "validation": "pdf",
    "horizon": "svg",
    "overfitting": "json",
    "trajectory": "svg",
    "path": "json",
    "histogram": "html",
    "spread": "json",
    "gradients": "json",
    "updates": "json",
    "sharpness": "svg",
}
"""Every chart but the valley, which README draws, and the format in which it is drawn here."""

BEGINNINGS = {"png": b"\x89PNG", "pdf": b"%PDF", "json": b"{", "html": b"<!doctype html>", "svg": b"<svg"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder with two studies in it."""
    there = tmp_path_factory.mktemp("reader")
    done(f"lrscope sweep digits --rates 1e-4:1:5 --seeds 2 --epochs 4 --out {STUDY}", there)
    done(f"lrscope sweep line --rates 0.01,0.1,0.119,1 --epochs 100 --out {TINY}", there)
    return there


def test_a_study_is_shown_in_both_languages_and_as_a_document(folder: Path) -> None:
    english = done(f"lrscope show {STUDY}", folder)
    assert english.rates() == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1], rel=0.01)
    chinese = done(f"lrscope show {STUDY} --lang zh", folder)
    assert chinese.rates() == english.rates()
    assert "学习率" in chinese.output
    shown = done(f"lrscope show {STUDY} --json", folder)
    lanes = shown.document()["lanes"]
    assert len(lanes) == 10
    assert all(math.isfinite(lane["final_val_loss"]) for lane in lanes)
    told = answer(shown)
    assert told["rate"] is None or 1e-4 <= told["rate"] <= 1


def test_the_charts_here_are_all_that_there_are(folder: Path) -> None:
    wrong = typed(f"lrscope chart {STUDY} vally", folder)
    assert wrong.code == 2
    named = wrong.errors.partition("there are ")[2].strip()
    assert sorted(named.split(", ")) == sorted([*CHARTS, "valley"])  # README draws the valley


@pytest.mark.parametrize(("name", "format"), CHARTS.items())
def test_every_chart_is_drawn(name: str, format: str, folder: Path) -> None:
    study = TINY if name == "sharpness" else STUDY
    ended = done(f"lrscope chart {study} {name} --out {name}.{format}", folder)
    assert ended.output == ""
    assert ended.errors.count("\n") == 1
    drawn = (folder / f"{name}.{format}").read_bytes()
    assert drawn.startswith(BEGINNINGS[format])
    assert len(drawn) > 5000
    assert b"undefined" not in drawn or format == "html"  # there it is a word of the program's
    if format == "svg":
        drawing = ET.fromstring(drawn)
        marks = [one for one in drawing.iter() if one.tag.endswith("path") and len(one.get("d", "")) > 20]
        assert len(marks) > 5, "a blank picture"


def test_a_report_holds_every_rate_and_asks_the_network_for_nothing(folder: Path) -> None:
    ended = done(f"lrscope report {STUDY} --out page.html", folder)
    assert ended.output == ""
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert 'src="http' not in page
    for rate in ("1e-4", "1e-3", "0.01", "0.1"):
        assert rate in page


@pytest.mark.parametrize("to", ["parquet", "csv", "json", "tensorboard"])
def test_every_export_holds_the_study(to: str, folder: Path) -> None:
    done(f"lrscope export {STUDY} --to {to} --out {to}", folder)
    there = [path for path in (folder / to).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in there) > 10_000
    assert (folder / to / "study.json").is_file()
    if to == "csv":
        with (folder / to / "verdicts.csv").open() as table:
            assert len(list(csv.DictReader(table))) == 10


def test_the_live_page_of_a_folder_lasts_until_ctrl_c(folder: Path) -> None:
    with served("lrscope live . --port 0", folder) as address:
        page = fetched(address)
    assert "<html" in page
    assert not re.search(r'(src|href)="https?://', page)
