import dataclasses
import math

import pytest
import torch

from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed
from tasks import HALVES, PAIRS, TASKS, half_of


def test_both_halves_have_every_kind_and_share_no_task():
    develop, held_out = HALVES["develop"], HALVES["held-out"]
    assert [task.kind for task in develop] == [task.kind for task in held_out] == [a.kind for a, _ in PAIRS]
    assert len(TASKS) == len(develop) + len(held_out) == 44
    assert sum(task.signal for task in develop) == sum(task.signal for task in held_out) == 20
    assert half_of(held_out[3].name) == "held-out"


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_the_same_every_time_and_of_few_steps(name):
    problem, again = TASKS[name].problem(), TASKS[name].problem()
    assert problem.name == name
    for one, other in zip((*problem.train, *problem.val), (*again.train, *again.val), strict=True):
        assert torch.equal(one, other)
    steps = math.ceil(len(problem.train[0]) / (problem.batch_size or len(problem.train[0]))) * problem.epochs
    assert 250 <= steps <= 700
    assert problem.epochs >= 8


@pytest.mark.parametrize("name", list(TASKS)[::8])
def test_lanes_of_a_task_run_in_one_pass(name):
    with undisturbed():
        problem = dataclasses.replace(TASKS[name].problem(), epochs=1)
        run = prepare(problem, [1e-3, 1e-2], 1, lanes_per_block=2)
        assert run.execution(2) == "2 lanes in one pass"


@pytest.mark.parametrize("name", ["digits-new-head-adam", "flower-after-china-momentum"])
def test_a_warm_start_is_better_than_a_cold_one_and_moves_no_random_state(name):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    problem = TASKS[name].problem()
    assert torch.equal(torch.rand(1), expected)
    warm, again = problem.model(), problem.model()
    assert torch.equal(warm[0].weight, again[0].weight)
    assert warm[0].weight.abs().max() > 1.5 / warm[0].in_features ** 0.5  # beyond where it was drawn from
