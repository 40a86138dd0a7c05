"""Recommendation: the rate to use with its interval and margin, or the reason why there is none."""

import dataclasses
import html

from lrscope.diagnosis.evidence import rate_text, times_text
from lrscope.diagnosis.horizon import Horizon
from lrscope.diagnosis.objective import FINAL_VALIDATION
from lrscope.diagnosis.tested import Failure
from lrscope.diagnosis.thresholds import DEFAULT
from lrscope.language import BLANK, SEMICOLON, Text, capitalised, joined, said, speaking


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """The rate to use, or the reason why there is none.

    A rate *fails* if most of its lanes, of whatever length, failed, diverged, collapsed or were unstable;
    above the good rates a frozen lane counts too. Texts are English strings that also hold their Chinese
    translation.

    Attributes:
        rate: the rate to use; it was trained to the full length. None if no rate can be recommended.
        low: lower end of the interval that holds the best rate. The interval spans the rates that did as well
            as the best, and part of the way to the next tested rate on each side.
        high: upper end of that interval.
        first_failing: the lowest tested rate that fails, above the rates that did as well as the best; None
            if there is none.
        margin: first_failing / rate.
        confidence: "high", "medium" or "low".
        cannot_tell: the reason why there is no rate; None if there is one.
        spent: steps done, in full training runs.
        objective: what rates were compared by.
        best_rate: the best single rate by the objective, among the lanes trained the longest.
        final_rate: the best rate by the validation loss at the end; None if nothing was validated.
        early_stopped_rate: the best rate if every lane is stopped at its lowest validation loss; None if
            nothing was validated.
        training_rate: the best rate by the smoothed training loss at the end; None if it was not measured.
        safe_rate: the highest rate that is within 5% of the best on every seed.
        near_optimal: the tested rates that did as well as the best, without a gap.
        caution: a warning; None if there is none.
        remark: why lanes at this rate have a verdict worse than good; None if they have none.
        next_experiment: what to run to learn more, as a command to type.
        because: the reason for the confidence.
        horizon: how the best rate moves with the length of the run; None if that is not known.
        worse_from: the lowest tested rate that did worse, above the rates that did as well as the best; None
            if there is none.
        preferred_rate: the best rate as estimated from all lanes, whether or not it was trained; train it
            next to the full length. It may be `rate`; None if the lanes do not show it.
        compared_steps: steps after which rates were compared: the length of the longest lanes.
        failures: every rate at which a lane failed, with the number of failed lanes and of all lanes.
        highest_tested: the highest tested rate, on a lane of whatever length; None if there is none.
    """

    rate: float | None
    low: float | None
    high: float | None
    first_failing: float | None
    margin: float | None
    confidence: str
    cannot_tell: str | None
    spent: float
    objective: str
    best_rate: float | None = None
    final_rate: float | None = None
    early_stopped_rate: float | None = None
    training_rate: float | None = None
    safe_rate: float | None = None
    near_optimal: tuple[float, ...] = ()
    caution: str | None = None
    remark: str | None = None
    next_experiment: str | None = None
    because: str = ""
    horizon: Horizon | None = None
    worse_from: float | None = None
    preferred_rate: float | None = None
    compared_steps: int = 0
    failures: tuple[Failure, ...] = ()
    highest_tested: float | None = None

    @property
    def at_cliff(self) -> bool:
        """Return whether the next tested rate above the best one fails."""
        if self.first_failing is None or self.best_rate is None:
            return False
        return self.best_rate < self.first_failing <= DEFAULT.cliff * self.best_rate

    def sentence(self, lang: str | None = None) -> str:
        """Return the recommendation in a few sentences.

        Args:
            lang: language, "en" or "zh". By default English, or the language of the command.

        Raises:
            UsageError: there is no such language.
        """
        with speaking(lang):
            return said(joined(self._sentences(), BLANK))

    def _sentences(self) -> list[Text]:
        """Return the sentences in order, each in every language."""
        if self.rate is None or self.low is None or self.high is None:
            sentences = [_CANNOT_TELL.format(reason=self.cannot_tell)]
            if self.next_experiment:
                sentences.append(_NEXT.format(experiment=self.next_experiment))
            return sentences
        between = _BETWEEN.format(low=rate_text(self.low), high=rate_text(self.high))
        told = {
            "rate": rate_text(self.rate),
            "between": between if self.low < self.high else "",
            "cliff": self._failing(),
        }
        sentences = [_USE.format(**told)]
        if self.caution is not None:
            sentences.append(_BEWARE.format(caution=self.caution))
        longer = self.horizon.text() if self.horizon is not None else None
        if longer is not None:
            sentences.append(_SENTENCE.format(text=capitalised(longer)))
        if self.objective != FINAL_VALIDATION.name:
            sentences.append(_JUDGED.format(objective=self.objective))
        elif self.early_stopped_rate is not None and not self.low <= self.early_stopped_rate <= self.high:
            sentences.append(_STOPPED_EARLY.format(rate=rate_text(self.early_stopped_rate)))
        if self.remark is not None:
            sentences.append(_SENTENCE.format(text=capitalised(self.remark)))
        sentences.append(_CONFIDENCE.format(word=CONFIDENCE[self.confidence], because=self.because))
        # Next to a failing rate or at the edge of the tested rates there is something to do.
        if (self.caution is not None or self.at_cliff) and self.next_experiment:
            sentences.append(_NEXT.format(experiment=self.next_experiment))
        return sentences

    def _failing(self) -> Text:
        """Return the words on failing rates: the first above, and rates that failed on some lanes."""
        rate, first = self.rate or 0.0, self.first_failing
        if first is not None and self.margin is not None:
            fails = _CLIFF.format(rate=rate_text(first), margin=times_text(self.margin))
        else:
            fails = _NO_HIGHER if self.failures else _NO_CLIFF
        partly = [one for one in self.failures if not one.mostly and (first is None or one.rate < first)]
        some = [
            _SOME_LANES.format(rate=rate_text(one.rate), failed=one.failed, lanes=one.lanes) for one in partly
        ]
        below = [rate_text(one.rate) for one in self.failures if one.mostly and one.rate < rate]
        lower = [_LOWER_FAIL.format(rates=", ".join(below))] if below else []
        return joined((fails, *lower, *some), SEMICOLON)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return the sentences as a notebook shows them."""
        sentence = self.sentence()
        return {"text/plain": sentence, "text/html": f"<p><b>{html.escape(sentence)}</b></p>"}


CONFIDENCE: dict[str, Text] = {
    "high": Text("high", "高"),
    "medium": Text("medium", "中等"),
    "low": Text("low", "低"),
}
"""The words for each confidence."""

_CANNOT_TELL = Text("Cannot tell: {reason}.", "下不了结论：{reason}。")
_NEXT = Text("Next: {experiment}.", "下一步：{experiment}。")
_USE = Text("Use {rate}{between}; {cliff}.", "用 {rate}{between}；{cliff}。")
_BETWEEN = Text(" (the best is between {low} and {high})", "（最好的在 {low} 和 {high} 之间）")
_CLIFF = Text(
    "the first rate that fails is {rate}, {margin}x higher", "第一个失败的学习率是 {rate}，是它的 {margin} 倍"
)
_NO_HIGHER = Text("no higher rate that was tested fails", "试过的更高的学习率没有失败的")
_SOME_LANES = Text("at {rate} {failed} of {lanes} lanes failed", "{rate} 的 {lanes} 条里有 {failed} 条失败")
_LOWER_FAIL = Text("lower rates fail: {rates}", "更低的学习率有失败的：{rates}")
_NO_CLIFF = Text("no rate that was tested fails", "试过的学习率没有失败的")
_BEWARE = Text("Beware: {caution}.", "注意：{caution}。")
_SENTENCE = Text("{text}.", "{text}。")
_JUDGED = Text("Judged by the {objective}.", "按{objective}评判。")
_STOPPED_EARLY = Text(
    "Where each lane is stopped at its best epoch, the best is {rate}.",
    "如果每条都停在自己最好的一轮，最好的是 {rate}。",
)
_CONFIDENCE = Text("Confidence {word}: {because}.", "可信度{word}：{because}。")
