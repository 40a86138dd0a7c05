"""Rules: one for each kind of verdict, asked in order; the first that finds something gives the verdict."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from lrscope.diagnosis import probes, symptoms
from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.constant_predictor import beside_constant
from lrscope.diagnosis.evidence import Finding
from lrscope.diagnosis.features import Facts
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
    shown = {"start": facts.baseline.start, "end": facts.end}
    if comparison.hindrance == "nothing" and not any(one.learned for one in comparison.facts.values()):
        return (Finding("failed.all", shown),)
    if facts.baseline.best_rate == facts.curve.rate:
        return (Finding("failed.alone", shown),)
    shown |= {"rate": facts.baseline.best_rate, "best": facts.baseline.best}
    return (Finding("failed", shown),)


def _seeds(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """The lane did as well as the best rate, but the rate did not come through on other seeds."""
    best, rate, objective = comparison.best, facts.curve.rate, comparison.objective
    if best is None or comparison.standing(rate) is not None:
        return ()
    same = [one for one in comparison.facts.values() if one.curve.rate == rate and not symptoms.invalid(one)]
    lost = [one for one in same if not symptoms.is_sound(one)]
    twin = comparison.at(best.rate, facts.curve.seed)
    if not (lost or rate in comparison.failing) or facts in lost:
        return ()
    aim = best.value if twin is None else objective.value(twin)
    if regret(objective.value(facts), aim, objective.start(facts)) > facts.thresholds.regret:
        return ()
    if not lost:
        return (Finding("cannot_tell.other_seed", {}),)
    return (Finding("cannot_tell.seeds", {"failed": len(lost), "seeds": len(same)}),)


def _good(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """As good as the best rate; always with the steps it took beside the fastest lane's."""
    best, standing = comparison.best, comparison.standing(facts.curve.rate)
    if best is None or standing is None or standing.rate not in comparison.good_rates:
        return ()
    shown = _beside_the_best(facts, comparison)
    if len(comparison.rates) == 1 and len(comparison.standings) == 1:
        start = comparison.objective.start(facts)
        share = comparison.objective.value(facts) / start if start else 1.0
        return (Finding("good.alone", {**shown, "share": share}), *_steps(facts, comparison))
    if standing is best:
        return (Finding("good.best", shown), *_steps(facts, comparison))
    return (*_missing("good.near", facts, comparison), *_steps(facts, comparison))


