"""The loss along a ramp as rules see it: its moving mean, and where the ramp of a seed is over.

Letters: n steps of the ramp.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

SMOOTHING = 0.98
"""Weight of the past in fastai's and Lightning's moving mean of the losses."""

STOP = 4.0
"""A ramp is over where the smoothed loss exceeds this multiple of its lowest (fastai, Lightning)."""


def smoothed(losses: Array, weight: float = SMOOTHING, ahead: int = 0) -> Array:
    """The debiased exponential moving mean: m_t / (1 - b^(t + 1)) with m_t = b m_{t-1} + (1 - b) loss_t.

    Args:
        losses: [n].
        weight: b, that of the past.
        ahead: steps by which the correction counts too far.
    """
    mean = 0.0
    means = np.empty(len(losses))
    for step, loss in enumerate(losses):
        mean = weight * mean + (1 - weight) * loss
        means[step] = mean / (1 - weight ** (step + 1 + ahead))
    return means


def stop_of(means: Array, multiple: float = STOP) -> int | None:
    """The first step whose smoothed loss exceeds `multiple` times the lowest so far; None where none does."""
    with np.errstate(invalid="ignore"):
        over = np.flatnonzero(means > multiple * np.fmin.accumulate(means))
    return int(over[0]) if len(over) else None


def end_of(losses: Array) -> int:
    """How many steps of a lane belong to its ramp: up to where it breaks, or n.

    It breaks at its first loss that is not finite, or where the smoothed loss has risen, above its lowest, by
    3 times what it has at stake: for a positive loss with a lowest of L, at 4 L, as in fastai. Where losses
    are not all positive, what is at stake is the first smoothed loss above the lowest.
    """
    broken = np.flatnonzero(~np.isfinite(losses))
    end = int(broken[0]) if len(broken) else len(losses)
    means = smoothed(losses[:end])
    if not end:
        return 0
    lowest = np.minimum.accumulate(means)
    stake = lowest if lowest[-1] > 0 else np.maximum(means[0] - lowest, 1e-12 + abs(means[0]))
    over = np.flatnonzero(means > lowest + (STOP - 1) * stake)
    return int(over[0]) if len(over) else end
