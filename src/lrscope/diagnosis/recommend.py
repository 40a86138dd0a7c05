"""Recommend: the rate to use, the interval as good, the distance to the cliff; or why it cannot be told."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from lrscope.diagnosis import experiment
from lrscope.diagnosis.comparison import Comparison, compare, decades, horizons
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.estimate import choose, for_whole_run, good_interval, widened
from lrscope.diagnosis.evidence import rate_text, steps_text
from lrscope.diagnosis.horizon import horizon
from lrscope.diagnosis.no_answer import at_edge, cannot_tell, unfinished
from lrscope.diagnosis.objective import EARLY_STOPPED, END_TRAINING, FINAL_VALIDATION, Objective
from lrscope.diagnosis.paired import paired
from lrscope.diagnosis.rate_score import Standing
from lrscope.diagnosis.recommendation import Recommendation
from lrscope.diagnosis.tested import Tested, tested_rates
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.diagnosis.too_few import too_few
from lrscope.diagnosis.verdict import Verdict, kind
from lrscope.language import SEMICOLON, Text, joined
from lrscope.plan import Plan

_CONSTANT = Text(
    "no rate did better than a constant answer by more than chance",
    "没有一个学习率胜过恒定输出，除非出于偶然",
)
_OTHERWISE = Text(
    "verdicts compare lanes at their best epoch, the recommendation at their end: so {rate} is called {word}",
    "判定比较的是每条最好的一轮，推荐比较的是训练结束时：所以 {rate} 被判为“{word}”",
)
_WORSE_AT_END = Text(
    "verdicts compare lanes at their best epoch: there {rates} are good, too, at the end of training "
    "they are worse",
    "判定比较的是每条最好的一轮：那时 {rates} 也好，到训练结束时更差",
)
_ONLY = Text(
    "{rate} is the only rate trained to the full length, others were compared after {steps} of {all} steps",
    "只有 {rate} 训练满了全程，其他的只比较了 {all} 步中的 {steps} 步",
)
_ONE_RATE = Text("one rate trained to the full length", "只有一个学习率训练满了全程")
_ALIKE = Text(
    "of {lanes} seeds {seeds} trained differently, and seeds that train alike count as one",
    "{lanes} 个种子里只有 {seeds} 个训练得不同，训练得一样的种子只算一个",
)
_BEYOND = Text("the best may lie beyond the rates tested", "最好的可能在试过的范围之外")


@np.errstate(over="ignore", invalid="ignore")  # a loss of 1e300 has no variance
def recommend(
    curves: Sequence[Curve], verdicts: Sequence[Verdict], plan: Plan, thresholds: Thresholds = DEFAULT
) -> Recommendation:
    """Return the rate to use, from the lanes and what became of them.

    Rates are compared on the longest lanes only, and one that was trained to the full length is chosen.
    `preferred_rate` of the answer is what would be chosen if every rate had been: a search trains it next.

    Args:
        curves: of all lanes.
        verdicts: of `judge`, on the same curves and thresholds.
        plan: of the study.
        thresholds: see `Thresholds`.
    """
    tested = tested_rates(curves, verdicts, plan)
    comparison = compare(curves, plan, thresholds, failing=tested.broken, at_end=True)
    view = _view(comparison, curves, plan, tested)
    sole = _sole(comparison, view, plan, tested)
    near = (sole,) if sole is not None else comparison.near_optimal
    top = near[-1] if near else None
    first_failing = tested.fails_from(top)
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
        best_rate=sole or (comparison.best.rate if comparison.best else None),
        final_rate=_best_by(FINAL_VALIDATION, comparison),
        early_stopped_rate=_best_by(EARLY_STOPPED, comparison),
        training_rate=_best_by(END_TRAINING, comparison),
        safe_rate=max(_safe(comparison.standings, first_failing, thresholds), default=None),
        near_optimal=near,
        worse_from=None
        if top is None
        else next((r for r in comparison.rates if r > top and r in tested.rates), None),
        preferred_rate=_preferred(view, plan, tested),
        compared_steps=comparison.steps,
        failures=tested.failures,
        highest_tested=tested.rates[-1] if tested.rates else None,
    )
    reason: str | None = too_few(curves, plan)
    if reason is None and sole is None:
        reason = _reason(comparison, view, verdicts, plan, tested)
    if reason is not None:
        ahead = experiment.to_tell(comparison, verdicts, tested)
        return dataclasses.replace(plain, cannot_tell=reason, next_experiment=ahead)
    if sole is not None:
        return _only(sole, plain, view, curves, plan, tested)
    return _chosen(plain, comparison, curves, verdicts, plan, tested)


def _reason(
    comparison: Comparison, view: Comparison, verdicts: Sequence[Verdict], plan: Plan, tested: Tested
) -> str | None:
    """Return why no rate can be recommended; None where one can.

    A search widens for as long as its budget allows: its best at the edge is the answer to what was asked.
    """
    if not tested.whole and view.best is not None:
        return unfinished(view, plan.steps)
    reason = cannot_tell(comparison, verdicts, tested)
    if reason is not None:
        return reason
    if not tested.whole:
        return unfinished(comparison, plan.steps)
    return at_edge(comparison, tested) if plan.chosen is None else None


def _chosen(
    plain: Recommendation,
    comparison: Comparison,
    curves: Sequence[Curve],
    verdicts: Sequence[Verdict],
    plan: Plan,
    tested: Tested,
) -> Recommendation:
    """Return the recommendation where rates trained to the full length can be compared."""
    thresholds, first_failing = comparison.thresholds, plain.first_failing
    interval = good_interval(comparison, thresholds)
    choice = choose(interval, tested.cliff(plain.near_optimal[-1]), comparison, thresholds)
    rate, edge = choice.rate, at_edge(comparison, tested)
    low, high = widened(interval, comparison, tested.rates)
    confidence, because = ("low", _BEYOND) if edge is not None else _confidence(comparison, choice.caution)
    doubts = [None if comparison.beats_constant else _CONSTANT, choice.caution if edge is None else edge]
    cautions = [doubt for doubt in doubts if doubt is not None]
    at_cliff = first_failing is not None and first_failing <= thresholds.cliff * (comparison.leader or rate)
    if edge is not None:
        ahead = experiment.to_tell(comparison, verdicts, tested)
    else:
        cliff = first_failing if at_cliff else None
        ahead = experiment.to_know_more(rate, interval, cliff, comparison, tested)
    remarks = (choice.remark, _remark(rate, verdicts, comparison), _also_good(plain, verdicts, comparison))
    return dataclasses.replace(
        plain,
        rate=rate,
        low=min(low, rate),
        high=max(high, rate),
        margin=None if first_failing is None else first_failing / rate,
        confidence=confidence,
        because=because,
        caution=joined(cautions, SEMICOLON) if cautions else None,
        remark=next((remark for remark in remarks if remark is not None), None),
        horizon=horizon(curves, plan, thresholds),
        next_experiment=ahead,
    )


def _only(
    rate: float,
    plain: Recommendation,
    view: Comparison,
    curves: Sequence[Curve],
    plan: Plan,
    tested: Tested,
) -> Recommendation:
    """Return the recommendation of a search that trained a single rate to the full length.

    What is known of other rates comes from shorter lanes. How far the best rate falls in the rest of the run
    is not known, so the interval holds what it is if it does not fall at all, and if it falls by the most.
    """
    thresholds = view.thresholds
    low, high = widened(good_interval(view, thresholds), view, tested.rates)
    low = for_whole_run(low, view.steps, plan.steps, thresholds.drift_most)
    below = max((one for one in tested.broken if one < rate), default=0.0)
    above = min((one for one in tested.broken if one > rate), default=math.inf)
    caution = _ONLY.format(rate=rate_text(rate), steps=steps_text(view.steps), all=steps_text(plan.steps))
    return dataclasses.replace(
        plain,
        rate=rate,
        low=min(rate, max(low, _inside(rate, below))),
        high=max(rate, min(high, _inside(rate, above))),
        margin=None if plain.first_failing is None else plain.first_failing / rate,
        because=_ONE_RATE,
        caution=caution,
        horizon=horizon(curves, plan, thresholds),
        next_experiment=experiment.around(rate, view),
    )


def _inside(rate: float, failing: float) -> float:
    """Return where an interval that holds a rate ends at the latest, beside a rate that fails."""
    return failing if failing in (0.0, math.inf) else rate * (failing / rate) ** 0.75


def _view(comparison: Comparison, curves: Sequence[Curve], plan: Plan, tested: Tested) -> Comparison:
    """Return the comparison that tells where the best rate lies: of a search, after as many steps as do.

    What several rates have not learned by the end of the longest lanes is not there to be learned: of shorter
    ones the best is then a matter of chance.
    """
    thresholds = comparison.thresholds
    ended = {one.curve.rate for one in comparison.facts.values() if one.curve.stopped_step is None}
    silent = comparison.hindrance in ("nothing", "constant") and len(ended) > 1
    several = comparison.best is not None and len(ended) > 1
    if plan.chosen is None or several or silent:
        return comparison
    shorter = reversed(horizons(curves, thresholds)[:-1])
    tried = (compare(curves, plan, thresholds, steps, tested.broken, at_end=True) for steps in shorter)
    return next((one for one in tried if one.best is not None), comparison)


def _sole(comparison: Comparison, view: Comparison, plan: Plan, tested: Tested) -> float | None:
    """Return the rate that a search trained to the full length, if it is the only one, and came through."""
    if plan.chosen is None or len(tested.whole) != 1 or view is comparison:
        return None
    came_through = comparison.standing(tested.whole[0]) is not None
    return tested.whole[0] if came_through and comparison.hindrance in (None, "one_rate") else None


def _preferred(view: Comparison, plan: Plan, tested: Tested) -> float | None:
    """Return where the lanes say that the best rate lies; None where they do not tell."""
    if view.best is None:
        return None
    interval = good_interval(view, view.thresholds)
    rate = choose(interval, tested.cliff(view.near_optimal[-1]), view, view.thresholds).preferred
    if plan.chosen is not None and view.steps < plan.steps:
        return for_whole_run(rate, view.steps, plan.steps, view.thresholds.drift)
    return rate


def _also_good(plain: Recommendation, verdicts: Sequence[Verdict], comparison: Comparison) -> Text | None:
    """Return that rates are called good which are worse at the end of training; None where none is."""
    good = {verdict.rate for verdict in verdicts if verdict.kind == "good"} - set(plain.near_optimal)
    if comparison.objective.name != FINAL_VALIDATION.name or not good:
        return None
    overfit = any("overfitting" in verdict.attributes for verdict in verdicts)
    return _WORSE_AT_END.format(rates=", ".join(map(rate_text, sorted(good)))) if overfit else None


def _remark(rate: float, verdicts: Sequence[Verdict], comparison: Comparison) -> Text | None:
    """Return why the lanes of the recommended rate are not called good, where both are right."""
    kinds = {verdict.kind for verdict in verdicts if verdict.rate == rate}
    if comparison.objective.name != FINAL_VALIDATION.name or len(kinds) != 1:
        return None
    if not kinds <= {"too_slow", "too_high"}:
        return None
    return _OTHERWISE.format(rate=rate_text(rate), word=kind(kinds.pop()).word)


def _confidence(comparison: Comparison, near_cliff: str | None) -> tuple[str, str]:
    """How sure, and why."""
    seeds = comparison.depth
    if comparison.best is not None and comparison.best.seeds > seeds:
        alike = _ALIKE.format(lanes=comparison.best.seeds, seeds=seeds)
        return "low", alike
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
