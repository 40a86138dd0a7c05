"""Catapults: rates of 2 to 4 over the first sharpness, where the loss rises before training succeeds.

The solvable model of A. Lewkowycz et al. (arXiv 2003.02218): f = u.v / sqrt(m) on one example x = 1, y = 0,
mean squared error f^2 / 2, whose sharpness is (|u|^2 + |v|^2) / m at the start. Truth: the same recurrence in
float64, by itself, ends below a hundredth of its start ("stable"), or is not finite ("diverged"). What lies
between is not counted.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

import lrscope

from .judged import Judged, Truth, judged

STEPS = 400
PRODUCTS = (0.3, 1.0, 1.8, *np.linspace(2.1, 3.7, 12))


class Product(nn.Module):
    """u.v / sqrt(m)."""

    def __init__(self, u: Tensor, v: Tensor) -> None:
        super().__init__()
        self.u, self.v = nn.Parameter(u.clone()), nn.Parameter(v.clone())


def half_square(model: nn.Module, batch: tuple[Tensor]) -> Tensor:
    """f^2 / 2, averaged over the batch's inputs."""
    (inputs,) = batch
    answer = (model.u * model.v).sum() / math.sqrt(model.u.numel())
    return 0.5 * (answer * inputs).square().mean()


def catapults(amount: float) -> Iterator[Judged]:
    """36 starts of 15 rates, times `amount`; 12 of the rates between 2.1 and 3.7 over the sharpness."""
    for number in range(math.ceil(36 * amount)):
        rng = np.random.default_rng(number)
        m = int(rng.choice([16, 64, 256]))
        u, v = rng.normal(size=m), rng.normal(size=m)
        sharpness = float(u @ u + v @ v) / m
        rates = [product / sharpness for product in PRODUCTS]
        problem = lrscope.Problem(
            name="catapult",
            model=functools.partial(Product, *(torch.tensor(w, dtype=torch.float32) for w in (u, v))),
            train=(torch.ones(1, 1),),
            step=half_square,
            optimizer=torch.optim.SGD,
            batch_size=0,
            epochs=STEPS,
        )
        about = f"catapult {number} of width {m},"
        truths = []
        for rate in rates:
            losses = _losses(u, v, rate)
            ended = math.isfinite(losses[-1]) and losses[-1] < 0.01 * losses[0]
            kind = "stable" if ended else "between" if math.isfinite(losses[-1]) else "diverged"
            highest = f"rises {max(losses) / losses[0]:.3g} times," if ended else ""
            truths.append(Truth(kind, about=f"{about} {highest}"))
        yield from judged(lrscope.sweep(problem, rates, curvature=False), truths)


def _losses(u: np.ndarray, v: np.ndarray, rate: float) -> list[float]:
    losses, root = [], math.sqrt(len(u))
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(STEPS):
            answer = float(u @ v) / root
            losses.append(answer**2 / 2)
            u, v = u - rate * answer / root * v, v - rate * answer / root * u
    return losses
