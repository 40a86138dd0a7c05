"""Nothing of the user's is changed, and no lane changes another."""

import copy
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from lrscope.training.step import Step
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lrscope.errors import TrainingError
from lrscope.problems.problem import Problem
from lrscope.training.prepare import prepare
from lrscope.training.random_state import RandomState, undisturbed


def data(n: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 5, generator=generator), torch.randint(0, 2, (n,), generator=generator)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))


def problem(**changes: object) -> Problem:
    fields: dict[str, object] = {
        "name": "small",
        "model": mlp,
        "train": data(),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD,
        "batch_size": 8,
        "epochs": 6,
    }
    return Problem(**{**fields, **changes})  # type: ignore[arg-type]


def run_through(subject: Problem, rates: tuple[float, ...], seeds: int = 1) -> list[Step]:
    """Every step, its tensors copied."""
    with undisturbed(subject.train, subject.val):
        run = prepare(subject, rates, seeds)
        return [
            Step(
                step.index,
                step.keys,
                None if step.losses is None else step.losses.clone(),
                {name: tensor.clone() for name, tensor in step.weights.items()},
                step.gradients,
                dict(step.validation),
                step.stretch,
                step.rates,
            )
            for step in run.steps()
        ]


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
@pytest.mark.parametrize(
    "model", [mlp, lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))]
)
def test_a_diverging_lane_leaves_its_neighbours_bitwise_alone(optimizer: type, model: object) -> None:
    subject = problem(optimizer=optimizer, model=model, loss=lambda o, t: (o - t[:, None]).pow(4).mean())
    # The same number of lanes both times: arithmetic may depend on it.
    healthy = run_through(subject, (1e-3, 2e-3, 3e-3))
    beside = run_through(subject, (1e-3, 2e-3, 1e25))
    assert not torch.isfinite(beside[-2].losses[2])
    for ours, theirs in zip(healthy, beside, strict=True):
        if ours.losses is not None:
            assert torch.equal(ours.losses[:2], theirs.losses[:2])
        for name, tensor in ours.weights.items():
            assert torch.equal(tensor[:2], theirs.weights[name][:2])


class Probability(nn.Module):
    """Binary cross-entropy raises at NaN, and with it every lane of a vectorised call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 1)
        self.normal = nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(self.normal(x))
        return torch.sigmoid(h * h).squeeze(1) if h.shape[0] else h


def raising_problem() -> Problem:
    return problem(
        model=Probability,
        loss=lambda o, t: F.binary_cross_entropy(o, t.to(o.dtype)),
        optimizer=torch.optim.SGD,
    )


def test_a_lane_that_makes_the_loss_raise_is_retired_alone() -> None:
    subject = raising_problem()
    rates = (1e-3, 1e-2, 1e38)
    with undisturbed():
        run = prepare(subject, rates, 1)
        losses = torch.stack([step.losses.clone() for step in run.steps() if step.losses is not None])
    healthy = run_through(subject, (1e-3, 1e-2, 1e-2))
    assert len(losses) == run.plan.steps
    assert torch.isfinite(losses[:, :2]).all()
    stopped = int(torch.nonzero(~torch.isfinite(losses[:, 2]))[0])
    assert stopped > 0
    assert not torch.isfinite(losses[stopped:, 2]).any()
    expected = torch.stack([step.losses for step in healthy if step.losses is not None])
    assert torch.equal(losses[:, :2], expected[:, :2])
    assert any("rate 1e38 stopped at step" in note for note in run.notes)


class Bounded(nn.Module):
    """Raises at anything large."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layer(x)
        if not bool((h.abs() < 1e6).all()):
            raise ValueError("too large")
        return h


def test_a_lane_that_makes_validation_raise_leaves_the_others_theirs() -> None:
    # One step an epoch: validation comes upon the large weights before training does.
    subject = problem(model=Bounded, val=data(), batch_size=40)
    beside = run_through(subject, (1e-3, 1e-2, 1e20))
    healthy = run_through(subject, (1e-3, 1e-2, 1e-2))
    assert len(beside) == len(healthy)
    for ours, theirs in zip(beside, healthy, strict=True):
        assert torch.equal(ours.validation["val_loss"][:2], theirs.validation["val_loss"][:2])
    assert torch.isnan(beside[1].validation["val_loss"][2])


def refusing(output: Tensor, target: Tensor) -> float:
    """A metric that raises at what is not finite, as those of scikit-learn do."""
    if not bool(torch.isfinite(output).all()):
        raise ValueError("Input contains NaN")
    return float((output.argmax(1) == target).double().mean())


def test_a_metric_may_raise_at_every_lane_that_is_not_finite() -> None:
    subject = problem(
        val=data(), metrics={"accuracy": refusing}, loss=lambda o, t: (o - t[:, None]).pow(4).mean()
    )
    steps = run_through(subject, (1e25, 1e26))
    assert torch.isfinite(steps[0].validation["accuracy"]).all()
    assert torch.isnan(steps[5].validation["accuracy"]).all()


def test_validation_that_raises_for_no_lanes_fault_ends_the_run() -> None:
    calls = {"n": 0}

    def metric(output: Tensor, target: Tensor) -> float:
        calls["n"] += 1
        if calls["n"] > 3:
            raise RuntimeError("the disk with the labels is gone")
        return 0.0

    with undisturbed(), pytest.raises(TrainingError, match="validation raised RuntimeError: the disk with"):
        list(prepare(problem(val=data(), metrics={"m": metric}), (1e-3, 1e-2), 1).steps())


