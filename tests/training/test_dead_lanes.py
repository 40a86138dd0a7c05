"""A lane that runs away or raises ends alone: the others go on as if it were not there."""

import dataclasses
import functools

import numpy as np
import polars as pl
import pytest
import torch
from runs import Run, keep, trained
from torch import Tensor, nn
from torch.nn import functional as F

import lrscope
from lrscope.errors import TrainingError
from lrscope.executors import block_runner
from lrscope.executors.block_runner import CHECK_EVERY
from lrscope.training.prepare import prepare
from lrscope.training.random_state import denormals_read_zero, undisturbed

RATES = (1e-3, 1e-2, 3e-2, 1e4, 1e5, 1e6)
"""Half of them diverge at once."""

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop dead lanes however short what is left of the run."""
    monkeypatch.setattr(block_runner, "RENEWAL_STEPS", 0)


def squared(output: Tensor, target: Tensor) -> Tensor:
    return ((output - target.unsqueeze(1)) ** 2).mean()


def branching(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cannot be vectorised."""
    output = model(batch[0])
    return (1.0 if float(output.detach().sum()) > 0 else 1.1) * squared(output, batch[1])


def problem(**changes: object) -> lrscope.Problem:
    y = X[:, :3].argmax(1)
    fields: dict[str, object] = {
        "name": "net",
        "model": lambda: nn.Sequential(
            nn.Linear(6, 12, bias=False), nn.BatchNorm1d(12), nn.Linear(12, 3)
        ).double(),
        "train": (X[:48], y[:48]),
        "val": (X[48:], y[48:]),
        "loss": squared,
        "optimizer": torch.optim.SGD,
        "batch_size": 8,
        "epochs": 15,
    }
    return lrscope.Problem(**{**fields, **changes})  # type: ignore[arg-type]


def separate(**changes: object) -> lrscope.Problem:
    return problem(loss=None, step=branching, **changes)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_a_diverging_lane_leaves_its_neighbours_bitwise_alone(optimizer: type) -> None:
    quartic = problem(optimizer=optimizer, loss=lambda o, t: (o - t[:, None]).pow(4).mean(), epochs=3)
    # The same number of lanes both times: arithmetic may depend on it.
    healthy = trained(quartic, (1e-3, 2e-3, 3e-3), record="losses")
    beside = trained(quartic, (1e-3, 2e-3, 1e80), record="losses")
    assert not np.isfinite(beside.of("loss")[-1, 2])
    assert np.array_equal(beside.of("loss")[:, :2], healthy.of("loss")[:, :2])
    for lane in (0, 1):
        for name, tensor in healthy.weights[-1][lane].items():
            assert torch.equal(beside.weights[-1][lane][name], tensor)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, functools.partial(torch.optim.SGD, momentum=0.9)])
@pytest.mark.parametrize("make", [problem, separate])
def test_the_living_go_on_as_if_the_dead_were_there(
    optimizer: object, make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = make(optimizer=optimizer)
    whole = trained(subject, RATES, 2, record="losses")
    monkeypatch.setattr(block_runner, "RENEWAL_STEPS", 0)
    thinned = trained(subject, RATES, 2, record="losses")
    losses = thinned.of("loss")
    assert losses.shape == (90, 12)
    alive = np.isfinite(losses[-1])
    assert alive.tolist() == [rate < 1 for _ in range(2) for rate in RATES]
    assert set(thinned.weights[-1]) == set(np.flatnonzero(alive)) | (
        {3, 4, 5, 9, 10, 11} if make is separate else set()
    )
    np.testing.assert_allclose(losses[:, alive], whole.of("loss")[:, alive], rtol=1e-12)
    for lane in np.flatnonzero(alive):
        for name, tensor in whole.weights[-1][lane].items():
            torch.testing.assert_close(thinned.weights[-1][lane][name], tensor, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.NAdam])
