"""Overfitted: linear regression with fewer examples than features, whose exact validation loss is known.

Targets are w*.x + noise, x normal with unit covariance. The validation loss of weights w is exactly
|w - w*|^2 + noise^2 in expectation, so how far it rose above its lowest is known without any validation set.
lrscope sees 2,000 validation examples. Overfitting is true where the exact loss ended 10% or more above its
lowest, untrue where less than 2%; between, the lane is not counted.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

import lrscope

from .judged import Judged, Truth, judged

FEATURES = 40
FACTORS = np.geomspace(3e-3, 0.9, 12)


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean over examples."""
    return (output.squeeze(-1) - target).square().mean()


def straight(features: int) -> nn.Module:
    """A linear model that starts at 0."""
    model = nn.Linear(features, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def overfitted(amount: float) -> Iterator[Judged]:
    """60 regressions of 12 rates, times `amount`: from noise alone to no noise."""
    for number in range(math.ceil(60 * amount)):
        rng = np.random.default_rng(number)
        examples, epochs = int(rng.choice([20, 30, 60])), 150
        noise = float(rng.choice([0.0, 0.3, 1.0, 2.0]))
        strength = float(rng.choice([0.0, 1.0])) if noise else 1.0
        signal = strength * rng.normal(size=FEATURES) / math.sqrt(FEATURES)
        train, val = (_examples(rng, count, signal, noise) for count in (examples, 2_000))
        most = float(2 / np.linalg.eigvalsh(2 / examples * train[0].T @ train[0]).max())
        problem = lrscope.Problem(
            name="regression",
            model=functools.partial(straight, FEATURES),
            train=tuple(torch.tensor(part, dtype=torch.float32) for part in train),
            val=tuple(torch.tensor(part, dtype=torch.float32) for part in val),
            loss=mean_squared_error,
            optimizer=torch.optim.SGD,
            batch_size=0,
            epochs=epochs,
        )
        rates = [most * factor for factor in FACTORS]
        rises = [_rise(*train, signal, noise, rate, epochs) for rate in rates]
        about = f"regression {number}: {examples} examples, noise {noise}"
        truths = [
            Truth(
                "any",
                overfitting=None if 0.02 < rise < 0.1 else rise > 0.1,
                about=f"{about}, rise {rise:.2f},",
            )
            for rise in rises
        ]
        yield from judged(lrscope.sweep(problem, rates), truths)


def _examples(
    rng: np.random.Generator, count: int, signal: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    inputs = rng.normal(size=(count, FEATURES))
    return inputs, inputs @ signal + noise * rng.normal(size=count)


def _rise(
    inputs: np.ndarray, targets: np.ndarray, signal: np.ndarray, noise: float, rate: float, epochs: int
) -> float:
    """How far the exact validation loss ended above its lowest, as a share of that."""
    weights, losses = np.zeros(FEATURES), []
    for _ in range(epochs + 1):
        losses.append(float(np.sum((weights - signal) ** 2)) + noise**2)
        weights = weights - rate * 2 / len(inputs) * inputs.T @ (inputs @ weights - targets)
    return losses[-1] / max(min(losses), 1e-12) - 1
