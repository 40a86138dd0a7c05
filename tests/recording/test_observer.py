"""Every recorded number equals a slow computation from the weights themselves."""

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch
from runs import Run, trained
from torch import Tensor, nn

import lrscope
from lrscope.errors import ProblemError
from lrscope.recording import observer, statistics
from lrscope.recording.series import series
from lrscope.recording.trajectory import default_tracked, read_tracked

RATES = (1e-3, 1e-2, 1e-1)
TRACK = (("0.weight", (1, 2)), ("2.bias", (0,)))


def problem(**changes: object) -> lrscope.Problem:
    generator = torch.Generator().manual_seed(5)
    X = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (40,), generator=generator)
    fields: dict[str, object] = {
        "name": "recorded",
        "model": lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double(),
        "train": (X, y),
        "val": (X[:17], y[:17]),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.Adam,
        "batch_size": 16,
        "epochs": 4,
        "metrics": {"accuracy": lambda output, target: (output.argmax(1) == target).double().mean().item()},
    }
    return lrscope.Problem(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run() -> Run:
    """Held after every step: a point is measured with the update that follows, and nothing waits."""
    return trained(problem(), RATES, each=True, track=TRACK)


def tensors(run: Run, step: int) -> Tensor:
    """The elements of all tensors of all lanes: [L, k] of arrays."""
    return [[t.flatten().numpy() for t in run.weights[step][lane].values()] for lane in range(len(RATES))]


def test_everything_announced_is_recorded(run: Run) -> None:
    assert {one.quantity for one in run.records} == {one.name for one in series(run.prepared.plan)}


def test_losses_and_trajectories_are_kept_at_every_step(run: Run) -> None:
    assert run.steps("loss") == list(range(12))
    assert run.steps("trajectory") == list(range(13))
    for t, values_LK in enumerate(run.of("trajectory")):
        for lane, values in enumerate(values_LK):
            w = run.weights[t][lane]
            assert values.tolist() == [float(w["0.weight"][1, 2]), float(w["2.bias"][0])]


def test_validation_is_kept_before_training_and_at_every_epoch(run: Run) -> None:
    X, y = problem().val
    losses, accuracies = run.of("val_loss"), run.of("accuracy")
    assert run.steps("val_loss") == run.steps("accuracy") == [0, 3, 6, 9, 12]
    for row, t in enumerate(run.steps("val_loss")):
        for lane in range(3):
            w = run.weights[t][lane]
            output = torch.tanh(X @ w["0.weight"].T + w["0.bias"]) @ w["2.weight"].T + w["2.bias"]
            expected = nn.functional.cross_entropy(output, y).item()
            assert losses[row, lane] == pytest.approx(expected, rel=1e-12)
            assert accuracies[row, lane] == (output.argmax(1) == y).double().mean()


STATISTICS = {
    "weight_mean": lambda w, w0: w.mean(),
    "weight_std": lambda w, w0: w.std(),
    "weight_min": lambda w, w0: w.min(),
    "weight_max": lambda w, w0: w.max(),
    "weight_norm": lambda w, w0: np.linalg.norm(w),
    "distance": lambda w, w0: np.linalg.norm(w - w0),
    "largest_move": lambda w, w0: np.abs(w - w0).max(),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_of_the_weights(run: Run, name: str) -> None:
    assert run.steps(name) == list(range(13)), "a short run is measured at every step"
    starts = tensors(run, 0)
    for t, values_Lk in enumerate(run.of(name)):
        expected = [
            [STATISTICS[name](w, w0) for w, w0 in zip(now, start, strict=True)]
            for now, start in zip(tensors(run, t), starts, strict=True)
        ]
        np.testing.assert_allclose(values_Lk, expected, rtol=1e-10, atol=1e-12)


def test_updates_are_measured_under_the_step_they_start_from(run: Run) -> None:
    assert run.steps("update_ratio") == list(range(12))
    for t, ratios_Lk in enumerate(run.of("update_ratio")):
        expected = [
            [np.linalg.norm(new - old) / np.linalg.norm(old) for old, new in zip(*pair, strict=True)]
            for pair in zip(tensors(run, t), tensors(run, t + 1), strict=True)
        ]
        np.testing.assert_allclose(ratios_Lk, expected, rtol=1e-10)
    assert (run.of("unchanged_share") == 0).all()
    X, y = problem().train
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:16]
    model = problem().model()
    model.load_state_dict(run.weights[0][0])
    nn.functional.cross_entropy(model(X[order]), y[order]).backward()
    expected = [float(parameter.grad.norm()) for parameter in model.parameters()]
    np.testing.assert_allclose(run.of("gradient_norm")[0, 0], expected, rtol=1e-10)


@pytest.mark.parametrize("per_block", [None, 1])
@pytest.mark.parametrize(("waiting", "piece"), [(0, 2**30), (500, 1), (2**30, 1)])
def test_the_same_numbers_whatever_waits_and_however_it_is_cut(
    run: Run, monkeypatch: pytest.MonkeyPatch, per_block: int | None, waiting: int, piece: int
) -> None:
    monkeypatch.setattr(statistics, "WAITING_ELEMENTS", waiting)
    monkeypatch.setattr(statistics, "PIECE_ELEMENTS", piece)
    monkeypatch.setattr(observer, "WAITING_STEPS", 3)
    again = trained(problem(), RATES, lanes_per_block=per_block, track=TRACK)
    for name in {one.quantity for one in run.records}:
        assert again.steps(name) == run.steps(name), name
        np.testing.assert_allclose(again.of(name), run.of(name), rtol=1e-10, atol=1e-15, err_msg=name)


def test_updates_lost_to_rounding_are_counted() -> None:
    """A step of 1e-12 is lost on float32 weights near 0.5: then every element stays; at 1e-2 none does."""
    ones = problem(
        model=lambda: nn.Linear(3, 2),
        train=(torch.ones(4, 3), torch.zeros(4, 2)),
        val=None,
        loss=lambda output, target: output.sum(),
        optimizer=torch.optim.SGD,
        metrics={},
        batch_size=4,
    )
    shares = trained(ones, (1e-12, 1e-2)).of("unchanged_share")
    assert (shares[:, 0] == 1).all()
    assert (shares[:, 1] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_losses_wait_and_come_as_they_were(dtype: torch.dtype) -> None:
    """Longer than what waits on the device; and rates where a schedule changes them."""
    slope = problem(
        model=lambda: nn.Linear(1, 1, bias=False).to(dtype),
        train=(torch.ones(1, 1, dtype=dtype), torch.ones(1, 1, dtype=dtype)),
        val=None,
        loss=nn.MSELoss(),
        metrics={},
        optimizer=torch.optim.SGD,
        schedule=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99),
        batch_size=0,
        epochs=2 * observer.WAITING_STEPS + 5,
    )
    run = trained(slope, (1e-3, 1e-2), each=dtype == torch.float32)
    losses = run.of("loss")
    assert len(losses) == 2 * observer.WAITING_STEPS + 5
    if dtype == torch.float32:
        ends = [[float((run.weights[t][k]["weight"] - 1) ** 2) for k in (0, 1)] for t in range(len(losses))]
        np.testing.assert_allclose(losses, ends, rtol=1e-6)
    assert (np.diff(losses[:50, 1]) <= 0).all()
    rates = run.of("learning_rate")
    expected = [[rate * 0.99**step for rate in (1e-3, 1e-2)] for step in run.steps("learning_rate")]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


class Odd(nn.Module):
    """Has a parameter without elements and one without dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(0))
        self.slope = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * x


def test_parameters_without_elements_or_dimensions() -> None:
    subject = problem(
        model=Odd,
        train=(torch.ones(4, 1), torch.full((4, 1), 2.0)),
        val=None,
        loss=nn.MSELoss(),
        optimizer=torch.optim.SGD,
        metrics={},
        batch_size=4,
        epochs=3,
    )
    run = trained(subject, RATES, track=[("slope", ())])
    for name in ("weight_mean", "weight_std", "weight_min", "weight_max", "largest_move"):
        assert np.isnan(run.of(name)[..., 0]).all()
        assert np.isfinite(run.of(name)[..., 1]).all()
    assert (run.of("weight_norm")[..., 0] == 0).all()
    exact = 2.0 - 1.5 * 0.8 ** np.arange(4)
    assert run.of("weight_norm")[:, 2, 1] == pytest.approx(exact, rel=1e-6)
    assert run.of("trajectory")[:, 2, 0] == pytest.approx(exact, rel=1e-6)
    assert run.of("gradient_norm")[:, 2, 1] == pytest.approx(2 * (2.0 - exact[:3]), rel=1e-6)
    for record in run.histograms:
        assert (record.counts[0] == 0).all()
        assert (record.nonfinite[0] == 0).all()


def test_tracked_scalars_are_read() -> None:
    shapes = {"0.weight": (3, 2), "0.bias": (3,), "scale": ()}
    assert read_tracked(["0.weight[2,1]", "0.bias", "scale", "0.weight[-1, 0]"], shapes) == (
        ("0.weight", (2, 1)),
        ("0.bias", (0,)),
        ("scale", ()),
        ("0.weight", (2, 0)),
    )
    for bad, typed in (
        ("0.weight[3,0]", r"'0.weight\[2,1\]'"),
        ("1.bias", r"'0.weight\[2,1\]'"),
        ("scale[0]", "'scale'"),
    ):
        with pytest.raises(ProblemError, match=typed):
            read_tracked([bad], shapes)
    for bad in ("0.weight[0]", "0.weight[a,b]", "0.weight[0,0", ""):
        with pytest.raises(ProblemError, match="cannot track"):
            read_tracked([bad], shapes)


def test_default_tracking_is_bounded() -> None:
    shapes = {f"layer{k}.weight": (4, 4) for k in range(160)}
    assert len(default_tracked(shapes, 4, 100, {})) == 160
    few = default_tracked(shapes, 64, 100_000, {})
    assert 1 <= len(few) <= 4
    assert few[0] == ("layer0.weight", (0, 0))


def test_what_is_tracked_unasked_moves() -> None:
    """The corner pixel of the digits is black in every image: its weights get no gradient, ever."""
    with lrscope.sweep("digits", "1e-3", epochs=1, record="losses") as study:
        tracked = study.plan.tracked
        moved = study.trajectories().group_by("tensor").agg(pl.col("value").n_unique())
    assert [tensor for tensor, _ in tracked] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert dict(tracked)["0.weight"] != (0, 0)
    assert dict(tracked)["2.bias"] == (0,)
    assert moved["value"].min() > 40, "of 46 values"
    with lrscope.sweep("digits", "1e-3", epochs=1, track=["0.weight[0,0]"], record="losses") as study:
        assert study.trajectories()["value"].n_unique() == 1


@pytest.mark.parametrize("name", ["loss", "val_loss", "weight_norm", "trajectory"])
def test_a_metric_may_not_have_the_name_of_a_series(run: Run, name: str) -> None:
    plan = dataclasses.replace(run.prepared.plan, metrics=(name,))
    with pytest.raises(ProblemError, match=f"{name}.*call it otherwise"):
        series(plan)