def test_an_error_that_is_no_lanes_fault_ends_the_run() -> None:
    calls = {"n": 0}

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        calls["n"] += 1
        if calls["n"] > 20:
            raise RuntimeError("the disk with the data is gone")
        return F.cross_entropy(model(batch[0]), batch[1])

    with undisturbed(), pytest.raises(TrainingError, match="the disk with the data is gone"):
        list(prepare(problem(loss=None, step=step), (1e-3, 1e-2), 1).steps())


def test_training_ends_when_no_lane_is_finite() -> None:
    steps = run_through(problem(loss=lambda o, t: (o - t[:, None]).pow(4).mean(), epochs=200), (1e25, 1e26))
    assert 1 < len(steps) < 200
    assert not torch.isfinite(steps[-1].losses).any()


class Shuffled(Dataset[tuple[Tensor, Tensor]]):
    """A dataset that augments with every global generator."""

    def __init__(self) -> None:
        self.X, self.y = data()

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(5) + random.random() + float(np.random.rand())
        return self.X[index] + 0.01 * noise, self.y[index]


def loaders() -> Iterator[object]:
    yield data()
    yield TensorDataset(*data())
    yield Shuffled()
    yield DataLoader(Shuffled(), batch_size=8, shuffle=True)
    yield DataLoader(
        TensorDataset(*data()), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(1)
    )


@pytest.mark.parametrize(
    "train", list(loaders()), ids=["tensors", "dataset", "augmenting", "loader", "generator"]
)
@pytest.mark.parametrize("raises", [False, True])
def test_the_users_state_is_as_before(train: object, raises: bool) -> None:
    made = mlp()
    weights = copy.deepcopy(made.state_dict())
    kept = copy.deepcopy(data())
    subject = problem(model=lambda: made, train=train, val=train, optimizer=torch.optim.Adam)
    before = RandomState.now()
    generator = getattr(train, "generator", None)
    generator_state = None if generator is None else generator.get_state()

    def go() -> None:
        with undisturbed(subject.train, subject.val):
            for step in prepare(subject, (1e-3, 1e-1), 2).steps():
                if raises and step.index == 3:
                    raise KeyboardInterrupt

    if raises:
        with pytest.raises(KeyboardInterrupt):
            go()
    else:
        go()
    assert not RandomState.now().differs_from(before)
    assert made.training
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, weights[name])
    assert all(parameter.grad is None for parameter in made.parameters())
    if isinstance(train, tuple):
        assert all(torch.equal(a, b) for a, b in zip(train, kept, strict=True))
    if generator is not None:
        assert torch.equal(generator.get_state(), generator_state)


@pytest.mark.parametrize(
    "train", list(loaders()), ids=["tensors", "dataset", "augmenting", "loader", "generator"]
)
def test_all_rates_see_the_same_start_and_batches(train: object) -> None:
    seen: list[Tensor] = []

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        if not torch._C._functorch.is_batchedtensor(batch[0]):
            seen.append(batch[0].clone())
        # .item() forces lane after lane, so that every lane's own call is seen.
        batch[0].sum().item()
        loss = F.cross_entropy(model(batch[0]), batch[1])
        return loss if loss.item() > -1 else -loss

    subject = problem(loss=None, step=step, train=train, epochs=2)
    with undisturbed(subject.train):
        run = prepare(subject, (1e-3, 1e-2, 1e-1), 2)
        assert "one after another" in run.how
        seen.clear()
        first = None
        for point in run.steps():
            if first is None:
                first = {name: tensor.clone() for name, tensor in point.weights.items()}
    for tensor in first.values():
        for seed in (0, 1):
            lanes = [key.lane for key in run.plan.lanes if key.seed == seed]
            assert all(torch.equal(tensor[lane], tensor[lanes[0]]) for lane in lanes)
    weight = first["0.weight"]
    assert not torch.equal(weight[0], weight[3])
    lanes = len(run.plan.lanes)
    assert len(seen) == run.plan.steps * lanes
    for at in range(0, len(seen), lanes):
        for seed in range(2):
            ours = seen[at + 3 * seed : at + 3 * seed + 3]
            assert all(torch.equal(batch, ours[0]) for batch in ours)
    shared = isinstance(train, DataLoader)
    assert torch.equal(seen[0], seen[3]) == shared


def test_batches_of_tensors_follow_the_documented_order() -> None:
    X = torch.arange(10.0).unsqueeze(1)
    seen: list[list[float]] = []

    def step(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        seen.append(batch[0].flatten().tolist())
        loss = model(batch[0]).square().mean()
        return loss if loss.item() > -1 else -loss

    subject = problem(loss=None, step=step, train=(X,), model=lambda: nn.Linear(1, 1), batch_size=4, epochs=2)
    with undisturbed():
        run = prepare(subject, (1e-3,), 1)
        seen.clear()
        list(run.steps())
    generator = torch.Generator().manual_seed(0)
    expected = [
        X[index].flatten().tolist()
        for _ in range(2)
        for index in torch.randperm(10, generator=generator).split(4)
    ]
    assert seen == expected


def test_sweeping_inside_no_grad_and_inference_mode_works() -> None:
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            steps = run_through(problem(), (1e-1, 1e-2))
        assert steps[-2].losses[0] < steps[0].losses[0]