def test_lanes_that_are_dropped_leave_the_others_as_they_were(optimizer: type) -> None:
    """As a search drops them; also where a Runner was opened from a checkpoint since."""
    model = problem().model
    subject = problem(model=lambda: nn.Sequential(nn.Dropout(0.3), model()), optimizer=optimizer)
    rates = (1e-4, 1e-3, 2e-3, 5e-3)
    whole = trained(subject, rates)
    with undisturbed():
        run = Run(prepare(subject, rates, 1))
        plan = run.prepared.plan
        (block,) = run.prepared.blocks(plan.lanes)
        runner = block_runner.BlockRunner(run.prepared, block, plan)
        keep(run, runner.advance(20))
        keep(run, runner.drop([0]))
        runner = block_runner.BlockRunner(run.prepared, block, plan, checkpoint=runner.checkpoint())
        keep(run, runner.advance(50))
        keep(run, runner.drop([2]))
        assert [key.lane for key in runner.keys] == [1, 3]
        keep(run, runner.advance(plan.steps))
        keep(run, runner.drop([1, 3]))
        assert not list(runner.advance(plan.steps))
    for name in {one.quantity for one in whole.records}:
        assert run.steps(name) == whole.steps(name), name
        ours, theirs, steps = run.of(name), whole.of(name), np.array(run.steps(name))
        # At a pause a lane has been measured before the update that has not come, or at w_t.
        for lane, last in ((0, 19), (1, plan.steps), (2, 49), (3, plan.steps)):
            own = steps <= last
            np.testing.assert_allclose(ours[own, lane], theirs[own, lane], rtol=1e-9, atol=1e-12)
            assert np.isnan(ours[steps > last + 1, lane]).all(), name


def test_a_study_of_lanes_that_leave(eager: None) -> None:
    told: list[lrscope.sweeping.Progress] = []
    with lrscope.sweep(problem(), RATES, seeds=2, curvature=True, probes=True, progress=told.append) as study:
        lanes = study.lanes
        dead, alive = lanes.filter(lanes["rate"] >= 1), lanes.filter(lanes["rate"] < 1)
        assert set(dead["state"]) == {"stopped"}
        assert set(alive["state"]) == {"finished"}
        assert set(alive["steps"]) == {90}
        assert max(dead["steps"]) <= CHECK_EVERY
        norms = study.tensors("weight_norm")
        assert norms.filter(norms["lane"].is_in(alive["lane"].to_list()))["step"].max() == 90
        assert norms.filter(norms["lane"].is_in(dead["lane"].to_list()))["step"].max() <= CHECK_EVERY
        verdicts = study.verdicts()
        assert set(verdicts.filter(verdicts["rate"] >= 1)["verdict"]) == {"diverged"}
        assert study.note("landscape") is not None
    assert told[-1].alive == tuple(rate < 1 for _ in range(2) for rate in RATES)
    assert [np.isfinite(loss) for loss in told[-1].loss] == list(told[-1].alive)


def test_training_ends_when_no_lane_is_finite() -> None:
    run = trained(problem(epochs=50), (1e25, 1e26), record="losses")
    losses = run.of("loss")
    assert 1 < len(losses) <= CHECK_EVERY
    assert not np.isfinite(losses[-1]).any()


