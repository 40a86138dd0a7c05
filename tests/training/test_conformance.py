"""Every lane equals the same optimizer run alone: one table of models, one of optimizers, two ways to run."""

import copy
import functools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

from lrscope.executors import InProcess, Processes
from lrscope.executors.block_runner import BlockRunner
from lrscope.executors.executor import Training, train
from lrscope.problems.problem import Problem
from lrscope.record import Record
from lrscope.training.prepare import Prepared, prepare
from lrscope.training.random_state import undisturbed

STEPS = 20
RATES = (1e-4, 1e-3, 1e-2)
RELATIVE = 1e-12


class Tied(nn.Module):
    """An autoencoder whose decoder is the encoder's transpose, and one tensor under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(6, 6)
        self.decoder = nn.Linear(6, 3)
        self.again = self.encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(torch.tanh(self.again(torch.tanh(self.encoder(x)))))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 5, batch_first=True)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.gru(x.view(len(x), 2, 3))[0][:, -1])


class Attention(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(6, 2, 12, dropout=dropout, batch_first=True)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(torch.stack([x, x.flip(1), x * 0.5], dim=1)).mean(1))


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.out = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.table((x.abs() * 3).long().clamp(max=9)).flatten(1))


class Unused(nn.Module):
    """A parameter the loss does not depend on: its optimizer must leave it alone."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(6, 3)
        self.spare = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


class Scaled(nn.Module):
    """A parameter that is a single number, without dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.temperature = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.temperature


class Branching(nn.Module):
    """Control flow that depends on the data: cannot be vectorised."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 3)
        self.b = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        return h if h.sum() > 0 else h + self.b(x)


