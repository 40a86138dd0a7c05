"""Whatever is no problem is refused in one line, wherever a problem is wanted."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import lrscope
from lrscope.cli.sweep import sweep_command
from lrscope.plan import DEFAULT_RATES
from lrscope.rates import read_rates
from lrscope.training.check_gradients import check_gradients


def made() -> None:
    """A function that may return a problem, and is none."""


WRONG = [
    nn.Linear(2, 2),
    nn.Linear,
    lrscope.Problem,
    None,
    3,
    True,
    Path("mine.py"),
    DataLoader([1, 2]),
    torch.ones(2),
    [1],
    b"digits",
    made,
]


@pytest.mark.parametrize("given", WRONG, ids=lambda given: type(given).__name__)
@pytest.mark.parametrize("call", [lrscope.sweep, lrscope.find, lrscope.range_test, check_gradients])
def test_a_wrong_problem_is_refused_in_one_line(call, given):
    with pytest.raises(lrscope.UsageError) as refused:
        call(given)
    words = str(refused.value)
    assert "\n" not in words
    name = getattr(given, "__name__", type(given).__name__)
    shown = repr(given) if given is None or isinstance(given, int) else name
    shown = "a path" if isinstance(given, Path) else shown
    assert re.search(rf"lrscope\.Problem.*'digits'.*got .*{re.escape(shown)}", words)


def test_a_sweep_without_rates_takes_those_of_the_command():
    study = lrscope.sweep("line", epochs=1)
    assert study.plan.rates == read_rates(DEFAULT_RATES)
    [option] = [one for one in sweep_command.params if one.name == "rates"]
    assert option.default == DEFAULT_RATES
