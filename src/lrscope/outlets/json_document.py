"""The JSON document of a study, for programs, and its lanes as rows for the tables that people read.

    schema             1; a later number means that a name below has another meaning
    problem, plan      the question
    how, notes, about  how it was run, what to know about it, versions; seconds: how long it took
    state              running, finished, interrupted, failed, unfinished
    lanes              an object for each lane; see `_lanes`
    recommendation     the fields of `lrscope.Recommendation`, and its sentence
    conclusions        what the study says of too high, medium and too low a rate; see `_conclusion`

A number that is not finite is null.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrscope.diagnosis.conclusions import Conclusion
from lrscope.diagnosis.figures import lane_figures
from lrscope.diagnosis.verdict import kind
from lrscope.language import COMMA, SEMICOLON, Text, joined, said
from lrscope.rates import format_rates

if TYPE_CHECKING:
    from lrscope.charts.chart import Readable  # it loads altair

SCHEMA = 1

_FIGURES = ("final_train_loss", "final_val_loss", "best_val_loss", "best_val_step")


def document(study: "Readable", objective: str | None = None) -> dict[str, Any]:
    """Return what `--json` prints.

    Args:
        study: finished or not.
        objective: what the rate is recommended by; see `Study.recommendation`.

    Returns:
        Dicts with str keys, lists, str, int, finite floats, bool and None: strict JSON.
    """
    advice: Any = study.recommendation(objective)
    content = {
        "schema": SCHEMA,
        "problem": study.plan.problem,
        "plan": json.loads(study.plan.to_json()),
        "how": study.note("how"),
        "notes": study.note("notes") or [],
        "about": study.about,
        "seconds": study.note("seconds"),
        "state": study.state,
        "lanes": _lanes(study),
        # The objective is a name, for programs, and spelled the same in every language.
        "recommendation": {
            **dataclasses.asdict(advice),
            "objective": str(advice.objective),
            "sentence": advice.sentence(),
        },
        "conclusions": [_conclusion(conclusion) for conclusion in study.conclusions()],
    }
    return {key: strict(value) for key, value in content.items()}


def strict(value: Any) -> Any:
    """Return a value as strict JSON knows it: null for a number that is not finite, a list for a sequence."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Text):
        return said(value)
    if isinstance(value, str):
        return str(value)  # also of an enum
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [strict(item) for item in value]
    return value


def _lanes(study: "Readable") -> list[dict[str, Any]]:
    """Return what is known of each lane, in the order of lanes; figures as in `lane_figures`."""
    lanes = study.lanes
    figures = {row["lane"]: row for row in lane_figures(study).iter_rows(named=True)}
    verdicts = {row["lane"]: row for row in study.verdicts().iter_rows(named=True)}
    return [
        {
            **{key: lane[key] for key in ("lane", "rate", "seed", "state")},
            **{key: verdicts[lane["lane"]][key] for key in ("verdict", "attributes", "evidence", "step")},
            "steps": lane["steps"],
            "stopped_step": lane["stopped_step"],
            **{name: figures[lane["lane"]][name] for name in _FIGURES},
            "metrics": {name: figures[lane["lane"]][name] for name in study.plan.metrics},
        }
        for lane in lanes.iter_rows(named=True)
    ]


def _conclusion(conclusion: Conclusion) -> dict[str, Any]:
    """Return one conclusion: which, its verdict, all of it in words, and its claims with their evidence.

    The verdict of a claim is confirmed, refuted or cannot_tell; a conclusion whose claims differ is partly
    confirmed, or cannot be told.
    """
    claims = [
        {"claim": claim.token, "verdict": claim.verdict, "sentence": claim.text(), "evidence": claim.numbers}
        for claim in conclusion.claims
    ]
    return {
        "conclusion": conclusion.token,
        "title": conclusion.title,
        "verdict": conclusion.verdict,
        "headline": conclusion.headline(),
        "sentence": conclusion.sentence(),
        "claims": claims,
    }


def lane_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the lanes of a document by rate and seed, with what a table for people shows of them.

    rate_text: the rate; words: the verdict and its attributes, 'good, overfitting'; why: the first clause of
    the evidence, which is about the verdict; rest: the other clauses; recommended: True if no rate is nearer
    to the recommended one, which may lie between two lanes' rates.
    """
    lanes = sorted(content["lanes"], key=lambda lane: (lane["rate"], lane["seed"]))
    advised = content["recommendation"]["rate"]
    rates = [lane["rate"] for lane in lanes]
    nearest = None if advised is None else min(rates, key=lambda rate: _decades(rate, advised))
    rows = []
    for lane, rate_text in zip(lanes, format_rates(rates), strict=True):
        words = joined((kind(token).word for token in (lane["verdict"], *lane["attributes"])), COMMA)
        why, _, rest = lane["evidence"].partition(said(SEMICOLON))
        rows.append(
            {
                **lane,
                "rate_text": rate_text,
                "words": said(words),
                "why": why,
                "rest": rest,
                "recommended": lane["rate"] == nearest,
            }
        )
    return rows


def representatives(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one lane of each kind of verdict, by rate: the one nearest to the recommended rate."""
    centre = next((row["rate"] for row in rows if row["recommended"]), None)
    by_distance = rows if centre is None else sorted(rows, key=lambda row: _decades(row["rate"], centre))
    chosen = {row["verdict"]: row for row in reversed(by_distance)}
    return sorted(chosen.values(), key=lambda row: float(row["rate"]))


def _decades(rate: float, other: float) -> float:
    return abs(math.log10(rate / other))