class Rebinding(nn.Module):
    """A buffer that is replaced in forward, which a functional call would lose silently."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("average", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        self.average = 0.9 * self.average + 0.1 * h.detach().mean(0)
        return h - self.average


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    model[0].weight.requires_grad_(False)
    return model


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)),
    "batchnorm": lambda: nn.Sequential(
        nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)
    ),
    "layernorm": lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)),
    "dropout": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)),
    "tied": Tied,
    "frozen": frozen,
    "unused": Unused,
    "embedding": Embedded,
    "scaled": Scaled,
    "gru": Recurrent,
    "transformer": Attention,
    "transformer-dropout": functools.partial(Attention, dropout=0.2),
    "conv": convolution,
    "branching": Branching,
    "rebinding": Rebinding,
}
LANE_AFTER_LANE = {"branching", "rebinding", "transformer-dropout"}

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "nesterov": functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "weight-decay": functools.partial(torch.optim.SGD, momentum=0.9, weight_decay=0.1),
    "adam": torch.optim.Adam,
    "amsgrad": functools.partial(torch.optim.Adam, amsgrad=True, weight_decay=0.1),
    "adamw": functools.partial(torch.optim.AdamW, weight_decay=0.1),
    "rmsprop": torch.optim.RMSprop,
    "nadam": torch.optim.NAdam,
    "adagrad": torch.optim.Adagrad,
    "adamax": torch.optim.Adamax,
    "asgd": torch.optim.ASGD,
}


@pytest.fixture(autouse=True)
def float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("lrscope.training.capture.WORTH_CALLS", 0)  # these runs are short
    torch.set_default_dtype(torch.float64)
    with undisturbed():
        yield
    torch.set_default_dtype(torch.float32)


def make_problem(model: str = "mlp", optimizer: str = "sgd", **changes: object) -> Problem:
    generator = torch.Generator().manual_seed(7)
    X = torch.randn(90, 6, generator=generator)
    y = torch.randint(0, 3, (90,), generator=generator)
    fields: dict[str, object] = {
        "name": f"{model}-{optimizer}",
        "model": MODELS[model],
        "train": (X, y),
        "val": (X[:30], y[:30]),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": OPTIMIZERS[optimizer],
        "batch_size": 16,
        "epochs": 9,
    }
    return Problem(**{**fields, **changes})  # type: ignore[arg-type]


def alone(
    problem: Problem, rate: float, seed: int, steps: int = STEPS
) -> tuple[list[float], nn.Module, list[float]]:
    """The loop a user writes: losses of the first steps, the model after them, validation losses by epoch."""
    torch.manual_seed(seed)
    model = problem.model()
    optimizer = problem.optimizer(list(model.parameters()), lr=rate)
    scheduler = problem.schedule(optimizer) if problem.schedule else None
    X, y = problem.train
    g = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    val_losses: list[float] = []

    def validate() -> None:
        modes = {m: m.training for m in model.modules()}
        model.eval()
        with torch.no_grad():
            val_losses.append(float(problem.loss(model(problem.val[0]), problem.val[1])))
        for m, training in modes.items():
            m.training = training

    for _ in range(problem.epochs):
        validate()
        for index in torch.randperm(len(X), generator=g).split(problem.batch_size):
            if len(losses) == steps:
                return losses, model, val_losses
            if problem.step is not None:
                loss = problem.step(model, (X[index], y[index]))
            else:
                loss = problem.loss(model(X[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            if problem.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), problem.clip_norm)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            losses.append(loss.item())
    assert len(losses) >= steps, "the run is shorter than what is compared"
    return losses, model, val_losses


def in_lanes(prepared: Prepared, processes: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Losses [STEPS, L], weights after them [L, ...], validation losses [epochs, L]."""
    plan = prepared.plan
    executor = Processes(prepared, plan, processes) if processes > 1 else InProcess(prepared, plan)
    trainings = [Training(executor, block) for block in prepared.blocks(plan.lanes)]
    losses = torch.full((STEPS, len(plan.lanes)), torch.nan)
    found: dict[int, list[Tensor]] = {}
    weights: dict[str, Tensor] = {}
    try:
        for training, record in train(executor, [(one, STEPS) for one in trainings]):
            if record is None:
                state = training.checkpoint().state["lanes"]
                for row, lane in enumerate(state["lanes"]):
                    for name, stack in state["weights"].items():
                        weights.setdefault(f"{lane} {name}", stack[row])
            elif isinstance(record, Record) and record.quantity == "loss":
                losses[np.ix_(record.steps, record.lanes)] = torch.from_numpy(record.values)
            elif isinstance(record, Record) and record.quantity == "val_loss":
                for column, lane in enumerate(record.lanes.tolist()):
                    found.setdefault(lane, []).append(torch.from_numpy(record.values[:, column]))
    finally:
        executor.close()
    columns = [torch.cat(found[lane]) for lane in range(len(plan.lanes))] if found else [torch.empty(0)]
    val_losses = torch.stack(columns, dim=1)
    return losses, weights, val_losses


