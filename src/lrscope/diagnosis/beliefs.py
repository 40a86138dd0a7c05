"""Sayings: what everybody says of learning rates, the claims in it, and the words of a study's answers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lrscope.language import BLANK, Text, capitalised, joined

_SENTENCE = Text("{text}.", "{text}。")
_FINDING = Text("{statement}: {verdict}", "{statement}：{verdict}")
_HEADLINE = Text("{claim} {answer}", "{claim}{answer}")
_ANSWER = Text("{verdict} ({figure})", "{verdict}（{figure}）")


def phrase(sentence: str, values: Mapping[str, str]) -> Text:
    """A sentence of the catalogue with its gaps filled, without a full stop.

    Args:
        sentence: a key of `SENTENCES`.
        values: what stands in the gaps; a `Text` in every language.
    """
    return SENTENCES[sentence].format(**values)


class Claim(NamedTuple):
    """One claim about learning rates, tested on a study. Its texts exist in every language.

    Attributes:
        token: a key of `CLAIMS`.
        verdict: "confirmed", "refuted" or "cannot_tell".
        phrases: the reasons, in order.
        figure: the most telling number or word.
        numbers: the evidence as numbers.
    """

    token: str
    verdict: str
    phrases: tuple[Text, ...]
    figure: Text
    numbers: Mapping[str, Any]

    def text(self) -> Text:
        """Claim, verdict, and why."""
        return joined((self.finding(), self.reasons()), BLANK)

    def reasons(self) -> Text:
        """Why: the figures."""
        return joined(map(_sentence, self.phrases), BLANK)

    def finding(self) -> Text:
        """Claim and verdict: 'Training becomes unstable: confirmed.'"""
        return _sentence(_FINDING.format(statement=STATEMENTS[self.token], verdict=VERDICTS[self.verdict]))

    def headline(self) -> Text:
        """Claim, verdict, and one figure: 'unstable? confirmed (2 of 5 lanes)'."""
        return _HEADLINE.format(claim=CLAIMS[self.token], answer=self.answer())

    def answer(self) -> Text:
        """Verdict, and one figure."""
        return _ANSWER.format(verdict=VERDICTS[self.verdict], figure=self.figure)


def _sentence(text: Text) -> Text:
    return _SENTENCE.format(text=capitalised(text))


TITLES: dict[str, Text] = {
    "too_high": Text(
        "Too high a rate is unstable, spreads the weights far too wide and gives nothing usable",
        "学习率太高，模型不稳定，参数范围过大，得不到可用的结果",
    ),
    "medium": Text(
        "A medium rate is right, but which one that is takes experiments to find",
        "中等的学习率才对，但多大算中等，要靠实验去找",
    ),
    "too_low": Text("Too low a rate needs more steps, and may overfit", "学习率太低，训练更久，还可能过拟合"),
}

NAMES: dict[str, Text] = {
    "too_high": Text("too high", "太高"),
    "medium": Text("medium", "中等"),
    "too_low": Text("too low", "太低"),
}

VERDICTS: dict[str, Text] = {
    "confirmed": Text("confirmed", "证实"),
    "refuted": Text("refuted", "推翻"),
    "cannot_tell": Text("cannot tell", "下不了结论"),
    "partly": Text("confirmed in part", "部分证实"),
}

STATEMENTS: dict[str, Text] = {
    "unstable": Text("training becomes unstable", "训练变得不稳定"),
    "wide": Text("the weights spread far too wide", "权重散得太开"),
    "useless": Text("nothing usable comes out", "得不到可用的结果"),
    "medium": Text("which rate is right has to be found", "哪个学习率合适，要去找"),
    "slow": Text("it needs more steps", "需要更多的步数"),
    "overfits": Text("it overfits", "会过拟合"),
}
"""Every claim, in full."""

CLAIMS: dict[str, Text] = {
    "unstable": Text("unstable?", "不稳定？"),
    "wide": Text("wide weights?", "权重过宽？"),
    "useless": Text("nothing usable?", "得不到可用的结果？"),
    "medium": Text("a range of its own?", "有自己的区间？"),
    "slow": Text("more steps?", "步数更多？"),
    "overfits": Text("overfitting?", "过拟合？"),
}

SENTENCES: dict[str, Text] = {
    # what may be missing
    "no_reference": Text(
        "no rate of this study is good enough to compare others with",
        "这份研究里没有一个学习率好到可以拿来比较",
    ),
    "no_reference.short": Text("no good rate to compare with", "没有好的学习率可比"),
    "no_higher": Text(
        "no rate above the good ones was tested: try --rates {next}",
        "没有试过比好的学习率更高的：试试 --rates {next}",
    ),
    "no_higher.whole": Text(
        "no rate above {top} was trained to the full length: try --rates {next}",
        "高于 {top} 的学习率没有训练满全程的：试试 --rates {next}",
    ),
    "no_higher.short": Text("no higher rate tested", "没有试过更高的"),
    "no_lower": Text(
        "no rate below {reference} was tested: try --rates {next}",
        "没有试过低于 {reference} 的学习率：试试 --rates {next}",
    ),
    "no_lower.short": Text("no lower rate tested", "没有试过更低的"),
    # too high: unstable
    "unstable": Text(
        "{broken} of {lanes} lanes above {top} did not train steadily, the first at {first}: {kinds}",
        "高于 {top} 的 {lanes} 条里有 {broken} 条训练不平稳，第一条在 {first}：{kinds}",
    ),
    "unstable.inside": Text(
        "{broken} of {lanes} lanes above {top} did not train steadily ({kinds} at {rates}), yet at {highest}"
        " all did",
        "高于 {top} 的 {lanes} 条里有 {broken} 条训练不平稳（{rates}：{kinds}），可是在 {highest} 全都平稳",
    ),
    "steady": Text(
        "up to {highest}, {times} times the highest good rate, every lane trained steadily",
        "直到 {highest}，即最高的好学习率的 {times} 倍，每一条都训练得平稳",
    ),
    "steady.near": Text(
        "every lane trained steadily, but the highest rate, {highest}, is only {times} times the highest good"
        " one: try --rates {next}",
        "每一条都训练得平稳，但最高的学习率 {highest} 只是最高的好学习率的 {times} 倍：试试 --rates {next}",
    ),
    "lanes.short": Text("{broken} of {lanes} lanes", "{lanes} 条里有 {broken} 条"),
    "highest.short": Text("up to {times} times a good rate", "直到好学习率的 {times} 倍"),
    # too high: wide
    "wide": Text(
        "at {rate} the largest weight has size {largest}, at {reference} it has {good}: {times} "
        "times as much",
        "学习率 {rate} 时最大的权重是 {largest}，{reference} 时是 {good}：前者是后者的 {times} 倍",
    ),
    "wide.std": Text(
        "{tensor} spreads {times} times as wide (standard deviation {std} and {good})",
        "{tensor} 的离散程度是 {times} 倍（标准差 {std} 对 {good}）",
    ),
    "wide.unknown": Text("the range of the weights was not recorded", "没有记录权重的范围"),
    "wide.short": Text("{times} times at {rate}", "{rate} 时是 {times} 倍"),
    # too high: useless
    "useless.failed": Text(
        "at {highest} nothing was learned: {kinds}", "学习率 {highest} 时什么也没学到：{kinds}"
    ),
    "useless.nothing": Text(
        "at {highest} the {objective} did not come below its start",
        "学习率 {highest} 时，{objective}没有降到开始时以下",
    ),
    "useless.missing": Text(
        "at {highest} {part} what the best rate learned is missing",
        "学习率 {highest} 时，比最好的学习率少学了 {part}",
    ),
    "useless.usable": Text(
        "at {highest} {part} what the best rate learned is missing: worse, but usable",
        "学习率 {highest} 时，比最好的学习率少学了 {part}：差一些，但可用",
    ),
    "useless.near": Text(
        "at {highest} {part} what the best rate learned is missing, but that is only {times} times the"
        " highest good rate: try --rates {next}",
        "学习率 {highest} 时，比最好的学习率少学了 {part}，但它只是最高的好学习率的 "
        "{times} 倍：试试 --rates {next}",
    ),
    "useless.measure": Text(
        "its {measure} is {value} where {reference} has {good}",
        "它的 {measure} 是 {value}，而 {reference} 的是 {good}",
    ),
    "kinds.short": Text("{kinds} at {highest}", "{highest} 时：{kinds}"),
    "nothing.short": Text("nothing learned at {highest}", "{highest} 时什么也没学到"),
    "missing.short": Text("{share} missing at {highest}", "{highest} 时少学了 {share}"),
    # medium
    "medium": Text(
        "{count} of {tested} compared rates did best and came through on every seed, {low} to {high}, a "
        "factor of {width}",
        "比较过的 {tested} 个学习率里有 {count} 个最好，而且每个种子都训练下来：{low} "
        "到 {high}，相差 {width} 倍",
    ),
    "medium.one": Text(
        "1 of {tested} compared rates did best, {low}, and came through on every seed",
        "比较过的 {tested} 个学习率里有 1 个最好，是 {low}，而且每个种子都训练下来",
    ),
    "medium.margin": Text(
        "the first rate that fails, {failing}, is {margin} times the recommended {rate}",
        "第一个失败的学习率 {failing} 是推荐的 {rate} 的 {margin} 倍",
    ),
    "medium.no_cliff": Text(
        "no higher rate fails, {highest} is the highest tested",
        "更高的学习率没有失败的，试过的最高是 {highest}",
    ),
    "medium.all": Text(
        "all rates from {low} to {high}, a factor of {width}, did equally well",
        "从 {low} 到 {high}，相差 {width} 倍，所有学习率一样好",
    ),
    "medium.no_lower": Text(
        "down to the lowest tested, {lowest}, rates do as well: try --rates {next}",
        "直到试过的最低的 {lowest}，都一样好：试试 --rates {next}",
    ),
    "medium.no_higher": Text(
        "up to the highest tested, {highest}, rates do as well: try --rates {next}",
        "直到试过的最高的 {highest}，都一样好：试试 --rates {next}",
    ),
    "medium.some_lanes": Text(
        "no higher rate fails on most of its lanes, but {rate} does on {failed} of {lanes}",
        "更高的学习率没有在多数训练线上失败的，但 {rate} 在 {lanes} 条里有 {failed} 条失败",
    ),
    "medium.no_lower.whole": Text(
        "no rate below {low} was trained as long: try --rates {next}",
        "没有更低于 {low} 的学习率训练得一样久：试试 --rates {next}",
    ),
    "medium.no_higher.whole": Text(
        "no rate above {high} was trained as long: try --rates {next}",
        "没有更高于 {high} 的学习率训练得一样久：试试 --rates {next}",
    ),
    "medium.none": Text("{reason}", "{reason}"),
    "medium.short": Text("{low} to {high}", "{low} 到 {high}"),
    "medium.one.short": Text("{low}", "{low}"),
    "medium.none.short": Text("no rate can be recommended", "推荐不出学习率"),
    # too low: more steps
    "slow": Text(
        "{rate} took {times} times as many steps as {fastest} to the same training loss",
        "到同样的训练损失，{rate} 所用的步数是 {fastest} 的 {times} 倍",
    ),
    "slow.not": Text(
        "{rate} took no more steps than {fastest} to the same training loss",
        "到同样的训练损失，{rate} 所用的步数不比 {fastest} 多",
    ),
    "slow.start": Text(
        "{rate} was not below its start after {steps} steps", "{rate} 在 {steps} 步之后还没有低于开始时"
    ),
    "slow.unknown": Text("the steps of lower rates cannot be compared", "更低的学习率的步数无从比较"),
    "slow.short": Text("{times} times at {rate}", "{rate} 时是 {times} 倍"),
    "slow.start.short": Text("{rate} never started", "{rate} 没有起步"),
    # too low: overfitting
    "overfits": Text(
        "at {rates} the validation loss is higher at equal training loss and early-stopped",
        "{rates} 的验证损失更高，训练损失相同时如此，早停时也如此",
    ),
    "overfits.not": Text(
        "at equal training loss or early-stopped no lower rate is {margin} worse",
        "训练损失相同时，或早停时，没有更低的学习率差 {margin}",
    ),
    "overfits.lane": Text(
        "{rate} beside {reference} ({seeds}): validation loss {training} at equal training loss, {best}"
        " early-stopped, {steps} at equal steps",
        "{rate} 对 {reference}（{seeds}）：验证损失在训练损失相同时 "
        "{training}，早停时 {best}，步数相同时 {steps}",
    ),
    "overfits.lane.regret": Text(
        "{rate} beside {reference} ({seeds}), in shares of what {reference} learned: validation loss"
        " {training} at equal training loss, {best} early-stopped, {steps} at equal steps",
        "{rate} 对 {reference}（{seeds}），以 {reference} 所学为单位："
        "验证损失在训练损失相同时 {training}，早停时 {best}，步数相同时 {steps}",
    ),
    "overfits.lane.short": Text(
        "{rate} beside {reference} ({seeds}): validation loss {best} early-stopped, {steps} at equal steps;"
        " as low a training loss is not reachable in {epochs} epochs",
        "{rate} 对 {reference}（{seeds}）：验证损失在早停时 {best}，"
        "步数相同时 {steps}；{epochs} 轮之内到不了那么低的训练损失",
    ),
    "overfits.lane.short.regret": Text(
        "{rate} beside {reference} ({seeds}), in shares of what {reference} learned: validation loss {best}"
        " early-stopped, {steps} at equal steps; as low a training loss is not reachable in {epochs} epochs",
        "{rate} 对 {reference}（{seeds}），以 {reference} 所学为单位："
        "验证损失在早停时 {best}，步数相同时 {steps}；{epochs} "
        "轮之内到不了那么低的训练损失",
    ),
    "overfits.seeds": Text("{seeds} paired seeds, 95% intervals", "{seeds} 个种子两两配对，95% 区间"),
    "overfits.seeds.one": Text("one seed", "一个种子"),
    "overfits.less_trained": Text(
        "a lower loss at equal steps only means less training ({rates})",
        "步数相同时损失更低，只说明训练得少（{rates}）",
    ),
    "overfits.under_trained": Text(
        "a higher loss at equal steps only means less learned ({rates})",
        "步数相同时损失更高，只说明学到的少（{rates}）",
    ),
    "overfits.still_falling": Text(
        "still falling at the end, and so not at its best yet: {rates}",
        "结束时还在下降，所以还没到最好：{rates}",
    ),
    "overfits.one_seed": Text(
        "one seed leaves the error unknown: add --seeds {more}",
        "只有一个种子，误差不知道：加上 --seeds {more}",
    ),
    "overfits.noise": Text(
        "the seeds differ too much to tell a harm of {margin} from none: add --seeds {more}",
        "种子之间差别太大，分不清有没有 {margin} 的害处：加上 --seeds {more}",
    ),
    "overfits.steps": Text(
        "no lower rate came deep enough to overfit: add --epochs {needed}",
        "更低的学习率都没有学得深到能过拟合：加上 --epochs {needed}",
    ),
    "overfits.nearer": Text(
        "no lower rate came deep enough to overfit: try --rates {next}",
        "更低的学习率都没有学得深到能过拟合：试试 --rates {next}",
    ),
    "overfits.no_validation": Text(
        "nothing tells without a validation loss at the end of every epoch",
        "没有每轮结束时的验证损失，无从回答",
    ),
    "overfits.one_epoch": Text(
        "a single validation loss after the start tells nothing of a best one: train for --epochs 2 or more",
        "训练开始之后只有一个验证损失，看不出后来如何：至少用 --epochs 2",
    ),
    "overfits.short": Text("{change} at equal training loss, {rate}", "{rate}，训练损失相同时 {change}"),
    "overfits.not.short": Text("no lower rate {margin} worse", "没有更低的学习率差 {margin}"),
    "overfits.one_seed.short": Text("one seed: add --seeds {more}", "一个种子：加上 --seeds {more}"),
    "overfits.noise.short": Text("seeds differ: add --seeds {more}", "种子差别大：加上 --seeds {more}"),
    "overfits.steps.short": Text("too few steps", "步数太少"),
    "overfits.one_epoch.short": Text("one epoch: train longer", "只有一轮：训练久一些"),
    "overfits.no_validation.short": Text("no validation loss", "没有验证损失"),
}
