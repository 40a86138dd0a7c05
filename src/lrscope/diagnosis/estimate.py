"""Estimate: the rate to use and its interval, from the rates as good as the best and those that fail."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.evidence import rate_text
from lrscope.diagnosis.thresholds import Thresholds
from lrscope.language import Text


def good_interval(comparison: Comparison, thresholds: Thresholds) -> tuple[float, ...]:
    """The tested rates that are as good as the best; where losses do not tell them apart, those as fast."""
    near = comparison.near_optimal
    if comparison.leader is None or not comparison.near_zero:
        return near
    slowness = {rate: comparison.steps_ratio(rate) for rate in near}
    centre = near.index(comparison.leader)

    def fast(rate: float) -> bool:
        return slowness[rate] <= thresholds.fast_enough

    below = list(itertools.takewhile(fast, reversed(near[:centre])))
    return (*reversed(below), near[centre], *itertools.takewhile(fast, near[centre + 1 :]))


def choose(
    interval: Sequence[float], first_failing: float | None, comparison: Comparison, thresholds: Thresholds
) -> tuple[float, str | None]:
    """The centre of the interval, away from the cliff; and what to beware of.

    To a rate next to one that fails it goes only half the way, from the next lower good one: on other seeds
    than it was chosen by, the best of a few lanes there lost 21.7% of the loss where the middle lost 6.6%
    (measured on 10 small tasks, two seeds). On how many seeds it came through does not matter: where every
    third one fails, three in a row pass in three of ten cases.
    """

    def at_cliff(rate: float) -> bool:
        return first_failing is not None and first_failing <= thresholds.cliff * rate

    away = [rate for rate in interval if not at_cliff(rate)]
    centre = _centre(interval, comparison)
    if away:
        beside = [rate for rate in interval if at_cliff(rate)]
        highest = math.sqrt(away[-1] * beside[0]) if beside else interval[-1]
        return _snap(min(centre, highest), interval), None
    several = Text("{count} seeds", "{count} 个种子")
    seeds = several.format(count=comparison.depth) if comparison.depth > 1 else Text("1 seed", "1 个种子")
    safe = [
        one.rate
        for one in comparison.standings
        if one.rate < interval[0] and one.worst_regret <= thresholds.safe_regret
    ]
    if safe:
        # The highest off the cliff; where the grid is too fine for that, the one furthest from it.
        rate = max((rate for rate in safe if not at_cliff(rate)), default=safe[0])
        # Between two neighbours that both came through there is no need to go down all the way.
        between = _snap(math.sqrt(rate * interval[0]), [rate, interval[0]])
        neighbours = not any(rate < other < interval[0] for other in comparison.rates)
        rate = between if neighbours and not at_cliff(between) else rate
        better = Text(
            "{rate} was better, but on {seeds} it is too near to the first rate that fails",
            "{rate} 更好，但只有 {seeds}，它离第一个失败的学习率太近",
        )
        return rate, better.format(rate=rate_text(interval[-1]), seeds=seeds)
    near = Text(
        "on {seeds} it is near to the first rate that fails", "只有 {seeds}，它离第一个失败的学习率很近"
    )
    return interval[0], near.format(seeds=seeds)


def _centre(rates: Sequence[float], comparison: Comparison) -> float:
    """The geometric mean, in which a rate counts the less the further it is above the best.

    Where noise makes all of them equal it is the middle; where they can be told apart it is the best.
    """
    known = [standing for rate in rates if (standing := comparison.standing(rate)) is not None]
    weights = np.exp([-comparison.thresholds.centring * one.excess for one in known])
    return float(np.exp(np.average(np.log([one.rate for one in known]), weights=weights)))


def _snap(centre: float, rates: Sequence[float]) -> float:
    """A tested rate if one is near, else two digits of the centre; never outside of the tested rates."""
    nearest = min(rates, key=lambda rate: abs(math.log(rate / centre)))
    if abs(math.log(nearest / centre)) < math.log(1.1):
        return nearest
    rounded = float(f"{centre:.1e}")
    return rounded if rates[0] <= rounded <= rates[-1] else centre


def for_whole_run(rate: float, steps: int, of: int, drift: float) -> float:
    """A rate that was best after some steps, taken down to what is best after all of them.

    Args:
        rate: what was best.
        steps, of: after how many, of how many.
        drift: the best rate goes with the steps to the power of minus this: `drift` of the thresholds, at
            most `drift_most`, at least 0.
    """
    return float(rate * (steps / of) ** drift)


def widened(interval: Sequence[float], comparison: Comparison, tried: Sequence[float]) -> tuple[float, float]:
    """The interval and what lies beside it up to where rates are no longer as good; see `_border`."""
    low, high = interval[0], interval[-1]
    below = [rate for rate in tried if rate < low]
    above = [rate for rate in tried if rate > high]
    return (
        _border(low, below[-1], comparison) if below else low,
        _border(high, above[0], comparison) if above else high,
    )


def _border(good: float, beside: float, comparison: Comparison) -> float:
    """Where, between a good rate and the next one, which is not, a parabola crosses the border.

    Three quarters of the way where nothing is known of the next one but that it failed, or was given up: the
    best rate of plain gradient descent stands a factor of 1.4 to 2.1 below the first that fails (measured).
    """
    inside, outside = comparison.standing(good), comparison.standing(beside)
    if inside is None or outside is None or outside.excess <= 1:
        return float(good * (beside / good) ** 0.75)
    near, far = math.sqrt(min(inside.excess, 1.0)), math.sqrt(outside.excess)
    share = min(max((1 - near) / (far - near), 1 / 4), 3 / 4)
    return float(good * (beside / good) ** share)
