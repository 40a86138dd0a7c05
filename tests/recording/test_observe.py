"""Every recorded number equals a slow computation from the weights themselves."""

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch
from lrscope.quantities import observe
from lrscope.quantities.histogram import BINS, histograms
from lrscope.quantities.observe import Observer, series
from lrscope.quantities.trajectory import default_tracked, read_tracked
from lrscope.training.run import Run
from lrscope.training.step import Step
from torch import Tensor, nn

import lrscope
from lrscope.errors import ProblemError
from lrscope.problems.problem import Problem
from lrscope.record import HistogramRecord, Record
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed

RATES = (1e-3, 1e-2, 1e-1)


def problem() -> Problem:
    generator = torch.Generator().manual_seed(5)
    X = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (40,), generator=generator)
    return Problem(
        name="recorded",
        model=lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double(),
        train=(X, y),
        val=(X[:17], y[:17]),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam,
        batch_size=16,
        epochs=4,
        metrics={"accuracy": lambda output, target: (output.argmax(1) == target).double().mean().item()},
    )


def recorded_of(run: Run) -> list[Record | HistogramRecord]:
    observer = Observer(run.plan)
    return list(observer.records(run.steps(observer.looks, observer.measures)))


@pytest.fixture(scope="module")
def recorded() -> tuple[
    dict[str, tuple[np.ndarray, np.ndarray]], list[HistogramRecord], list[dict[str, Tensor]]
]:
    """Records by name, histograms, and the weights at every step."""
    weights: list[dict[str, Tensor]] = []
    with undisturbed():
        run = prepare(problem(), RATES, 1)
        shapes = dict(zip(run.plan.tensors, run.plan.shapes, strict=True))
        tracked = read_tracked(["0.weight[1,2]", "2.bias[0]"], shapes)
        run.plan = plan = dataclasses.replace(run.plan, tracked=tracked)

        observer = Observer(plan)

        def spied() -> object:
            for step in run.steps(lambda t: observer.looks(t).within(t + 1), observer.measures):
                weights.append({name: tensor.clone() for name, tensor in step.weights.items()})
                yield step

        records = list(observer.records(spied()))
    by_name: dict[str, list[Record]] = {}
    for record in records:
        if isinstance(record, Record):
            by_name.setdefault(record.quantity, []).append(record)
    assert set(by_name) == {one.name for one in series(plan)}
    joined = {
        name: (np.concatenate([r.steps for r in rs]), np.concatenate([r.values for r in rs]))
        for name, rs in by_name.items()
    }
    return joined, [r for r in records if isinstance(r, HistogramRecord)], weights


def test_losses_and_trajectories_are_kept_at_every_step(recorded) -> None:
    series_of, _, weights = recorded
    assert series_of["loss"][0].tolist() == list(range(12))
    steps, values = series_of["trajectory"]
    assert steps.tolist() == list(range(13))
    for t, values_LK in zip(steps, values, strict=True):
        assert values_LK[:, 0].tolist() == weights[t]["0.weight"][:, 1, 2].tolist()
        assert values_LK[:, 1].tolist() == weights[t]["2.bias"][:, 0].tolist()


def test_validation_is_kept_before_training_and_at_every_epoch(recorded) -> None:
    series_of, _, weights = recorded
    X, y = problem().val
    for name in ("val_loss", "accuracy"):
        assert series_of[name][0].tolist() == [0, 3, 6, 9, 12]
    for row, t in enumerate(series_of["val_loss"][0]):
        for lane in range(3):
            w = weights[t]
            h = torch.tanh(X @ w["0.weight"][lane].T + w["0.bias"][lane])
            output = h @ w["2.weight"][lane].T + w["2.bias"][lane]
            assert series_of["val_loss"][1][row, lane] == pytest.approx(
                nn.functional.cross_entropy(output, y).item(), rel=1e-12
            )
            assert series_of["accuracy"][1][row, lane] == (output.argmax(1) == y).double().mean()


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
def test_statistics_of_the_weights(recorded, name: str) -> None:
    series_of, _, weights = recorded
    steps, values = series_of[name]
    assert steps.tolist() == list(range(13)), "a short run is measured at every step"
    for row, t in enumerate(steps):
        for column, tensor in enumerate(weights[t]):
            for lane in range(3):
                now = weights[t][tensor][lane].flatten().numpy()
                start = weights[0][tensor][lane].flatten().numpy()
                assert values[row, lane, column] == pytest.approx(
                    STATISTICS[name](now, start), rel=1e-10, abs=1e-12
                )


