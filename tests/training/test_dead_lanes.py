"""Lanes that are not finite any more leave, and the others go on as they would have."""

import dataclasses
import functools

import numpy as np
import polars as pl
import pytest
import torch
from lrscope.training.train import CHECK_EVERY
from torch import Tensor, nn

import lrscope
from lrscope.training import train as training
from lrscope.training.prepare import prepare
from lrscope.training.random_state import denormals_read_zero, undisturbed

RATES = (1e-3, 1e-2, 3e-2, 1e4, 1e5, 1e6)
"""Half of them diverge at once."""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short what is left of the run."""
    monkeypatch.setattr(training, "RENEWAL_SECONDS", 0.0)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "RENEWAL_SECONDS", float("inf"))


def problem(optimizer: object = torch.optim.SGD, *, separate: bool = False) -> lrscope.Problem:
    generator = torch.Generator().manual_seed(5)
    X = torch.randn(64, 6, generator=generator, dtype=torch.float64)
    y = X[:, :3].argmax(1)

    def branching(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        output = model(batch[0])
        scale = 1.0 if float(output.detach().sum()) > 0 else 1.1
        return scale * ((output - batch[1].unsqueeze(1)) ** 2).mean()

    return lrscope.Problem(
        name="net",
        model=lambda: nn.Sequential(
            nn.Linear(6, 12), nn.BatchNorm1d(12), nn.Identity(), nn.Linear(12, 3)
        ).double(),
        train=(X[:48], y[:48]),
        val=(X[48:], y[48:]),
        loss=None if separate else lambda output, target: ((output - target.unsqueeze(1)) ** 2).mean(),
        step=branching if separate else None,
        optimizer=optimizer,
        batch_size=8,
        epochs=30,
    )


def followed(
    subject: lrscope.Problem, seeds: int
) -> tuple[dict[tuple[int, int], float], dict[int, Tensor], list[int]]:
    """(lane, step) -> loss, the last weights of each lane, and how many lanes there were at each step."""
    losses, ends, there = {}, {}, []
    with undisturbed():
        for step in prepare(subject, RATES, seeds).steps():
            there.append(len(step.keys))
            for row, key in enumerate(step.keys):
                if step.losses is not None:
                    losses[key.lane, step.index] = float(step.losses[row])
                ends[key.lane] = torch.cat([w[row].flatten().clone() for w in step.weights.values()])
    return losses, ends, there


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, functools.partial(torch.optim.SGD, momentum=0.9)])
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("separate", [False, True])
def test_the_living_go_on_as_if_the_dead_were_there(
    optimizer: object, seeds: int, separate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = problem(optimizer, separate=separate)
    monkeypatch.setattr(training, "RENEWAL_SECONDS", float("inf"))
    whole, ends, crowd = followed(subject, seeds)
    monkeypatch.setattr(training, "RENEWAL_SECONDS", 0.0)
    thinned, last, fewer = followed(subject, seeds)
    assert set(crowd) == {len(RATES) * seeds}
    assert fewer[0] == len(RATES) * seeds
    assert fewer[-1] == 3 * seeds
    assert fewer.index(3 * seeds) == CHECK_EVERY + 1
    assert len(fewer) == len(crowd)
    for (lane, step), loss in thinned.items():
        assert loss == pytest.approx(whole[lane, step], rel=1e-12, nan_ok=True), (lane, step)
    for lane in range(len(RATES) * seeds):
        if lane % len(RATES) < 3:
            torch.testing.assert_close(last[lane], ends[lane], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("finite", "left", "leave"),
    [
        ([True, False], 2.0, True),
        ([True, False], 1.9, False),
        ([True, True, False], 1e9, False),
        ([True, False, False, False], 1.4, True),
    ],
)
def test_when_it_is_worth_it(finite: list[bool], left: float, leave: bool) -> None:
    assert training._worth_leaving(finite, left) is leave


def test_a_study_of_lanes_that_leave(eager: None) -> None:
    told: list[lrscope.sweeping.Progress] = []
    with lrscope.sweep(
        problem(),
        RATES,
        seeds=2,
        curvature=True,
        probes=True,
        progress=told.append,
    ) as study:
        lanes = study.lanes
        dead = lanes.filter(lanes["rate"] >= 1)
        alive = lanes.filter(lanes["rate"] < 1)
        assert set(dead["state"]) == {"stopped"}
        assert set(alive["state"]) == {"finished"}
        assert set(alive["steps"]) == {180}
        assert max(dead["steps"]) <= CHECK_EVERY
        norms = study.tensors("weight_norm")
        assert norms.filter(norms["lane"].is_in(alive["lane"].to_list()))["step"].max() == 180
        assert norms.filter(norms["lane"].is_in(dead["lane"].to_list()))["step"].max() <= CHECK_EVERY
        counted = study.histograms()
        assert set(counted.filter(counted["epoch"] == 30)["lane"]) == set(alive["lane"])
        verdicts = study.verdicts()
        assert set(verdicts.filter(verdicts["rate"] >= 1)["verdict"]) == {"diverged"}
        assert study.note("landscape") is not None
    assert told[-1].alive == tuple(rate < 1 for _ in range(2) for rate in RATES)
    assert all(np.isfinite(loss) == lives for loss, lives in zip(told[-1].loss, told[-1].alive, strict=True))
    assert len(told[-1].epochs[-1].values) == 12


def test_a_study_says_the_same_of_lanes_that_stay(never: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> tuple[list[object], np.ndarray]:
        with lrscope.sweep(problem(), RATES) as study:
            return study.lanes.rows(), study.scalars("loss")["value"].to_numpy()

    stayed, losses = rows()
    monkeypatch.setattr(training, "RENEWAL_SECONDS", 0.0)
    left, fewer = rows()
    assert left == stayed
    np.testing.assert_allclose(fewer, losses, rtol=1e-12)


@pytest.mark.parametrize("before", [False, True])
def test_denormal_numbers_read_zero_inside_and_as_before_afterwards(before: bool) -> None:
    if not torch.set_flush_denormal(before):
        pytest.skip("NOT TESTED: this processor cannot flush denormal numbers")
    try:
        assert denormals_read_zero() is before
        with undisturbed():
            assert denormals_read_zero()
        assert denormals_read_zero() is before
        with pytest.raises(ZeroDivisionError), undisturbed():
            raise ZeroDivisionError
        assert denormals_read_zero() is before
    finally:
        torch.set_flush_denormal(False)


class Narrow(nn.Module):
    """Binary cross-entropy raises at its output once the weights have grown, though all are finite."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 1)

    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = 0.5 + 0.1 * self.layer(X).squeeze(1)
        return output


