"""`lrscope.find` on real training: what it spends, what it keeps, what it leaves untouched."""

import functools
import math
from pathlib import Path

import polars as pl
import pytest
import torch
from sklearn.datasets import load_wine
from torch import nn

import lrscope
from lrscope.errors import UsageError
from lrscope.finding import search
from lrscope.rates import format_rate


def wine(**changes: object) -> lrscope.Problem:
    features, classes = load_wine(return_X_y=True)
    X = torch.tensor((features - features.mean(axis=0)) / features.std(axis=0), dtype=torch.float32)
    y = torch.tensor(classes)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(0))
    settings: dict[str, object] = {
        "name": "wine",
        "model": lambda: nn.Linear(13, 3),
        "train": (X[order[:130]], y[order[:130]]),
        "val": (X[order[130:]], y[order[130:]]),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD,
        "metrics": {"accuracy": lambda output, target: (output.argmax(1) == target).float().mean()},
        "batch_size": 26,
        "epochs": 60,
    }
    return lrscope.Problem(**(settings | changes))  # type: ignore[arg-type]


def final_loss(problem: lrscope.Problem, rate: float) -> float:
    """The validation loss at the end, of another seed than a search of seed 0 has."""
    study = lrscope.sweep(problem, rates=[rate], seeds=2)
    return float(study.scalars("val_loss").filter(seed=1).sort("step")["value"][-1])


@pytest.fixture(scope="module")
def study() -> lrscope.Study:
    return search(wine(), 8.0, 0)


def test_the_rate_it_finds_is_good_on_another_seed(study: lrscope.Study) -> None:
    found = study.recommendation()
    assert found.rate is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.rate <= found.high
    best = min(final_loss(wine(), rate) for rate in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0))
    start = math.log(3)
    assert (final_loss(wine(), found.rate) - best) / (start - best) < 0.05


def test_lanes_are_cut_short_and_counted(study: lrscope.Study) -> None:
    lanes = study.lanes
    plan = study.plan
    full = lanes.filter(steps=plan.steps)
    left = lanes.filter(state="left")
    assert len(full) >= 3
    assert len(left) >= 5
    assert len(full) + len(left) + len(lanes.filter(state="stopped")) == len(lanes)
    assert full["seed"].n_unique() >= 2
    spent = (lanes["steps"].sum() + plan.scouted) / plan.steps
    assert study.recommendation().spent == pytest.approx(spent)
    assert 4 < spent <= 8.2
    assert 0 < study.note("cpu_seconds") < 600


def test_progress_writes_rates_as_tables_do() -> None:
    told: list[str] = []
    study = search(wine(epochs=20), 2.0, progress=lambda words, _: told.append(words))
    rates = {rate for words in told for rate in words.partition(" to step ")[0].split(", ")}
    assert rates == {format_rate(rate) for rate in study.plan.rates}


def test_steps_are_the_updates_done(study: lrscope.Study) -> None:
    losses, validated = study.scalars("loss"), study.scalars("val_loss")
    for lane in study.lanes.filter(pl.col("state") != "stopped").iter_rows(named=True):
        own = losses.filter(lane=lane["lane"])
        assert own["step"].to_list() == list(range(lane["steps"])), "without gaps, up to the last update"
        assert own["value"].is_not_null().all()
        assert validated.filter(lane=lane["lane"])["step"].max() == lane["steps"]


def test_lanes_of_a_seed_see_the_same_batches_whenever_they_began(study: lrscope.Study) -> None:
    losses = study.scalars("loss")
    first = losses.filter(step=0).group_by("seed").agg(low=losses["value"].min())
    starts = losses.filter(step=0).select("seed", "value").unique()
    assert len(first) == starts["seed"].n_unique()
    for seed in starts["seed"].unique():
        values = losses.filter(step=0, seed=seed)["value"]
        assert float(values.max()) - float(values.min()) < 1e-6  # type: ignore[arg-type]


def test_every_lane_has_a_verdict_and_the_study_reopens(tmp_path: Path) -> None:
    path = tmp_path / "wine.lrscope"
    found = lrscope.find(wine(epochs=20), budget=4.0, seed=3, path=path)
    with lrscope.open(path) as again:
        assert again.recommendation() == found
        assert len(again.verdicts()) == len(again.lanes)
        assert again.state == "finished"
        assert set(again.plan.seeds) <= {3, 103, 203}
        assert "diverged" not in again.verdicts().join(again.lanes, on="lane").filter(state="left")["verdict"]


