"""Recommend: the rate to use, the interval as good, the distance to the cliff; or why it cannot be told."""

import dataclasses
import math
from collections.abc import Collection, Sequence

import numpy as np

from lrscope.diagnosis import experiment
from lrscope.diagnosis.comparison import Comparison, compare, decades, horizons
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.estimate import choose, for_whole_run, good_interval, widened
from lrscope.diagnosis.evidence import rate_text, steps_text, times_text
from lrscope.diagnosis.horizon import horizon
from lrscope.diagnosis.objective import EARLY_STOPPED, FINAL_TRAINING, FINAL_VALIDATION, Objective
from lrscope.diagnosis.paired import paired
from lrscope.diagnosis.recommendation import Recommendation
from lrscope.diagnosis.refusal import at_edge, cannot_tell
from lrscope.diagnosis.standing import Standing
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.diagnosis.too_few import too_few
from lrscope.diagnosis.verdict import FAILING, Verdict, kind
from lrscope.language import SEMICOLON, Text, joined
from lrscope.plan import Plan

_CONSTANT = Text(
    "no rate did better than a constant answer by more than chance",
    "没有一个学习率胜过恒定输出，除非出于偶然",
)
_TAKEN_DOWN = Text(
    "{done}, and the best rate falls with them: for the rest it is taken down {times} times",
    "{done}，而最好的学习率随步数下降：为剩下的步数，它除以了 {times}",
)
_OTHERWISE = Text(
    "verdicts compare lanes at their best epoch, the recommendation at their end: so {rate} is called {word}",
    "判定比较的是每条最好的一轮，推荐比较的是训练结束时：所以 {rate} 被判为“{word}”",
)
_BEYOND = Text("the best may lie beyond the rates tested", "最好的可能在试过的范围之外")


@np.errstate(over="ignore", invalid="ignore")  # a loss of 1e300 has no variance
def recommend(
    curves: Sequence[Curve], verdicts: Sequence[Verdict], plan: Plan, thresholds: Thresholds = DEFAULT
) -> Recommendation:
    """The rate to use, from the lanes and what became of them.

    Args:
        curves: of all lanes.
        verdicts: of `judge`, on the same curves and thresholds.
        plan: of the study.
        thresholds: see `Thresholds`.
    """
    verdicts = _lasting(curves, verdicts, plan)
    broken = {verdict.rate for verdict in verdicts if verdict.kind in FAILING}
    comparison = _longest(curves, plan, thresholds, broken)
    near = comparison.near_optimal
    failing = sorted({one.rate for one in verdicts if _fails(one, near)})
    first_failing = next((rate for rate in failing if not near or rate > near[-1]), None)
    plain = Recommendation(
        rate=None,
        low=None,
        high=None,
        first_failing=first_failing,
        margin=None,
        confidence="low",
        cannot_tell=None,
        spent=(plan.scouted + sum(curve.steps for curve in curves)) / plan.steps if plan.steps else 0.0,
        objective=comparison.objective.name,
        best_rate=comparison.best.rate if comparison.best else None,
        final_rate=_best_by(FINAL_VALIDATION, comparison),
        early_stopped_rate=_best_by(EARLY_STOPPED, comparison),
        training_rate=_best_by(FINAL_TRAINING, comparison),
        safe_rate=max(_safe(comparison.standings, first_failing, thresholds), default=None),
        near_optimal=near,
    )
    tried = tuple(sorted({curve.rate for curve in curves}))
    reason = too_few(curves, plan) or cannot_tell(comparison, verdicts, tried)
    edge = at_edge(comparison, tried) if reason is None else None
    # A search widens for as long as its budget allows: its best at the edge is the answer to what was asked.
    if plan.chosen is None and edge is not None:
        reason = edge
    if reason is not None:
        ahead = experiment.to_tell(comparison, verdicts, failing)
        return dataclasses.replace(plain, cannot_tell=reason, next_experiment=ahead)
    interval = good_interval(comparison, thresholds)
    rate, near_cliff = choose(interval, first_failing, comparison, thresholds)
    low, high = widened(interval, comparison, tried)
    if plan.chosen is not None and comparison.steps < plan.steps:
        # Only a shorter run was paid for: how far the best rate falls in the rest of it is not known, so the
        # interval holds what it is if it does not fall at all, and if it falls by the most.
        rate = for_whole_run(rate, comparison.steps, plan.steps, thresholds.drift)
        low = for_whole_run(low, comparison.steps, plan.steps, thresholds.drift_most)
    confidence, because = ("low", _BEYOND) if edge is not None else _confidence(comparison, plan, near_cliff)
    doubts = [None if comparison.beats_constant else _CONSTANT, near_cliff if edge is None else edge]
    cautions = [doubt for doubt in doubts if doubt is not None]
    told = dataclasses.replace(
        plain,
        rate=rate,
        low=min(low, rate),
        high=max(high, rate),
        margin=None if first_failing is None else first_failing / rate,
        confidence=confidence,
        because=because,
        caution=joined(cautions, SEMICOLON) if cautions else None,
        remark=_remark(rate, tried, verdicts, comparison, plan),
    )
    leader = comparison.leader or rate
    at_cliff = first_failing is not None and first_failing <= thresholds.cliff * leader
    told = dataclasses.replace(told, horizon=horizon(curves, plan, thresholds))
    if edge is not None:
        ahead = experiment.to_tell(comparison, verdicts, failing)
    else:
        cliff = first_failing if at_cliff else None
        ahead = experiment.to_know_more(rate, interval, cliff, comparison, failing)
    return dataclasses.replace(told, next_experiment=ahead)


