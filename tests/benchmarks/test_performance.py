"""Every rival trains the same thing: the same losses from the same start on the same batches."""

import numpy as np
import pytest
import torch

import lrscope
from lrscope.training.random_state import undisturbed
from performance import Setting, in_jax, loop, orders
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