def narrow(*, separate: bool = False) -> lrscope.Problem:
    """One step an epoch."""
    X = torch.randn(32, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def branching(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        output = model(batch[0])
        return nn.functional.binary_cross_entropy(output, torch.ones_like(output)) + 0 * float(output[0])

    return lrscope.Problem(
        name="narrow",
        model=lambda: Narrow().double(),
        train=(X, torch.ones(32, dtype=torch.float64)),
        val=(X, torch.ones(32, dtype=torch.float64)),
        loss=None if separate else nn.functional.binary_cross_entropy,
        step=branching if separate else None,
        optimizer=torch.optim.SGD,
        batch_size=32,
        epochs=12,
    )


@pytest.mark.parametrize("separate", [False, True])
def test_what_is_recorded_of_a_lane_that_raises_is_its_own(separate: bool) -> None:
    rates = (1e-4, 1e-3, 2.0)
    subject = narrow(separate=separate)
    torch.manual_seed(0)
    alone = subject.model()
    X, y = subject.train
    way = [torch.cat([p.detach().flatten() for p in alone.parameters()])]
    while bool((alone(X) <= 1).all()):
        alone.zero_grad()
        nn.functional.binary_cross_entropy(alone(X), y).backward()
        with torch.no_grad():
            for parameter in alone.parameters():
                parameter -= rates[2] * parameter.grad
        way.append(torch.cat([p.detach().flatten() for p in alone.parameters()]))
    stop = len(way) - 1
    assert stop > 2
    options = {"curvature": not separate, "probes": not separate}
    with lrscope.sweep(subject, rates, **options) as study:
        assert study.lanes["stopped_step"].to_list() == [None, None, stop]

        def of(frame: pl.DataFrame, tensor: str = "layer.weight") -> pl.DataFrame:
            own = frame.filter(pl.col("lane") == 2)
            return own.filter(pl.col("tensor") == tensor) if "tensor" in own.columns else own

        norms = of(study.tensors("weight_norm"))["value"].to_list()
        assert norms == pytest.approx([float(w[:-1].norm()) for w in way])
        paths = of(study.trajectories())["value"].to_list()
        assert paths == pytest.approx([float(w[0]) for w in way])
        for name in ("gradient_norm", "update_ratio"):
            values = of(study.tensors(name))["value"].to_list()
            assert None not in values[:-1], name
            assert values[-1] is None, name
        assert of(study.tensors("unchanged_share"))["value"].to_list() == [0.0] * len(way)
        counted = of(study.histograms())
        assert counted["epoch"].to_list() == list(range(stop + 1))
        last, ends = counted.row(-1, named=True), way[-1][:-1]
        assert (last["edges"][0], last["edges"][-1]) == pytest.approx((float(ends.min()), float(ends.max())))
        assert sum(last["counts"]) == len(ends)
        if not separate:
            assert of(study.scalars("sharpness"))["value"].to_list()[-1] is None
        assert study.scalars("val_loss").filter(pl.col("lane") < 2)["value"].is_not_null().all()
        assert study.verdicts()["verdict"].to_list()[2] == "diverged"


def test_lanes_that_all_raise_once_their_weights_are_not_finite_are_data() -> None:
    def refusing(output: Tensor, target: Tensor) -> Tensor:
        if not torch.isfinite(output).all():
            raise ValueError("not finite")
        return ((output - target.unsqueeze(1)) ** 2).mean()

    subject = dataclasses.replace(problem(), loss=refusing, model=lambda: nn.Linear(6, 3).double())
    with lrscope.sweep(subject, (1e40, 1e60)) as study:
        assert study.lanes["state"].to_list() == ["stopped", "stopped"]
        assert set(study.verdicts()["verdict"]) == {"diverged"}
        assert any("stopped at step" in note for note in study.note("notes"))
