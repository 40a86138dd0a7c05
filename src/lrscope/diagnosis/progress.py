"""Progress: smoothing a loss, how much of what could be learned was, and when a loss was first reached.

Letters: T steps.
"""

import math
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis.curve import Floats
from lrscope.diagnosis.thresholds import Thresholds

_LARGEST = 1e280


def running_mean(loss_T: Floats, half_life: float) -> Floats:
    """Exponential running mean of past and present, [T], free of the pull of its first value.

    mean_t = sum_k d^(t-k) x_k / sum_k d^(t-k) over k = 0..t, with d = 2^(-1/half_life); the divisor is the
    bias correction of Kingma & Ba, Adam, arXiv 1412.6980, section 3.

    Args:
        loss_T: finite values.
        half_life: steps after which a value counts half; 0 smooths nothing.
    """
    if half_life <= 0 or not len(loss_T):
        return loss_T.copy()
    # d^-k would overflow over a long run, so the sum goes block by block: 20 half-lives span a factor 2^20.
    block = max(int(20 * half_life), 1)
    smooth_T = np.empty(len(loss_T))
    numerator = divisor = 0.0
    for start in range(0, len(loss_T), block):
        values = np.clip(loss_T[start : start + block], -_LARGEST, _LARGEST)
        fade = np.exp2(-np.arange(1, len(values) + 1) / half_life)
        numerators = fade * (numerator + np.cumsum(values / fade))
        divisors = fade * (divisor + np.cumsum(1 / fade))
        smooth_T[start : start + block] = numerators / divisors
        numerator, divisor = float(numerators[-1]), float(divisors[-1])
    return smooth_T


def centred_mean(loss_T: Floats, half_width: int) -> Floats:
    """Mean over the steps t - h .. t + h, with h = min(t, half_width), for every t that has them.

    Unlike a running mean it does not lag, so it tells when a loss was reached. [T - half_width], and all of
    the run's mean where the run is shorter than one window.
    """
    half_width = min(half_width, (len(loss_T) - 1) // 2)
    if half_width <= 0:
        return loss_T.copy()
    # Rounding leaves some 1e-16 of the largest loss before: only full batches get to such depths, and they
    # need no smoothing.
    sums = np.concatenate([[0.0], np.cumsum(loss_T)])
    width = 2 * half_width + 1
    early = [loss_T[: 2 * t + 1].mean() for t in range(half_width)]
    return np.concatenate([early, (sums[width:] - sums[:-width]) / width])


def first_reach(levels: Floats, target: float) -> int | None:
    """The first step at which a loss is at or below the target, None where it never is."""
    reached = levels <= target
    return int(np.argmax(reached)) if reached.any() else None


def regret(loss: float, best: float, start: float) -> float:
    """Normalised regret (L - L_best) / (L_start - L_best): 0 at the best, 1 where nothing was learned.

    Independent of the loss's scale and zero, so that it serves for negative losses too. Infinite, or 0 at the
    best, where the best has learned nothing.
    """
    if start <= best:
        return 0.0 if loss <= best else math.inf
    return (loss - best) / (start - best)


def came_down(start: float, end: float, thresholds: Thresholds) -> bool:
    """Whether a positive loss came down by 2% (`no_progress`) or more."""
    return 0 < end <= thresholds.no_progress * start


class Rise(NamedTuple):
    """A loss that rose: from a smallest value to a later one."""

    low: float
    high: float
    low_step: int
    high_step: int


def largest_rise(smooth_T: Floats, after: int, settled: int, offset: float = 0.0, floor: float = 0.0) -> Rise:
    """The rise with the largest ratio (high + offset) / (low + offset) that ends at or after a step.

    Args:
        smooth_T: the smoothed loss.
        after: the first step at which the rise may end.
        settled: the first step at which it may begin, before `after`.
        offset: makes a loss positive that is not.
        floor: divisors below it count as it: next to zero any ratio is large.
    """
    lows = np.minimum.accumulate(smooth_T[settled:]) + offset
    with np.errstate(over="ignore"):
        ratios = (smooth_T[settled:] + offset) / np.maximum(lows, max(floor, np.finfo(np.float64).tiny))
    high = after + int(np.argmax(ratios[after - settled :]))
    low = settled + int(np.argmin(smooth_T[settled : high + 1]))
    return Rise(float(smooth_T[low]), float(smooth_T[high]), low, high)


def highest_climb(smooth_T: Floats, after: int, settled: int) -> float:
    """The largest difference between a smoothed loss at or after a step and a lower one before it."""
    late = smooth_T[settled:]
    return float((late - np.minimum.accumulate(late))[after - settled :].max())


def smoothed_noise(loss_T: Floats, smooth_T: Floats, half_life: float) -> float:
    """Standard deviation that independent mini-batch noise leaves in the running mean.

    The running mean with d = 2^(-1/half_life) keeps the share (1 - d) / (1 + d) of the variance. Over the
    second half of the run, where the loss falls least.
    """
    if half_life <= 0:
        return 0.0
    half = len(loss_T) // 2
    fade = 2 ** (-1 / half_life)
    return float(np.std(loss_T[half:] - smooth_T[half:]) * math.sqrt((1 - fade) / (1 + fade)))
