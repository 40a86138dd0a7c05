"""`lrscope sweep --gradient`, `--verbose` and `lrscope check-gradients`, as a user types them."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lrscope.cli import main

MINE = """
import torch
from torch import nn
import lrscope

class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 3 * gradient

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        print("a line on standard output")
        return Doubled.apply(self.layer(x))

class Absolute(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.shift = nn.Parameter(torch.zeros(2))
        self.fixed = nn.Parameter(torch.zeros(2), requires_grad=False)

    def forward(self, x):
        return self.layer(x) + self.shift.abs() + self.fixed

x = torch.arange(36.0).reshape(12, 3) / 36
y = torch.arange(12) % 2
wrong = lrscope.Problem("wrong", Network, (x, y), loss=nn.CrossEntropyLoss())
kinked = lrscope.Problem("kinked", Absolute, (x, y), loss=nn.CrossEntropyLoss())
misfit = lrscope.Problem("misfit", lambda: nn.Linear(5, 2), (x, y), loss=nn.CrossEntropyLoss())
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, with a user's file in it."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")


def run(line: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, shlex.split(line))
    assert result.exit_code == code, result.output
    return result


def document(line: str, code: int = 0) -> Any:
    return json.loads(run(f"{line} --json", code).stdout)


class TestSweep:
    def test_the_same_in_the_document(self) -> None:
        content = document("sweep line --gradient finite-difference --rates 0.01,0.1,1 -q")
        assert [lane["verdict"] for lane in content["lanes"]] == ["good", "good", "frozen"]
        assert content["plan"]["gradient"] == "finite-difference"
        assert content["plan"]["nudge"] == 1e-4
        assert content["recommendation"]["first_failing"] == 1

    def test_central_differences_are_of_the_same_kind(self) -> None:
        content = document("sweep line --gradient central-difference --rates 0.01,0.1 --epochs 30 -q")
        assert content["plan"]["gradient"] == "central-difference"
        assert [lane["verdict"] for lane in content["lanes"]] == ["good", "good"]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("digits --gradient finite-difference", "type --optimizer sgd"),
            ("line --gradient finite-difference --schedule cosine", "leave out schedule= and --schedule"),
            ("line --gradient exact", "not one of 'autograd', 'finite-difference', 'central-difference'"),
            ("line --quiet --verbose", "--quiet and --verbose came together"),
        ],
    )
    def test_what_cannot_be_is_one_line(self, options: str, words: str) -> None:
        result = run(f"sweep {options}", code=2)
        assert result.stdout == ""
        assert words in result.stderr.splitlines()[-1]

    def test_verbose_prints_every_epoch_with_the_first_weight_of_every_lane(self) -> None:
        line = "sweep line --gradient finite-difference --rates 0.01,0.1 --epochs 10 --verbose"
        lines = [one for one in run(line).stderr.splitlines() if one.startswith("epoch ")]
        assert [one.partition(":")[0] for one in lines] == [f"epoch {number}" for number in range(11)]
        assert lines[0] == "epoch 0: 0.weight[0,0] is 0 at 0.01, 0 at 0.1"
        assert lines[10] == "epoch 10: 0.weight[0,0] is 2.265477 at 0.01, 2.721776 at 0.1"
        assert not [
            one for one in run(line.removesuffix("--verbose")).stderr.splitlines() if "epoch 1" in one
        ]

    def test_verbose_counts_epochs_and_not_steps_and_tells_seeds_and_the_scalar_that_is_tracked(self) -> None:
        line = (
            "sweep mine.py:kinked --rates 0.1 --batch-size 4 --epochs 3 --seeds 2 --track shift[1] --verbose"
        )
        lines = [one for one in run(line).stderr.splitlines() if one.startswith("epoch ")]
        assert len(lines) == 4
        assert lines[0] == "epoch 0: shift[1] is 0 at 0.1 (seed 0), 0 at 0.1 (seed 1)"


class TestCheckGradients:
    def test_a_wrong_backward_is_named_and_the_exit_code_is_1(self) -> None:
        result = run("check-gradients mine.py:wrong", code=1)
        last = result.stdout.splitlines()[-1]
        assert last.startswith("The gradient of 2 of 2 tensors is wrong. The worst element is layer.")
        assert "a line on standard output" not in result.stdout
        assert "Error" not in result.stderr

    def test_the_document_holds_both_values_of_the_worst_element(self) -> None:
        content = document("check-gradients mine.py:wrong", code=1)
        assert (content["agrees"], content["examples"], content["problem"]) == (False, 12, "wrong")
        worst = content["tensors"][0]["worst"]
        assert worst["autograd"] == pytest.approx(1.5 * worst["finite_difference"], rel=1e-6)
        assert len(worst["index"]) == 2
        assert content["tensors"][0]["wrong"] == content["tensors"][0]["checked"] == 6

    def test_a_kink_is_told_and_nothing_is_wrong(self) -> None:
        result = run("check-gradients mine.py:kinked")
        assert "not differentiable here" in next(
            line for line in result.stdout.splitlines() if line.startswith("shift")
        )
        assert "Left out, as not trained or no real numbers: fixed." in result.stdout
        assert "What could be told agrees, 8 of 10 elements" in result.stdout
        content = document("check-gradients mine.py:kinked")
        assert content["agrees"]
        assert {one["tensor"]: one["not_differentiable"] for one in content["tensors"]} == {
            "shift": 2,
            "layer.weight": 0,
            "layer.bias": 0,
        }

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ("nonsense", "no problem is called 'nonsense'"),
            ("mine.py:misfit", "model and train data do not fit together"),
            ("line --elements 0", "--elements wants a whole number of at least 1"),
            ("line --seed -1", "--seed wants a whole number of at least 0"),
            ("", "check-gradients digits"),
        ],
    )
    def test_errors_are_one_line(self, arguments: str, words: str) -> None:
        result = run(f"check-gradients {arguments}", code=2)
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert words in result.stderr
