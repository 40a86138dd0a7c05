"""`lrscope chart` and `lrscope export`: files of the size and content asked for; all wrong ones in a line."""

import struct
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lrscope
from lrscope.charts import CHARTS
from lrscope.cli import main


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("studies") / "l; rm -rf 'x' \x1b[31m.lrscope"
    lrscope.sweep("line", [0.01, 0.1, 1.0], epochs=30, path=path)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def wrong(*words: object) -> str:
    """What a wrong command says, which is one line, with exit code 2."""
    ended = run(*words)
    assert ended.exit_code == 2, ended.output
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "\x1b" not in ended.stderr
    return ended.stderr


def test_a_figure_is_written_beside_a_hostile_name_and_said_on_one_clean_line(study: Path) -> None:
    ended = run("chart", study, "valley", "--width", "84mm")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout == ""
    assert ended.stderr.startswith("figure: ")
    assert ", 84 x " in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "\x1b" not in ended.stderr
    assert study.with_name(f"{study.stem}-valley.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("words", "size"),
    [
        (["--width", "84mm", "--dpi", "150"], (496, None)),
        (["--width", "900px", "--height", "600px", "--dpi", "200"], (900, 600)),
        (["--width", "12cm", "--height", "10cm", "--dpi", "254", "--theme", "dark"], (1200, 1000)),
    ],
)
def test_a_png_has_exactly_the_dots_asked_for(
    study: Path, tmp_path: Path, words: list[str], size: tuple[int, int | None]
) -> None:
    ended = run("chart", study, "valley", "-o", tmp_path / "v.png", *words)
    assert ended.exit_code == 0, ended.output
    across, up = struct.unpack(">II", (tmp_path / "v.png").read_bytes()[16:24])
    assert across == size[0]
    assert size[1] is None or up == size[1]


def test_an_ending_in_capitals_without_a_title(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.SVG"
    ended = run("chart", study, "trajectory", "--out", out, "--no-title")
    assert ended.exit_code == 0, ended.output
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "Weights in motion" not in text
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_what_is_wrong_with_a_figure_is_told_in_one_line(study: Path, tmp_path: Path) -> None:
    names = ", ".join(chart.name for chart in CHARTS)
    assert f"there is no chart 'vally'; there are {names}" in wrong("chart", study, "vally", "-o", "v.pdf")
    hostile = wrong("chart", study, "\x1b[2J\n../x", "-o", tmp_path / "v.pdf")
    assert "there is no chart" in hostile
    assert "end the name with one of .pdf, .svg" in wrong("chart", study, "valley", "-o", tmp_path / "v.gif")
    assert "type for instance --width 84mm" in wrong("chart", study, "valley", "--width", "84")
    assert "--dpi wants a positive number" in wrong("chart", study, "valley", "--dpi", "-3")
    assert "no room in 10mm" in wrong("chart", study, "valley", "-o", tmp_path / "v.pdf", "--width", "10mm")
    assert "does not exist; make it first" in wrong("chart", study, "valley", "-o", tmp_path / "no" / "v.pdf")
    assert "is not there" in wrong("chart", tmp_path / "none.lrscope", "valley", "-o", tmp_path / "v.pdf")
    assert "Invalid value" not in wrong("chart", study)
    taken = tmp_path / "study.svg"
    taken.write_bytes(study.read_bytes())
    assert "holds a study" in wrong("chart", study, "valley", "-o", taken)
    assert taken.read_bytes() == study.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["study.svg"]


def test_an_export_goes_beside_the_study(study: Path) -> None:
    to = "csv"
    ended = run("export", study, "--to", to)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout == ""
    assert ended.stderr.startswith("export: ")
    assert ended.stderr.count("\n") == 1
    assert "\x1b" not in ended.stderr
    folder = study.with_name(f"{study.stem}-{to}")
    assert (folder / "study.json").is_file()
    assert "add --overwrite" in wrong("export", study, "--to", to)
    assert run("export", study, "--to", to, "--overwrite").exit_code == 0


def test_what_is_wrong_with_an_export_is_told_in_one_line(study: Path, tmp_path: Path) -> None:
    assert "parquet" in wrong("export", study, "--to", "excel")
    assert "--to" in wrong("export", study)
    (tmp_path / "mine.txt").write_text("mine")
    assert "holds other files" in wrong("export", study, "--to", "csv", "-o", tmp_path, "--overwrite")
    assert "that is a file" in wrong("export", study, "--to", "csv", "-o", tmp_path / "mine.txt")
    assert "is not there" in wrong("export", tmp_path / "none.lrscope", "--to", "csv", "-o", tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "mine"
