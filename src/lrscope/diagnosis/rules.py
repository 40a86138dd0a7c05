"""Rules: one for each kind of verdict, asked in order; the first that finds something gives the verdict."""

import dataclasses
from collections.abc import Callable

from lrscope.diagnosis import probes, symptoms
from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.constant_answer import beside_constant
from lrscope.diagnosis.evidence import (
    Finding,
    loss_text,
    part_text,
    rate_text,
    share_text,
    steps_text,
    times_text,
)
from lrscope.diagnosis.facts import Facts
from lrscope.diagnosis.progress import regret


@dataclasses.dataclass(frozen=True)
class Rule:
    """One kind of verdict.

    Attributes:
        kind: a token of `verdict.KINDS`.
        find: the lane among its like -> the findings behind the verdict, in the order in which they are said;
            empty where the rule does not match.
    """

    kind: str
    find: Callable[[Facts, Comparison], tuple[Finding, ...]]


def _alone(symptom: Callable[[Facts], Finding | None]) -> Callable[[Facts, Comparison], tuple[Finding, ...]]:
    """A rule that looks at one lane only."""

    def find(facts: Facts, _: Comparison) -> tuple[Finding, ...]:
        finding = symptom(facts)
        return () if finding is None else (finding,)

    return find


def _failed(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """Nothing was learned, and not for want of a higher rate."""
    near = comparison.near_optimal
    if facts.learned or (near and facts.curve.rate < near[0]):
        return ()
    shown = {"start": loss_text(facts.baseline.start), "end": loss_text(facts.end)}
    if comparison.hindrance == "nothing":
        return (Finding("failed.all", shown),)
    shown |= {"rate": rate_text(facts.baseline.best_rate), "best": loss_text(facts.baseline.best)}
    return (Finding("failed", shown),)


def _unstable(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """The loss rose again, or other seeds of the rate did not come through."""
    finding = symptoms.unstable(facts)
    if finding is not None:
        return (finding,)
    same = [one for one in comparison.facts.values() if one.curve.rate == facts.curve.rate]
    lost = [one for one in same if _lost(one, comparison)]
    if not facts.learned or not lost:
        return ()
    return (Finding("unstable.seeds", {"failed": str(len(lost)), "seeds": str(len(same))}),)


def _lost(facts: Facts, comparison: Comparison) -> bool:
    """Whether a lane did not come through; below the good rates one that has not learned is only slow."""
    if symptoms.invalid(facts):
        return False
    near = comparison.near_optimal
    if near and facts.curve.rate < near[0]:
        return any(symptom(facts) for symptom in (symptoms.diverged, symptoms.diverging))
    return not symptoms.is_sound(facts)


def _good(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """As good as the best rate; always with the steps it took beside the fastest lane's."""
    best, standing = comparison.best, comparison.standing(facts.curve.rate)
    if best is None or standing is None or standing.rate not in comparison.good_rates:
        return ()
    shown = _beside_the_best(facts, comparison)
    if len(comparison.rates) == 1:
        start = comparison.objective.start(facts)
        share = share_text(comparison.objective.value(facts) / start if start else 1.0)
        return (Finding("good.alone", {**shown, "share": share}), *_steps(facts, comparison))
    if standing is best:
        return (Finding("good.best", shown), *_steps(facts, comparison))
    if standing.error is None:
        return (Finding("good.near", shown), *_steps(facts, comparison))
    return (Finding("good.error", shown), *_steps(facts, comparison))


def _too_high(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """Worse than the best at a higher rate than any good one."""
    good = comparison.good_rates
    if not good or facts.curve.rate <= good[-1] or _untold(facts, comparison):
        return ()
    beside = Finding("too_high", _beside_the_best(facts, comparison))
    held_up = _held_up(facts)
    return (beside,) if held_up is None else (held_up, beside)


def _held_up(facts: Facts) -> Finding | None:
    """Whether the noise of its own steps holds the loss up: told by a branch at a fifth of the rate."""
    limits, tried = facts.thresholds, probes.branch(facts.curve, facts.end, facts.thresholds)
    if tried is None or not probes.is_level(facts.curve.loss, limits):
        return None
    shown = {"loss": loss_text(tried.loss), "end": loss_text(facts.end), "share": share_text(abs(tried.drop))}
    if tried.drop > limits.branch_drop and tried.certain:
        return Finding("too_high.noise", shown)
    return Finding("too_high.level", shown)


def _too_slow(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """Worse than the best at a lower rate than any good one, and how many times more steps it needs.

    The steps are exact: those the fastest lane of the same seed took to get as far as this lane came.
    """
    good = comparison.good_rates
    if not good or facts.curve.rate >= good[0] or _untold(facts, comparison):
        return ()
    beside = Finding("too_slow", _beside_the_best(facts, comparison))
    end, last = float(facts.levels[-1]), len(facts.levels) - 1
    fastest = comparison.fastest(facts.curve.seed, end)
    if fastest is None:
        return (beside,)
    rate, reached = fastest
    shown = {
        "end": loss_text(end),
        "steps": steps_text(last),
        "fastest": rate_text(rate),
        "reached": steps_text(reached),
    }
    if reached == 0:
        return (Finding("too_slow.start", shown), beside)
    return (Finding("too_slow.steps", {**shown, "times": times_text(last / reached)}), beside)


def _cannot_tell(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """What is left."""
    objective, hindrance = comparison.objective, comparison.hindrance
    if hindrance is None:
        why = "cannot_tell.noise" if _untold(facts, comparison) else "cannot_tell.between"
        return (Finding(why, _beside_the_best(facts, comparison)),)
    shown = {
        "objective": objective.name,
        "start": loss_text(objective.start(facts)),
        "value": loss_text(objective.value(facts)),
    }
    beside = beside_constant([facts], objective, facts.thresholds)
    if beside is not None:
        shown |= {"constant": loss_text(beside.constant), "end": loss_text(beside.reached)}
    return (Finding(f"cannot_tell.{hindrance}", shown),)


def _untold(facts: Facts, comparison: Comparison) -> bool:
    """Whether only the noise between seeds keeps this rate from being called worse than the best."""
    standing = comparison.standing(facts.curve.rate)
    return standing is not None and standing.near_by_noise


def _beside_the_best(facts: Facts, comparison: Comparison) -> dict[str, str]:
    """The lane's objective beside the best rate's of the same seed."""
    best, standing, objective = comparison.best, comparison.standing(facts.curve.rate), comparison.objective
    if best is None:
        return {}
    twin = comparison.at(best.rate, facts.curve.seed)
    value = objective.value(facts)
    aim = best.value if twin is None else objective.value(twin)
    missing = standing.regret if standing is not None else regret(value, aim, objective.start(facts))
    return {
        "objective": objective.name,
        "value": loss_text(value),
        "best": loss_text(aim),
        "rate": rate_text(best.rate),
        "share": share_text(missing),
        "part": part_text(missing),
        "error": share_text(standing.error) if standing is not None and standing.error is not None else "?",
    }


def _steps(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """How many times more steps than the fastest good lane, to the loss that all good lanes reached."""
    pace = comparison.pace(facts.curve.rate, facts.curve.seed)
    if pace is None:
        return ()
    shown = {
        "times": times_text(pace.ratio),
        "fastest": rate_text(pace.fastest_rate),
        "target": loss_text(pace.target),
        "own": steps_text(pace.steps),
        "steps": steps_text(pace.fastest_steps),
    }
    return (Finding("good.steps", shown),)


RULES: tuple[Rule, ...] = (
    Rule("invalid", _alone(symptoms.invalid)),
    Rule("frozen", _alone(symptoms.frozen)),
    Rule("diverged", _alone(symptoms.diverged)),
    Rule("diverging", _alone(symptoms.diverging)),
    Rule("collapsed", lambda facts, _: symptoms.collapsed(facts)),
    Rule("not_started", _alone(symptoms.not_started)),
    Rule("failed", _failed),
    Rule("unstable", _unstable),
    Rule("good", _good),
    Rule("too_high", _too_high),
    Rule("too_slow", _too_slow),
    Rule("cannot_tell", _cannot_tell),
)
"""In the order of science: what needs no comparison first, what needs the best rate last."""
