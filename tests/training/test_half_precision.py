"""Half precision: bfloat16 and float16 lanes are updated as the user's own optimizer updates them."""

import functools

import pytest
import torch
from runs import trained
from torch import nn

from lrscope.problems.problem import Problem

RATES = (1e-3, 0.05)
STEPS = 20


class Weights(nn.Module):
    """Forty weights: more than one vector register holds."""

    def __init__(self, dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-2, 2, 40).to(dtype))


def distance(model, batch):
    """Elementwise, so that the gradient is the same however it is computed."""
    (target,) = batch
    return (model.weight - target).float().square().sum() / 4


def alone(problem, rate):
    model = problem.model()
    optimizer = problem.optimizer(list(model.parameters()), lr=rate)
    for _ in range(STEPS):
        optimizer.zero_grad()
        distance(model, problem.train).backward()
        optimizer.step()
    return model.weight.detach()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "optimizer",
    [torch.optim.SGD, functools.partial(torch.optim.SGD, momentum=0.9), torch.optim.Adam],
    ids=["sgd", "momentum", "adam"],
)
def test_lanes_in_half_precision_end_where_separate_training_ends(optimizer, dtype):
    problem = Problem(
        name="half",
        model=functools.partial(Weights, dtype),
        train=(torch.linspace(1, 3, 40).to(dtype),),
        step=distance,
        optimizer=optimizer,
        batch_size=0,
        epochs=STEPS,
    )
    last = trained(problem, RATES, record="losses").weights[-1]
    for lane, rate in enumerate(RATES):
        assert torch.equal(last[lane]["weight"], alone(problem, rate))
    assert not torch.equal(last[1]["weight"], problem.model().weight)
