"""Quadratics: gradient descent, heavy ball and Nesterov's method on random bowls, trained by the engine.

Truth: the exact limit of stability from the largest curvature, and the exact loss after T steps, direction by
direction, in float64.

Letters: d directions.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import lrscope

from .judged import Judged, Truth, judged

DIRECTIONS = 20
STABLE = (1e-10, 1e-9, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.92, 0.95, 0.98, 0.99, 0.995)
ABOVE = (1.01, 1.02, 1.05, 1.1, 1.5, 2.0, 5.0)
OPTIMIZERS = ((0.0, False), (0.5, False), (0.9, False), (0.99, False), (0.5, True), (0.9, True))
EDGE = 0.9
"""Of the limit, from which a rate is at the edge."""

TINY, FROZEN, DOUBT = 1e-6, 0.9, 0.051
"""Factors so small that the elements which do not move are counted, the share of them that makes a lane
frozen, and how near to it a lane is called neither: one element of 20."""


class Position(nn.Module):
    """A point [d]."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(start.clone())


def height(model: nn.Module, batch: tuple[Tensor]) -> Tensor:
    """1/2 theta' H theta, the batch being H [d, d]."""
    (hessian,) = batch
    return 0.5 * (model.theta @ (hessian @ model.theta))


def spectrum(rng: np.random.Generator, directions: int, widest: float) -> NDArray[np.float64]:
    """Curvatures: the largest between 0.1 and 10, the others down to 10^-widest of it."""
    condition, largest = 10 ** rng.uniform(0, widest), 10 ** rng.uniform(-1, 1)
    shares = condition ** -np.concatenate([[0.0], rng.uniform(0, 1, directions - 1)])
    return np.asarray(largest * shares)


def limit(momentum: float, nesterov: bool, curvature: float) -> float:
    """Largest stable rate: (2 + 2b) / c, for Nesterov's method (2 + 2b) / ((1 + 2b) c)."""
    return (2 + 2 * momentum) / ((1 + 2 * momentum * nesterov) * curvature)


def exact_losses(
    curvatures: NDArray[np.float64],
    start: NDArray[np.float64],
    rate: float,
    momentum: float,
    nesterov: bool,
    steps: int,
) -> NDArray[np.float64]:
    """The loss before each of so many updates, in float64."""
    position, velocity, losses = start.copy(), np.zeros_like(start), np.empty(steps)
    for step in range(steps):
        losses[step] = 0.5 * float(np.sum(curvatures * position**2))
        gradient = curvatures * position
        velocity = momentum * velocity + gradient
        position = position - rate * (gradient + momentum * velocity if nesterov else velocity)
    return losses


def unchanged(
    hessian: NDArray[np.float32],
    start: NDArray[np.float64],
    rate: float,
    momentum: float,
    nesterov: bool,
    steps: int,
) -> float:
    """Median over the last quarter of the share of elements whose float32 an update leaves as it is."""
    position, velocity = start.astype(np.float32), np.zeros(len(start), np.float32)
    b, shares = np.float32(momentum), []
    for step in range(steps):
        gradient = hessian @ position
        velocity = b * velocity + gradient
        moved = position - np.float32(rate) * (gradient + b * velocity if nesterov else velocity)
        if step >= 3 * steps // 4:
            shares.append(np.mean(moved[gradient != 0] == position[gradient != 0]))
        position = moved
    return float(np.median(shares))


def quadratics(amount: float, seed: int = 7) -> Iterator[Judged]:
    """60 bowls of 23 rates each, times `amount`."""
    rng = np.random.default_rng(seed)
    for number in range(math.ceil(60 * amount)):
        momentum, nesterov = OPTIMIZERS[number % len(OPTIMIZERS)]
        curvatures, start = spectrum(rng, DIRECTIONS, 3.5), rng.normal(size=DIRECTIONS)
        rotation = np.linalg.qr(rng.normal(size=(DIRECTIONS, DIRECTIONS)))[0]
        # 200 steps are but two memories of a momentum of 0.99.
        steps = int(rng.choice([200, 1000])) if momentum < 0.99 else 1000
        most = limit(momentum, nesterov, float(curvatures.max()))
        factors = (*STABLE, *ABOVE)
        hessian = torch.tensor((rotation * curvatures) @ rotation.T, dtype=torch.float32)
        problem = lrscope.Problem(
            name="bowl",
            model=functools.partial(Position, torch.tensor(rotation @ start, dtype=torch.float32)),
            train=(hessian,),
            step=height,
            optimizer=functools.partial(torch.optim.SGD, momentum=momentum, nesterov=nesterov),
            batch_size=0,
            epochs=steps,
        )
        study = lrscope.sweep(problem, [most * factor for factor in factors])
        about = f"bowl {number}: momentum {momentum}{' nesterov' if nesterov else ''}, {steps} steps,"
        losses = [
            exact_losses(curvatures, start, most * factor, momentum, nesterov, steps) for factor in STABLE
        ]
        unmoved = [
            unchanged(hessian.numpy(), rotation @ start, most * factor, momentum, nesterov, steps)
            if factor < TINY
            else 0.0
            for factor in STABLE
        ]
        truths = [_stable(index, losses, unmoved[index], about) for index in range(len(STABLE))]
        yield from judged(study, [*truths, *(Truth("diverged", edge=False, about=about) for _ in ABOVE)])


