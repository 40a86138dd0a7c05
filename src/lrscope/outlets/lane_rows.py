"""Lane rows: the lanes of a study's document as a table for people reads them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrscope.diagnosis.verdict import kind
from lrscope.language import COMMA, SEMICOLON, joined, said
from lrscope.rates import format_rates


@dataclasses.dataclass(frozen=True)
class LaneRow:
    """One lane as the table shows it.

    Attributes:
        why: all of the evidence.
        train, val, metric: at the end; best: the lowest validation loss.
        recommended: whether no rate is nearer to the recommended one.
        stopped: whether its loss was not finite any more.
        steps: how many were done; losses are shown of the longest lanes only.
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
    metric: float | None
    recommended: bool
    steps: int = 0
    stopped: bool = False

    @property
    def words(self) -> str:
        """The verdict and its attributes: 'good, overfitting'."""
        return said(joined((kind(token).word for token in (self.verdict, *self.attributes)), COMMA))

    @property
    def short_why(self) -> str:
        """The first of the evidence, which is about the verdict."""
        return self.why.partition(said(SEMICOLON))[0]


def lane_rows(content: Mapping[str, Any]) -> list[LaneRow]:
    """The lanes of a study's document, rate by rate. A recommended rate may lie between two lanes' rates."""
    rows = sorted(content["lanes"], key=lambda row: (row["rate"], row["seed"]))
    texts = format_rates([row["rate"] for row in rows])
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
            metric=next(iter(row["metrics"].values()), None),
            recommended=row["rate"] == nearest,
            steps=row["steps"],
            stopped=row["stopped_step"] is not None,
        )
        for row, text in zip(rows, texts, strict=True)
    ]


def representatives(lanes: Sequence[LaneRow]) -> list[LaneRow]:
    """One lane of each kind of verdict, in the order of rates: the one nearest to the recommended rate."""
    centre = next((lane.rate for lane in lanes if lane.recommended), None)
    chosen: dict[str, LaneRow] = {}
    for lane in lanes:
        held = chosen.get(lane.verdict)
        if held is None or (centre is not None and _decades(lane.rate, centre) < _decades(held.rate, centre)):
            chosen[lane.verdict] = lane
    return sorted(chosen.values(), key=lambda lane: lane.rate)


def _decades(rate: float, other: float) -> float:
    return abs(math.log10(rate / other))