def check_every_lane(
    problem: Problem, *, seeds: int = 1, together: bool, per_block: int | None = None, processes: int = 1
) -> None:
    """The comparison itself."""
    before = torch.get_rng_state()
    prepared = prepare(problem, RATES, seeds, lanes_per_block=per_block, record="losses")
    if processes > 1:
        of_two = -(-len(RATES) // 2) if per_block is None else per_block
        prepared.limits = prepared.limits._replace(asked=of_two)
    sizes = {block.lanes_per_call for block in prepared.blocks(prepared.plan.lanes)}
    assert (max(sizes) > 1) == together, sizes
    losses, weights, val_losses = in_lanes(prepared, processes)
    torch.set_rng_state(before)
    for key in prepared.plan.lanes:
        own_losses, model, own_val = alone(problem, key.rate, key.seed)
        torch.testing.assert_close(losses[:, key.lane], torch.tensor(own_losses), rtol=RELATIVE, atol=0)
        torch.testing.assert_close(
            val_losses[: len(own_val), key.lane], torch.tensor(own_val), rtol=RELATIVE, atol=0
        )
        for name, parameter in model.named_parameters():
            own = weights[f"{key.lane} {name}"]
            torch.testing.assert_close(own, parameter.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(optimizer: str) -> None:
    check_every_lane(make_problem("mlp", optimizer), together=True)


@pytest.mark.parametrize("model", MODELS)
def test_every_model(model: str) -> None:
    check_every_lane(make_problem(model, "adam"), together=model not in LANE_AFTER_LANE)


@pytest.mark.parametrize("model", ["mlp", "dropout", "batchnorm", "branching"])
def test_several_seeds_have_their_own_start_batches_and_masks(model: str) -> None:
    problem = make_problem(model, "adam")
    check_every_lane(problem, seeds=3, together=model not in LANE_AFTER_LANE)


@pytest.mark.parametrize(
    ("model", "per_block"),
    [("mlp", 1), ("mlp", 2), ("batchnorm", 1), ("dropout", 1), ("dropout", 2), ("tied", 2), ("gru", 1)],
)
def test_every_model_in_blocks_and_one_after_another(model: str, per_block: int) -> None:
    check_every_lane(make_problem(model, "adam"), together=per_block > 1, per_block=per_block)


@pytest.mark.parametrize("model", ["dropout", "branching"])
def test_seeds_and_masks_in_processes(model: str) -> None:
    problem = make_problem(model, "momentum")
    check_every_lane(problem, seeds=3, together=model not in LANE_AFTER_LANE, processes=2)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adamw", "rmsprop", "asgd"])
@pytest.mark.parametrize("per_block", [1, 2])
def test_optimizers_with_clipping_in_blocks(optimizer: str, per_block: int) -> None:
    problem = make_problem("mlp", optimizer, clip_norm=0.05)
    check_every_lane(problem, together=per_block > 1, per_block=per_block)


@pytest.mark.parametrize("model", ["mlp", "dropout"])
@pytest.mark.parametrize("per_block", [1, 2, 4])
def test_several_seeds_in_blocks(model: str, per_block: int) -> None:
    """Blocks of four: for the first model they hold lanes of two seeds; dropout makes blocks of a seed."""
    check_every_lane(make_problem(model, "adam"), seeds=3, together=per_block > 1, per_block=per_block)


SCHEDULES = {
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS),
    "onecycle": lambda optimizer: lr_scheduler.OneCycleLR(
        optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=200
    ),
    "warmup": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda t: min(1.0, (t + 1) / 20)),
    "steps": lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=10),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["nesterov", "adamw"])
def test_every_schedule(schedule: str, optimizer: str) -> None:
    problem = make_problem("mlp", optimizer, schedule=SCHEDULES[schedule])
    check_every_lane(problem, together=True)


@pytest.mark.parametrize("model", ["mlp", "gru", "scaled", "branching"])
def test_each_lane_is_clipped_by_itself(model: str) -> None:
    problem = make_problem(model, "momentum", clip_norm=0.05)
    check_every_lane(problem, together=model not in LANE_AFTER_LANE)


@pytest.mark.parametrize("model", ["mlp", "batchnorm", "dropout"])
def test_a_step_function_equals_a_loss(model: str) -> None:
    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        # A penalty over the parameters: the stacked ones must be seen, not the template's.
        penalty = sum(p.square().sum() for p in model.parameters())
        return F.cross_entropy(model(batch[0]), batch[1]) + 1e-3 * penalty

    problem = make_problem(model, "adam", loss=None, step=step, val=None)
    prepared = prepare(problem, RATES, 1)
    losses, _, _ = in_lanes(prepared, 1)
    for key in prepared.plan.lanes:
        reference = copy.copy(problem)
        object.__setattr__(reference, "loss", nn.CrossEntropyLoss())
        object.__setattr__(reference, "val", (problem.train[0][:8], problem.train[1][:8]))
        own_losses, _, _ = alone(reference, key.rate, key.seed)
        torch.testing.assert_close(losses[:, key.lane], torch.tensor(own_losses), rtol=RELATIVE, atol=0)


def test_running_statistics_are_each_lanes_own() -> None:
    problem = make_problem("batchnorm", "momentum")
    prepared = prepare(problem, RATES, 1)
    (block,) = prepared.blocks(prepared.plan.lanes)
    runner = BlockRunner(prepared, block, prepared.plan)
    assert list(runner.advance(prepared.plan.steps))
    lanes = runner.checkpoint().state["lanes"]
    for key in prepared.plan.lanes:
        _, model, _ = alone(problem, key.rate, key.seed, prepared.plan.steps)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(lanes["buffers"][name][key.lane], buffer, rtol=1e-10, atol=1e-12)
