"""RangeReading: the measurements of a range test, the rate of every rule, and the caveats.

Letters: S seeds, n steps.
"""

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import NDArray

from lrscope.diagnosis.constant_predictor import BesideConstant
from lrscope.diagnosis.evidence import loss_text
from lrscope.diagnosis.range_curve import SMOOTHING, end_of, smoothed
from lrscope.diagnosis.range_rules import Suggestion, centre, read_rules
from lrscope.diagnosis.thresholds import DEFAULT
from lrscope.language import Text, say
from lrscope.rates import format_rate

_NOISE = Text(
    "no signal: on no seed does the loss fall by more than the noise of its batches; the rates that rules "
    "read off it mean nothing",
    "没有信号：没有一个种子的损失下降得比批次的噪声多；各规则读出的学习率没有意义",
)
_CONSTANT = Text(
    "no signal: on no seed does the loss come below that of a constant answer, {constant}; the rates that "
    "rules read off it mean nothing",
    "没有信号：没有一个种子的损失降到恒定输出的 {constant} 以下；各规则读出的学习率没有意义",
)


@dataclasses.dataclass(frozen=True, eq=False)
class RangeReading:
    """The measurements of a range test.

    Attributes:
        problem, optimizer: names of the problem and its optimizer.
        rates: float64 [n], rising: the rate of each step.
        losses: float64 [S, n]: the mini-batch loss of each seed at each step, before its update; NaN from the
            first loss that is not finite.
        seeds: the seeds of the rows of `losses`.
        full_run: steps of one full training run.
        how: how the lanes ran, in words.
        notes: sentences for the user.
        seconds: duration of the test.
        constant_loss: the training loss of the best constant predictor; None if it is not known.
    """

    problem: str
    optimizer: str
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    seeds: tuple[int, ...]
    full_run: int
    how: str
    notes: tuple[str, ...]
    seconds: float
    constant_loss: float | None = None

    @functools.cached_property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """Return a Suggestion of every published rule: its `rule.name`, `rate`, `rates` and `decades`."""
        return read_rules(self.rates, self.losses)

    @property
    def cost(self) -> float:
        """Return the steps of all seeds, in full training runs of the problem."""
        return self.losses.size / self.full_run

    @property
    def centre(self) -> float | None:
        """Return the rate to centre a search on; None if no seed's loss falls."""
        return centre(self.rates, self.losses)

    @property
    def no_signal(self) -> Text | None:
        """Return the reason why no rate can be read off this ramp; None if one can.

        There is no signal if on no seed the loss falls by more than its noise. Nor is there one if on no seed
        it falls below the loss of a constant predictor, which learns nothing from its inputs, or comes down
        to it from far above.
        """
        if self.centre is None:
            return _NOISE
        constant, skip = self.constant_loss, len(self.rates) // 10
        if constant is None or constant <= 0:
            return None
        tops, means = self.losses[:, : skip + 1].mean(axis=1), self.smoothed()[:, skip:]
        lows = np.where(np.isfinite(means), means, np.inf).min(axis=1)
        besides = (BesideConstant(constant, *ends, share=1.0) for ends in zip(tops, lows, strict=True))
        if any(one.beaten or one.came_from_far(DEFAULT) for one in besides):
            return None
        return _CONSTANT.format(constant=loss_text(constant))

    @property
    def ends(self) -> tuple[int, ...]:
        """Return for each seed the number of steps until its ramp broke, or n."""
        return tuple(end_of(losses_n) for losses_n in self.losses)

    @property
    def decades_of_rates(self) -> float:
        """Return the decades from the lowest to the highest rate."""
        return math.log10(self.rates[-1] / self.rates[0])

    def smoothed(self) -> NDArray[np.float64]:
        """Return the losses that most rules read, [S, n]: a debiased moving mean; NaN after a ramp broke."""
        means = np.full_like(self.losses, np.nan)
        for row, losses_n, end in zip(means, self.losses, self.ends, strict=True):
            row[:end] = smoothed(losses_n[:end])
        return means

    def caveats(self) -> tuple[str, ...]:
        """Return why this is a reference and not the answer, with the numbers of this ramp."""
        steps = len(self.rates)
        reach = min(steps, round(1 / (1 - SMOOTHING)))
        share = steps / self.full_run
        lines = [
            say(
                "a range test is a reference, not the answer: its rate rises while the model "
                "learns, so the loss "
                "at a rate tells as much of the steps before as of the rate",
                "范围测试只是参考，不是答案：学习率一边升，模型一边学，某个学习率处的损失，"
                "说的既是这个学习率，也是之前的那些步",
            ),
            say(
                "it sees {steps} steps, {share} of a full run of {full}: the rate that is best over "
                "few steps "
                "is seldom the best over many",
                "它只看 {steps} 步，是完整训练 {full} 步的 {share} 倍：步数少时最好的学习率，"
                "步数多时很少还是最好",
                steps=f"{steps:,}",
                share=f"{share:.2g}",
                full=f"{self.full_run:,}",
            ),
            say(
                "its smoothing reaches back over some {reach} steps, here {decades} decades of rates",
                "它的平滑要往回看约 {reach} 步，在这里相当于学习率的 {decades} 个数量级",
                reach=reach,
                decades=f"{self.decades_of_rates * reach / (steps - 1):.2g}",
            ),
        ]
        named = [one for one in self.suggestions if one.rate is not None]
        if not named:
            lines.append(
                say(
                    "here no rule finds anything: the loss does not fall, or too soon breaks",
                    "这里没有规则找到任何东西：损失不下降，或坏得太早",
                )
            )
        elif len(named) > 1:
            low, high = (choose(named, key=lambda one: one.rate or 0.0) for choose in (min, max))
            apart = math.log10((high.rate or 1.0) / (low.rate or 1.0))
            line = say(
                "its rules disagree, here by {apart} decades: from {low} ({lowest}) to {high} ({highest})",
                "各规则说法不一，在这里相差 {apart} 个数量级：从 {low}（{lowest}）到 {high}（{highest}）",
                apart=f"{apart:.2g}",
                low=format_rate(low.rate or 0.0),
                lowest=low.rule.name,
                high=format_rate(high.rate or 0.0),
                highest=high.rule.name,
            )
            wide = max(named, key=lambda one: one.decades or 0.0)
            if wide.decades:
                line += say(
                    "; {rule} alone varies by {decades} decades over {seeds} seeds",
                    "；单是 {rule}，在 {seeds} 个种子上就相差 {decades} 个数量级",
                    rule=wide.rule.name,
                    decades=f"{wide.decades:.2g}",
                    seeds=len(self.seeds),
                )
            lines.append(line)
        return tuple(lines)
