"""Freezing: bfloat16 and float32 weights whose updates rounding swallows.

Truth: the elements that each update left bitwise unchanged though their gradient was not zero, counted at
every step of the last quarter by an ordinary training loop, one lane at a time, that knows nothing of
lrscope. A lane is frozen where the median count is 9 of 10 or more, and its loss is not yet that of the best
lane. Within 5 percentage points of 9 of 10 it is called neither.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lrscope

from .judged import Judged, Truth, judged

STEPS = 160
SHARE, DOUBT = 0.9, 0.05
CONVERGED = 0.01

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "Adam": torch.optim.Adam,
}


class Weights(nn.Module):
    """A tensor of weights; with an input, the answers of a linear model."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.clone())


def bowl(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The mean of curvature times squared distance: its gradient is elementwise, the same in any order."""
    curvature, target = batch
    return (curvature * (model.weight - target).float().square()).mean()


class Count(NamedTuple):
    """What an ordinary loop counts."""

    share: float
    first: float
    end: float


def count(problem: lrscope.Problem, rate: float, seed: int) -> Count:
    """Train one lane by itself and count the elements that did not move."""
    torch.manual_seed(seed)
    model: Any = problem.model()
    params = list(model.parameters())
    optimizer = problem.optimizer(params, lr=rate)
    losses, shares = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = problem.step(model, problem.train)
        loss.backward()
        before = [p.detach().clone() for p in params]
        optimizer.step()
        losses.append(float(loss.detach()))
        if step >= 3 * STEPS // 4:
            moving = [p.grad != 0 for p in params]
            stayed = [(p == b) & m for p, b, m in zip(params, before, moving, strict=True)]
            shares.append(sum(int(s.sum()) for s in stayed) / max(sum(int(m.sum()) for m in moving), 1))
    return Count(float(np.median(shares)), losses[0], losses[-1])


def freezing(amount: float) -> Iterator[Judged]:
    """Bowls and a small network: 2 dtypes, 3 optimizers, 14 rates, several starts each; 756 lanes times
    `amount`."""
    for number, dtype in itertools.product(range(math.ceil(9 * amount)), (torch.bfloat16, torch.float32)):
        for name, optimizer in OPTIMIZERS.items():
            network = number % 3 == 2
            problem = _network(optimizer, dtype, number) if network else _bowl(optimizer, dtype, number)
            rates = _rates(name, dtype, network)
            about = f"{'network' if network else 'bowl'} {number}, {name}, {dtype},"
            counts = [count(problem, rate, 0) for rate in rates]
            yield from judged(lrscope.sweep(problem, rates), _truths(counts, about))


def _truths(counts: list[Count], about: str) -> list[Truth]:
    begin = counts[0].first
    best = min(one.end for one in counts if math.isfinite(one.end))
    truths = []
    for one in counts:
        missing = (one.end - best) / (begin - best)
        doubtful = abs(one.share - SHARE) < DOUBT or CONVERGED / 2 < missing < 2 * CONVERGED
        stands = one.share >= SHARE and missing > CONVERGED
        if not math.isfinite(one.end):
            kind = "diverged"
        elif doubtful or one.end > begin:
            kind = "between"
        else:
            kind = "frozen" if stands else "moving"
        truths.append(Truth(kind, about=f"{about} unchanged {one.share:.3f},"))
    return truths


def _rates(optimizer: str, dtype: torch.dtype, network: bool) -> list[float]:
    """From updates far below the spacing of the dtype's numbers up to rates that learn."""
    low = -6.5 if dtype is torch.bfloat16 else -11.0
    high = -1.0 if optimizer == "Adam" else 0.5
    shift = 0.5 if network and optimizer != "Adam" else 0.0
    return [10 ** (power + shift) for power in np.linspace(low, high, 14)]


def _bowl(optimizer: Callable[..., Any], dtype: torch.dtype, number: int) -> lrscope.Problem:
    rng = np.random.default_rng(number)
    start = torch.tensor(rng.normal(size=400) * 10 ** rng.uniform(-1, 1)).to(dtype)
    target = torch.tensor(rng.normal(size=400)).to(dtype)
    curvature = torch.tensor(10 ** rng.uniform(-1, 0.3, size=400), dtype=torch.float32) * 100
    return lrscope.Problem(
        name="rounded bowl",
        model=functools.partial(Weights, start),
        train=(curvature, target),
        step=bowl,
        optimizer=optimizer,
        batch_size=0,
        epochs=STEPS,
    )


def _network(optimizer: Callable[..., Any], dtype: torch.dtype, number: int) -> lrscope.Problem:
    rng = np.random.default_rng(number)
    centres = rng.normal(size=(4, 12))
    labels = np.arange(80) % 4
    inputs = torch.tensor(centres[labels] + 0.5 * rng.normal(size=(80, 12))).to(dtype)
    return lrscope.Problem(
        name="rounded network",
        model=functools.partial(_tanh_network, dtype),
        train=(inputs, torch.tensor(labels)),
        step=_classify,
        optimizer=optimizer,
        batch_size=0,
        epochs=STEPS,
    )


def _tanh_network(dtype: torch.dtype) -> nn.Module:
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 4)).to(dtype)


def _classify(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    inputs, labels = batch
    return F.cross_entropy(model(inputs).float(), labels)
