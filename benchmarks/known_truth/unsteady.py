"""Unsteady: bowls whose rate is driven over the limit for a while, late in the run, and seeds that disagree.

Spikes: the exact loss in float64, averaged over a twentieth of the run about its peak, rose to 8 times its
lowest before and by a tenth of what the best lane learned ("unstable"), or by no more than a hundredth of
that ("steady"); between, the lane is not counted. Seeds: the bowl of each seed has a curvature of its own, so
that some seeds of a rate diverge; the others of that rate are unstable, for the rate is.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

import lrscope

from .judged import Judged, Truth, judged
from .quadratics import Position, height, spectrum

STEPS = 400
FROM, UNTIL = 240, 280
"""Updates at which the rate is multiplied."""

BOOST = 60.0
"""Rates of 0.02 of the limit are then 1.2 times the limit for a tenth of the run."""


def boosted(optimizer: torch.optim.Optimizer) -> LambdaLR:
    """Sixty times the rate for a tenth of the run."""
    return LambdaLR(optimizer, lambda step: BOOST if FROM <= step < UNTIL else 1.0)


def spikes(amount: float, seed: int = 3) -> Iterator[Judged]:
    """40 bowls of 17 rates, times `amount`; one direction is so flat that it is still being learned."""
    rng = np.random.default_rng(seed)
    for number in range(math.ceil(40 * amount)):
        bends, start = spectrum(rng, 10, 1.0), rng.normal(size=10)
        bends = np.append(bends, bends.max() / 300)
        start = np.append(start, 10.0)
        most = 2 / float(bends.max())
        rates = [
            most * factor for factor in (*np.geomspace(0.001, 0.016, 5), *np.linspace(0.0182, 0.0215, 12))
        ]
        problem = lrscope.Problem(
            name="boosted bowl",
            model=functools.partial(Position, torch.tensor(start, dtype=torch.float32)),
            train=(torch.diag(torch.tensor(bends, dtype=torch.float32)),),
            step=height,
            optimizer=torch.optim.SGD,
            schedule=boosted,
            batch_size=0,
            epochs=STEPS,
        )
        losses = [_losses(bends, start, rate) for rate in rates]
        learned = losses[0][0] - min(one[-1] for one in losses)
        truths = [_spiked(one, learned, f"boosted bowl {number},") for one in losses]
        yield from judged(lrscope.sweep(problem, rates), truths)


def _losses(bends: np.ndarray, start: np.ndarray, rate: float) -> np.ndarray:
    position, losses = start.copy(), np.empty(STEPS)
    for step in range(STEPS):
        losses[step] = 0.5 * float(np.sum(bends * position**2))
        position = position * (1 - rate * (BOOST if FROM <= step < UNTIL else 1.0) * bends)
    return losses


def _spiked(losses: np.ndarray, learned: float, about: str) -> Truth:
    window = STEPS // 20
    means = np.convolve(losses, np.ones(window) / window, mode="valid")
    peak = float(means[FROM:].max())
    lowest = float(losses[FROM - window : FROM].mean())
    about = f"{about} rises {peak / lowest:.3g} times,"
    if not np.isfinite(peak) or losses[-1] > losses[0]:
        return Truth("between", about=about)
    if peak > 8 * lowest and peak - lowest > 0.1 * learned:
        return Truth("unstable", about=about)
    return Truth("steady" if peak - lowest < 0.01 * learned else "between", about=about)


class Drawn(nn.Module):
    """A point in a bowl whose curvature the seed draws, by up to a factor of 2 either way."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(start.clone())
        self.register_buffer("scale", 2 ** (2 * torch.rand(()) - 1))


def drawn_height(model: nn.Module, batch: tuple[Tensor]) -> Tensor:
    """1/2 theta' H theta times the seed's scale."""
    return model.scale * height(model, batch)


def disagreeing(amount: float, seed: int = 5) -> Iterator[Judged]:
    """12 bowls of 10 rates and 6 seeds, times `amount`."""
    rng = np.random.default_rng(seed)
    for number in range(math.ceil(12 * amount)):
        bends, start, seeds = spectrum(rng, 10, 2.0), rng.normal(size=10), 6
        most = 2 / float(bends.max())
        rates = [most * factor for factor in (0.01, 0.1, 0.3, 0.45, *np.linspace(0.55, 1.8, 6))]
        problem = lrscope.Problem(
            name="drawn bowl",
            model=functools.partial(Drawn, torch.tensor(start, dtype=torch.float32)),
            train=(torch.diag(torch.tensor(bends, dtype=torch.float32)),),
            step=drawn_height,
            optimizer=torch.optim.SGD,
            batch_size=0,
            epochs=STEPS,
        )
        scales = []
        for one in range(seeds):
            torch.manual_seed(one)
            scales.append(float(problem.model().scale))
        study = lrscope.sweep(problem, rates, seeds=seeds)
        with study:
            keys = study.plan.lanes
        truths = []
        for key in keys:
            excess = [key.rate * scale / most for scale in scales]
            own, failed = excess[key.seed], sum(one > 1.01 for one in excess)
            about = f"drawn bowl {number}, {failed} of {seeds} seeds over their limit,"
            if any(0.97 < one < 1.01 for one in excess):
                kind = "between"
            elif own > 1:
                kind = "diverged"
            else:
                kind = "unstable" if failed else "stable"
            truths.append(Truth(kind, about=about))
        yield from judged(study, truths)
