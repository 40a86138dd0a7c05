"""Document: a study as one strict JSON document, for programs.

    schema             1; a later number means that a name below has another meaning
    problem, plan      the question
    how, notes, about  how it was run, what to know about it, versions; seconds: how long it took
    state              running, finished, interrupted, failed, unfinished
    lanes              an object for each lane; see `_lanes`
    recommendation     the fields of `lrscope.Recommendation`, and its sentence
    conclusions        what the study says of too high, medium and too low a rate; see `_conclusion`

Whatever is not a finite number is null.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrscope.diagnosis.conclusions import Conclusion
from lrscope.diagnosis.figures import lane_figures
from lrscope.language import Text, said

if TYPE_CHECKING:
    from lrscope.charts.chart import Readable  # it loads altair

SCHEMA = 1


def document(study: "Readable", objective: str | None = None) -> dict[str, Any]:
    """What `--json` prints.

    Args:
        study: finished or not.
        objective: what the rate is recommended by; see `Study.recommendation`.

    Returns:
        Dicts with str keys, lists, str, int, finite floats, bool and None: strict JSON.
    """
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
        "recommendation": _recommendation(study.recommendation(objective)),
        "conclusions": [_conclusion(one) for one in study.conclusions()],
    }
    return {key: strict(value) for key, value in content.items()}


def strict(value: Any) -> Any:
    """The same as strict JSON knows it: null for a number that is not finite, lists for all sequences."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Text):
        return said(value)
    if isinstance(value, str):
        return str(value)  # also of an enum
    if isinstance(value, Mapping):
        return {str(key): strict(one) for key, one in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [strict(one) for one in value]
    return value


def _lanes(study: "Readable") -> list[dict[str, Any]]:
    """Return what is known of each lane, in the order of lanes; figures as in `lane_figures`."""
    lanes = study.lanes
    figures = {row["lane"]: row for row in lane_figures(study).iter_rows(named=True)}
    verdicts = {row["lane"]: row for row in study.verdicts().iter_rows(named=True)}
    return [
        {
            "lane": lane["lane"],
            "rate": lane["rate"],
            "seed": lane["seed"],
            "state": lane["state"],
            "verdict": verdicts[lane["lane"]]["verdict"],
            "attributes": verdicts[lane["lane"]]["attributes"],
            "evidence": verdicts[lane["lane"]]["evidence"],
            "step": verdicts[lane["lane"]]["step"],
            "steps": lane["steps"],
            "stopped_step": lane["stopped_step"],
            **{name: figures[lane["lane"]][name] for name in _FIGURES},
            "metrics": {name: figures[lane["lane"]][name] for name in study.plan.metrics},
        }
        for lane in lanes.iter_rows(named=True)
    ]


_FIGURES = ("final_train_loss", "final_val_loss", "best_val_loss", "best_val_step")


def _recommendation(advice: Any) -> dict[str, Any]:
    """Every field of a Recommendation, and its sentence."""
    # What it was compared by is a name, for programs, and spelled the same in every language.
    return {**dataclasses.asdict(advice), "objective": str(advice.objective), "sentence": advice.sentence()}


def _conclusion(one: Conclusion) -> dict[str, Any]:
    """One saying: which, what it says, its verdict, all of it in words, and its claims with their evidence.

    The verdict of a claim is confirmed, refuted or cannot_tell; a conclusion whose claims differ is partly
    confirmed, or cannot be told.
    """
    claims = [
        {"claim": claim.token, "verdict": claim.verdict, "sentence": claim.text(), "evidence": claim.numbers}
        for claim in one.claims
    ]
    return {
        "conclusion": one.token,
        "title": one.title,
        "verdict": one.verdict,
        "headline": one.headline(),
        "sentence": one.sentence(),
        "claims": claims,
    }
