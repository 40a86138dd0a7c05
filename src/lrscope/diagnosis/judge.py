"""Judge: curves in, a verdict for each lane out. Pure: the same curves give the same words."""

from collections.abc import Sequence

import numpy as np

from lrscope.diagnosis import objective
from lrscope.diagnosis.comparison import Comparison, compare, horizons
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.evidence import Finding, loss_text, share_text
from lrscope.diagnosis.facts import Facts
from lrscope.diagnosis.limits import Standing
from lrscope.diagnosis.rules import RULES
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.diagnosis.verdict import FAILING, Verdict
from lrscope.plan import Plan


@np.errstate(over="ignore", invalid="ignore")  # a loss of 1e300 has no variance
def judge(curves: Sequence[Curve], plan: Plan, thresholds: Thresholds = DEFAULT) -> tuple[Verdict, ...]:
    """What became of every lane, in the order given.

    A lane that was interrupted is compared with the others as they were after as many steps.

    Args:
        curves: of all lanes; lanes of one seed are paired.
        plan: of the study.
        thresholds: see `Thresholds`.
    """
    lengths = horizons(curves, thresholds)
    longest = compare(curves, plan, thresholds)
    shorter = {steps: compare(curves, plan, thresholds, steps) for steps in lengths[:-1]}
    verdicts = []
    for curve in curves:
        ended_early = curve.stopped_step is None and curve.steps in shorter
        comparison = shorter[curve.steps] if ended_early else longest
        verdicts.append(_verdict(curve, comparison, plan, thresholds))
    return tuple(verdicts)


def _verdict(curve: Curve, comparison: Comparison, plan: Plan, thresholds: Thresholds) -> Verdict:
    facts = comparison.facts.get(curve.lane)
    findings: tuple[Finding, ...]
    attributes: list[tuple[str, Finding]] = []
    if facts is None:
        kind, findings = "invalid", (_unjudged(curve, thresholds),)
    else:
        found = ((rule.kind, rule.find(facts, comparison)) for rule in RULES)
        kind, findings = next((kind, findings) for kind, findings in found if findings)
        if kind != "invalid":
            attributes = _attributes(facts, kind)
    beside = [finding for _, finding in attributes]
    # Of a lane that stands still the limit of stability says nothing.
    known = None if facts is None or kind in ("invalid", "frozen") else facts.limit
    ordered = [*findings, *beside]
    if known is not None:
        # Where it is known it explains most, and is said first; but not why a lane is slow.
        ordered.insert(len(findings) if kind in ("too_slow", "not_started") else 0, _limit(known))
    sentences = [finding.text() for finding in ordered]
    return Verdict(
        lane=curve.lane,
        rate=curve.rate,
        seed=curve.seed,
        kind=kind,
        attributes=tuple(token for token, _ in attributes),
        step=findings[0].step,
        evidence="; ".join(sentences),
    )


def _unjudged(curve: Curve, thresholds: Thresholds) -> Finding:
    """Why a lane has no place in any comparison."""
    if curve.stopped_step is not None:
        return Finding("invalid.not_finite", {}, curve.stopped_step)
    if curve.steps == 0:
        return Finding("invalid.empty", {})
    return Finding("invalid.short", {"steps": str(curve.steps), "least": str(thresholds.least_steps)})


def _limit(known: Standing) -> Finding:
    """Where the lane stands to the limit of stability."""
    shown = {
        "ratio": f"{known.ratio:.4g}" if 0.95 < known.ratio < 1.05 else f"{known.ratio:.2g}",
        "limit": f"{known.limit:.4g}",
        "sharpness": f"{known.sharpness:.4g}",
    }
    return Finding("limit.above" if known.ratio > 1 else "limit", shown)


def _attributes(facts: Facts, kind: str) -> list[tuple[str, Finding]]:
    """What is to be said beside the verdict, in the catalogue's order."""
    attributes = []
    known, thresholds = None if kind == "frozen" else facts.limit, facts.thresholds
    at_edge = known is not None and thresholds.edge_from <= known.ratio <= thresholds.edge_to
    if known is not None and at_edge and kind not in FAILING:
        shown = {"product": f"{facts.curve.rate * known.sharpness:.4g}"}
        attributes.append(("edge", Finding("edge", shown)))
    ringing = facts.ringing
    plain = "momentum" not in facts.plan.optimizer_options
    if known is not None and plain and facts.curve.rate * known.sharpness > thresholds.ringing_product:
        shown = {"product": f"{facts.curve.rate * known.sharpness:.4g}"}
        attributes.append(("ringing", Finding("ringing.product", shown)))
    elif ringing is not None:
        shown = {
            "scalar": facts.tracked_name(ringing.tracked),
            "first": str(ringing.first_step),
            "last": str(ringing.last_step),
        }
        attributes.append(("ringing", Finding("ringing", shown)))
    overfitting = objective.overfitting(facts.curve, facts.levels, facts.plan, facts.thresholds)
    if overfitting is not None:
        shown = {
            "step": str(overfitting.best_step),
            "best": loss_text(overfitting.best),
            "percent": share_text(overfitting.loss_of_generalisation / 100),
            "end": loss_text(overfitting.end),
        }
        attributes.append(("overfitting", Finding("overfitting", shown)))
    return attributes
