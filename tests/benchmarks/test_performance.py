"""Every rival trains the same thing: the same losses from the same start on the same batches."""

import json

import numpy as np
import pytest
import torch

import lrscope
import performance
from lrscope.training.random_state import undisturbed
from performance import Setting, Spent, in_jax, line_of, loop, orders, plot
from speed_cases import CASES

RATES = (1e-4, 1e-2)
STEPS = 3


@pytest.fixture(autouse=True)
def inside():
    with undisturbed():
        yield


@pytest.mark.parametrize("case", [name for name in CASES if name != "digits-long"])
def test_lrscope_trains_what_the_loop_trains(case):
    losses = np.array(loop(Setting(case, RATES, STEPS)))
    problem = CASES[case].make(STEPS)
    with lrscope.sweep(problem, RATES, record="losses") as study:
        found = study.scalars("loss").sort("lane", "step")["value"].to_numpy().reshape(len(RATES), -1)
    np.testing.assert_allclose(found[:, :STEPS], losses, rtol=2e-4)


@pytest.mark.parametrize("case", [name for name in CASES if name != "digits-long"])
def test_jax_trains_what_the_loop_trains(case):
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    setting = Setting(case, RATES, STEPS)
    np.testing.assert_allclose(np.array(in_jax(setting)), np.array(loop(setting)), rtol=5e-3)


def test_orders_are_those_of_the_loop():
    problem = CASES["digits"].make(50)
    size, batch = len(problem.train[0]), problem.batch_size
    assert size % batch == 0, "whole batches only"
    order = orders(problem, 50)
    assert len(order) == 50
    first_epoch = torch.cat(list(order[: size // batch])).sort().values
    assert torch.equal(first_epoch, torch.arange(size))


def row(**spent):
    return {"case": "digits", "lanes": 16, "steps": 10, "threads": 1,
            "spent": {name: [Spent(seconds, 2 * seconds)] for name, seconds in spent.items()}}  # fmt: skip


def test_ratios_are_times_over_the_sweeps():
    line = line_of(row(lrscope=2.0, fused=1.0, loop=8.0), "wall")
    assert line.split() == ["digits", "16", "10", "2.00", "4.00", "0.50", "-", "-", "-"]


def test_the_plot_counts_cost_in_plain_runs():
    data = json.loads(plot([row(lrscope=2.0, fused=1.0, loop=8.0)], "wall").to_json())["data"]["values"]
    runs = {one["who"]: one["runs"] for one in data}
    assert runs == {"lrscope": 4.0, "one after another": 16.0}


def test_an_unknown_case_is_refused(capsys):
    with pytest.raises(SystemExit):
        performance.main(["--cases", "nonsense"])
    assert "there is no case 'nonsense'" in capsys.readouterr().err
