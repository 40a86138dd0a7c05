"""Estimate: the rate to use and its interval, from the rates as good as the best and those that fail."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.evidence import rate_text, times_text
from lrscope.diagnosis.tested import Failure
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


class Choice(NamedTuple):
    """The rate to use.

    Attributes:
        rate: one that was trained like all others that are compared.
        preferred: where the lanes say that the best rate lies, also between the tested rates.
        caution: what to beware of; None where there is nothing.
        remark: why a rate that did better is not chosen; None where none did, or `caution` says so.
    """

    rate: float
    preferred: float
    caution: Text | None = None
    remark: Text | None = None


def choose(
    interval: Sequence[float], cliff: Failure | None, comparison: Comparison, thresholds: Thresholds
) -> Choice:
    """Choose the tested rate nearest to the centre of the interval, away from the cliff.

    From a rate next to one that fails it goes half the way to the next lower good one: on other seeds than it
    was chosen by, the best of a few lanes there lost 21.7% of the loss where the middle lost 6.6% (measured
    on 10 small tasks, two seeds). On how many seeds it came through does not matter: where every third one
    fails, three in a row pass in three of ten cases.

    Args:
        interval: tested rates as good as the best, rising.
        cliff: the lowest rate above them at which a lane failed.
        comparison: the lanes side by side.
        thresholds: see `Thresholds`.
    """

    def at_cliff(rate: float) -> bool:
        return cliff is not None and cliff.rate <= thresholds.cliff * rate

    leader = comparison.leader or interval[-1]
    away = [rate for rate in interval if not at_cliff(rate)]
    if away:
        beside = [rate for rate in interval if at_cliff(rate)]
        highest = math.sqrt(away[-1] * beside[0]) if beside else interval[-1]
        # Where every loss comes down to nothing, what is left to tell rates apart is time.
        centre = leader if comparison.near_zero else _centre(interval, comparison)
        centre = min(centre, away[-1] if comparison.near_zero else highest)
        remark = _at_cliff(_WAS_BETTER, leader, cliff) if leader in beside and cliff is not None else None
        return Choice(nearest(centre, away), _snap(centre, interval), remark=remark)
    assert cliff is not None
    unsafe = [one.rate for one in comparison.standings if one.worst_regret > thresholds.safe_regret]
    apart = [rate for rate in comparison.rates if comparison.standing(rate) is None]
    floor = max((rate for rate in (*unsafe, *apart) if rate < interval[0]), default=0.0)
    safe = [one.rate for one in comparison.standings if floor < one.rate < interval[0]]
    if safe:
        # The highest off the cliff; where the grid is too fine for that, the one furthest from it.
        rate = max((rate for rate in safe if not at_cliff(rate)), default=safe[0])
        # Between two neighbours that both came through there is no need to go down all the way.
        between = _snap(math.sqrt(rate * interval[0]), [rate, interval[0]])
        neighbours = not any(rate < other < interval[0] for other in comparison.rates)
        preferred = between if neighbours and not at_cliff(between) else rate
        return Choice(rate, preferred, _at_cliff(_WAS_BETTER, leader, cliff))
    return Choice(interval[0], interval[0], _at_cliff(_NEAR, interval[0], cliff))


def _at_cliff(text: Text, rate: float, cliff: Failure) -> Text:
    """Return what is said of a rate next to one at which lanes failed."""
    return text.format(
        rate=rate_text(rate),
        cliff=rate_text(cliff.rate),
        times=times_text(cliff.rate / rate),
        failed=cliff.failed,
        lanes=cliff.lanes,
    )


_WAS_BETTER = Text(
    "{rate} did better, but at {cliff}, only {times} times higher, {failed} of {lanes} lanes failed",
    "{rate} 更好，但只高 {times} 倍的 {cliff} 有 {failed}/{lanes} 条失败",
)
_NEAR = Text(
    "at {cliff}, only {times} times higher, {failed} of {lanes} lanes failed",
    "只高 {times} 倍的 {cliff} 有 {failed}/{lanes} 条失败",
)


def nearest(rate: float, among: Sequence[float]) -> float:
    """Return the one of some rates that is nearest by its logarithm, of two the lower."""
    return min(among, key=lambda other: (round(abs(math.log(other / rate)), 9), other))


def _centre(rates: Sequence[float], comparison: Comparison) -> float:
    """The geometric mean, in which a rate counts the less the further it is above the best.

    Where noise makes all of them equal it is the middle; where they can be told apart it is the best.
    """
    known = [standing for rate in rates if (standing := comparison.standing(rate)) is not None]
    weights = np.exp([-comparison.thresholds.centring * one.excess for one in known])
    return float(np.exp(np.average(np.log([one.rate for one in known]), weights=weights)))


def _snap(centre: float, rates: Sequence[float]) -> float:
    """A tested rate if one is near, else two digits of the centre; never outside of the tested rates."""
    tested = nearest(centre, rates)
    if abs(math.log(tested / centre)) < math.log(1.1):
        return tested
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