def test_the_same_search_finds_the_same() -> None:
    assert lrscope.find(wine(epochs=20), 4.0, 5) == lrscope.find(wine(epochs=20), 4.0, 5)


def test_nothing_of_the_users_is_touched() -> None:
    problem = wine(epochs=20)
    before = torch.get_rng_state()
    data = [tensor.clone() for tensor in problem.train]
    threads = torch.get_num_threads()
    lrscope.find(problem, budget=2.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(one, other) for one, other in zip(data, problem.train, strict=True))


def test_no_signal_gets_no_rate() -> None:
    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            return X[:, :3] * 0 + 0 * self.scale

    found = lrscope.find(wine(model=Deaf, epochs=20), budget=4.0)
    assert found.rate is None
    assert "no signal" in str(found.cannot_tell)


def test_parameter_groups_keep_their_ratio_and_a_warm_start_its_weights() -> None:
    trained = nn.Linear(13, 3)
    with torch.no_grad():
        trained.weight.fill_(0.01)
    seen: list[list[float]] = []

    def make() -> nn.Module:
        model = nn.Linear(13, 3)
        model.load_state_dict(trained.state_dict())
        return model

    def grouped(params: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        groups = [{"params": params[:1], "lr": lr}, {"params": params[1:], "lr": lr / 10}]
        seen.append([group["lr"] for group in groups])
        return torch.optim.Adam(groups)

    study = search(wine(model=make, optimizer=grouped, epochs=20), 4.0)
    assert study.recommendation().rate is not None
    assert all(second == pytest.approx(first / 10) for first, second in seen)
    starts = study.tensors("weight_mean").filter(step=0, tensor="weight")["value"]
    assert starts.to_list() == pytest.approx([0.01] * len(starts))


def test_another_objective_is_said(study: lrscope.Study) -> None:
    by_accuracy = lrscope.find(wine(epochs=20), budget=4.0, objective="accuracy")
    assert by_accuracy.objective == "final accuracy (higher is better)"
    assert "accuracy" in by_accuracy.sentence()
    by_training = lrscope.find(wine(epochs=20), budget=4.0, objective="train-loss")
    assert "training loss" in by_training.objective
    assert study.recommendation().objective == "final validation loss"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"budget": 0.5}, "budget= wants"),
        ({"budget": float("nan")}, "budget= wants"),
        ({"budget": "8"}, "budget= wants"),
        ({"seed": -1}, "seed= wants"),
        ({"seed": 0.5}, "seed= wants"),
        ({"objective": "f1"}, "objective wants one of val-loss, train-loss, accuracy; got 'f1'"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        lrscope.find(wine(), **settings)  # type: ignore[arg-type]


def test_validation_data_are_wanted_where_the_objective_needs_them() -> None:
    with pytest.raises(UsageError, match="has none: give val="):
        lrscope.find(wine(val=None, metrics={}), objective="val-loss")
    found = lrscope.find(wine(val=None, metrics={}, epochs=20), budget=4.0)
    assert "training loss" in found.objective


def test_a_scheduled_problem_is_searched_at_its_own_length() -> None:
    cosine = functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=100)
    found = lrscope.find(wine(schedule=cosine, epochs=20), budget=4.0)
    assert found.rate is not None
    assert found.horizon is None


def test_a_metric_that_has_nothing_to_do_with_the_loss_has_no_best() -> None:
    noise = torch.Generator().manual_seed(0)
    metrics = {"coin": lambda output, target: torch.rand((), generator=noise)}
    unsure = lrscope.find(wine(epochs=20, metrics=metrics), budget=4.0, objective="coin")
    assert unsure.rate is None
    assert unsure.cannot_tell == "these lanes do not tell whether more or less coin is better"
    assert "--objective coin:max" in str(unsure.next_experiment)


def test_a_finished_sweep_is_read_by_any_objective() -> None:
    study = lrscope.sweep(wine(epochs=10), rates="1e-3:10:5")
    assert study.recommendation().objective == "final validation loss"
    assert "training loss" in study.recommendation("train-loss").objective
    assert study.recommendation("accuracy").objective == "final accuracy (higher is better)"
    assert study.recommendation("accuracy:max") == study.recommendation("accuracy")
    assert study.recommendation("accuracy:min").objective == "final accuracy (lower is better)"
    with pytest.raises(UsageError, match="objective wants one of val-loss, train-loss, accuracy; got 'f1'"):
        study.recommendation("f1")
