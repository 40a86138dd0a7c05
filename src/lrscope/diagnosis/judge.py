"""Judge: curves in, a verdict for each lane out. Pure: the same curves give the same words."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lrscope.diagnosis import objective, probes, symptoms
from lrscope.diagnosis.comparison import Comparison, compare, horizons
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.evidence import MANY_TIMES, Finding
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.limits import Standing
from lrscope.diagnosis.rules import RULES
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.diagnosis.verdict import FAILING, UNSOUND, Verdict
from lrscope.language import SEMICOLON, Text, joined
from lrscope.plan import Plan

EARLY = ("invalid", "frozen", "diverged", "diverging", "collapsed", "failed", "unstable")
"""Kinds that a lane can be told to be before the longest lanes end."""

ROUNDED = ("not_started", "too_slow", "failed", "cannot_tell")
"""Kinds of a lane that may be what it is because rounding swallowed part of its updates."""


@np.errstate(over="ignore", invalid="ignore")  # a loss of 1e300 has no variance
def judge(curves: Sequence[Curve], plan: Plan, thresholds: Thresholds = DEFAULT) -> tuple[Verdict, ...]:
    """What became of every lane, in the order given.

    Lanes are compared at the longest length only. A shorter one is told to have failed where it did, beside
    the others as they were after as many steps; whether it is a good one cannot be told.

    Args:
        curves: of all lanes; lanes of one seed are paired.
        plan: of the study.
        thresholds: see `Thresholds`.
    """
    lengths = horizons(curves, thresholds)
    shorter = {steps: compare(curves, plan, thresholds, steps) for steps in lengths[:-1]}
    verdicts = {
        curve.lane: _verdict(curve, shorter[curve.steps], lengths[-1], thresholds)
        for curve in curves
        if curve.stopped_step is None and curve.steps in shorter
    }
    failing = {verdict.rate for verdict in verdicts.values() if verdict.kind in UNSOUND}
    longest = compare(curves, plan, thresholds, failing=failing)
    return tuple(
        verdicts.get(curve.lane) or _verdict(curve, longest, longest.steps, thresholds) for curve in curves
    )


def _kind(facts: Facts, comparison: Comparison, longest: int) -> tuple[str, tuple[Finding, ...]]:
    """Return the kind of a lane, and why; `longest` is how many steps the longest lanes did."""
    short = comparison.steps < longest
    found = ((rule.kind, rule.find(facts, comparison)) for rule in RULES if not short or rule.kind in EARLY)
    kind, findings = next(((kind, findings) for kind, findings in found if findings), ("", ()))
    near = comparison.near_optimal
    # What has not learned in a short run might have later, unless lower rates had learned by then.
    if short and (not kind or (kind == "failed" and not (near and facts.curve.rate > near[-1]))):
        return "cannot_tell", (Finding("cannot_tell.short", {"steps": comparison.steps, "longest": longest}),)
    could_be_frozen = kind in ("not_started", "too_slow") or (kind == "failed" and not near)
    unknown = symptoms.unmeasured(facts) if could_be_frozen and not facts.still_moving else None
    return (kind, findings) if unknown is None else ("cannot_tell", (unknown, *findings))


def _verdict(curve: Curve, comparison: Comparison, longest: int, thresholds: Thresholds) -> Verdict:
    facts = comparison.facts.get(curve.lane)
    findings: tuple[Finding, ...]
    attributes: list[tuple[str, Finding]] = []
    if facts is None:
        kind, findings = "invalid", (_unjudged(curve, thresholds),)
    else:
        kind, findings = _kind(facts, comparison, longest)
        if kind != "invalid":
            attributes = _attributes(facts, kind)
    beside = [finding for _, finding in attributes]
    in_part = symptoms.rounded(facts) if facts is not None and kind in ROUNDED else None
    if in_part is not None:
        beside.append(in_part)
    # Of a lane that stands still the limit of stability says nothing.
    known = None if facts is None or kind in ("invalid", "frozen") else facts.limit
    ordered = [*findings, *beside]
    if known is not None and known.binding:
        # Where it is known it explains most, and is said first; but not why a lane is slow, nor, being that
        # of where a lost lane ended, what drove it there.
        last = kind in ("too_slow", "not_started", "collapsed", "failed")
        ordered.insert(len(findings) if last else 0, _limit(known))
    return Verdict(
        lane=curve.lane,
        rate=curve.rate,
        seed=curve.seed,
        kind=kind,
        attributes=tuple(token for token, _ in attributes),
        step=findings[0].step,
        evidence=joined((finding.text() for finding in ordered), SEMICOLON),
        findings=tuple(ordered),
    )


def _unjudged(curve: Curve, thresholds: Thresholds) -> Finding:
    """Why a lane has no place in any comparison."""
    if curve.stopped_step is not None:
        return Finding("invalid.not_finite", {}, curve.stopped_step)
    if curve.steps == 0:
        return Finding("invalid.empty", {})
    return symptoms.too_short(curve, thresholds)


def _limit(known: Standing) -> Finding:
    """Where the lane stands to the limit of stability."""
    shown: dict[str, Any] = {
        "ratio": f"{known.ratio:.4g}" if 0.95 < known.ratio < 1.05 else f"{known.ratio:.2g}",
        "limit": f"{known.limit:.4g}",
        "sharpness": _sharpness(known),
    }
    shown["step"] = known.step
    if known.ratio > 1:
        return Finding("limit.above" if known.late else "limit.above.early", shown)
    return Finding("limit" if known.late else "limit.early", shown)


def _sharpness(known: Standing) -> str:
    """Four digits, and none after a full stop that says nothing: 16.7, 0.763, 11,740."""
    return f"{known.sharpness:.4g}" if abs(known.sharpness) < 1e4 else f"{known.sharpness:,.0f}"


def _at_edge(facts: Facts, known: Standing) -> Finding:
    """Where full-batch training hovers: an attribute, and no fault."""
    shown: dict[str, str] = {"product": f"{facts.curve.rate * known.sharpness:.4g}", "known": ""}
    if known.residual is not None and known.products is not None:
        shown["known"] = (_KNOWN_ON if facts.plan.curvature_examples else _KNOWN).format(
            sharpness=_sharpness(known),
            residual=f"{known.residual:.1g}",
            products=known.products,
            examples=f"{facts.plan.curvature_examples or 0:,}",
        )
    shown["limit"] = f"{facts.curve.rate * known.sharpness / known.ratio:.4g}"
    return Finding("edge.preconditioned" if known.preconditioned else "edge", shown)


_KNOWN = Text(
    " (sharpness {sharpness} ± {residual}, {products} products)",
    "（锐度 {sharpness} ± {residual}，{products} 次乘积）",
)
_KNOWN_ON = Text(
    " (sharpness {sharpness} ± {residual}, {products} products on {examples} examples)",
    "（锐度 {sharpness} ± {residual}，在 {examples} 个样本上做了 {products} 次乘积）",
)


def _attributes(facts: Facts, kind: str) -> list[tuple[str, Finding]]:
    """What is to be said beside the verdict, in the catalogue's order."""
    attributes: list[tuple[str, Finding]] = []
    shown: dict[str, Any]
    known, thresholds = None if kind == "frozen" else facts.limit, facts.thresholds
    at_edge = known is not None and thresholds.edge_from <= known.ratio <= thresholds.edge_to
    if known is not None and known.late and at_edge and kind not in FAILING:
        attributes.append(("edge", _at_edge(facts, known)))
    elif known is None and kind not in (*FAILING, "frozen"):
        probed = probes.edge(facts.curve, facts.plan, thresholds)
        if probed is not None:
            attributes.append(("edge", probed))
    ringing = facts.ringing
    plain = "momentum" not in facts.plan.optimizer_options
    turns = known is not None and known.binding and known.late and plain
    if known is not None and turns and facts.curve.rate * known.sharpness > thresholds.ringing_product:
        shown = {"product": f"{facts.curve.rate * known.sharpness:.4g}"}
        attributes.append(("ringing", Finding("ringing.product", shown)))
    elif ringing is not None:
        shown = {
            "scalar": facts.tracked_name(ringing.tracked),
            "first": ringing.first_step,
            "last": ringing.last_step,
        }
        attributes.append(("ringing", Finding("ringing", shown)))
    overfitting = objective.overfitting(facts.curve, facts.levels, facts.plan, facts.thresholds)
    if overfitting is not None:
        above = overfitting.loss_of_generalisation / 100
        shown = {
            "step": overfitting.best_step,
            "best": overfitting.best,
            "percent": above,
            "times": 1 + above,
            "end": overfitting.end,
        }
        sentence = "overfitting.far" if above >= MANY_TIMES else "overfitting"
        if overfitting.best_step == 0:
            sentence = "overfitting.start"
        attributes.append(("overfitting", Finding(sentence, shown)))
    return attributes
