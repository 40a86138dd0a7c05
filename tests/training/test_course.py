"""Lanes that leave, and lanes that begin later, change nothing for the others."""

import dataclasses

import numpy as np
import pytest
import torch
from lrscope.training.course import Course
from lrscope.training.run import Run
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lrscope
from lrscope.plan import LaneKey
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed

RATES = (1e-3, 1e-2, 3e-2, 1e-1)
PAUSE = 45
"""Later than the first captured step."""


class Net(nn.Module):
    """Batch statistics and dropout: buffers, and random draws shared by the lanes of a seed."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(dropout), nn.Linear(12, 3)
        )

    def forward(self, X: Tensor) -> Tensor:
        out: Tensor = self.layers(X)
        return out


def make(optimizer: type[torch.optim.Optimizer], dropout: float = 0.3) -> lrscope.Problem:
    generator = torch.Generator().manual_seed(5)
    X = torch.randn(64, 6, generator=generator, dtype=torch.float64)
    y = (X[:, 0] * 2 + X[:, 1]).sign().long() + 1
    return lrscope.Problem(
        name="net",
        model=lambda: Net(dropout).double(),
        train=(X[:48], y[:48]),
        val=(X[48:], y[48:]),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        batch_size=10,
        epochs=18,
    )


def follow(course: Course, until: int | None, losses: dict[tuple[int, int], float]) -> dict[int, Tensor]:
    """Train on, keeping (lane, step) -> loss; the last weights of each lane, flat."""
    ends: dict[int, Tensor] = {}
    for step in course.steps(until):
        for row, key in enumerate(step.keys):
            if step.losses is not None:
                losses[key.lane, step.index] = float(step.losses[row])
            ends[key.lane] = torch.cat([w[row].detach().flatten().clone() for w in step.weights.values()])
    return ends


def prepared(problem: lrscope.Problem, seeds: int) -> Run:
    return prepare(problem, RATES, seeds)


@pytest.mark.parametrize(
    "optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop, torch.optim.NAdam]
)
@pytest.mark.parametrize(("seeds", "dropout"), [(1, 0.3), (2, 0.3), (2, 0.0)])
def test_a_course_that_is_thinned_out_goes_on_as_it_would_have(
    optimizer: type[torch.optim.Optimizer], seeds: int, dropout: float
) -> None:
    problem = make(optimizer, dropout)
    with undisturbed():
        run = prepared(problem, seeds)
        whole: dict[tuple[int, int], float] = {}
        ends = follow(run.course(run.plan.lanes), None, whole)
        thinned: dict[tuple[int, int], float] = {}
        course = run.course(run.plan.lanes)
        follow(course, PAUSE, thinned)
        gone = {0, 3} if seeds == 1 else {0, 1, 2, 3, 5}
        course.leave(gone)
        last = follow(course, None, thinned)
    assert {key.lane for key in course.keys} == {key.lane for key in run.plan.lanes} - gone
    assert max(step for lane, step in thinned if lane in gone) == PAUSE
    assert max(step for lane, step in thinned if lane not in gone) == run.plan.steps - 1
    # A product of fewer matrices at once may round differently, and nothing more.
    for place, loss in thinned.items():
        assert loss == pytest.approx(whole[place], rel=1e-12), place
    for key in course.keys:
        torch.testing.assert_close(last[key.lane], ends[key.lane], rtol=1e-6, atol=1e-7)


def test_a_lane_that_begins_later_sees_what_the_others_saw() -> None:
    with undisturbed():
        run = prepared(make(torch.optim.Adam), 2)
        whole: dict[tuple[int, int], float] = {}
        follow(run.course(run.plan.lanes), None, whole)
        early, late = {}, {}
        first = run.course([key for key in run.plan.lanes if key.rate < 0.02])
        follow(first, 20, early)
        second = run.course([key for key in run.plan.lanes if key.rate > 0.02])
        follow(second, 50, late)
        follow(first, None, early)
        follow(second, None, late)
    together = {**early, **late}
    assert together.keys() == whole.keys()
    for key, loss in together.items():
        assert loss == pytest.approx(whole[key], rel=1e-12), key


def test_a_loader_with_a_generator_of_its_own_is_replayed_for_every_course() -> None:
    problem = make(torch.optim.SGD, 0.0)
    X, y = problem.train
    loader = DataLoader(
        TensorDataset(X, y), batch_size=10, shuffle=True, generator=torch.Generator().manual_seed(3)
    )
    before = loader.generator.get_state()
    with undisturbed(loader):
        run = prepare(dataclasses.replace(problem, train=loader), RATES, 1)
        first, second = {}, {}
        one, other = run.course(run.plan.lanes[:2]), run.course(run.plan.lanes[:2])
        follow(one, 12, first)
        follow(other, None, second)
        follow(one, None, first)
    assert first == second
    assert torch.equal(loader.generator.get_state(), before)


def test_lanes_are_what_they_were_called() -> None:
    with undisturbed():
        run = prepared(make(torch.optim.SGD), 1)
        course = run.course([LaneKey(7, 1e-2, 0), LaneKey(9, 1e-1, 0)])
        kept: dict[tuple[int, int], float] = {}
        follow(course, 3, kept)
        course.leave([7])
        follow(course, 8, kept)
    assert np.unique([lane for lane, _ in kept]).tolist() == [7, 9]
    assert [key.lane for key in course.keys] == [9]
