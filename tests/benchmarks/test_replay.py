"""A replayed search says what the search says that trains its lanes."""

from pathlib import Path

import pytest
import torch
from torch import nn

import lrscope
from lrscope._find import SEED_STRIDE, seeds_for
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.recommend import recommend
from lrscope.diagnosis.search import Search
from lrscope.store.study_file import StudyFile
from replay import Recorded, ReplayLab, answers, orders, record

BUDGET = 8.0
SEEDS = [SEED_STRIDE * number for number in range(6)]


def problem() -> lrscope.Problem:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(96, 6, generator=random)
    y = (x.sum(1, keepdim=True) + 0.3 * torch.randn(96, 1, generator=random)).tanh()
    return lrscope.Problem(
        "small",
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)),
        (x[:64], y[:64]),
        (x[64:], y[64:]),
        nn.MSELoss(),
        batch_size=16,
        epochs=40,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    path: Path = tmp_path_factory.mktemp("replay") / "small.lrscope"
    record(problem(), path, 0.01, seeds=SEEDS, budgets=[BUDGET])
    return Recorded(StudyFile(path))


def test_it_says_what_find_says(recorded: Recorded) -> None:
    found = lrscope.find(problem(), budget=BUDGET, seed=0, objective="val-loss")
    lab = ReplayLab(recorded, 0)
    Search(lab, BUDGET, SEEDS[: seeds_for(BUDGET)]).run()
    curves = lab.curves
    told = recommend(curves, judge(curves, lab.plan), lab.plan)
    # Lanes are trained in other company there: equal to rounding.
    wanted = pytest.approx((found.rate, found.low, found.high), rel=1e-3)
    assert (told.rate, told.low, told.high) == wanted
    assert told.sentence() == found.sentence()
    # A lane that leaves while others go on does one more step; a replayed one does not.
    assert found.spent - 0.5 < told.spent <= found.spent


def test_a_lane_is_cut_where_it_is_stopped_and_what_is_not_recorded_is_the_nearest(
    recorded: Recorded,
) -> None:
    steps = recorded.plan.steps
    curve = recorded.curve(-16, SEEDS[1], steps // 4)
    assert (curve.steps, curve.seed) == (steps // 4, SEEDS[1])
    assert curve.val.steps[-1] == steps // 4
    between, beside = recorded.curve(-17, SEEDS[1], steps), recorded.curve(-18, SEEDS[1], steps)
    assert between.rate > beside.rate
    assert (between.loss == beside.loss).all()


def test_the_truth_is_that_of_seeds_that_the_search_does_not_see(recorded: Recorded) -> None:
    for order in orders(12, SEEDS):
        assert sorted(order) == SEEDS
        assert order[1] == order[0] + SEED_STRIDE
    truth = recorded.truth(SEEDS[4:])
    assert truth.final.shape == (15, 2)
    assert 0.001 < truth.optimum < 1
    assert truth.regret(truth.rates[int(truth.curve.argmin())]) == 0
    rows = answers("small", recorded, BUDGET, 3, SEEDS)
    assert [searched.task for searched, *_ in rows] == ["small 0", "small 1", "small 2"]
    assert all(truth.regret(searched.rate) < 0.5 for searched, _, truth in rows)
    assert [swept.spent for _, swept, _ in rows] == [60.0] * 3
