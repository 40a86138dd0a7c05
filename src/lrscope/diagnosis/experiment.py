"""Experiment: what to run next, and what to type for it."""

import math
from collections.abc import Sequence

from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.evidence import rate_text
from lrscope.diagnosis.tested import Tested
from lrscope.diagnosis.verdict import Verdict
from lrscope.language import Text

_PER_DECADE = 4

_LOWER = Text("lower rates: {rates}", "更低的学习率：{rates}")
_BOTH_SIDES = Text("rates on both sides: {rates}", "两边的学习率：{rates}")
_WIDEN_UP = Text("widen to higher rates: {rates}", "往更高的学习率放宽：{rates}")
_WIDEN_DOWN = Text("widen to lower rates: {rates}", "往更低的学习率放宽：{rates}")
_WIDER = Text("a wider range or more epochs: {rates}", "更宽的范围，或更多轮：{rates}")
_AT_CLIFF = Text(
    "the best rate stands next to one that fails: before a lower rate, try --schedule warmup-cosine or "
    "--clip-norm with {rates}",
    "最好的学习率紧挨着一个失败的：先别降学习率，试试 --schedule warmup-cosine 或 --clip-norm，配上 {rates}",
)
_WHICH_WAY = Text(
    "say which: --objective {name}:max, or --objective {name}:min where less is better",
    "指明方向：越高越好用 --objective {name}:max，越低越好用 --objective {name}:min",
)
_LOOK = Text(
    "look at the loss and the data: the first loss, before any update, is not a finite number",
    "看看损失和数据：第一次更新之前损失就不是有限值",
)
_FULL_LENGTH = Text("compare rates at the full length: {rates}", "用全程比较学习率：{rates}")
_BREAKS = Text("to see where it breaks: {rates}", "看看到哪里会坏：{rates}")


def to_tell(comparison: Comparison, verdicts: Sequence[Verdict], tested: Tested) -> Text:
    """Return what to run where no rate can be recommended."""
    rates, best = tested.rates or comparison.rates, comparison.best
    kinds = {verdict.kind for verdict in verdicts}
    if any(one.sentence == "invalid.not_finite" for verdict in verdicts for one in verdict.findings):
        return _LOOK
    if not rates or kinds <= {"invalid"}:
        return Text("train for at least 20 steps: --epochs", "至少训练 20 步：--epochs")
    if kinds <= {"diverged", "diverging", "invalid"}:
        return _LOWER.format(rates=_rates(rates[0] / 1000, rates[0] / 2))
    if len(rates) == 1:
        return _BOTH_SIDES.format(rates=_rates(rates[0] / 30, rates[0] * 30))
    metric = comparison.objective.instead_of
    if best is not None and metric is not None:
        return _WHICH_WAY.format(name=metric)
    if best is not None and comparison.too_noisy:
        seeds = max(2 * comparison.depth, 4)
        around = _rates(comparison.near_optimal[0], comparison.near_optimal[-1])
        return Text("more seeds: {rates}", "更多种子：{rates}").format(rates=f"{around} --seeds {seeds}")
    if best is not None and comparison.leader == rates[-1]:
        return _WIDEN_UP.format(rates=_rates(rates[-2], rates[-1] * 10))
    if best is not None:
        return _WIDEN_DOWN.format(rates=_rates(rates[0] / 10, rates[1]))
    if comparison.hindrance == "broken":
        return _LOWER.format(rates=_rates(rates[0] / 100, rates[0]))
    return _to_learn(comparison, rates)


def _to_learn(comparison: Comparison, rates: Sequence[float]) -> Text:
    """Return what to run where nothing was learned: the weights tell in which direction."""
    limits = comparison.thresholds
    moved = {one.curve.rate: one.displacement for one in comparison.facts.values()}
    lowest, highest = moved.get(rates[0]), moved.get(rates[-1])
    if highest is not None and highest < limits.well_moved:
        return Text("higher rates: {rates}", "更高的学习率：{rates}").format(
            rates=_rates(rates[-1], rates[-1] * 1000)
        )
    if lowest is not None and lowest > limits.redrawn:
        return _LOWER.format(rates=_rates(rates[0] / 1000, rates[0]))
    return _WIDER.format(rates=_rates(rates[0] / 10, rates[-1] * 10))


def to_know_more(
    rate: float,
    interval: Sequence[float],
    cliff: float | None,
    comparison: Comparison,
    tested: Tested,
) -> Text:
    """What to run where a rate is recommended.

    Args:
        rate: the one recommended.
        interval: tested rates as good as the best.
        cliff: the first failing rate, if it is close above the interval.
        comparison: the lanes side by side.
        tested: every rate.
    """
    around = _rates(min(interval[0], rate) / 2, interval[-1] * 2)
    if cliff is not None:
        return _AT_CLIFF.format(rates=f"{_rates(min(interval[0], rate), cliff * 2)} --seeds 3")
    if not [one for one in tested.failing if one > interval[-1]]:
        return _BREAKS.format(rates=_rates(interval[-1], tested.rates[-1] * 30))
    if comparison.depth < 3:
        return Text("three seeds tell the error: {rates}", "三个种子能看出误差：{rates}").format(
            rates=f"{around} --seeds 3"
        )
    return Text("nothing is open; a finer look: {rates}", "没有悬而未决的问题；看得更细：{rates}").format(
        rates=f"{around} --seeds {comparison.depth}"
    )


def around(rate: float, view: Comparison) -> Text:
    """Return what to run where only one rate was trained to the full length."""
    near = (*view.near_optimal, rate)
    return _FULL_LENGTH.format(rates=_rates(min(near) / 2, max(near) * 2))


def _rates(low: float, high: float) -> str:
    """What to type for rates between two ends, evenly spaced in the logarithm."""
    count = max(4, round(math.log10(high / low) * _PER_DECADE) + 1)
    return f"--rates {rate_text(low)}:{rate_text(high)}:{count}"
