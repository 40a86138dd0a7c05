"""A captured call is bitwise the ordinary one, or it is not used."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from runs import trained
from torch import Tensor, nn
from torch.nn import functional as F

from lrscope.problems.problem import Problem
from lrscope.training import capture
from lrscope.training.capture import Captured, stateless
from lrscope.training.random_state import undisturbed

COUNTER = {"calls": 0}
TOTAL = 0


@pytest.fixture(autouse=True)
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(capture, "WORTH_CALLS", 0)  # these runs are short
    with undisturbed():
        yield


def losses(
    model: object, monkeypatch: pytest.MonkeyPatch, calls_before: int, **changes: object
) -> np.ndarray:
    """Losses of a short run that captures after so many ordinary calls."""
    monkeypatch.setattr(capture, "CALLS_BEFORE", calls_before)
    generator = torch.Generator().manual_seed(2)
    fields: dict[str, object] = {
        "name": "captured",
        "model": model,
        "train": (torch.randn(40, 6, generator=generator), torch.randint(0, 3, (40,), generator=generator)),
        "loss": nn.CrossEntropyLoss(),
        "batch_size": 16,
        "epochs": 5,
    }
    run = trained(Problem(**{**fields, **changes}), (1e-3, 1e-1), record="losses")  # type: ignore[arg-type]
    assert run.prepared.layout.lanes_per_call == 2
    return run.of("loss")


MODELS = {
    "mlp": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)),
    "batchnorm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
    "dropout": lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3)),
}


@pytest.mark.parametrize("model", MODELS)
def test_captured_training_is_bitwise_ordinary_training(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replays = []
    original = Captured.__call__

    def spied(self: Captured, *arguments: object) -> object:
        result = original(self, *arguments)
        replays.append((len(self._written.lists), self.dropped))
        return result

    monkeypatch.setattr(Captured, "__call__", spied)
    ordinary = losses(MODELS[model], monkeypatch, 10_000)
    assert replays[-1] == (0, "")
    captured = losses(MODELS[model], monkeypatch, 2)
    assert replays[-1] == (2, ""), "both shapes of batch are captured"
    assert np.array_equal(ordinary, captured)


def test_a_call_that_is_not_the_same_again_is_dropped() -> None:
    """A vectorised call with hidden state, which nothing but the comparison can find out."""
    hidden = {"calls": 0}

    def call(
        trained: dict[str, Tensor], constants: dict[str, Tensor], batch: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        hidden["calls"] += 1
        return {"w": trained["w"] * hidden["calls"]}, trained["w"].sum(1)

    captured = Captured(call)
    for _ in range(capture.CALLS_BEFORE + 1):
        gradients, _ = captured({"w": torch.ones(2, 3)}, {}, torch.ones(4))
    assert captured.dropped == "captured and ordinary steps differ at once"
    before = hidden["calls"]
    gradients, _ = captured({"w": torch.ones(2, 3)}, {}, torch.ones(4))
    assert gradients["w"][0, 0] == before + 1


def test_a_later_difference_drops_the_capture() -> None:
    slow = {"calls": 0}

    def call(
        trained: dict[str, Tensor], constants: dict[str, Tensor], batch: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        slow["calls"] += 1
        factor = 2.0 if slow["calls"] > capture.CALLS_BEFORE + 2 else 1.0
        return {"w": trained["w"] * factor}, trained["w"].sum(1)

    captured = Captured(call)
    for _ in range(capture.CALLS_BEFORE + 1):
        captured({"w": torch.ones(2, 3)}, {}, torch.ones(4))
    assert not captured.dropped
    gradients, _ = captured({"w": torch.ones(2, 3)}, {}, torch.ones(4))
    assert captured.dropped == "captured and ordinary steps differ at call 2"
    assert gradients["w"][0, 0] == 2.0


def counts_globally(output: Tensor, target: Tensor) -> Tensor:
    global TOTAL
    TOTAL += 1
    return F.cross_entropy(output, target)


def counts_in_a_dict(output: Tensor, target: Tensor) -> Tensor:
    COUNTER["calls"] += 1
    return F.cross_entropy(output, target)


def draws_in_python(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target) * random.random()


def calls_another(output: Tensor, target: Tensor) -> Tensor:
    return counts_in_a_dict(output, target)


def plain(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target) + 0.1 * output.square().mean()


def with_a_counter() -> object:
    calls = 0

    def loss(output: Tensor, target: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return F.cross_entropy(output, target)

    return loss


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.layer(x)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x))


def hooked() -> nn.Module:
    model = Plain()
    model.layer.register_forward_hook(lambda module, inputs, output: output * 2)
    return model


@pytest.mark.parametrize(
    ("model", "loss", "expected"),
    [
        (Plain(), nn.CrossEntropyLoss(), True),
        (Plain(), F.cross_entropy, True),
        (Plain(), plain, True),
        (Plain(), lambda output, target: F.mse_loss(output, target), True),
        (Plain(), counts_globally, False),
        (Plain(), counts_in_a_dict, False),
        (Plain(), calls_another, False),
        (Plain(), draws_in_python, False),
        (Plain(), with_a_counter(), False),
        (Remembering(), nn.CrossEntropyLoss(), False),
        (hooked(), nn.CrossEntropyLoss(), False),
    ],
)
def test_python_with_a_state_of_its_own_is_seen(model: nn.Module, loss: object, expected: bool) -> None:
    assert stateless(model, loss, None) is expected


def test_a_stateful_model_is_not_captured_and_trains_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a stateful model was captured")

    monkeypatch.setattr(Captured, "__call__", refuse)
    result = losses(Remembering, monkeypatch, 2)
    assert result.shape == (15, 2)
    assert np.isfinite(result).all()


def test_a_step_that_is_captured_no_longer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among the notes of the run, once, and with what it means."""
    monkeypatch.setattr(capture, "CALLS_BEFORE", 2)
    monkeypatch.setattr(Captured, "_equal", lambda *_: False)
    generator = torch.Generator().manual_seed(2)
    problem = Problem(
        name="told",
        model=MODELS["mlp"],
        train=(torch.randn(40, 6, generator=generator), torch.randint(0, 3, (40,), generator=generator)),
        loss=nn.CrossEntropyLoss(),
        batch_size=16,
        epochs=4,
    )
    assert trained(problem, (1e-3, 1e-1), record="losses").notes == [
        "steps are no longer captured, and slower: captured and ordinary steps differ at once"
    ]


def test_a_step_is_captured_only_where_enough_calls_are_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    real = Captured._write_down
    monkeypatch.setattr(Captured, "_write_down", lambda *some: written.append(1) or real(*some))
    for worth, count in ((15, 2), (16, 0)):  # of 15 steps, in batches of two shapes
        written.clear()
        monkeypatch.setattr(capture, "WORTH_CALLS", worth)
        losses(MODELS["mlp"], monkeypatch, 2)
        assert len(written) == count
