"""Verdict: what became of one lane; and the catalogue of kinds and attributes with their words and signs.

The sentences of the evidence stand in `evidence.py`.
"""

from typing import NamedTuple


class Verdict(NamedTuple):
    """What became of one lane.

    Attributes:
        lane, rate, seed: its key.
        kind: a token of `KINDS`.
        attributes: tokens of `ATTRIBUTES`, in their order there.
        step: where it happened, where it happened at one step.
        evidence: a sentence with the numbers behind the verdict.
    """

    lane: int
    rate: float
    seed: int
    kind: str
    attributes: tuple[str, ...]
    step: int | None
    evidence: str


class Text(NamedTuple):
    """The same text in every language that the catalogue has; another language is another field."""

    en: str


class Kind(NamedTuple):
    """One kind of verdict, or one attribute.

    Attributes:
        token: its name in frames and JSON.
        sign: one character, so that no verdict is told by colour alone.
        ascii: the same where only ASCII is to be had.
        word: how it is called.
        sentence: what it means, for a legend.
    """

    token: str
    sign: str
    ascii: str
    word: Text
    sentence: Text


KINDS: tuple[Kind, ...] = (
    Kind("invalid", "!", "!", Text("invalid"), Text("The lane cannot be judged or compared.")),
    Kind("frozen", "□", "#", Text("frozen"), Text("The updates are so small that rounding swallows them.")),
    Kind(
        "diverged",
        "×",
        "x",
        Text("diverged"),
        Text("The loss or the weights blew up: the rate is far too high."),
    ),
    Kind(
        "diverging",
        "▲",
        "^",
        Text("diverging"),
        Text("Every swing of the weights is larger than the last: it is about to blow up."),
    ),
    Kind(
        "collapsed",
        "▼",
        "v",
        Text("collapsed"),
        Text("The model was driven to a constant answer and stays there."),
    ),
    Kind(
        "not_started",
        "◁",
        ".",
        Text("not started"),
        Text("The weights have hardly moved: the rate is far too low."),
    ),
    Kind("failed", "▷", "/", Text("failed"), Text("Nothing was learned at a rate that is not too low.")),
    Kind(
        "unstable",
        "◆",
        "~",
        Text("unstable"),
        Text("The loss rose again, or only some seeds came through."),
    ),
    Kind(
        "good",
        "●",
        "+",
        Text("good"),
        Text("As good as the best rate of this study, within what can be told."),
    ),
    Kind("too_high", "▶", ">", Text("too high"), Text("It learns, but ends above the lanes at lower rates.")),
    Kind("too_slow", "◀", "<", Text("too slow"), Text("It learns, but needs more steps than it was given.")),
    Kind("cannot_tell", "?", "?", Text("cannot tell"), Text("The study does not hold enough to say.")),
)
"""Every kind, in the order in which the rules ask."""

ATTRIBUTES: tuple[Kind, ...] = (
    Kind("edge", "|", "|", Text("at the edge"), Text("The rate is at the limit of stability; no fault.")),
    Kind("ringing", "≈", "w", Text("ringing"), Text("The weights alternate about their mean with period 2.")),
    Kind(
        "overfitting",
        "↗",
        "o",
        Text("overfitting"),
        Text(
            "Validation got worse while training went on getting better: it is about the length of the "
            "run, not the rate."
        ),
    ),
)
"""What may be said beside a verdict."""

FAILING = ("diverged", "diverging", "collapsed", "failed")
"""Kinds of a rate that breaks training."""


def kind(token: str) -> Kind:
    """The entry of a kind or an attribute."""
    return next(entry for entry in (*KINDS, *ATTRIBUTES) if entry.token == token)
