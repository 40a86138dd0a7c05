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

import polars as pl

from lrscope.diagnosis.conclusions import Conclusion
from lrscope.diagnosis.verdict import kind
from lrscope.language import COMMA, SEMICOLON, Text, joined, said
from lrscope.rates import format_rates

if TYPE_CHECKING:
    from lrscope.charts.chart import Readable  # it loads altair

SCHEMA = 1


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
    """Return what is known of each lane, in the order of lanes.

    final_train_loss: the mean of the last epoch of losses; final_val_loss and metrics: the last measured.
    All are null for a lane that stopped. best_val_loss: the lowest, measured first at best_val_step.
    """
    lanes, plan = study.lanes, study.plan
    recorded = {series.name for series in study.series}
    measured = {name: study.scalars(name) for name in ("val_loss", *plan.metrics) if name in recorded}
    going = lanes.filter(pl.col("stopped_step").is_null()).select("lane", "steps")
    last_epoch = study.scalars("loss").join(going, on="lane")
    last_epoch = last_epoch.filter(pl.col("step") >= pl.col("steps") - plan.steps_per_epoch)
    train = dict(last_epoch.group_by("lane").agg(pl.col("value").mean()).iter_rows())
    last = pl.col("value").sort_by("step").last()
    final = {
        name: dict(frame.join(going, on="lane").group_by("lane").agg(last).iter_rows())
        for name, frame in measured.items()
    }
    best: dict[int, tuple[float, int]] = {}
    if "val_loss" in measured:
        rows = measured["val_loss"].drop_nulls("value").sort("value", "step").select("lane", "value", "step")
        best = {lane: (value, step) for lane, value, step in rows.unique("lane", keep="first").iter_rows()}
    verdicts = {row["lane"]: row for row in study.verdicts().iter_rows(named=True)}
    return [
        {
            **{key: lane[key] for key in ("lane", "rate", "seed", "state")},
            **{key: verdicts[lane["lane"]][key] for key in ("verdict", "attributes", "evidence", "step")},
            "steps": lane["steps"],
            "stopped_step": lane["stopped_step"],
            "final_train_loss": train.get(lane["lane"]),
            "final_val_loss": final.get("val_loss", {}).get(lane["lane"]),
            "best_val_loss": best.get(lane["lane"], (None, None))[0],
            "best_val_step": best.get(lane["lane"], (None, None))[1],
            "metrics": {name: final.get(name, {}).get(lane["lane"]) for name in plan.metrics},
        }
        for lane in lanes.iter_rows(named=True)
    ]


def _conclusion(conclusion: Conclusion) -> dict[str, Any]:
    """Return one conclusion: which, its verdict, all of it in words, and its claims with their evidence.

    The verdict of a claim is confirmed, refuted or cannot_tell; a conclusion whose claims differ is partly
    confirmed, or cannot be told.
    """
    return {
        "conclusion": conclusion.token,
        "title": conclusion.title,
        "verdict": conclusion.verdict,
        "headline": conclusion.headline(),
        "sentence": conclusion.sentence(),
        "claims": [
            {
                "claim": claim.token,
                "verdict": claim.verdict,
                "sentence": claim.text(),
                "evidence": claim.numbers,
            }
            for claim in conclusion.claims
        ],
    }


@dataclasses.dataclass(frozen=True)
class LaneRow:
    """One lane as a table for people shows it.

    Attributes:
        why: all of the evidence; short_why: its first clause, on the verdict; rest: the others.
        train, val: losses at the end; best: the lowest validation loss.
        metrics: at the end, in the order of the plan.
        recommended: True if no rate of the study is nearer to the recommended one.
    """

    rate: float
    rate_text: str
    seed: int
    verdict: str
    attributes: tuple[str, ...]
    why: str
    train: float | None
    val: float | None
    best: float | None
    metrics: tuple[float | None, ...]
    recommended: bool

    @property
    def words(self) -> str:
        """Return the verdict and its attributes: 'good, overfitting'."""
        return said(joined((kind(token).word for token in (self.verdict, *self.attributes)), COMMA))

    @property
    def short_why(self) -> str:
        """Return the first clause of the evidence."""
        return self.why.partition(said(SEMICOLON))[0]

    @property
    def rest(self) -> str:
        """Return the other clauses of the evidence."""
        return self.why.partition(said(SEMICOLON))[2]


def lane_rows(content: Mapping[str, Any]) -> list[LaneRow]:
    """Return the lanes of a document by rate and seed; a recommended rate may lie between two of them."""
    rows = sorted(content["lanes"], key=lambda row: (row["rate"], row["seed"]))
    advised = content["recommendation"]["rate"]
    nearest = (
        None if advised is None else min((row["rate"] for row in rows), key=lambda r: _decades(r, advised))
    )
    return [
        LaneRow(
            rate=row["rate"],
            rate_text=text,
            seed=row["seed"],
            verdict=row["verdict"],
            attributes=tuple(row["attributes"]),
            why=row["evidence"],
            train=row["final_train_loss"],
            val=row["final_val_loss"],
            best=row["best_val_loss"],
            metrics=tuple(row["metrics"].values()),
            recommended=row["rate"] == nearest,
        )
        for row, text in zip(rows, format_rates([row["rate"] for row in rows]), strict=True)
    ]


def representatives(lanes: Sequence[LaneRow]) -> list[LaneRow]:
    """Return one lane of each kind of verdict, by rate: the one nearest to the recommended rate."""
    centre = next((lane.rate for lane in lanes if lane.recommended), None)
    chosen: dict[str, LaneRow] = {}
    for lane in lanes:
        held = chosen.get(lane.verdict)
        if held is None or (centre is not None and _decades(lane.rate, centre) < _decades(held.rate, centre)):
            chosen[lane.verdict] = lane
    return sorted(chosen.values(), key=lambda lane: lane.rate)


def _decades(rate: float, other: float) -> float:
    return abs(math.log10(rate / other))
