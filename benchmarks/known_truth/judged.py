"""Judged: what is true of a lane, and what lrscope said of it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import lrscope


class Truth(NamedTuple):
    """What is true of a lane.

    Attributes:
        kind: diverged, frozen, good, slow, high, failed, collapsed, unstable; "stable", "moving", "steady"
            and "otherwise" where it is only known that it is not diverged, frozen, unstable or collapsed;
            "any" where the truth is about an attribute; "between" where it is too near to a boundary to be
            called either side.
        edge: whether its rate is 0.9 to 1 of the exact limit; None where there is none.
        overfitting: whether the exact validation loss rose while the training loss fell; None if unknown.
        about: where it came from, for the list of mistakes.
    """

    kind: str
    edge: bool | None = None
    overfitting: bool | None = None
    about: str = ""


class Judged(NamedTuple):
    """A lane: the truth, and what was said."""

    truth: Truth
    kind: str
    attributes: tuple[str, ...]
    evidence: str


def judged(study: "lrscope.Study", truths: Sequence[Truth]) -> Iterator[Judged]:
    """Put the truths beside the verdicts, both in the order of lanes, and close the study."""
    with study:
        rows = study.verdicts().sort("lane").iter_rows(named=True)
        for truth, row in zip(truths, rows, strict=True):
            about = f"{truth.about} rate {row['rate']:.4g} seed {row['seed']}"
            yield Judged(
                truth._replace(about=about), row["verdict"], tuple(row["attributes"]), row["evidence"]
            )
