"""What a report says to type makes the same study again."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import lrscope
from lrscope.cli import main
from lrscope.outlets.repeat_command import repeat_command

PLAIN = "lrscope sweep line --rates 0.01:0.1:3 --seeds 2 --epochs 20 --curvature"


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({"rates": "0.01:0.1:3", "seeds": 2, "epochs": 20}, PLAIN),
        (
            {"rates": "0.01:0.1:3", "seeds": 2, "epochs": 20, "curvature": False},
            PLAIN.replace("--c", "--no-c"),
        ),
        (
            {"rates": [0.1, 0.0123456789012345], "epochs": 20, "schedule": "cosine"},
            "lrscope sweep line --schedule cosine --rates 0.0123456789012345,0.1 --seeds 1 --epochs 20 "
            "--curvature",
        ),
        (
            {"rates": "0.01,0.02,0.1", "epochs": 20, "batch_size": 2, "gradient": "finite-difference"},
            "lrscope sweep line --batch-size 2 --rates 0.01,0.02,0.1 --seeds 1 --epochs 20 "
            "--gradient finite-difference",
        ),
    ],
)
def test_the_command_makes_the_same_plan(settings: dict[str, Any], command: str, tmp_path: Path) -> None:
    study = lrscope.sweep("line", **settings)
    assert repeat_command(study) == command
    path = tmp_path / "again.lrscope"
    typed = [*shlex.split(command)[1:], "--out", str(path), "-q"]
    assert CliRunner().invoke(main, typed).exit_code == 0
    with lrscope.open(path) as again:
        assert again.plan == study.plan
        assert repeat_command(again) == command


def test_options_that_were_typed_are_typed_again(tmp_path: Path) -> None:
    path = tmp_path / "line.lrscope"
    typed = "sweep line --optimizer sgd --opt momentum=0.5 --rates 0.01,0.03 --epochs 9 -q"
    assert CliRunner().invoke(main, [*shlex.split(typed), "--out", str(path)]).exit_code == 0
    with lrscope.open(path) as study:
        assert repeat_command(study).startswith(
            "lrscope sweep line --optimizer sgd --opt momentum=0.5 --rates 0.01,0.03"
        )


def test_a_problem_made_in_python_is_a_call() -> None:
    x = torch.arange(8.0).reshape(8, 1)
    problem = lrscope.Problem(
        "mine", lambda: nn.Linear(1, 1), (x, x), loss=nn.MSELoss(), batch_size=4, epochs=7
    )
    study = lrscope.sweep(problem, rates=[1e-3, 1e-2], probes=True)
    assert (
        repeat_command(study) == "lrscope.sweep(problem, rates='1e-3,0.01', seeds=1, epochs=7, probes=True)"
    )


def test_a_search_is_repeated_as_one(tmp_path: Path) -> None:
    path = tmp_path / "found.lrscope"
    lrscope.find("line", budget=2.0, seed=3, epochs=60, path=path)
    with lrscope.open(path) as study:
        assert repeat_command(study) == "lrscope find line --budget 2 --seed 3 --epochs 60"
