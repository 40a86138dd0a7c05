"""Kinds of use that are equal to a plain loop, or refused in one clear line."""

from collections import UserDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import lrscope

RATES = (1e-3, 1e-1)
X = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(1)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def problem(**fields: Any) -> lrscope.Problem:
    own = {"name": "m", "model": mlp, "train": (X, Y), "loss": nn.CrossEntropyLoss(), "batch_size": 16}
    if "step" in fields:
        del own["loss"]
    return lrscope.Problem(**{**own, "epochs": 3, "optimizer": torch.optim.SGD, **fields})


def losses(study: lrscope.Study, rate: float) -> list[float]:
    return study.scalars("loss").filter(rate=rate)["value"].to_list()


def check_equal(make: Callable[[], lrscope.Problem]) -> None:
    """Compare every lane with the loop that a user writes."""
    with lrscope.sweep(make(), RATES) as study:
        for rate in RATES:
            own = make()
            torch.manual_seed(0)
            model = own.model().train()
            optimizer = own.optimizer(list(model.parameters()), lr=rate)
            order, found = torch.Generator().manual_seed(0), []
            for _ in range(own.epochs):
                batches = own.train
                if isinstance(own.train, tuple):
                    pieces = torch.randperm(len(X), generator=order).split(own.batch_size)
                    batches = [tuple(part[i] for part in own.train) for i in pieces]
                for batch in batches:
                    optimizer.zero_grad()
                    loss = own.step(model, batch) if own.step else own.loss(model(batch[0]), batch[1])
                    found.append(float(loss.detach()))
                    loss.backward()
                    optimizer.step()
            assert losses(study, rate) == pytest.approx(found, rel=1e-4)


def shuffled() -> DataLoader[Any]:
    own = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True, generator=own)


def masked(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """A loss over the labelled examples only: the size of what it sees depends on values."""
    known = batch[1] > 0
    return F.cross_entropy(model(batch[0])[known], batch[1][known])


EQUAL: dict[str, Callable[[], lrscope.Problem]] = {
    "a model made in eval mode": lambda: problem(
        model=lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).eval()
    ),
    "a shuffled DataLoader, every epoch": lambda: problem(train=shuffled()),
    "a size that depends on values": lambda: problem(step=masked),
}


@pytest.mark.parametrize("kind", EQUAL)
def test_a_lane_is_the_run_alone(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrscope.training.capture.WORTH_CALLS", 0)
    monkeypatch.setattr("lrscope.training.capture.CALLS_BEFORE", 2)
    check_equal(EQUAL[kind])


class Ragged(Dataset[Any]):
    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.zeros(3 + index % 4, 6), index % 3


class Broken(Ragged):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        raise OSError("no such image")


class NoLabel(Ragged):
    def __getitem__(self, index: int) -> tuple[Tensor, None]:
        return X[index], None


def one_cycle(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
    return lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=5)


REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "items of several lengths": ({"train": Ragged()}, ("train=", "collate_fn")),
    "an item that raises": ({"train": Broken()}, ("train=", "item", "OSError")),
    "an item with None": ({"train": DataLoader(NoLabel(), batch_size=8)}, ("train=", "NoneType")),
    "validation that raises": ({"val": Broken()}, ("val=", "item 0")),
    "a schedule that ends too soon": ({"schedule": one_cycle}, ("schedule=", "OneCycleLR", "18")),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_fault_is_told_in_one_line(kind: str) -> None:
    fields, words = REFUSED[kind]
    with pytest.raises(lrscope.LrscopeError) as caught:
        lrscope.sweep(problem(**fields), RATES)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_a_schedule_meant_for_epochs_is_told() -> None:
    per_epoch = problem(schedule=lambda optimizer: lr_scheduler.StepLR(optimizer, 1, 0.2))
    with lrscope.sweep(per_epoch, RATES) as study:
        assert any("schedule" in note for note in study.note("notes"))
    with lrscope.sweep(problem(), RATES, schedule="cosine") as study:
        assert not any("schedule" in note for note in study.note("notes"))


class Endless(IterableDataset[Any]):
    def __len__(self) -> int:
        return 32

    def __iter__(self):
        while True:
            yield X[0], Y[0]


@pytest.mark.timeout(60)
def test_a_stream_without_end_is_cut_at_its_length() -> None:
    def stream() -> DataLoader[Any]:
        return DataLoader(Endless(), batch_size=8)

    with lrscope.sweep(problem(train=stream(), val=stream()), RATES) as study:
        assert study.scalars("loss")["step"].max() == 3 * 4 - 1


class Noisy(nn.Linear):
    """Draws random numbers in eval mode, and cannot be vectorised."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.sum().item() == x.sum().item()
        return super().forward(x + torch.randn_like(x))


def test_lanes_draw_the_same_numbers_in_validation() -> None:
    noisy = problem(model=lambda: Noisy(6, 3), val=(X, Y))
    with lrscope.sweep(noisy, (1e-9, 2e-9), seeds=2) as study:
        start = study.scalars("val_loss").filter(step=0)
        of_seed = start.group_by("seed").agg("value")
        assert all(len(set(values)) == 1 for values in of_seed["value"].to_list())


def test_sizes_of_batches_of_any_mapping_are_seen() -> None:
    def collate(items: list[Any]) -> UserDict[str, Tensor]:
        xs, ys = zip(*items, strict=True)
        return UserDict(x=torch.stack(xs), y=torch.stack(ys))

    loader = DataLoader(TensorDataset(X, Y), batch_size=64, collate_fn=collate)
    mapped = problem(step=lambda m, b: F.cross_entropy(m(b["x"]), b["y"]), train=loader, val=loader)
    with lrscope.sweep(mapped, RATES) as study:
        torch.manual_seed(0)
        with torch.no_grad():
            expected = float(F.cross_entropy(mlp()(X), Y))
        first = study.scalars("val_loss").filter(step=0)["value"].to_list()
        assert first == pytest.approx([expected] * 2, rel=1e-5)
