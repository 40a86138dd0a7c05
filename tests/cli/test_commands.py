"""The commands as a user types them, in this process: what goes where, and with which exit code."""

import errno
import json
import shlex
from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner, Result

import lrscope
from lrscope.cli import main
from lrscope.problems.built_in import BUILT_IN

MINE = """
import torch
from torch import nn
import lrscope

class Chatty(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        print("a line on standard output")
        return self.layer(x)

x = torch.arange(36.0).reshape(12, 3) / 36
y = torch.arange(12) % 2
chatty = lrscope.Problem("chatty", Chatty, (x, y), (x, y), nn.CrossEntropyLoss(), batch_size=4, epochs=7)
misfit = lrscope.Problem("misfit", lambda: nn.Linear(5, 2), (x, y), loss=nn.CrossEntropyLoss())
hostile = lrscope.Problem(
    "[red]\\x1b]0;pwned\\x07", lambda: nn.Linear(3, 2), (x, y), loss=nn.CrossEntropyLoss(), epochs=1,
    notes=("[bold]a note\\x1b[2J",),
)
loader = lrscope.Problem(
    "loader", lambda: nn.Linear(3, 2), torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 4),
    loss=nn.CrossEntropyLoss(), epochs=1,
)

class Broken(nn.Module):
    calls = 0

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        Broken.calls += 1
        if Broken.calls > 40:
            raise EOFError("the end\\nof the data")
        return self.layer(x)

broken = lrscope.Problem("broken", Broken, (x, y), loss=nn.CrossEntropyLoss(), batch_size=4, epochs=500)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder of its own, with a user's file in it."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def run(line: str) -> Result:
    return CliRunner().invoke(main, shlex.split(line))


def done(line: str) -> Result:
    result = run(line)
    assert result.exit_code == 0, result.stderr
    return result


def strict(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_help_and_problems() -> None:
    assert run("").stdout == run("--help").stdout == run("-h").stdout
    assert all(name in run("--help").stdout for name in ("sweep", "show", "report", "problems"))
    listed = done("problems").stdout
    assert all(f"{built_in.name} " in listed for built_in in BUILT_IN)
    assert "mine.py:problem" in listed
    assert done("--version").stdout.startswith("lrscope 0.")


def test_the_schedules_in_the_help_are_those_that_exist() -> None:
    from lrscope.training.optimizers import SCHEDULES

    text = " ".join(run("sweep --help").stdout.split())
    assert f"{', '.join(list(SCHEDULES)[:-1])} or {list(SCHEDULES)[-1]}." in text


def test_a_sweep_shows_its_table_and_keeps_its_study() -> None:
    result = done("sweep line --rates 0.01,0.1,1 --epochs 60 --out line.lrscope")
    table = result.stdout.splitlines()
    assert table[0] == "line: SGD, 60 epochs of 1 step, full batch, 3 rates"
    assert ["1", "×", "diverged,", "ringing"] in [line.split()[:4] for line in table]
    assert "line: 60 steps, 3 lanes in one pass" in result.stderr
    assert "study: line.lrscope (" in result.stderr
    assert done("show line.lrscope").stdout == result.stdout
    with lrscope.open("line.lrscope") as study:
        assert study.recommendation().sentence() in " ".join(result.stdout.split())


def test_json_is_one_strict_document_and_the_same_whenever_it_is_asked_for() -> None:
    swept = done("sweep line --rates 0.01,0.1,1 --epochs 60 --out line.lrscope --json")
    document = strict(swept.stdout)
    assert document["schema"] == 1
    assert [lane["rate"] for lane in document["lanes"]] == [0.01, 0.1, 1.0]
    assert document["lanes"][2]["verdict"] == "diverged"
    assert document["lanes"][2]["final_train_loss"] is None
    assert {"rate", "low", "high", "first_failing", "margin", "cannot_tell"} <= set(
        document["recommendation"]
    )
    assert strict(done("show line.lrscope --json").stdout) == document


def test_what_a_model_prints_goes_to_standard_error() -> None:
    result = done("sweep mine.py:chatty --rates 0.1,1 --json")
    assert strict(result.stdout)["problem"] == "chatty"
    assert "a line on standard output" in result.stderr


def test_without_out_the_last_line_says_how_to_keep_the_study(folder: Path) -> None:
    result = done("sweep mine.py:chatty --rates 0.1,1")
    assert result.stderr.splitlines()[-1].endswith("kept in memory only; to keep it, add --out mine.lrscope")
    assert [path.name for path in folder.iterdir() if path.suffix != ".py"] == []


def test_quiet_leaves_the_results_alone() -> None:
    loud = done("sweep line --rates 0.01,0.1,1 --epochs 60")
    quiet = done("sweep line --rates 0.01,0.1,1 --epochs 60 -q")
    assert quiet.stdout == loud.stdout
    assert quiet.stderr == ""


def test_every_option_arrives_in_the_plan() -> None:
    result = done(
        "sweep mine.py:chatty --rates 1,0.1 --seeds 2 --epochs 8 --batch-size 6 --optimizer sgd "
        "--opt momentum=0.9 --opt nesterov=true --schedule cosine --clip-norm 0.5 --device cpu "
        "--track 'layer.weight[1,2]' --track 'layer.bias[0]' --json -q"
    )
    plan = strict(result.stdout)["plan"]
    wanted = {
        "rates": [0.1, 1.0],
        "seeds": [0, 1],
        "epochs": 8,
        "batch_size": 6,
        "optimizer": "SGD",
        "optimizer_options": {"momentum": 0.9, "nesterov": True},
        "schedule": "cosine",
        "clip_norm": 0.5,
        "device": "cpu",
        "tracked": [["layer.weight", [1, 2]], ["layer.bias", [0]]],
    }
    assert {key: plan[key] for key in wanted} == wanted


def test_hostile_names_reach_neither_stream_raw() -> None:
    result = done("sweep mine.py:hostile --rates 0.1,1")
    assert "\x1b" not in result.output
    assert "\x07" not in result.output
    assert "[red]\\x1b]0;pwned\\x07" in result.stdout
    assert "[bold]a note\\x1b[2J" in result.stderr


def test_a_study_is_replaced_only_when_asked_to(folder: Path) -> None:
    done("sweep line --rates 0.1,1 --epochs 25 --out line.lrscope")
    before = (folder / "line.lrscope").read_bytes()
    result = run("sweep line --rates 0.2,2 --epochs 25 --out line.lrscope")
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert (folder / "line.lrscope").read_bytes() == before
    done("sweep line --rates 0.2,2 --epochs 25 --out line.lrscope --overwrite")
    assert strict(done("show line.lrscope --json").stdout)["plan"]["rates"] == [0.2, 2.0]


WRONG = [
    ("sweep digts", ["'digts'", "digits"]),
    ("sweep", ["PROBLEM", "lrscope sweep digits"]),
    ("sweep nofile.py:problem", ["nofile.py", "does not exist"]),
    ("sweep nomodule.sub:problem", ["nomodule.sub", "mine.py:problem"]),
    ("sweep mine.py:nothing", ["'nothing'", "chatty"]),
    ("sweep mine.py:MINE", ["mine.py"]),
    ("sweep mine.py:x", ["Tensor", "lrscope.Problem"]),
    ("sweep mine.py:misfit", ["do not fit", "(12, 3)"]),
    ("sweep line --rates 0", ["'0'", "not positive"]),
    ("sweep line --rates 1e-5:1:10000", ["10,000 lanes", "iB", "1e-5:1:16"]),
    ("sweep line --seeds 0", ["--seeds", "at least 1", "'0'"]),
    ("sweep line --epochs many", ["--epochs", "whole number", "'many'"]),
    ("sweep mine.py:loader --batch-size 2", ["DataLoader", "leave it out"]),
    ("sweep line --clip-norm 0", ["--clip-norm", "positive"]),
    ("sweep line --record much", ["--record", "'much'", "light"]),
    ("sweep line --optimizer adamm", ["'adamm'", "Adam"]),
    ("sweep line --optimizer sgd --opt momentums=1", ["'momentums'", "momentum"]),
    ("sweep line --optimizer sgd --opt lr=1", ["--rates 1"]),
    ("sweep line --opt momentum=0.9", ["--optimizer sgd --opt momentum=0.9"]),
    ("sweep line --schedule cosin", ["'cosin'", "cosine"]),
    ("sweep line --device gpu", ["gpu", "cpu"]),
    ("sweep line --track 1.weight[0,0]", ["1.weight", "0.weight"]),
    ("sweep line --track 0.weight[9,9]", ["0.weight[9,9]", "shape"]),
    ("sweep line --data .", ["--data"]),
    ("sweep mnist --data nowhere", ["nowhere", "does not exist"]),
    ("sweep line --overwrite", ["--out"]),
    ("sweep line --out nowhere/line.lrscope", ["nowhere", "mkdir -p"]),
    ("sweep line --out .", ["folder"]),
    ("sweep line --out mine.py --overwrite", ["no study"]),
    ("sweep line --report nowhere/line.html", ["nowhere", "mkdir -p"]),
    ("sweep line --out same --report same", ["two files"]),
    ("sweep line --rate 1", ["--rate", "--rates"]),
    ("show", ["STUDY", "lrscope show"]),
    ("show nothing.lrscope", ["nothing.lrscope"]),
    ("show mine.py", ["mine.py"]),
    ("report nothing.lrscope", ["nothing.lrscope"]),
    ("sweep line --report line.pdf", ["HTML", "--report line.html"]),
    ("sweep line --lang fr", ["en (English)", "'fr'"]),
    ("find digits --objective f1", ["objective wants", "train-loss", "'f1'"]),
    ("find line --budget 0", ["--budget", "such as 8"]),
    ("check-gradients nope", ["'nope'", "mine.py:problem"]),
    ("live . --port x", ["--port", "65535"]),
    ("shw", ["show"]),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_a_wrong_command_is_one_line_exit_code_2_and_leaves_nothing(
    line: str, words: list[str], folder: Path
) -> None:
    result = run(line)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert [path.name for path in folder.iterdir()] == ["mine.py"]


def test_a_model_that_raises_while_training_is_one_line_and_exit_code_1(folder: Path) -> None:
    result = run("sweep mine.py:broken --rates 0.1,1 --out broken.lrscope -q")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "EOFError: the end of the data" in result.stderr
    assert strict(done("show broken.lrscope --json").stdout)["state"] == "failed"


def test_ctrl_c_without_a_file_says_how_to_keep_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("lrscope._sweep.sweep", interrupt)
    result = run("sweep line")
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr == (
        "lrscope: interrupted; nothing was kept; a sweep with --out FILE keeps what it had recorded\n"
    )


def test_ctrl_c_before_anything_is_recorded_does_not_point_to_an_older_study(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("sweep line --rates 0.1,1 --epochs 25 --out line.lrscope")

    def interrupt(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("lrscope._sweep.sweep", interrupt)
    result = run("sweep line --out line.lrscope --overwrite")
    assert result.exit_code == 130
    assert result.stderr == "lrscope: interrupted; nothing had been recorded yet\n"


@pytest.fixture
def plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without charts, which take seconds."""
    monkeypatch.setattr("lrscope.study.Study.report", lambda study, path: Path(path).write_text(repr(study)))


@pytest.mark.usefixtures("plain_report")
def test_a_report_goes_where_it_is_wanted(folder: Path) -> None:
    done("sweep line --rates 0.1,1 --epochs 25 --out line.lrscope -q")
    result = done("report line.lrscope -o 'a page.html'")
    assert "report: 'a page.html' (" in result.stderr
    assert "Study of line" in (folder / "a page.html").read_text()


@pytest.mark.usefixtures("plain_report")
def test_a_report_is_written_also_where_nobody_reads_the_table(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: object, **__: object) -> NoReturn:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("lrscope.cli.sweep.print_study", leave)
    result = done("sweep line --rates 0.1,1 --epochs 25 --report line.html")
    assert result.stdout == ""
    assert (folder / "line.html").exists()
