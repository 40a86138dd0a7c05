"""Too low: whether lower rates take more steps, and the words for whether they overfit."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lrscope.diagnosis.beliefs import Claim, phrase
from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.context import Case, downwards
from lrscope.diagnosis.evidence import rate_text, share_text, steps_text, times_text
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.overfitting import Difference, FairTest, LowerRate, lower_rates
from lrscope.diagnosis.progress import first_reach
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.language import Text
from lrscope.plan import Plan


def slow(case: Case) -> Claim:
    """Whether lower rates took more steps to the same training loss; steps are counted, not extrapolated."""
    comparison, reference = case.comparison, case.reference
    if reference is None:
        return Claim(
            "slow", "cannot_tell", (phrase("no_reference", {}),), phrase("no_reference.short", {}), {}
        )
    lower = lower_rates(comparison, reference)
    if not lower:
        why = phrase("no_lower", {"reference": rate_text(reference), "next": downwards(reference)})
        return Claim("slow", "cannot_tell", (why,), phrase("no_lower.short", {}), {})
    times: dict[float, float] = {}
    longer = comparison.thresholds.longer
    phrases = []
    for rate in sorted(lower, reverse=True):
        paces = [pace for one in case.lanes(rate) if (pace := _pace(one, reference, comparison)) is not None]
        if not paces:
            continue
        ratio = float(np.median([own / max(reached, 1) for own, reached in paces]))
        shown = {"rate": rate_text(rate), "fastest": rate_text(reference), "times": times_text(ratio)}
        started = any(own > 0 for own, _ in paces)
        if not started:
            steps = max(one.curve.steps for one in case.lanes(rate))
            phrases.append(phrase("slow.start", {**shown, "steps": steps_text(steps)}))
            times[rate] = math.inf
        else:
            phrases.append(phrase("slow" if ratio > longer else "slow.not", shown))
            times[rate] = ratio
    if not times:
        unknown = phrase("slow.unknown", {})
        return Claim("slow", "cannot_tell", (unknown,), unknown, {})
    verdict = "cannot_tell"
    if min(times.values()) > longer:
        verdict = "confirmed"
    elif max(times.values()) <= longer:
        verdict = "refuted"
    lowest = min(times)
    short = {"rate": rate_text(lowest), "times": times_text(times[lowest])}
    numbers = {"reference_rate": reference, "rates": list(times), "times_more_steps": list(times.values())}
    figure = phrase("slow.short" if math.isfinite(times[lowest]) else "slow.start.short", short)
    return Claim("slow", verdict, tuple(phrases), figure, numbers)


def overfits(test: FairTest, plan: Plan, thresholds: Thresholds = DEFAULT) -> Claim:
    """Whether lower rates overfit, told from a fair test."""
    seeds = phrase("overfits.seeds" if test.seeds > 1 else "overfits.seeds.one", {"seeds": str(test.seeds)})
    shown: dict[str, str] = {
        "reference": rate_text(test.reference) if test.reference else "",
        "margin": _change(test.margin, test.relative).lstrip("+"),
        "more": str(max(thresholds.fair_seeds, 2 * test.seeds)),
        "seeds": seeds,
        "epochs": str(plan.epochs),
    }
    lower = [{**dataclasses.asdict(one), "outcome": one.outcome} for one in test.lower]
    numbers = {**dataclasses.asdict(test), "lower": lower}
    if not test.lower:
        return _untested(test, shown, numbers)
    lanes = [*(_lane(one, test, shown) for one in reversed(test.lower)), *_remarks(test)]
    if test.verdict == "refuted":
        return Claim(
            "overfits",
            "refuted",
            (phrase("overfits.not", shown), *lanes),
            phrase("overfits.not.short", shown),
            numbers,
        )
    if test.verdict == "confirmed":
        proofs = [one for one in test.lower if one.outcome == "confirmed"]
        shown["rates"] = ", ".join(rate_text(one.rate) for one in proofs)
        change = max((one.equal_training.mean, one.rate) for one in proofs if one.equal_training is not None)
        short = {**shown, "change": _change(change[0], test.relative), "rate": rate_text(change[1])}
        return Claim(
            "overfits",
            "confirmed",
            (phrase("overfits", shown), *lanes),
            phrase("overfits.short", short),
            numbers,
        )
    if test.missing == "steps":
        return _too_shallow(test, shown, lanes, numbers)
    missing = phrase(f"overfits.{test.missing}", shown)
    return Claim(
        "overfits", "cannot_tell", (missing, *lanes), phrase(f"overfits.{test.missing}.short", shown), numbers
    )


def _untested(test: FairTest, shown: dict[str, str], numbers: dict[str, Any]) -> Claim:
    """No lower rate could be compared at all."""
    if test.missing == "no_lower_rate" and test.reference is not None:
        why = phrase("no_lower", {**shown, "next": downwards(test.reference)})
        return Claim("overfits", "cannot_tell", (why,), phrase("no_lower.short", {}), numbers)
    key = "no_reference" if test.missing == "no_reference" else f"overfits.{test.missing}"
    return Claim("overfits", "cannot_tell", (phrase(key, {}),), phrase(f"{key}.short", {}), numbers)


def _too_shallow(test: FairTest, shown: dict[str, str], lanes: list[Text], numbers: dict[str, Any]) -> Claim:
    """No lower rate came deep enough; with enough epochs, or at a rate less low, one would."""
    needed = min((one.epochs for one in test.lower if one.epochs is not None), default=None)
    if needed is not None:
        first = phrase("overfits.steps", {**shown, "needed": str(needed)})
    else:
        first = phrase("overfits.nearer", {**shown, "next": downwards(test.reference or 1.0)})
    return Claim("overfits", "cannot_tell", (first, *lanes), phrase("overfits.steps.short", {}), numbers)


def _lane(one: LowerRate, test: FairTest, shown: dict[str, str]) -> Text:
    """One lower rate in figures."""
    training = one.equal_training
    values = {
        **shown,
        "rate": rate_text(one.rate),
        "training": _interval(training, test.relative) if training is not None else "",
        "best": _interval(one.best, test.relative),
        "steps": _interval(one.equal_steps, test.relative),
    }
    key = "overfits.lane.short" if training is None else "overfits.lane"
    return phrase(key if test.relative else f"{key}.regret", values)


def _remarks(test: FairTest) -> list[Text]:
    """What to make of the figures of all lower rates."""

    def better(one: LowerRate) -> bool:
        return one.outcome == "refuted" and (one.equal_steps.high or 0.0) < -test.margin

    def worse(one: LowerRate) -> bool:
        return one.outcome == "refuted" and one.equal_steps.worse

    def falling(one: LowerRate) -> bool:
        return one.still_falling and one.best.mean > 0 and not one.best.as_good

    remarks: dict[str, Callable[[LowerRate], bool]] = {
        "overfits.still_falling": falling,
        "overfits.under_trained": worse,
        "overfits.less_trained": better,
    }
    rates = {key: [rate_text(one.rate) for one in test.lower if holds(one)] for key, holds in remarks.items()}
    return [phrase(key, {"rates": ", ".join(those)}) for key, those in rates.items() if those]


def _interval(difference: Difference, relative: bool) -> Text:
    """'+0.3% (-0.4% to +1%)': the mean, and its interval where there is one."""
    mean = _change(difference.mean, relative)
    if difference.low is None or difference.high is None:
        return Text(mean, mean)
    ends = {"low": _change(difference.low, relative), "high": _change(difference.high, relative)}
    return Text("{mean} ({low} to {high})", "{mean}（{low} 到 {high}）").format(mean=mean, **ends)


def _change(value: float, relative: bool) -> str:
    """A difference in percent, with its sign: of the loss itself, where it is one of logarithms."""
    share = math.expm1(min(value, 50.0)) if relative else value
    if abs(share) < 5e-4:
        return "0%"
    return f"{'+' if share > 0 else '-'}{share_text(abs(share))}"


def _pace(facts: Facts, reference: float, comparison: Comparison) -> tuple[int, int] | None:
    """Return how many steps a lane and the reference's lane of its seed took to a training loss.

    That is the lowest that both reached. None where one of them stopped, or was not trained on the seed.
    """
    other = comparison.at(reference, facts.curve.seed)
    if other is None or any(
        one.curve.stopped_step is not None or not len(one.levels) for one in (facts, other)
    ):
        return None
    target = max(float(facts.levels.min()), float(other.levels.min()))
    own, reached = first_reach(facts.levels, target), first_reach(other.levels, target)
    return None if own is None or reached is None else (own, reached)
