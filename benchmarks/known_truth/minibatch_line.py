"""Mini-batch line: y = 3x learned from 1 or 2 of its four samples a step, drawn with and without replacement.

A single run follows the Lyapunov exponent, lim 1/t ln |prod (I - rate H_t)|: below 0 it converges, above it
diverges, almost surely. The limit is the rate where the exponent is 0, found here from the exact recurrence.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

import lrscope
from lrscope.problems.load import load_problem

from .judged import Judged, Truth, judged

INPUTS = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [4.0, 1.0]])
FACTORS = (0.5, 0.7, 0.85, 0.9, 0.95, 1.05, 1.1, 1.2, 1.5)
SETTINGS = ((1, False), (1, True), (2, False), (2, True))
STEPS = 3_000
"""At 5% over the limit the distance has then grown, by 2.5 standard deviations or more."""


def limit(batch_size: int, shuffled: bool) -> float:
    """The rate at which the Lyapunov exponent changes its sign."""
    rates = np.linspace(0.105, 0.15, 19)
    exponents = exponent(rates, batch_size, shuffled)
    above = int(np.argmax(exponents > 0))
    low, high = exponents[above - 1], exponents[above]
    return float(rates[above - 1] - low * (rates[above] - rates[above - 1]) / (high - low))


def exponent(rates: NDArray[np.float64], batch_size: int, shuffled: bool) -> NDArray[np.float64]:
    """Growth of the distance from the minimum per step, in natural logarithms, over 200,000 steps."""
    rng = np.random.default_rng(0)
    copies, steps, per_epoch = 100, 2_000, 4 // batch_size
    distance, total = np.ones((copies, len(rates), 2)), np.zeros(len(rates))
    for step in range(steps):
        if step % per_epoch == 0:
            order = rng.permuted(np.tile(np.arange(4), (copies, 1)), axis=1)
        place = step % per_epoch * batch_size
        drawn = order[:, place : place + batch_size] if shuffled else rng.integers(0, 4, (copies, batch_size))
        errors = np.einsum("crk,cbk->crb", distance, INPUTS[drawn])
        gradient = 2 / batch_size * np.einsum("crb,cbk->crk", errors, INPUTS[drawn])
        distance = distance - rates[:, None] * gradient
        size = np.linalg.norm(distance, axis=2, keepdims=True)
        total += np.log(size[..., 0]).mean(axis=0)
        distance /= size
    return np.asarray(total / steps)


def minibatch_lines(amount: float) -> Iterator[Judged]:
    """Four settings of 9 rates and 20 seeds, times `amount`, all 5% or more from the limit."""
    seeds = math.ceil(20 * amount)
    line = load_problem("line")
    for batch_size, shuffled in SETTINGS:
        most = limit(batch_size, shuffled)
        changes = {"batch_size": batch_size, "epochs": STEPS * batch_size // 4}
        if not shuffled:
            drawn = torch.randint(4, (STEPS * batch_size,), generator=torch.Generator().manual_seed(1))
            inputs, targets = line.train
            changes |= {"train": (inputs[drawn], targets[drawn]), "epochs": 1}
        study = lrscope.sweep(
            dataclasses.replace(line, **changes), [most * factor for factor in FACTORS], seeds=seeds
        )
        how = "shuffled" if shuffled else "drawn anew"
        about = f"line in batches of {batch_size}, {how} (limit {most:.4f}),"
        with study:
            factors = [key.rate / most for key in study.plan.lanes]
        truths = [Truth("diverged" if factor > 1 else "stable", about=about) for factor in factors]
        yield from judged(study, truths)