class Narrow(nn.Module):
    """Binary cross-entropy raises at its output once the weights have grown, though all are finite."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = 0.5 + 0.1 * self.layer(x).squeeze(1)
        return output


def narrow_branching(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    output = model(batch[0])
    return F.binary_cross_entropy(output, torch.ones_like(output)) + 0 * float(output[0])


@pytest.mark.parametrize("loop", [False, True])
def test_what_is_recorded_of_a_lane_that_raises_is_its_own(loop: bool) -> None:
    """One step an epoch; the lane is followed by hand until it raises."""
    rates, data = (1e-4, 1e-3, 2.0), (X[:32], torch.ones(32, dtype=torch.float64))
    subject = problem(
        model=lambda: Narrow().double(),
        train=data,
        val=data,
        loss=None if loop else F.binary_cross_entropy,
        step=narrow_branching if loop else None,
        batch_size=32,
        epochs=12,
    )
    torch.manual_seed(0)
    alone = subject.model()
    way = [torch.cat([p.detach().flatten() for p in alone.parameters()])]
    while bool((alone(data[0]) <= 1).all()):
        alone.zero_grad()
        F.binary_cross_entropy(alone(data[0]), data[1]).backward()
        with torch.no_grad():
            for parameter in alone.parameters():
                parameter -= rates[2] * parameter.grad
        way.append(torch.cat([p.detach().flatten() for p in alone.parameters()]))
    stop = len(way) - 1
    assert stop > 2
    with lrscope.sweep(subject, rates, curvature=not loop, probes=not loop) as study:
        assert study.lanes["stopped_step"].to_list() == [None, None, stop]
        assert any("rate 2 stopped at step" in note for note in study.note("notes"))

        def of(frame: pl.DataFrame) -> pl.DataFrame:
            own = frame.filter(pl.col("lane") == 2)
            return own.filter(pl.col("tensor") == "layer.weight") if "tensor" in own.columns else own

        assert of(study.tensors("weight_norm"))["value"].to_list() == pytest.approx(
            [float(w[:-1].norm()) for w in way]
        )
        assert of(study.trajectories())["value"].to_list() == pytest.approx([float(w[0]) for w in way])
        for name in ("gradient_norm", "update_ratio"):
            values = of(study.tensors(name))["value"].to_list()
            assert None not in values[:-1], name
            assert values[-1] is None, name
        counted = of(study.histograms())
        assert counted["epoch"].to_list() == list(range(stop + 1))
        assert sum(counted["counts"][-1]) == 6
        if not loop:
            assert of(study.scalars("sharpness"))["value"].to_list()[-1] is None
        assert study.scalars("val_loss").filter(pl.col("lane") < 2)["value"].is_not_null().all()
        assert study.verdicts()["verdict"].to_list()[2] == "diverged"


class Probability(nn.Module):
    """Binary cross-entropy raises at NaN, and with it every lane of a vectorised call."""

    def __init__(self) -> None:
        super().__init__()
        self.normal = nn.BatchNorm1d(6)
        self.layer = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(self.normal(x))
        return torch.sigmoid(h * h).squeeze(1)


def test_a_lane_that_makes_the_loss_raise_is_retired_alone() -> None:
    subject = problem(
        model=lambda: Probability().double(),
        loss=lambda o, t: F.binary_cross_entropy(o, (t > 0).to(o.dtype)),
        epochs=4,
    )
    run = trained(subject, (1e-3, 1e-2, 1e300), record="losses")
    healthy = trained(subject, (1e-3, 1e-2, 1e-2), record="losses")
    losses = run.of("loss")
    assert len(losses) == run.prepared.plan.steps
    assert np.array_equal(losses[:, :2], healthy.of("loss")[:, :2])
    stopped = int(np.flatnonzero(~np.isfinite(losses[:, 2]))[0])
    assert stopped > 0
    assert not np.isfinite(losses[stopped:, 2]).any()
    assert any("rate 1e300 stopped at step" in note for note in run.notes)


def finite_only(output: Tensor, target: Tensor) -> Tensor:
    if not torch.isfinite(output).all():
        raise ValueError("not finite")
    return squared(output, target)


def test_lanes_that_all_raise_once_their_weights_are_not_finite_are_results() -> None:
    linear = problem(loss=finite_only, model=lambda: nn.Linear(6, 3).double())
    with lrscope.sweep(linear, (1e40, 1e60)) as study:
        assert study.lanes["state"].to_list() == ["stopped", "stopped"]
        assert set(study.verdicts()["verdict"]) == {"diverged"}
        assert any("stopped at step" in note for note in study.note("notes"))


def test_a_block_whose_lanes_all_raise_ends_alone() -> None:
    """Every lane is a Block of its own: those that raise with finite weights say nothing about the data."""

    def bounded(output: Tensor, target: Tensor) -> Tensor:
        if not bool((output.abs() < 100).all()):
            raise ValueError("too large")
        return squared(output, target)

    linear = problem(loss=bounded, model=lambda: nn.Linear(6, 3).double())
    with lrscope.sweep(linear, (1e-3, 1e-2, 30.0, 40.0), lanes_per_block=1, record="losses") as study:
        assert study.lanes["state"].to_list() == ["finished", "finished", "stopped", "stopped"]
        assert set(study.lanes["steps"][:2]) == {90}
    with pytest.raises(TrainingError, match="raised ValueError: too large"):
        lrscope.sweep(linear, (30.0, 40.0), lanes_per_block=1, record="losses")


def bounded_in_validation(output: Tensor, target: Tensor) -> Tensor:
    """Validation calls a loss lane by lane."""
    if not torch._C._functorch.is_batchedtensor(output) and bool((output.abs() > 1e10).any()):
        raise ValueError("too large")
    return squared(output, target)


def refusing(output: Tensor, target: Tensor) -> float:
    """A metric that raises at what is not finite, as those of scikit-learn do."""
    if not bool((output.abs() < 1e10).all()):
        raise ValueError("Input contains NaN")
    return float((output.argmax(1) == target).double().mean())


@pytest.mark.parametrize("changes", [{"loss": bounded_in_validation}, {"metrics": {"m": refusing}}])
def test_a_lane_that_makes_validation_raise_leaves_the_others_theirs(changes: dict[str, object]) -> None:
    # One step an epoch: validation comes upon the large weights before training does.
    subject = problem(batch_size=48, epochs=4, **changes)
    beside = trained(subject, (1e-3, 1e-2, 1e20), record="losses")
    healthy = trained(subject, (1e-3, 1e-2, 1e-2), record="losses")
    for name in ("val_loss", *subject.metrics):
        ours, theirs = beside.of(name), healthy.of(name)
        np.testing.assert_allclose(ours[:, :2], theirs[:, :2], rtol=1e-12)
        assert np.isfinite(ours[0, 2])
        assert np.isnan(ours[1:, 2]).all()


@pytest.mark.parametrize("where", ["training", "validation"])
def test_an_error_that_is_no_lanes_fault_ends_the_run(where: str) -> None:
    calls = {"n": 0}

    def count(after: int) -> None:
        calls["n"] += 1
        if calls["n"] > after:
            raise RuntimeError("the disk is gone")

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        count(40)
        return squared(model(batch[0]), batch[1])

    def metric(output: Tensor, target: Tensor) -> float:
        count(5)
        return 0.0

    subject = problem(loss=None, step=step) if where == "training" else problem(metrics={"m": metric})
    with pytest.raises(TrainingError, match="raised RuntimeError: the disk is gone"):
        lrscope.sweep(subject, (1e-3, 1e-2), record="losses")


@pytest.mark.parametrize("before", [False, True])
def test_denormal_numbers_read_zero_inside_and_as_before_afterwards(before: bool) -> None:
    if not torch.set_flush_denormal(before):
        pytest.skip("NOT TESTED: this processor cannot flush denormal numbers")
    try:
        with undisturbed():
            assert denormals_read_zero()
        assert denormals_read_zero() is before
        with pytest.raises(ZeroDivisionError), undisturbed():
            raise ZeroDivisionError
        assert denormals_read_zero() is before
    finally:
        torch.set_flush_denormal(False)


def test_lanes_that_leave_change_no_word_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with lrscope.sweep(problem(), RATES) as stayed:
        monkeypatch.setattr(block_runner, "RENEWAL_STEPS", 0)
        with lrscope.sweep(dataclasses.replace(problem()), RATES) as left:
            assert left.lanes.equals(stayed.lanes)
            assert left.verdicts()["verdict"].equals(stayed.verdicts()["verdict"])
