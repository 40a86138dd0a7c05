"""Nothing of the user's is changed, and all rates of a seed see the same start and batches."""

import copy
import itertools
import random

import numpy as np
import pytest
import torch
from runs import trained
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import lrscope
from lrscope.executors.block_runner import BlockRunner
from lrscope.training.prepare import prepare
from lrscope.training.random_state import RandomState, undisturbed


def data(n: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 5, generator=generator), torch.randint(0, 2, (n,), generator=generator)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))


def problem(**changes: object) -> lrscope.Problem:
    fields: dict[str, object] = {
        "name": "small",
        "model": mlp,
        "train": data(),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD,
        "batch_size": 8,
        "epochs": 6,
    }
    return lrscope.Problem(**{**fields, **changes})  # type: ignore[arg-type]


class Augmented(Dataset[tuple[Tensor, Tensor]]):
    """A dataset that augments with every global generator."""

    def __init__(self) -> None:
        self.X, self.y = data()

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(5) + random.random() + float(np.random.rand())
        return self.X[index] + 0.01 * noise, self.y[index]


DATA = {
    "tensors": data,
    "dataset": lambda: TensorDataset(*data()),
    "augmenting": Augmented,
    "loader": lambda: DataLoader(Augmented(), batch_size=8, shuffle=True),
    "generator": lambda: DataLoader(
        TensorDataset(*data()), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(1)
    ),
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("interrupted", [False, True])
def test_the_users_state_is_as_before(kind: str, interrupted: bool) -> None:
    train, made = DATA[kind](), mlp()
    weights, kept = copy.deepcopy(made.state_dict()), copy.deepcopy(data())
    calls = itertools.count()

    def metric(output: Tensor, target: Tensor) -> float:
        if interrupted and next(calls) == 20:
            raise KeyboardInterrupt
        return float(np.random.rand())

    subject = problem(
        model=lambda: made, train=train, val=train, optimizer=torch.optim.Adam, metrics={"m": metric}
    )
    before, threads = RandomState.now(), torch.get_num_threads()
    generator = getattr(train, "generator", None)
    generator_state = None if generator is None else generator.get_state()
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            lrscope.sweep(subject, (1e-3, 1e-1), seeds=2, record="losses")
    else:
        lrscope.sweep(subject, (1e-3, 1e-1), seeds=2, record="light")
    assert not RandomState.now().differs_from(before)
    assert torch.get_num_threads() == threads
    assert made.training
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, weights[name])
    assert all(parameter.grad is None for parameter in made.parameters())
    if isinstance(train, tuple):
        assert all(torch.equal(a, b) for a, b in zip(train, kept, strict=True))
    if generator is not None:
        assert torch.equal(generator.get_state(), generator_state)


@pytest.mark.parametrize("kind", DATA)
def test_all_rates_see_the_same_start_and_batches(kind: str) -> None:
    seen: list[Tensor] = []

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        if not torch._C._functorch.is_batchedtensor(batch[0]):
            seen.append(batch[0].clone())
        # Cannot be vectorised, so that every lane's own call is seen.
        loss = F.cross_entropy(model(batch[0]), batch[1])
        return loss if loss.item() > -1 else -loss

    subject = problem(loss=None, step=step, train=DATA[kind](), epochs=2)
    batches: dict[tuple[int, int], list[Tensor]] = {}
    starts: dict[tuple[int, int], Tensor] = {}
    with undisturbed(subject.train):
        prepared = prepare(subject, (1e-3, 1e-2, 1e-1), 2, record="losses")
        for block in prepared.blocks(prepared.plan.lanes):
            runner = BlockRunner(prepared, block, prepared.plan)
            first = runner.weights()
            seen.clear()
            list(runner.advance(prepared.plan.steps))
            count = len(block.keys)
            for row, key in enumerate(block.keys):
                batches[key.seed, key.lane % 3] = seen[row::count]
                starts[key.seed, key.lane % 3] = first[key.lane]["0.weight"]
    assert {len(own) for own in batches.values()} == {prepared.plan.steps}
    for seed, lane in batches:
        assert torch.equal(starts[seed, lane], starts[seed, 0])
        assert all(map(torch.equal, batches[seed, lane], batches[seed, 0]))
    assert not torch.equal(starts[0, 0], starts[1, 0])
    # The order of a loader is the user's.
    assert torch.equal(batches[0, 0][0], batches[1, 0][0]) == isinstance(subject.train, DataLoader)


def test_batches_of_tensors_follow_the_documented_order() -> None:
    X = torch.arange(10.0).unsqueeze(1)
    seen: list[list[float]] = []

    def step(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        seen.append(batch[0].flatten().tolist())
        loss = model(batch[0]).square().mean()
        return loss if loss.item() > -1 else -loss

    subject = problem(loss=None, step=step, train=(X,), model=lambda: nn.Linear(1, 1), batch_size=4, epochs=2)
    trained(subject, (1e-3,), record="losses")
    generator = torch.Generator().manual_seed(0)
    expected = [
        X[index].flatten().tolist()
        for _ in range(2)
        for index in torch.randperm(10, generator=generator).split(4)
    ]
    assert seen[-len(expected) :] == expected


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_sweeping_inside_no_grad_and_inference_mode_works(mode: type) -> None:
    with mode():
        losses = trained(problem(), (1e-1, 1e-2), record="losses").of("loss")
    assert losses[-1, 0] < losses[0, 0]
