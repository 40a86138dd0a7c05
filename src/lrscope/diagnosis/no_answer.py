"""Refusal: why no rate can be recommended, or why the best of those tried may not be the best there is."""

from collections.abc import Sequence

from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.evidence import rate_text
from lrscope.diagnosis.tested import Tested
from lrscope.diagnosis.verdict import Verdict
from lrscope.language import Text

_CHANCE = Text(
    "no signal: no rate did better than a constant answer by more than chance",
    "没有信号：没有一个学习率胜过恒定输出，除非出于偶然",
)

_ONE_COMPARED = Text(
    "only {rate} came to the end of the longest lanes, and there is none to compare it with",
    "只有 {rate} 训练到最长的一条那么久，无从比较",
)
_EITHER_WAY = Text(
    "these lanes do not tell whether more or less {name} is better",
    "从这些看不出 {name} 是越高越好还是越低越好",
)


_ALIKE = Text(
    "every rate trained exactly alike, so the rate made no difference: a schedule may set rates of its own",
    "所有学习率训练得一模一样，学习率不起作用：也许是学习率调度自己定了学习率",
)
_UNFINISHED = Text(
    "no rate was trained to the full length of {steps} steps, the longest lanes did {done}{best}",
    "没有一个学习率训练满 {steps} 步，最长的只训练了 {done} 步{best}",
)
_BEST_SO_FAR = Text("; the best of them is {rate}", "；其中最好的是 {rate}")


def unfinished(comparison: Comparison, steps: int) -> Text:
    """Return that no lane was trained to the full length, and which rate is the best so far."""
    best = "" if comparison.best is None else _BEST_SO_FAR.format(rate=rate_text(comparison.best.rate))
    return _UNFINISHED.format(steps=f"{steps:,}", done=f"{comparison.steps:,}", best=best)


def cannot_tell(comparison: Comparison, verdicts: Sequence[Verdict], tested: Tested) -> str | None:
    """Why no rate can be recommended, None where one can.

    Args:
        comparison: the lanes that did as many steps as possible, side by side.
        verdicts: of all lanes.
        tested: every rate, also of shorter lanes.
    """
    best, tried = comparison.best, tested.rates
    kinds = {verdict.kind for verdict in verdicts}
    if not verdicts or kinds == {"invalid"}:
        why = verdicts[0].evidence if verdicts else Text("there is none", "一条也没有")
        return Text("no lane can be judged: {why}", "没有一条可以判定：{why}").format(why=why)
    if kinds <= {"diverged", "diverging", "invalid"}:
        every = Text(
            "every rate diverged, also the lowest, {rate}", "每个学习率都发散，最低的 {rate} 也不例外"
        )
        return every.format(rate=rate_text(tried[0]))
    if len(tried) == 1:
        alone = Text(
            "{rate} is the only rate, and there is none to compare it with",
            "只有 {rate} 这一个学习率，无从比较",
        )
        return alone.format(rate=rate_text(tried[0]))
    if comparison.hindrance == "one_rate":
        return _ONE_COMPARED.format(rate=rate_text(comparison.standings[0].rate))
    if comparison.hindrance == "constant":
        return _CHANCE
    if comparison.hindrance == "broken":
        return Text("no rate came through on every seed", "没有一个学习率在每个种子上都训练下来")
    if best is None:
        silent = Text(
            "no signal: no rate lowered the {objective}", "没有信号：没有一个学习率降低了{objective}"
        )
        return silent.format(objective=comparison.objective.name)
    if comparison.rates_alike:
        return _ALIKE
    if comparison.objective.instead_of is not None:
        return _EITHER_WAY.format(name=comparison.objective.instead_of)
    if comparison.too_noisy:
        low, high = comparison.near_optimal[0], comparison.near_optimal[-1]
        noisy = Text(
            "the seeds differ too much to tell rates from {low} to {high} apart",
            "种子之间差别太大，分不清 {low} 到 {high} 的学习率",
        )
        return noisy.format(low=rate_text(low), high=rate_text(high))
    return None


def at_edge(comparison: Comparison, tested: Tested) -> Text | None:
    """Return that the best rate is the highest or the lowest tested; None where it is neither.

    Where others were tested on shorter lanes, it may be the highest or lowest of those trained as long.
    """
    leader, tried = comparison.leader, tested.rates
    assert leader is not None
    word = Text("fastest", "最快") if comparison.near_zero else Text("best", "最好")
    if leader == tried[-1]:
        highest = Text(
            "the {word} rate, {rate}, is the highest tested", "{word}的学习率 {rate} 是试过的最高的"
        )
        return highest.format(word=word, rate=rate_text(leader))
    if leader == tried[0]:
        lowest = Text("the {word} rate, {rate}, is the lowest tested", "{word}的学习率 {rate} 是试过的最低的")
        return lowest.format(word=word, rate=rate_text(leader))
    beside = sorted({*(one.curve.rate for one in comparison.facts.values()), *tested.broken})
    if leader in (beside[0], beside[-1]):
        end = Text("highest", "最高") if leader == beside[-1] else Text("lowest", "最低")
        return _OF_WHOLE.format(word=word, rate=rate_text(leader), end=end)
    return None


_OF_WHOLE = Text(
    "the {word} rate, {rate}, is the {end} of those trained to the full length",
    "{word}的学习率 {rate} 是训练满全程的里面{end}的",
)