def _stable(index: int, losses: list[NDArray[np.float64]], unmoved: float, about: str) -> Truth:
    """Of a lane below the limit, by how far its exact loss came beside the best lane's."""
    late = len(losses[0]) // 25  # the loss of a ball that swings is its mean over a while
    ends = [float(loss[-late:].mean()) for loss in losses]
    begin, best, edge = float(losses[0][0]), min(ends), STABLE[index] >= EDGE
    regret = (ends[index] - best) / (begin - best)
    if abs(unmoved - FROZEN) < DOUBT:
        kind = "between"
    elif unmoved >= FROZEN:
        kind = "frozen"
    elif regret <= 0.01 or (best > 0.01 * begin and ends[index] <= 1.05 * best):
        kind = "good"
    else:
        kind = "slow" if index < ends.index(best) else "high"
    return Truth(kind, edge=edge, about=about)


def noisy_quadratics(amount: float, seed: int = 11) -> Iterator[Judged]:
    """120 bowls of 15 rates whose minimum jumps from batch to batch, times `amount`.

    Truth: the expected loss of an AR(1) process a direction.
    """
    rng = np.random.default_rng(seed)
    for number in range(math.ceil(120 * amount)):
        curvatures, start = spectrum(rng, 10, 2.5), rng.normal(size=10)
        steps, jump = int(rng.choice([300, 1000])), 10 ** rng.uniform(-1.3, 0)
        most = 2 / float(curvatures.max())
        powers = (-4, -3.3, -2.6, -2, *np.linspace(-1.5, -0.05, 8), 0.1, 0.4, 0.8)
        rates = [most * 10 ** (power + rng.uniform(-0.04, 0.04)) for power in powers]
        rates = [rate for rate in rates if not 0.97 < rate / most < 1.03]
        bends = torch.tensor(curvatures, dtype=torch.float32)
        problem = lrscope.Problem(
            name="noisy bowl",
            model=functools.partial(Position, torch.tensor(start, dtype=torch.float32)),
            train=(torch.tensor(rng.normal(size=(steps, 10)) * jump, dtype=torch.float32),),
            step=functools.partial(_jumping_height, bends=bends),
            optimizer=torch.optim.SGD,
            batch_size=1,
            epochs=1,
        )
        study = lrscope.sweep(problem, rates)
        about = f"noisy bowl {number}: jumps of {jump:.2g}, {steps} steps,"
        yield from judged(study, _noisy_truths(curvatures, start, rates, jump, steps, about))


def _jumping_height(model: nn.Module, batch: tuple[Tensor], bends: Tensor) -> Tensor:
    (jumps,) = batch
    return 0.5 * (bends * (model.theta - jumps).square()).sum(dim=-1).mean()


def _noisy_truths(
    curvatures: NDArray[np.float64],
    start: NDArray[np.float64],
    rates: list[float],
    jump: float,
    steps: int,
    about: str,
) -> list[Truth]:
    most = 2 / float(curvatures.max())
    floor = 0.5 * jump**2 * float(curvatures.sum())
    below = [rate for rate in rates if rate < most]
    losses = [floor + _expected(curvatures, start, rate, jump, steps) for rate in below]
    begin, best = floor + 0.5 * float(np.sum(curvatures * start**2)), min(losses)
    truths = []
    for index, rate in enumerate(rates):
        if rate >= most:
            truths.append(Truth("diverged", about=about))
            continue
        regret = (losses[index] - best) / (begin - best)
        if regret <= 0.01 or (losses[index] <= 1.05 * best and regret < 0.25):
            kind = "good"
        elif index < losses.index(best):
            kind = "slow"
        else:
            kind = "failed" if losses[index] > 0.98 * begin else "high"
        truths.append(Truth(kind, about=about))
    return truths


def _expected(
    curvatures: NDArray[np.float64], start: NDArray[np.float64], rate: float, jump: float, steps: int
) -> float:
    """Half the curvature times the mean squared distance: of the start, and of an AR(1) process."""
    factor = 1 - rate * curvatures
    settled = (rate * curvatures * jump) ** 2 / (1 - factor**2)
    variance = settled * (1 - factor ** (2 * steps))
    return 0.5 * float(np.sum(curvatures * ((factor**steps * start) ** 2 + variance)))