def _too_high(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """Worse than the best at a higher rate than any good one."""
    good = comparison.good_rates
    if not good or facts.curve.rate <= good[-1] or _untold(facts, comparison):
        return ()
    if _seeds(facts, comparison):
        return ()
    beside = _missing("too_high", facts, comparison)
    held_up = _held_up(facts)
    return beside if held_up is None else (held_up, *beside)


def _missing(sentence: str, facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """Return what part of what the best rate learned is missing.

    With one seed that is a share of the lane. With several it is a share of the rate, and what the lane and
    the best rate's lane of the same seed came to is said beside it.
    """
    standing, best = comparison.standing(facts.curve.rate), comparison.best
    if best is None or standing is None or standing.seeds == 1:
        shown = _beside_the_best(facts, comparison)
        told = math.isfinite(shown.get("share", math.nan)) and not _unpaired(facts, comparison)
        return (Finding(sentence, shown) if told else _beside(facts, comparison),)
    over = {"part": standing.regret, "share": standing.regret, "rate": best.rate, "error": standing.error}
    if standing.error is None:
        return Finding("missing.seeds", {**over, "error": ""}), _beside(facts, comparison)
    key = "cannot_tell.noise" if sentence == "cannot_tell.noise" else "missing.error"
    return Finding(key, over), _beside(facts, comparison)


def _beside(facts: Facts, comparison: Comparison) -> Finding:
    """Return what the lane came to beside the best rate's lane of the same seed, if there is one."""
    shown = _beside_the_best(facts, comparison)
    if not (math.isfinite(shown["value"]) and math.isfinite(shown["best"])):
        return Finding("beside.unmeasured", {"objective": shown["objective"]})
    unpaired = _unpaired(facts, comparison)
    told = {name: shown[name] for name in ("objective", "value", "best", "rate")}
    return Finding("beside.alone" if unpaired else "beside", told)


def _unpaired(facts: Facts, comparison: Comparison) -> bool:
    """Whether the best rate was not trained on the seed of a lane."""
    best = comparison.best
    return best is None or comparison.at(best.rate, facts.curve.seed) is None


def _held_up(facts: Facts) -> Finding | None:
    """Whether the noise of its own steps holds the loss up: told by a branch at a fifth of the rate."""
    limits, tried = facts.thresholds, probes.branch(facts.curve, facts.end, facts.thresholds)
    if tried is None or not probes.is_level(facts.curve.loss, limits):
        return None
    shown = {"loss": tried.loss, "end": facts.end, "share": abs(tried.drop)}
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
    if _seeds(facts, comparison):
        return ()
    beside = _missing("too_slow", facts, comparison)
    end, last = float(facts.levels[-1]), len(facts.levels) - 1
    fastest = comparison.fastest(facts.curve.seed, end)
    if fastest is None:
        return beside
    rate, reached = fastest
    shown = {
        "end": end,
        "steps": last,
        "fastest": rate,
        "reached": reached,
    }
    if reached == 0:
        return (Finding("too_slow.start", shown), *beside)
    return (Finding("too_slow.steps", {**shown, "times": last / reached}), *beside)


def _cannot_tell(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """What is left."""
    disagreeing = _seeds(facts, comparison)
    if disagreeing:
        return disagreeing
    objective, hindrance = comparison.objective, comparison.hindrance
    if hindrance is None:
        if _untold(facts, comparison):
            return _missing("cannot_tell.noise", facts, comparison)
        return _missing("cannot_tell.between", facts, comparison)
    start, value = objective.start(facts), objective.value(facts)
    if not (math.isfinite(start) and math.isfinite(value)):
        return (Finding("beside.unmeasured", {"objective": objective.name}),)
    shown: dict[str, Any] = {"objective": objective.name, "start": start, "value": value}
    beside = beside_constant([facts], objective, facts.thresholds)
    if beside is not None:
        shown |= {"constant": beside.constant, "end": beside.reached}
    return (Finding(f"cannot_tell.{hindrance}", shown),)


def _untold(facts: Facts, comparison: Comparison) -> bool:
    """Whether only the noise between seeds keeps this rate from being called worse than the best."""
    standing = comparison.standing(facts.curve.rate)
    return standing is not None and standing.near_by_noise


def _beside_the_best(facts: Facts, comparison: Comparison) -> dict[str, Any]:
    """Return the lane's objective beside the best rate's on the same seed, and the share it misses."""
    best, objective = comparison.best, comparison.objective
    if best is None:
        return {}
    twin = comparison.at(best.rate, facts.curve.seed)
    value = objective.value(facts)
    aim = best.value if twin is None else objective.value(twin)
    missing = regret(value, aim, objective.start(facts))
    return {
        "objective": objective.name,
        "value": value,
        "best": aim,
        "rate": best.rate,
        "share": missing,
        "part": missing,
    }


def _steps(facts: Facts, comparison: Comparison) -> tuple[Finding, ...]:
    """How many times more steps than the fastest good lane, to the loss that all good lanes reached."""
    pace = comparison.pace(facts.curve.rate, facts.curve.seed)
    if pace is None:
        return ()
    if pace.fastest_rate == facts.curve.rate:
        return (Finding("good.fastest", {"target": pace.target, "own": pace.steps}),)
    shown = {
        "times": pace.ratio,
        "fastest": pace.fastest_rate,
        "target": pace.target,
        "own": pace.steps,
        "steps": pace.fastest_steps,
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
    Rule("unstable", _alone(symptoms.unstable)),
    Rule("good", _good),
    Rule("too_high", _too_high),
    Rule("too_slow", _too_slow),
    Rule("cannot_tell", _cannot_tell),
)
"""In the order of science: what needs no comparison first, what needs the best rate last."""
