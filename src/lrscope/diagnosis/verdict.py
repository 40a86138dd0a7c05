"""Verdict: how one lane ended, and the kinds and attributes of verdicts with their words and signs.

`evidence.py` holds the sentences of the evidence.
"""

from typing import NamedTuple

from lrscope.diagnosis.evidence import Finding
from lrscope.language import Text


class Verdict(NamedTuple):
    """How one lane ended, and why.

    Attributes:
        lane: number of the lane.
        rate: learning rate of the lane.
        seed: seed of the lane.
        kind: "good", "too_slow", "too_high", "unstable", "failed", "diverged", "diverging", "collapsed",
            "not_started", "frozen", "invalid" or "cannot_tell".
        attributes: any of "edge", "ringing" and "overfitting".
        step: the step at which it happened; None if it did not happen at one step.
        evidence: a sentence with the numbers behind the verdict.
        findings: the same as keys and numbers, in the order of the sentence.
    """

    lane: int
    rate: float
    seed: int
    kind: str
    attributes: tuple[str, ...]
    step: int | None
    evidence: str
    findings: tuple[Finding, ...] = ()


class Kind(NamedTuple):
    """One kind of verdict, or one attribute.

    Attributes:
        token: name in frames and JSON.
        sign: one character, so that colour is never the only difference.
        ascii: the sign in ASCII, for terminals that show nothing else.
        word: name for people.
        sentence: meaning, for a legend.
    """

    token: str
    sign: str
    ascii: str
    word: Text
    sentence: Text


KINDS: tuple[Kind, ...] = (
    Kind(
        "invalid",
        "!",
        "!",
        Text("invalid", "无效"),
        Text("The lane cannot be judged or compared.", "这一条无法判定，也无法比较。"),
    ),
    Kind(
        "frozen",
        "□",
        "#",
        Text("frozen", "被舍入冻结"),
        Text("The updates are so small that rounding swallows them.", "更新太小，被舍入吞掉。"),
    ),
    Kind(
        "diverged",
        "×",
        "x",
        Text("diverged", "发散"),
        Text(
            "The loss or the weights blew up: the rate is far too high.", "损失或权重炸开：学习率高得太多。"
        ),
    ),
    Kind(
        "diverging",
        "▲",
        "^",
        Text("diverging", "正在发散"),
        Text(
            "Every swing of the weights is larger than the last: it is about to blow up.",
            "权重每次摆动都比上一次大：快要炸开。",
        ),
    ),
    Kind(
        "collapsed",
        "▼",
        "v",
        Text("collapsed", "塌缩"),
        Text("The model was driven to a constant answer and stays there.", "模型被推到恒定输出，停在那里。"),
    ),
    Kind(
        "not_started",
        "◁",
        ".",
        Text("not started", "没有起步"),
        Text("The weights have hardly moved: the rate is far too low.", "权重几乎没动：学习率低得太多。"),
    ),
    Kind(
        "failed",
        "▷",
        "/",
        Text("failed", "失败"),
        Text("Nothing was learned at a rate that is not too low.", "学习率并不太低，却什么也没学到。"),
    ),
    Kind(
        "unstable",
        "◆",
        "~",
        Text("unstable", "不稳定"),
        Text(
            "The loss rose again.",
            "损失又升上去。",
        ),
    ),
    Kind(
        "good",
        "●",
        "+",
        Text("good", "好"),
        Text(
            "As good as the best rate of this study, within what can be told.",
            "在分得清的范围内，与这份研究最好的学习率一样好。",
        ),
    ),
    Kind(
        "too_high",
        "▶",
        ">",
        Text("too high", "太高"),
        Text("It learns, but ends above the lanes at lower rates.", "在学习，但最后不如更低的学习率。"),
    ),
    Kind(
        "too_slow",
        "◀",
        "<",
        Text("too slow", "太慢"),
        Text("It learns, but needs more steps than it was given.", "在学习，但给它的步数不够。"),
    ),
    Kind(
        "cannot_tell",
        "?",
        "?",
        Text("cannot tell", "下不了结论"),
        Text("The study does not hold enough to say.", "这份研究的数据不足以回答。"),
    ),
)
"""Every kind, in the order of the rules."""

ATTRIBUTES: tuple[Kind, ...] = (
    Kind(
        "edge",
        "|",
        "|",
        Text("at the edge", "贴着边缘"),
        Text("The rate is at the limit of stability; no fault.", "学习率在稳定的极限上；这不是毛病。"),
    ),
    Kind(
        "ringing",
        "≈",
        "w",
        Text("ringing", "振铃"),
        Text("The weights alternate about their mean with period 2.", "权重绕着均值来回摆动，周期是 2 步。"),
    ),
    Kind(
        "overfitting",
        "↗",
        "o",
        Text("overfitting", "过拟合"),
        Text(
            "Validation got worse while training went on getting better: it is about the length of the "
            "run, not the rate.",
            "验证变差，训练还在变好：这与训练的长短有关，与学习率无关。",
        ),
    ),
)
"""Every attribute that may be added to a verdict."""

FAILING = ("diverged", "diverging", "collapsed", "failed")
"""Kinds of verdict on a rate that breaks training."""

UNSOUND = (*FAILING, "unstable")
"""Kinds of verdict on a lane that failed. A rate fails if most of its lanes have one of these."""


def kind(token: str) -> Kind:
    """Return the entry of a kind or an attribute by its token."""
    return next(entry for entry in (*KINDS, *ATTRIBUTES) if entry.token == token)