def test_updates_are_measured_under_the_step_they_start_from(recorded) -> None:
    series_of, _, weights = recorded
    steps, ratios = series_of["update_ratio"]
    assert steps.tolist() == list(range(12))
    for row, t in enumerate(steps):
        for column, tensor in enumerate(weights[t]):
            for lane in range(3):
                old, new = weights[t][tensor][lane], weights[t + 1][tensor][lane]
                expected = ((new - old).norm() / old.norm()).item()
                assert ratios[row, lane, column] == pytest.approx(expected, rel=1e-10)
    assert (series_of["unchanged_share"][1] == 0).all()
    assert (series_of["gradient_norm"][1] > 0).all()


def test_updates_lost_to_rounding_are_counted() -> None:
    """A step of 1e-12 is lost on float32 weights near 0.5: then every element stays; at 1e-2 none does."""
    X = torch.ones(4, 3)
    subject = Problem(
        name="ones",
        model=lambda: nn.Linear(3, 2),
        train=(X, torch.zeros(4, 2)),
        loss=lambda output, target: output.sum(),
        optimizer=torch.optim.SGD,
        batch_size=4,
        epochs=3,
    )
    with undisturbed():
        run = prepare(subject, (1e-12, 1e-2), 1)
        records = [r for r in recorded_of(run) if isinstance(r, Record)]
    shares = next(r.values for r in records if r.quantity == "unchanged_share")
    assert (shares[:, 0] == 1).all()
    assert (shares[:, 1] == 0).all()


def test_histograms_count_exactly(recorded) -> None:
    _, histogram_records, weights = recorded
    assert [record.epoch for record in histogram_records] == [0, 1, 2, 3, 4]
    for record in histogram_records:
        now = weights[3 * record.epoch]
        for tensor, edges, counts, nonfinite in zip(
            now, record.edges, record.counts, record.nonfinite, strict=True
        ):
            assert len(edges) == BINS + 1
            assert (nonfinite == 0).all()
            for lane in range(3):
                values = now[tensor][lane].flatten().numpy()
                assert counts[lane].tolist() == np.histogram(values, edges)[0].tolist()
                assert counts[lane].sum() == values.size


def make_step(values_LN: Tensor) -> Step:
    from lrscope.plan import LaneKey

    keys = tuple(LaneKey(k, 10.0**k, 0) for k in range(len(values_LN)))
    return Step(0, keys, None, {"w": values_LN}, dict, {}, list)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_histograms_show_narrow_and_wide_lanes_together(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, 5000, generator=generator, dtype=dtype) * torch.tensor(
        [[0.02], [0.3], [50.0]], dtype=dtype
    )
    record = histograms(make_step(values), 0)
    edges, counts = record.edges[0], record.counts[0]
    assert (np.diff(edges) > 0).all()
    for lane in range(3):
        assert counts[lane].tolist() == np.histogram(values[lane].numpy(), edges)[0].tolist()
        assert (counts[lane] > 0).sum() >= 8, "a lane is flattened into a few bins"


@pytest.mark.parametrize(
    "values",
    [
        torch.zeros(2, 7),
        torch.full((2, 7), 3.5),
        torch.tensor([[1.0, torch.nan, torch.inf], [2.0, 3.0, -torch.inf]]),
        torch.full((2, 3), torch.nan),
        torch.tensor([[0.0, 1e-45], [1e30, -1e30]]),
        torch.tensor([[1.0, 1.0000001], [1.0, 1.0000002]]),
    ],
)
def test_histograms_of_awkward_tensors(values: Tensor) -> None:
    record = histograms(make_step(values), 3)
    edges, counts, nonfinite = record.edges[0], record.counts[0], record.nonfinite[0]
    assert np.isfinite(edges).all()
    assert (np.diff(edges) >= 0).all()
    for lane in range(2):
        finite = values[lane][torch.isfinite(values[lane])].numpy()
        assert counts[lane].sum() == len(finite)
        assert nonfinite[lane] == values.shape[1] - len(finite)


