"""Evidence: the sentences in which verdicts give their numbers, and how a number is written in them."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lrscope.language import Text
from lrscope.rates import format_rate

MANY_TIMES = 10.0
"""From so many times on a share is not told in percent."""


class Finding(NamedTuple):
    """Why a rule matched: the sentence, the figures in it, and the step it happened at.

    Attributes:
        sentence: a key of `SENTENCES`.
        values: what stands in the sentence's gaps: a number, written by `WRITERS`, or a text.
        step: of the event, None where there is no one step.
    """

    sentence: str
    values: Mapping[str, Any]
    step: int | None = None

    def text(self) -> Text:
        """Return the sentence, without a full stop, so that another part can follow."""
        return SENTENCES[self.sentence].format(**{gap: written(gap, one) for gap, one in self.values.items()})


def written(gap: str, value: Any) -> Any:
    """Return what stands in a gap as people write it; texts stay as they are."""
    return value if isinstance(value, str) else WRITERS.get(gap, str)(value)


SENTENCES: dict[str, Text] = {
    "invalid.empty": Text("no step has been recorded", "一步也没有记录"),
    "invalid.short": Text(
        "{steps} steps are too few to judge; {least} are needed",
        "只有 {steps} 步，太少，无法判定；至少要 {least} 步",
    ),
    "invalid.one": Text(
        "1 step is too few to judge; {least} are needed", "只有 1 步，太少，无法判定；至少要 {least} 步"
    ),
    "invalid.start": Text(
        "its first loss is {loss} where its seed's other lanes begin at {start}: they do not start alike",
        "它的第一个损失是 {loss}，而同一种子的其他训练线从 {start} 开始：起点不同",
    ),
    "invalid.not_finite": Text(
        "the loss is not finite before the first update: the rate has no part in it",
        "第一次更新之前损失就不是有限值：与学习率无关",
    ),
    "frozen": Text(
        "late in the run {share} of the weights came out of an update bitwise unchanged ({dtype}), from "
        "step {step} on: the update is lost in rounding; the loss went from {start} to {end}",
        "训练后期，{share} 的权重在更新之后一位也没变（{dtype}），从第 {step} "
        "步起如此：更新被舍入吞掉了；损失从 {start} 变到 {end}",
    ),
    "frozen.needed": Text(
        "late in the run {share} of the weights came out of an update bitwise unchanged ({dtype}), from "
        "step {step} on: updates of {ratio} of the weights are lost where numbers are {eps} apart; it takes "
        "a rate of about {needed} to move them; the loss went from {start} to {end}",
        "训练后期，{share} 的权重在更新之后一位也没变（{dtype}），从第 {step} "
        "步起如此：相邻两数相差 {eps}，权重的 {ratio} 这么小的更新会被舍入掉；要让它们动起来，"
        "学习率约需 {needed}；损失从 {start} 变到 {end}",
    ),
    "rounded": Text(
        "late in the run {share} of the weights came out of an update bitwise unchanged ({dtype}): part of "
        "every step is lost in rounding",
        "训练后期，{share} 的权重在更新之后一位也没变（{dtype}）：每一步都有一部分被舍入吞掉",
    ),
    "frozen.nudge": Text(
        "frozen by rounding, not converged: weight + {nudge} rounds to the weight for {share} of the weights "
        "({dtype}), so every derivative reads 0 and nothing moves from step {step} on, at a loss of {end} "
        "({start} at the start)",
        "是被舍入冻结，不是收敛：对 {share} 的权重（{dtype}），权重 + {nudge} "
        "舍入后仍是原来的权重，每个导数都读出 0，从第 {step} 步起再也不动，损失停在 {end}"
        "（开始时是 {start}）",
    ),
    "unknown.points": Text(
        "whether rounding swallows the updates is not known: {points} measurements in the last quarter of "
        "the run, {needed_points} are needed",
        "更新是否被舍入吞掉，无从得知：最后四分之一里只测了 {points} 次，需要 {needed_points} 次",
    ),
    "unknown.unmeasured": Text(
        "whether rounding swallows the updates is not known: the weights were not measured",
        "更新是否被舍入吞掉，无从得知：没有测量权重",
    ),
    "diverged.loss": Text(
        "the loss was not finite at step {step} of {steps}", "第 {step} 步（共 {steps} 步）损失不再是有限值"
    ),
    "diverged.validation": Text(
        "the validation loss was not finite at step {step} of {steps}",
        "第 {step} 步（共 {steps} 步）验证损失不再是有限值",
    ),
    "diverged.lost": Text(
        "{tensor} held values that are not finite at step {step}", "第 {step} 步，{tensor} 里出现了非有限的值"
    ),
    "diverged.rise": Text(
        "the loss rose from {start} to {end}, {times} times its start, and passed {limit} times at step "
        "{step}",
        "损失从 {start} 升到 {end}，是开始时的 {times} 倍，在第 {step} 步超过了 {limit} 倍",
    ),
    "diverged.scale": Text(
        "the loss rose from {start} to {end}, by {times} times the scale of its changes ({scale}); it "
        "passed {limit} times at step {step}",
        "损失从 {start} 升到 {end}，升幅是其变化尺度（{scale}）的 {times} 倍；"
        "在第 {step} 步超过了 {limit} 倍",
    ),
    "diverged.weights": Text(
        "{tensor} grew to {times} times its first size while the loss rose from {start} to {end}",
        "{tensor} 长到最初的 {times} 倍，同时损失从 {start} 升到 {end}",
    ),
    "diverging": Text(
        "the weights swing with period 2, each swing {growth} times the one before, and the loss has "
        "risen to {end}",
        "权重以 2 步为周期摆动，每次摆幅是前一次的 {growth} 倍，损失已升到 {end}",
    ),
    "diverging.soon": Text(
        "the weights swing with period 2, each swing {growth} times the one before, and the loss has "
        "risen to {end}; at this pace it is {limit} times its start within {steps} more steps",
        "权重以 2 步为周期摆动，每次摆幅是前一次的 {growth} 倍，损失已升到 {end}；"
        "照此下去，再过 {steps} 步就会达到开始时的 {limit} 倍",
    ),
    "collapsed": Text(
        "the loss ended at {end}, that of a constant answer ({constant}), where the best lane reached {best}",
        "损失最后是 {end}，等于恒定输出的损失（{constant}），而最好的一条到了 {best}",
    ),
    "collapsed.displacement": Text(
        "the weights moved {times} times the norm they had", "权重移动的距离是其原来范数的 {times} 倍"
    ),
    "collapsed.spread": Text(
        "{tensor} ended at {times} times its first size", "{tensor} 最后是最初大小的 {times} 倍"
    ),
    "collapsed.gradient": Text(
        "the gradient ended at {share} of its first norm", "梯度最后只有最初范数的 {share}"
    ),
    "not_started": Text(
        "the loss went from {start} to {end} and the weights moved by {share} of their norm; a rate about"
        " {times} times higher would move them",
        "损失从 {start} 变到 {end}，权重只移动了其范数的 {share}；学习率约高 {times} 倍才能让它们动起来",
    ),
    "failed": Text(
        "the smoothed loss ended at {end} after {start} at the start: nothing was learned; {rate} "
        "reached {best}",
        "平滑后的损失开始时是 {start}，最后是 {end}：什么也没学到；{rate} 到了 {best}",
    ),
    "failed.alone": Text(
        "the smoothed loss ended at {end} after {start} at the start: nothing was learned",
        "平滑后的损失开始时是 {start}，最后是 {end}：什么也没学到",
    ),
    "failed.all": Text(
        "the smoothed loss ended at {end} after {start} at the start: nothing was learned, at no rate of "
        "this study",
        "平滑后的损失开始时是 {start}，最后是 {end}：什么也没学到，这份研究的任何学习率都一样",
    ),
    "unstable.rise": Text(
        "the smoothed loss rose {times} times, from {low} at step {low_step} to {high} at step {high_step}",
        "平滑后的损失升到 {times} 倍，从第 {low_step} 步的 {low} 升到第 {high_step} 步的 {high}",
    ),
    "unstable.end": Text(
        "the smoothed loss ended at {high}, {times} times its lowest, {low} at step {low_step}",
        "平滑后的损失最后是 {high}，是最低值（第 {low_step} 步的 {low}）的 {times} 倍",
    ),
    "good.best": Text("the best rate: {objective} {value}", "最好的学习率：{objective} {value}"),
    "good.near": Text(
        "{objective} {value}, the best rate's being {best} ({rate}): {part} what it learned is missing",
        "{objective} {value}，最好的学习率（{rate}）是 {best}：比它少学了 {part}",
    ),
    "good.steps": Text(
        "it took {times} times as many steps as the fastest lane ({fastest}) to a training loss of "
        "{target}: {own} and {steps}",
        "到达训练损失 {target} 所用的步数是最快一条（{fastest}）的 {times} 倍：{own} 步对 {steps} 步",
    ),
    "good.fastest": Text(
        "it was the fastest of the good lanes to a training loss of {target}: {own} steps",
        "到达训练损失 {target}，它是好的训练线里最快的：{own} 步",
    ),
    "good.alone": Text(
        "the only rate, and its {objective} fell to {value}, {share} of its start: no rate can gain more "
        "than that",
        "只有这一个学习率，它的{objective}降到 {value}，是开始时的 {share}：没有学习率能再多学什么",
    ),
    "too_high": Text(
        "{objective} {value} where the best rate ({rate}) has {best}: {part} what that learned is missing",
        "{objective} {value}，而最好的学习率（{rate}）是 {best}：比它少学了 {part}",
    ),
    "missing.seeds": Text(
        "over the seeds {part} what the best rate ({rate}) learned is missing",
        "各种子平均，比最好的学习率（{rate}）少学了 {part}",
    ),
    "missing.error": Text(
        "over the seeds {share} ± {error} of what the best rate ({rate}) learned is missing",
        "各种子平均，比最好的学习率（{rate}）少学了 {share} ± {error}",
    ),
    "beside.alone": Text(
        "{objective} {value} on this seed, on which the best rate ({rate}) was not trained",
        "这个种子上，{objective} {value}；最好的学习率（{rate}）没有用这个种子训练",
    ),
    "beside.unmeasured": Text("its {objective} was not measured", "没有测到它的{objective}"),
    "beside": Text(
        "{objective} {value}, where the best rate ({rate}) has {best} on the same seed",
        "{objective} {value}，最好的学习率（{rate}）在同一种子上是 {best}",
    ),
    "too_high.noise": Text(
        "the loss is level at {end}, and a fifth of the rate lowered it by {share} at once, to {loss}: what "
        "holds it up is the noise of its own steps",
        "损失停在 {end} 不动，把学习率降到五分之一，立刻下降 {share}，到 {loss}："
        "把它托住的是自身每一步的噪声",
    ),
    "too_high.level": Text(
        "the loss is level at {end}, and a fifth of the rate did not lower it at once ({loss}): it is not "
        "the noise of its steps that holds it up",
        "损失停在 {end} 不动，把学习率降到五分之一也没有立刻下降（{loss}）：把它托住的不是每一步的噪声",
    ),
    "too_slow": Text(
        "{objective} {value} where the best rate ({rate}) has {best}: {part} what that learned is missing",
        "{objective} {value}，而最好的学习率（{rate}）是 {best}：比它少学了 {part}",
    ),
    "too_slow.steps": Text(
        "the fastest lane ({fastest}) first reached this lane's end loss, {end}, after {reached} of "
        "{steps} steps: about {times} times more steps are needed",
        "最快的一条（{fastest}）在 {steps} 步中的第 {reached} "
        "步就到了这一条最后的损失 {end}：大约要多花 {times} 倍的步数",
    ),
    "too_slow.start": Text(
        "after {steps} steps the loss, {end}, is not below its start yet",
        "{steps} 步之后，损失 {end} 还没有低于开始时",
    ),
    "cannot_tell.seeds": Text(
        "this lane trained well, but {failed} of {seeds} seeds of the rate did not come through",
        "这一条训练得好，但这个学习率的 {seeds} 个种子里有 {failed} 个没有训练下来",
    ),
    "cannot_tell.other_seed": Text(
        "this lane trained well, but the rate failed on a shorter lane of another seed",
        "这一条训练得好，但这个学习率在另一个种子的较短训练里失败",
    ),
    "cannot_tell.short": Text(
        "it ended after {steps} of {longest} steps, too early to compare it with the longer lanes",
        "它只训练了 {longest} 步中的 {steps} 步，太早，无法与更长的比较",
    ),
    "cannot_tell.between": Text(
        "{objective} {value}: {part} what the best rate ({rate}) learned is missing, though rates on "
        "both sides are good",
        "{objective} {value}：比最好的学习率（{rate}）少学了 {part}，可是两边的学习率都好",
    ),
    "cannot_tell.one_rate": Text(
        "the only rate: there is none to compare it with; {objective} went from {start} to {value}",
        "只有这一个学习率，无从比较；{objective}从 {start} 变到 {value}",
    ),
    "cannot_tell.broken": Text(
        "no rate of this study came through on every seed, so there is none to compare with",
        "这份研究里没有一个学习率在每个种子上都训练下来，无从比较",
    ),
    "cannot_tell.nothing": Text(
        "no rate of this study lowered the {objective} below its start, {start}",
        "这份研究里没有一个学习率把{objective}降到开始时的 {start} 以下",
    ),
    "cannot_tell.constant": Text(
        "no rate of this study did better than a constant answer ({constant}) by more than chance; this one"
        " came to {end}",
        "这份研究里没有一个学习率胜过恒定输出（{constant}），除非出于偶然；这一条到了 {end}",
    ),
    "cannot_tell.noise": Text(
        "over the seeds {share} ± {error} of what the best rate ({rate}) learned is missing: they differ too "
        "much to tell",
        "各种子平均，比最好的学习率（{rate}）少学了 {share} ± {error}：种子之间差别太大，下不了结论",
    ),
    "overfitting": Text(
        "validation was best at step {step} ({best}) and ended {percent} above that, at {end}, while the "
        "training loss fell",
        "验证损失在第 {step} 步最好（{best}），最后比那时高 {percent}，是 {end}，而训练损失一直在降",
    ),
    "overfitting.start": Text(
        "validation was best before training ({best}) and ended at {times} times that, {end}, while the "
        "training loss fell",
        "验证损失在训练之前最好（{best}），最后是那时的 {times} 倍，即 {end}，而训练损失一直在降",
    ),
    "overfitting.far": Text(
        "validation was best at step {step} ({best}) and ended at {times} times that, {end}, while the "
        "training loss fell",
        "验证损失在第 {step} 步最好（{best}），最后是那时的 {times} 倍，即 {end}，而训练损失一直在降",
    ),
    "edge": Text(
        "rate times sharpness is {product}{known}: at the edge of stability, where full-batch "
        "training hovers",
        "学习率乘以锐度是 {product}{known}：贴着稳定的边缘，全批次训练常停在这里",
    ),
    "edge.cosine": Text(
        "asked again after its update, a batch's gradient points back (cosine {value}): at the edge of "
        "stability, where full-batch training hovers",
        "更新之后再问同一批，梯度指向回头的方向（余弦 {value}）：贴着稳定的边缘，全批次训练常停在这里",
    ),
    "edge.batch": Text(
        "rate times curvature along a batch's own update is {value} (at 2 the update raises its own batch's "
        "loss): at the edge of stability for batches so small",
        "学习率乘以沿该批次自身更新方向的曲率是 {value}（到 2 时，更新会抬高自己这一批的损失）："
        "对这么小的批次，已贴着稳定的边缘",
    ),
    "edge.preconditioned": Text(
        "rate times preconditioned sharpness is {product} of {limit}{known}: at the edge of stability, where "
        "such an optimizer sits at good rates and at too high ones",
        "学习率乘以预条件锐度是 {product}，极限为 {limit}{known}：贴着稳定的边缘，"
        "这类优化器在好的和太高的学习率上都停在这里",
    ),
    "limit": Text(
        "at {ratio} of the limit {limit} that its sharpness {sharpness} sets",
        "是锐度 {sharpness} 所定极限 {limit} 的 {ratio} 倍",
    ),
    "limit.above": Text(
        "{ratio} times the limit {limit} that its sharpness {sharpness} sets",
        "超过极限：是锐度 {sharpness} 所定极限 {limit} 的 {ratio} 倍",
    ),
    "limit.early": Text(
        "at {ratio} of the limit {limit} that its sharpness at step {step}, {sharpness}, set",
        "是第 {step} 步的锐度 {sharpness} 所定极限 {limit} 的 {ratio} 倍",
    ),
    "limit.above.early": Text(
        "{ratio} times the limit {limit} that its sharpness at step {step}, {sharpness}, set",
        "超过极限：是第 {step} 步的锐度 {sharpness} 所定极限 {limit} 的 {ratio} 倍",
    ),
    "ringing.product": Text(
        "rate times sharpness is {product}: every step overshoots, with period 2",
        "学习率乘以锐度是 {product}：每一步都越过头，周期是 2 步",
    ),
    "ringing": Text(
        "{scalar} rings with period 2 from step {first} to {last}",
        "{scalar} 从第 {first} 步到第 {last} 步振铃，周期是 2 步",
    ),
}


def loss_text(loss: float) -> str:
    """A loss in four digits: 0.1234, 2.303, 1.2e-7."""
    if loss == 0 or 1e-3 <= abs(loss) < 1e5 or not math.isfinite(loss):
        return f"{loss:.4g}"
    mantissa, _, exponent = f"{loss:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def times_text(factor: float) -> str:
    """A factor in two digits, or as a whole number: 1.2, 8.3, 31, 1,250, 4e7."""
    if factor >= 1e6 or not math.isfinite(factor):
        return format_rate(factor, 2)
    if factor >= 9.95:
        return f"{factor:,.0f}"
    return f"{factor:.1f}" if factor >= 0.95 else f"{factor:.2g}"


def steps_text(steps: int) -> str:
    """A number of steps: 40, 8,819."""
    return f"{steps:,}"


def part_text(share: float) -> Text:
    """What part of something: '97% of' it, and from ten times on '585 times' it."""
    if share >= MANY_TIMES:
        return Text("{times} times", "{times} 倍").format(times=times_text(share))
    return Text(f"{share_text(share)} of", share_text(share))


def share_text(share: float) -> str:
    """A share in percent: 97%, 0.4%, 1e-5%."""
    percent = 100 * share
    if percent == 0 or abs(percent) >= 9.95:
        return f"{percent:,.0f}%"
    if abs(percent) >= 0.01:
        return f"{percent:.2g}%"
    return f"{percent:.0e}".replace("e-0", "e-") + "%"


def rate_text(rate: float) -> str:
    """A rate as people type it."""
    return format_rate(rate)


WRITERS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("best", "constant", "end", "high", "loss", "low", "scale", "start"), loss_text),
    **dict.fromkeys(("target", "value"), loss_text),
    **dict.fromkeys(("fastest", "needed", "nudge", "rate"), rate_text),
    **dict.fromkeys(("error", "percent", "share"), share_text),
    **dict.fromkeys(("failed", "first", "high_step", "last", "least", "longest", "low_step"), steps_text),
    **dict.fromkeys(("needed_points", "own", "points", "reached", "seeds", "step", "steps"), steps_text),
    "times": times_text,
    "part": part_text,
}
"""How the number in a gap of `SENTENCES` is written, by the name of the gap."""
