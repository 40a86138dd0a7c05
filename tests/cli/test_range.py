"""`lrscope range` and `lrscope.range_test`: the table, the document, the picture, and what is refused."""

import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import lrscope
from lrscope.cli import main
from lrscope.cli.problem_options import read_choice
from lrscope.diagnosis.range_reading import RangeReading
from lrscope.diagnosis.range_rules import RULES
from lrscope.output.range_table import show_range

MINE = """
import torch
from torch import nn
import lrscope

x = torch.arange(36.0).reshape(12, 3) / 36
y = torch.arange(12) % 2

class Chatty(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        print("a line on standard output")
        return self.layer(x)

mine = lrscope.Problem(
    "[red]\\x1b[2Jmine", Chatty, (x, y), (x, y), nn.CrossEntropyLoss(), batch_size=4, epochs=7,
)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def run(line: str) -> Result:
    return CliRunner().invoke(main, shlex.split(line))


def done(line: str) -> Result:
    result = run(line)
    assert result.exit_code == 0, result.stderr
    return result


NOTHING = """
import torch
import lrscope

x, y = torch.randn(400, 8, generator=torch.Generator().manual_seed(0)), torch.arange(400) % 4
shuffled = lrscope.Problem(
    "shuffled", lambda: torch.nn.Linear(8, 4), (x, y), loss=torch.nn.CrossEntropyLoss(), epochs=100
)
"""


def test_where_there_is_no_signal_it_says_so_though_every_rule_has_a_rate(folder: Path) -> None:
    (folder / "nothing.py").write_text(NOTHING)
    shown = done("range nothing.py:shuffled").stdout
    assert " no signal: on no seed does the loss " in " ".join(shown.split())
    chinese = done("range nothing.py:shuffled --lang zh --chart none.svg").stdout
    assert "没有信号" in chinese
    assert "没有信号" in (folder / "none.svg").read_text(encoding="utf-8")
    document = json.loads(done("range nothing.py:shuffled --json -q").stdout)
    assert document["rules"][0]["rate"] > 0
    assert document["no_signal"].startswith("no signal: ")
    assert json.loads(done("range line --json -q").stdout)["no_signal"] is None


def ramp_down(top: float, low: float, *, constant: float | None) -> RangeReading:
    """Two seeds whose loss falls evenly, without noise."""
    losses = np.linspace(top, low, 100) + np.zeros((2, 1))
    rates = np.geomspace(1e-7, 10, 100)
    return RangeReading("name", "SGD", rates, losses, (0, 1), 250, "2 lanes", (), 1.0, constant)


@pytest.mark.parametrize(
    ("top", "low", "constant", "signal"),
    [
        (2.31, 2.30, 2.25, False),  # a constant answer comes further
        (2.6, 2.3, 2.25, False),
        (2.31, 2.30, None, True),
        (2.31, 2.20, 2.30, True),
        (9.0, 6.0, 2.30, True),  # from far above, on the way down
        (2.0, 2.0, None, False),
    ],
)
def test_a_fall_counts_that_is_no_noise_and_more_than_a_constant_answer_comes_to(
    top: float, low: float, constant: float | None, signal: bool
) -> None:
    assert (ramp_down(top, low, constant=constant).no_signal is None) == signal


def test_the_document_is_strict_and_complete() -> None:
    result = done("range line --seeds 2 --json -q")
    assert result.stderr == ""
    content = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["schema"] == 1
    assert (content["low"], content["high"], content["steps"], content["seeds"]) == (1e-7, 10.0, 100, [0, 1])
    assert (content["cost"], content["full_run"]) == (0.2, 1000)
    assert np.shape(content["losses"]) == (2, 100)
    assert content["losses"][0][-1] is None
    assert [rule["name"] for rule in content["rules"]] == [rule.name for rule in RULES]
    first = content["rules"][0]
    assert first["lowest"] <= first["rate"] <= first["highest"]
    assert content["caveats"]


def test_what_a_model_prints_and_a_hostile_name_spoil_nothing() -> None:
    result = done("range mine.py:mine --seeds 1 --steps 20 --json")
    assert json.loads(result.stdout)["problem"].endswith("mine")
    assert "a line on standard output" in result.stderr
    shown = done("range mine.py:mine --seeds 1 --steps 20 -q")
    assert "\x1b" not in shown.stdout
    assert "[red]" in shown.stdout


def test_options_arrive() -> None:
    changes = "mine.py:mine --optimizer sgd --opt momentum=0.5 --batch-size 0 --clip-norm 1"
    result = done(f"range {changes} --steps 30 --seeds 2 --low 1e-4 --high 1 --json")
    content = json.loads(result.stdout)
    assert (content["optimizer"], content["full_run"], len(content["rates"])) == ("SGD", 7, 30)
    assert (
        "lrscope find mine.py:mine --optimizer sgd --opt momentum=0.5 --batch-size 0 --clip-norm 1"
        in result.stderr
    )


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<svg"), ("html", b"<!doctype")])
def test_the_picture_is_saved(folder: Path, ending: str, start: bytes) -> None:
    result = done(f"range line --seeds 2 --steps 40 --chart picture.{ending} --theme dark")
    content = (folder / f"picture.{ending}").read_bytes()
    assert content.startswith(start)
    assert f"chart: picture.{ending}" in result.stderr
    if ending == "html":
        assert not re.search(rb"<(script|link|img)[^>]+(src|href)=.https?:", content)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("range line --low 1 --high 1", "does not rise"),
        ("range line --steps 19", "--steps wants a whole number of at least 20"),
        ("range line --steps 1000000", "--steps wants at most 100,000"),
        ("range line --seeds 1000", "--seeds wants at most 256"),
        ("range line --opt lr=0.1 --optimizer sgd", "the rates rise from --low to --high"),
        ("range line --chart picture.gif", "cannot tell the format"),
        ("range line --chart nowhere/picture.png", "the folder does not exist"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(line: str, words: str) -> None:
    result = run(line)
    assert (result.exit_code, result.stdout) == (2, "")
    said = result.stderr.strip().splitlines()
    assert len(said) == 1
    assert words in said[0]


def test_what_is_refused_is_refused_before_torch_is_loaded() -> None:
    script = (
        "import sys; from lrscope.cli import main\n"
        "try:\n    main(['range', 'line', '--steps', '2'])\n"
        "except SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.split() == ["2", "False"]


@pytest.mark.parametrize("width", [20, 60, 120])
def test_the_table_fits_its_terminal(width: int) -> None:
    rates = np.geomspace(1e-7, 10, 100)
    losses = np.stack([2.3 - 1.8 / (1 + 1e-2 / rates) + (rates / cliff) ** 3 for cliff in (0.5, 1e9)])
    reading = RangeReading("名前", "AdamW", rates, losses, (0, 1), 100, "2 lanes", (), 1.0)
    stream = io.StringIO()
    show_range(reading, stream, width)
    lines = stream.getvalue().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert "1/2" in stream.getvalue() or width < 30


def test_in_python_it_gives_arrays_suggestions_and_its_picture(folder: Path) -> None:
    found = lrscope.range_test("line", low=1e-5, high=1.0, steps=40, seeds=(0, 7))
    assert isinstance(found, lrscope.RangeTest)
    assert (found.rates.shape, found.losses.shape, found.seeds) == ((40,), (2, 40), (0, 7))
    assert found.cost == pytest.approx(80 / 1000)
    assert found.suggestions[0].rate == pytest.approx(found.suggestions[0].rates[0])
    found.save(folder / "picture.svg")
    assert (folder / "picture.svg").read_text().startswith("<svg")
    with pytest.raises(lrscope.UsageError, match="theme= wants one of light, dark"):
        found.save(folder / "other.svg", theme="blue")
    assert not (folder / "other.svg").exists()


def test_a_choice_says_itself_again() -> None:
    settings: dict[str, Any] = {
        "data": Path("a folder"),
        "optimizer": "adamw",
        "batch_size": 8,
        "clip_norm": 0.5,
    }
    choice = read_choice("mnist", opt=("betas=0.9,0.98",), **settings)
    assert choice.words == (
        "mnist --data 'a folder' --optimizer adamw --opt betas=0.9,0.98 --batch-size 8 --clip-norm 0.5"
    )
    assert choice.options == {"betas": (0.9, 0.98)}
    again = shlex.split(choice.words)
    assert again[again.index("--data") + 1] == "a folder"