def test_chunks_do_not_change_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def losses() -> np.ndarray:
        with undisturbed():
            run = prepare(problem(), RATES, 1)
            records = recorded_of(run)
            return np.concatenate(
                [r.values for r in records if isinstance(r, Record) and r.quantity == "loss"]
            )

    whole = losses()
    monkeypatch.setattr(observe, "CHUNK_STEPS", 1)
    assert np.array_equal(whole, losses())


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
    for bad in ("1.weight[0,0]", "0.weight[3,0]", "0.weight[0]", "0.weight[a,b]", "0.weight[0,0", ""):
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
    with lrscope.sweep("digits", "1e-3", epochs=1) as study:
        tracked = study.plan.tracked
        moved = study.trajectories().group_by("tensor").agg(pl.col("value").n_unique())
    assert [tensor for tensor, _ in tracked] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert dict(tracked)["0.weight"] != (0, 0)
    assert dict(tracked)["2.bias"] == (0,)
    assert moved["value"].min() > 40, "of 46 values"
    with lrscope.sweep("digits", "1e-3", epochs=1, track=["0.weight[0,0]"]) as study:
        assert study.trajectories()["value"].n_unique() == 1


class WithNothing(nn.Module):
    """Has a parameter without elements."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.nothing = nn.Parameter(torch.zeros(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


def test_an_empty_parameter_has_neither_ends_nor_counts() -> None:
    subject = dataclasses.replace(problem(), model=lambda: WithNothing().double())
    with undisturbed():
        records = recorded_of(prepare(subject, RATES, 1))
    values = {record.quantity: record.values for record in records if isinstance(record, Record)}
    place = 0  # before those of the layer
    for name in ("weight_mean", "weight_std", "weight_min", "weight_max", "largest_move"):
        assert np.isnan(values[name][..., place]).all()
        assert np.isfinite(values[name][..., 1:]).all()
    assert (values["weight_norm"][..., place] == 0).all()
    for record in records:
        if isinstance(record, HistogramRecord):
            assert (record.counts[place] == 0).all()
            assert (record.nonfinite[place] == 0).all()


def test_a_scalar_parameter_is_recorded_like_any_other() -> None:
    class Slope(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.tensor(0.5))

        def forward(self, x: Tensor) -> Tensor:
            return self.slope * x

    subject = Problem(
        name="slope",
        model=Slope,
        train=(torch.ones(4, 1), torch.full((4, 1), 2.0)),
        loss=nn.MSELoss(),
        optimizer=torch.optim.SGD,
        batch_size=4,
        epochs=3,
    )
    with undisturbed():
        run = prepare(subject, RATES, 1)
        run.plan = dataclasses.replace(run.plan, tracked=read_tracked(["slope"], {"slope": ()}))
        records = recorded_of(run)

    def fastest(name: str) -> np.ndarray:
        pieces = [r.values for r in records if isinstance(r, Record) and r.quantity == name]
        return np.concatenate(pieces)[:, 2, 0]

    exact = 2.0 - 1.5 * 0.8 ** np.arange(4)
    assert fastest("weight_norm") == pytest.approx(exact, rel=1e-6)
    assert fastest("trajectory") == pytest.approx(exact, rel=1e-6)
    assert fastest("gradient_norm") == pytest.approx(2 * (2.0 - exact[:3]), rel=1e-6)


@pytest.mark.parametrize("name", ["loss", "val_loss", "weight_norm", "trajectory"])
def test_a_metric_may_not_have_the_name_of_a_series(name: str) -> None:
    with undisturbed():
        run = prepare(dataclasses.replace(problem(), metrics={name: lambda output, target: 1.0}), RATES, 1)
    with pytest.raises(ProblemError, match=f"{name}.*call it otherwise"):
        series(run.plan)
