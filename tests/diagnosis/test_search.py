"""Search: how a budget is spent, on lanes whose losses are given by a formula."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lrscope.diagnosis.curve import Curve, Track
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.recommend import recommend
from lrscope.diagnosis.recommendation import Recommendation
from lrscope.diagnosis.search import Search
from lrscope.diagnosis.searched import place_of, rate_at
from lrscope.plan import Plan

STEPS = 800
SEEDS = (0, 100, 200, 300)


class FormulaLab:
    """Lanes whose loss after t updates is `loss(rate, t)`, times noise of the lane; NaN above `cliff`."""

    def __init__(
        self,
        loss: Callable[[float, float], float],
        cliff: float = math.inf,
        noise: float = 0.0,
        suggestion: float | None = 1e-2,
    ) -> None:
        self.plan = Plan("formula", (), (), 8, STEPS // 8, 10, val_size=500, chosen=())
        self.loss, self.cliff, self.noise, self.suggestion = loss, cliff, noise, suggestion
        self.done: dict[tuple[float, int], int] = {}
        self.asked: list[tuple[int, tuple[float, ...]]] = []

    @property
    def open(self) -> frozenset[tuple[float, int]]:
        return frozenset(self.done)

    @property
    def curves(self) -> tuple[Curve, ...]:
        return tuple(
            self._curve(number, rate, seed, until)
            for number, ((rate, seed), until) in enumerate(self.done.items())
        )

    def _curve(self, number: int, rate: float, seed: int, until: int) -> Curve:
        luck = math.exp(self.noise * np.random.default_rng([seed, place_of(rate) + 1000]).normal())
        values = np.array([2.0] + [self.loss(rate, t) * luck for t in range(1, until + 1)])
        stopped = 30 if rate >= self.cliff else None
        if stopped is not None:
            return Curve(number, rate, seed, values[:stopped], stopped_step=stopped)
        steps = np.array([t for t in (0, 50, *range(100, STEPS + 1, 100)) if t <= until])
        return Curve(number, rate, seed, values[:until], val=Track(steps, values[steps]))

    def scout(self, steps: int) -> float | None:
        return self.suggestion

    def train(self, lanes: Sequence[tuple[float, int]], until: int) -> None:
        self.asked.append((until, tuple(rate for rate, _ in lanes)))
        for lane in lanes:
            self.done[lane] = max(until, self.done.get(lane, 0))
        self.plan = dataclasses.replace(
            self.plan,
            chosen=tuple(self.done),
            rates=tuple(sorted({rate for rate, _ in self.done})),
            seeds=tuple(dict.fromkeys(seed for _, seed in self.done)),
        )


def valley(best: float, drift: float = 0.0) -> Callable[[float, float], float]:
    """Slower below `best` (after a full run; it falls with t as t^-drift), worse above it."""

    def loss(rate: float, t: float) -> float:
        x = math.log10(rate / (best * (STEPS / t) ** drift))
        left = 1 + 1.2 * (1 - math.exp(-0.25 * x * x)) if x < 0 else 1 + 0.5 * x * x
        return min(2.0, 0.2 * left + 1.7 * math.exp(-4 * t * rate / best / 100) + 0.2 * (1 - t / STEPS))

    return loss


def found(lab: FormulaLab, budget: float = 8.0) -> tuple[Search, Recommendation]:
    search = Search(lab, budget, SEEDS)
    search.run()
    return search, recommend(lab.curves, judge(lab.curves, lab.plan), lab.plan)


@pytest.mark.parametrize("best", [3e-6, 1e-3, 2e-2, 5.0])
@pytest.mark.parametrize("suggestion", [None, 1e-2, 1e-4])
def test_it_finds_the_bottom_of_a_valley_wherever_it_begins(best: float, suggestion: float | None) -> None:
    search, advised = found(FormulaLab(valley(best), suggestion=suggestion))
    assert advised.rate is not None
    assert abs(math.log10(advised.rate / best)) <= 0.3
    assert advised.low <= best * 1.05
    assert advised.high >= best * 0.95
    assert search.spent <= 8.05


@pytest.mark.parametrize("budget", [1.0, 2.0, 4.0, 8.0, 16.0])
def test_a_budget_is_kept_and_most_of_it_used(budget: float) -> None:
    search, advised = found(FormulaLab(valley(1e-2), noise=0.02), budget)
    assert search.spent <= budget + 0.06
    assert search.spent >= 0.5 * budget
    assert advised.spent == pytest.approx(search.spent)
    preferred = advised.rate or advised.preferred_rate
    assert preferred is not None
    assert abs(math.log10(preferred / 1e-2)) <= 0.5


def test_a_best_rate_that_falls_with_the_length_of_the_run_is_followed_down() -> None:
    lab = FormulaLab(valley(1e-3, drift=0.8))
    _, advised = found(lab)
    assert advised.rate is not None
    assert abs(math.log10(advised.rate / 1e-3)) <= 0.3


def test_a_cliff_above_the_best_rate_is_known_and_kept_away_from() -> None:
    _, advised = found(FormulaLab(valley(1e-2), cliff=2.5e-2))
    assert advised.first_failing == pytest.approx(3.16e-2)
    assert advised.rate is not None
    assert advised.rate < 2.5e-2
    assert advised.margin == pytest.approx(advised.first_failing / advised.rate)


def test_where_nothing_learns_there_is_no_rate() -> None:
    _, advised = found(FormulaLab(lambda rate, t: 2.0))
    assert advised.rate is None
    assert "no signal" in advised.cannot_tell


def test_what_looked_good_on_the_way_and_is_lost_by_the_end_is_no_signal() -> None:
    """A quarter of the way in the best is 5% below its start; at the end every rate is above it."""

    def loss(rate: float, t: float) -> float:
        x = math.log10(rate / 1e-2)
        return 2.0 - (0.1 - 0.02 * x * x if t <= STEPS // 4 else -0.05 * t / STEPS)

    _, advised = found(FormulaLab(loss))
    assert advised.rate is None
    assert "no signal" in advised.cannot_tell


@pytest.mark.parametrize("budget", [2.0, 4.0])
def test_a_small_budget_answers_also_where_the_range_test_was_far_off(budget: float) -> None:
    """Five decades too low, so that the grid must widen upwards before anything else."""
    search, advised = found(FormulaLab(valley(0.3), suggestion=1e-6), budget)
    preferred = advised.rate or advised.preferred_rate
    assert preferred is not None
    assert abs(math.log10(preferred / 0.3)) <= 1.0
    assert search.spent <= budget + 0.06


def test_where_everything_diverges_it_goes_down_until_it_may_not() -> None:
    lab = FormulaLab(valley(1e-2), cliff=1e-30)
    search, advised = found(lab)
    assert advised.rate is None
    assert "every rate diverged" in advised.cannot_tell
    assert min(rate for rate, _ in lab.done) < 1e-6
    assert search.spent < 8


def test_more_seeds_go_to_the_rates_that_may_be_the_best() -> None:
    lab = FormulaLab(valley(1e-2), noise=0.03)
    found(lab)
    again = {rate for rate, seed in lab.done if seed != SEEDS[0]}
    assert again
    assert all(abs(math.log10(rate / 1e-2)) <= 1.0 for rate in again)


@pytest.mark.parametrize("place", [-40, -3, 0, 7, 12])
def test_places_and_rates(place: int) -> None:
    assert place_of(rate_at(place)) == place
    assert rate_at(0) == 1.0
    assert rate_at(-4) == pytest.approx(10**-0.5, rel=1e-2)


def test_a_start_in_which_nothing_learns_yet_is_waited_out() -> None:
    """A plateau of a fifth of the run, where rates differ by noise alone; then only those near 0.3 learn."""
    bottom = valley(0.3)

    def loss(rate: float, t: float) -> float:
        return 2.0 if t < 0.2 * STEPS else bottom(rate, t)

    _, advised = found(FormulaLab(loss, noise=1e-4, suggestion=1e-2))
    assert advised.rate is not None
    assert abs(math.log10(advised.rate / 0.3)) <= 0.3


def test_batches_that_differ_are_no_sign_of_a_rate_too_high() -> None:
    """The range test was five decades too low: where nothing moved, the first batch happened to be easy."""
    lab = FormulaLab(valley(0.3), suggestion=1e-6)
    batches = np.where(np.arange(STEPS) == 0, 0.5, 1.0)
    plain = lab._curve

    def uneven(number: int, rate: float, seed: int, until: int) -> Curve:
        curve = plain(number, rate, seed, until)
        return dataclasses.replace(curve, loss=curve.loss * batches[: len(curve.loss)])

    lab._curve = uneven  # type: ignore[method-assign]
    _, advised = found(lab)
    assert advised.rate is not None
    assert abs(math.log10(advised.rate / 0.3)) <= 0.3


def test_a_rate_between_is_tried_on_the_side_that_was_better_though_it_was_not_sound() -> None:
    """Above the best rate the loss rose at the end, and was still lower than half a decade below."""

    def loss(rate: float, t: float) -> float:
        x = math.log10(rate / 1e-2)
        if 0.4 < x < 0.6:
            return 0.4 if t > 0.9 * STEPS else 0.03
        end = 0.1 + 2 * x * x
        return end + (2.0 - end) * math.exp(-20 * t / STEPS)

    lab = FormulaLab(loss)
    found(lab)
    assert (rate_at(place_of(1e-2) + 2), SEEDS[0]) in lab.done
    assert (rate_at(place_of(1e-2) - 2), SEEDS[0]) not in lab.done


@pytest.mark.parametrize("steps", [10, 20, 36, 60, 150, 600, 5000])
@pytest.mark.parametrize("budget", [1.0, 2.0, 4.0, 6.0, 8.0, 16.0])
def test_no_budget_is_overspent_and_the_likeliest_rate_goes_to_the_end(steps: int, budget: float) -> None:
    best = 2e-3
    lab = ShortLab(steps, best)
    search = Search(lab, budget, SEEDS)
    search.run()
    advised = recommend(lab.curves, judge(lab.curves, lab.plan), lab.plan)
    assert search.spent == pytest.approx(lab.trained / steps)
    assert lab.trained <= 1.1 * budget * steps
    if steps >= 20 and budget >= 2:
        assert max(lab.done.values()) == steps
    if steps >= 150 and budget >= 2:
        assert advised.rate is not None
        whole = [rate for (rate, _), until in lab.done.items() if until == steps]
        assert min(abs(math.log10(rate / best)) for rate in whole) <= 0.4
        assert advised.low <= best * 1.5
        assert advised.high >= best / 1.5


@pytest.mark.parametrize(("steps", "budget"), [(20, 2.0), (24, 2.0), (30, 1.0)])
def test_a_run_too_short_for_the_budget_gets_no_rate(steps: int, budget: float) -> None:
    lab = ShortLab(steps, 1e-2)
    Search(lab, budget, SEEDS).run()
    advised = recommend(lab.curves, judge(lab.curves, lab.plan), lab.plan)
    assert advised.rate is None
    assert "too short a run for this budget" in str(advised.cannot_tell)


class ShortLab:
    """Lanes of a valley in a run of so many steps; it counts the updates that it is asked for."""

    def __init__(self, steps: int, best: float) -> None:
        self.plan = Plan("short", (), (), 1, steps, 10, val_size=500, chosen=())
        self.best, self.done = best, dict[tuple[float, int], int]()
        self.trained = 0
        self._known: tuple[Curve, ...] = ()

    @property
    def open(self) -> frozenset[tuple[float, int]]:
        return frozenset(self.done)

    @property
    def curves(self) -> tuple[Curve, ...]:
        return self._known

    def _curve(self, number: int, rate: float, seed: int, until: int) -> Curve:
        t, x = np.arange(until + 1), math.log10(rate / self.best)
        end = 0.2 + (0.3 * (1 - math.exp(-x * x)) if x < 0 else 0.5 * x * x)
        fallen = 1 - np.exp(-6 * t / self.plan.steps * min(1.0, 10**x))
        values = 2.0 - (2.0 - min(end, 3.0)) * fallen
        if x > 1.5:
            return Curve(number, rate, seed, values[: min(until, 15)], stopped_step=min(until, 15))
        return Curve(number, rate, seed, values[:until], val=Track(t, values))

    def scout(self, steps: int) -> float | None:
        self.plan = dataclasses.replace(self.plan, scouted=2 * steps)
        self.trained += 2 * steps
        return self.best / 4

    def train(self, lanes: Sequence[tuple[float, int]], until: int) -> None:
        for lane in lanes:
            stopped = lane[0] > self.best * 10**1.5
            until_here = min(until, 15) if stopped else until
            self.trained += max(0, until_here - self.done.get(lane, 0))
            self.done[lane] = max(until_here, self.done.get(lane, 0))
        self.plan = dataclasses.replace(
            self.plan,
            chosen=tuple(self.done),
            rates=tuple(sorted({rate for rate, _ in self.done})),
            seeds=tuple(dict.fromkeys(seed for _, seed in self.done)),
        )
        of_lanes = enumerate(self.done.items())
        self._known = tuple(self._curve(number, *lane, until) for number, (lane, until) in of_lanes)


def test_where_nothing_learns_before_the_end_few_lanes_are_waited_for_and_the_highest() -> None:
    """At half of the run rates learn; what was not waited for is tried then."""
    bottom = valley(0.3)

    def loss(rate: float, t: float) -> float:
        return 2.0 if t < 0.5 * STEPS else bottom(rate, t)

    lab = FormulaLab(loss, noise=1e-4, suggestion=1e-2)
    _, advised = found(lab)
    waited = next(rates for until, rates in lab.asked if until == STEPS)
    assert len(waited) <= 4
    assert advised.rate is not None
    assert abs(math.log10(advised.rate / 0.3)) <= 0.3