def _remark(
    rate: float, tried: Sequence[float], verdicts: Sequence[Verdict], comparison: Comparison, plan: Plan
) -> Text | None:
    """Why the tested rate nearest to the recommended one is not called good, where both are right."""
    nearest = min(tried, key=lambda one: abs(math.log(one / rate)))
    kinds = {verdict.kind for verdict in verdicts if verdict.rate == nearest}
    at_end = comparison.objective.name == FINAL_VALIDATION.name and comparison.steps >= plan.steps
    if not at_end or len(kinds) != 1 or not kinds <= {"too_slow", "too_high"}:
        return None
    return _OTHERWISE.format(rate=rate_text(nearest), word=kind(kinds.pop()).word)


def _lasting(curves: Sequence[Curve], verdicts: Sequence[Verdict], plan: Plan) -> tuple[Verdict, ...]:
    """The verdicts without those of a search's short lanes: what had not learned by then might have later."""
    if plan.chosen is None:
        return tuple(verdicts)
    longest = max((curve.steps for curve in curves), default=0)
    ended = {curve.lane for curve in curves if curve.steps >= longest or curve.stopped_step is not None}
    lasting = tuple(one for one in verdicts if one.lane in ended or one.kind in ("diverged", "diverging"))
    return lasting or tuple(verdicts)


def _longest(
    curves: Sequence[Curve], plan: Plan, thresholds: Thresholds, broken: Collection[float]
) -> Comparison:
    """The lanes after as many steps as possible; of a search, as many as tell a best rate.

    What several rates have not learned by the end of the longest lanes is not there to be learned: of shorter
    ones the best is then a matter of chance.
    """
    longest = compare(curves, plan, thresholds, failing=broken, at_end=True)
    ended = {one.curve.rate for one in longest.facts.values() if one.curve.stopped_step is None}
    silent = longest.hindrance in ("nothing", "constant") and len(ended) > 1
    if plan.chosen is None or longest.best is not None or silent:
        return longest
    shorter = reversed(horizons(curves, thresholds)[:-1])
    tried = (compare(curves, plan, thresholds, steps, broken, at_end=True) for steps in shorter)
    return next((one for one in tried if one.best is not None), longest)


def _fails(verdict: Verdict, near: Sequence[float]) -> bool:
    """Whether a lane says that its rate breaks training. Frozen and unstable ones do above the good rates."""
    above = bool(near) and verdict.rate > near[-1]
    return verdict.kind in FAILING or (verdict.kind in ("frozen", "unstable") and above)


def _confidence(comparison: Comparison, plan: Plan, near_cliff: str | None) -> tuple[str, str]:
    """How sure, and why."""
    seeds = comparison.depth
    if comparison.steps < plan.steps:
        done = Text("only {done} of {steps} steps are done", "{steps} 步里只做了 {done} 步")
        why = done.format(done=steps_text(comparison.steps), steps=steps_text(plan.steps))
        if plan.chosen is not None:
            times = 1 / for_whole_run(1.0, comparison.steps, plan.steps, comparison.thresholds.drift)
            why = _TAKEN_DOWN.format(done=why, times=times_text(times))
        return "low", why
    if seeds == 1:
        return "low", Text("one seed", "一个种子")
    if not comparison.beats_constant:
        return "low", _CONSTANT
    if near_cliff is not None:
        return "low", Text("it stands at the cliff", "它在悬崖边上")
    if seeds == 2:
        return "medium", Text("two seeds", "两个种子")
    if decades(comparison.near_optimal) > comparison.thresholds.widest:
        hardly = Text("{seeds} seeds hardly tell these rates apart", "{seeds} 个种子很难分清这些学习率")
        return "medium", hardly.format(seeds=seeds)
    return "high", Text("{seeds} seeds", "{seeds} 个种子").format(seeds=seeds)


def _safe(standings: Sequence[Standing], first_failing: float | None, thresholds: Thresholds) -> list[float]:
    """Rates within 5% of the best on every seed, below the first that fails."""
    safe = (one.rate for one in standings if one.worst_regret <= thresholds.safe_regret)
    return [rate for rate in safe if first_failing is None or rate < first_failing]


def _best_by(objective: Objective, comparison: Comparison) -> float | None:
    """The rate with the lowest mean of another objective, seeds paired, among those that came through."""
    lanes = [[comparison.at(one.rate, seed) for seed in comparison.seeds] for one in comparison.standings]
    values_RS = np.array(
        [[math.nan if one is None else objective.value(one) for one in row] for row in lanes]
    )
    trained_RS = np.array([[one is not None for one in row] for row in lanes])
    whole_R = [
        bool(row.any() and np.isfinite(values[row]).all())
        for row, values in zip(trained_RS, values_RS, strict=True)
    ]
    if not any(whole_R):
        return None
    best = int(np.argmin(paired(values_RS[whole_R]).means))
    return [one.rate for one, whole in zip(comparison.standings, whole_R, strict=True) if whole][best]
