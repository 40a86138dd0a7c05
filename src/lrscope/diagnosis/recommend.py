"""Recommend: the rate to use, the interval as good, the distance to the cliff; or why it cannot be told."""

import dataclasses
import html
import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np

from lrscope.diagnosis import experiment
from lrscope.diagnosis.comparison import Comparison, compare, decades, horizons
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.evidence import rate_text, times_text
from lrscope.diagnosis.horizon import Horizon, horizon
from lrscope.diagnosis.objective import EARLY_STOPPED, FINAL_TRAINING, FINAL_VALIDATION, Objective
from lrscope.diagnosis.standing import Standing
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.diagnosis.verdict import FAILING, Verdict
from lrscope.language import BLANK, Text, capitalised, joined, said, speaking
from lrscope.plan import Plan


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """The rate to use, or why there is none.

    Attributes:
        rate: the centre of the rates as good as the best; None when it cannot be told.
        low, high: the interval the best rate is in: the rates as good as the best, and half a lane
            on each side.
        first_failing: the lowest rate above them at which a seed failed; None where none did.
        margin: first_failing / rate.
        confidence: "high", "medium" or "low".
        cannot_tell: why there is no rate; None where there is one.
        spent: steps done, in full training runs.
        objective: what rates were compared by.
        best_rate: the best single rate by the objective.
        final_rate, early_stopped_rate, training_rate: the best by final validation loss, by the best
            validation loss of the run, and by final training loss; None where not measured.
        safe_rate: the highest rate that is within 5% of the best on every seed.
        near_optimal: every tested rate that is as good as the best, without a gap, whatever time it took.
        caution: what to beware of, None where there is nothing.
        next_experiment: what would tell more, with what to type.
        because: the reason for the confidence.
            Texts are English to programs, and hold every language: see `lrscope.language`.
        horizon: how the best rate moves with the length of the run; None where that cannot be said.
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
    next_experiment: str | None = None
    because: str = ""
    horizon: Horizon | None = None

    def sentence(self, lang: str | None = None) -> str:
        """All of it in a line.

        Args:
            lang: the language, "en" or "zh"; None for the one in force, which is English unless a command
                was asked for another.

        Raises:
            UsageError: there is no such language.
        """
        with speaking(lang):
            return said(joined(self._sentences(), BLANK))

    def _sentences(self) -> list[Text]:
        """One after the other, in every language."""
        if self.rate is None or self.low is None or self.high is None:
            sentences = [_CANNOT_TELL.format(reason=self.cannot_tell)]
            if self.next_experiment:
                sentences.append(_NEXT.format(experiment=self.next_experiment))
            return sentences
        between = _BETWEEN.format(low=rate_text(self.low), high=rate_text(self.high))
        cliff: str = _NO_CLIFF
        if self.first_failing is not None and self.margin is not None:
            cliff = _CLIFF.format(rate=rate_text(self.first_failing), margin=times_text(self.margin))
        told = {
            "rate": rate_text(self.rate),
            "between": between if self.low < self.high else "",
            "cliff": cliff,
        }
        sentences = [_USE.format(**told)]
        if self.caution is not None:
            sentences.append(_BEWARE.format(caution=self.caution))
        longer = self.horizon.text() if self.horizon is not None else None
        if longer is not None:
            sentences.append(_SENTENCE.format(text=capitalised(longer)))
        if self.objective != FINAL_VALIDATION.name:
            sentences.append(_JUDGED.format(objective=self.objective))
        return [*sentences, _CONFIDENCE.format(word=CONFIDENCE[self.confidence], because=self.because)]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """The sentence, as a notebook shows it."""
        sentence = self.sentence()
        return {"text/plain": sentence, "text/html": f"<p><b>{html.escape(sentence)}</b></p>"}


CONFIDENCE: dict[str, Text] = {
    "high": Text("high", "高"),
    "medium": Text("medium", "中等"),
    "low": Text("low", "低"),
}
"""The words for how sure a recommendation is."""

_CANNOT_TELL = Text("Cannot tell: {reason}.", "下不了结论：{reason}。")
_NEXT = Text("Next: {experiment}.", "下一步：{experiment}。")
_USE = Text("Use {rate}{between}; {cliff}.", "用 {rate}{between}；{cliff}。")
_BETWEEN = Text(" (the best is between {low} and {high})", "（最好的在 {low} 和 {high} 之间）")
_CLIFF = Text(
    "the first rate that fails is {rate}, {margin}x higher", "第一个失败的学习率是 {rate}，是它的 {margin} 倍"
)
_NO_CLIFF = Text("no rate that was tested fails", "试过的学习率没有失败的")
_BEWARE = Text("Beware: {caution}.", "注意：{caution}。")
_SENTENCE = Text("{text}.", "{text}。")
_JUDGED = Text("Judged by the {objective}.", "按{objective}评判。")
_CONFIDENCE = Text("Confidence {word}: {because}.", "可信度{word}：{because}。")

_CONSTANT = Text("no rate did better than a constant answer", "没有一个学习率胜过恒定输出")
_BEYOND = Text("the best may lie beyond the rates tested", "最好的可能在试过的范围之外")
_CHANCE = Text(
    "no rate did better than a constant answer by more than chance",
    "没有一个学习率胜过恒定输出，除非出于偶然",
)


@np.errstate(over="ignore", invalid="ignore")  # a loss of 1e300 has no variance
def recommend(
    curves: Sequence[Curve], verdicts: Sequence[Verdict], plan: Plan, thresholds: Thresholds = DEFAULT
) -> Recommendation:
    """The rate to use, from the lanes and what became of them.

    Args:
        curves: of all lanes.
        verdicts: of `judge`, on the same curves and thresholds.
        plan: of the study.
        thresholds: see `Thresholds`.
    """
    verdicts = _lasting(curves, verdicts, plan)
    broken = {verdict.rate for verdict in verdicts if verdict.kind in FAILING}
    comparison = _longest(curves, plan, thresholds, broken)
    near = comparison.near_optimal
    failing = sorted({one.rate for one in verdicts if _fails(one, near)})
    first_failing = next((rate for rate in failing if not near or rate > near[-1]), None)
    plain = Recommendation(
        rate=None,
        low=None,
        high=None,
        first_failing=first_failing,
        margin=None,
        confidence="low",
        cannot_tell=None,
        spent=(plan.scouted + sum(curve.steps for curve in curves)) / plan.steps if plan.steps else 0.0,
        objective=comparison.objective.name,
        best_rate=comparison.best.rate if comparison.best else None,
        final_rate=_best_by(FINAL_VALIDATION, comparison),
        early_stopped_rate=_best_by(EARLY_STOPPED, comparison),
        training_rate=_best_by(FINAL_TRAINING, comparison),
        safe_rate=max(_safe(comparison.standings, first_failing, thresholds), default=None),
        near_optimal=near,
    )
    tried = tuple(sorted({curve.rate for curve in curves}))
    reason = _cannot_tell(comparison, verdicts, tried)
    edge = _edge(comparison, tried) if reason is None else None
    # A search widens for as long as its budget allows: its best at the edge is the answer to what was asked.
    if plan.chosen is None and edge is not None:
        reason = edge
    if reason is not None:
        ahead = experiment.to_tell(comparison, verdicts, failing)
        return dataclasses.replace(plain, cannot_tell=reason, next_experiment=ahead)
    interval = _interval(comparison, thresholds)
    rate, caution = _choose(interval, first_failing, comparison, thresholds)
    if caution is None and not comparison.beats_constant:
        caution = _CONSTANT
    low, high = _widened(interval, comparison, tried)
    confidence, because = _confidence(comparison, plan, caution)
    if edge is not None:
        caution, confidence, because = edge, "low", _BEYOND
    told = dataclasses.replace(
        plain,
        rate=rate,
        low=min(low, rate),
        high=max(high, rate),
        margin=None if first_failing is None else first_failing / rate,
        confidence=confidence,
        because=because,
        caution=caution,
    )
    leader = comparison.leader or rate
    at_cliff = first_failing is not None and first_failing <= thresholds.cliff * leader
    told = dataclasses.replace(told, horizon=horizon(curves, plan, thresholds))
    if edge is not None:
        ahead = experiment.to_tell(comparison, verdicts, failing)
    else:
        cliff = first_failing if at_cliff else None
        ahead = experiment.to_know_more(rate, interval, cliff, comparison, failing)
    return dataclasses.replace(told, next_experiment=ahead)


def _lasting(curves: Sequence[Curve], verdicts: Sequence[Verdict], plan: Plan) -> tuple[Verdict, ...]:
    """The verdicts without those of a search's short lanes: what had not learned by then might have later."""
    if plan.chosen is None:
        return tuple(verdicts)
    longest = max((curve.steps for curve in curves), default=0)
    ended = {curve.lane for curve in curves if curve.steps >= longest or curve.stopped_step is not None}
    lasting = tuple(one for one in verdicts if one.lane in ended or one.kind in ("diverged", "diverging"))
    return lasting or tuple(verdicts)


def _longest(
    curves: Sequence[Curve], plan: Plan, thresholds: Thresholds, broken: Collection[float]
) -> Comparison:
    """The lanes after as many steps as possible; of a search, as many as tell a best rate.

    What several rates have not learned by the end of the longest lanes is not there to be learned: of shorter
    ones the best is then a matter of chance.
    """
    longest = compare(curves, plan, thresholds, failing=broken, at_end=True)
    ended = {one.curve.rate for one in longest.facts.values() if one.curve.stopped_step is None}
    silent = longest.hindrance in ("nothing", "constant") and len(ended) > 1
    if plan.chosen is None or longest.best is not None or silent:
        return longest
    shorter = reversed(horizons(curves, thresholds)[:-1])
    tried = (compare(curves, plan, thresholds, steps, broken, at_end=True) for steps in shorter)
    return next((one for one in tried if one.best is not None), longest)


def _fails(verdict: Verdict, near: Sequence[float]) -> bool:
    """Whether a lane says that its rate breaks training. Frozen and unstable ones do above the good rates."""
    above = bool(near) and verdict.rate > near[-1]
    return verdict.kind in FAILING or (verdict.kind in ("frozen", "unstable") and above)


def _cannot_tell(comparison: Comparison, verdicts: Sequence[Verdict], tried: Sequence[float]) -> str | None:
    """Why no rate can be recommended, None where one can; `tried` are all rates, also of shorter lanes."""
    best, rates = comparison.best, comparison.rates
    kinds = {verdict.kind for verdict in verdicts}
    if not verdicts or kinds == {"invalid"}:
        why = verdicts[0].evidence if verdicts else Text("there is none", "一条也没有")
        return Text("no lane can be judged: {why}", "没有一条可以判定：{why}").format(why=why)
    if kinds <= {"diverged", "diverging", "invalid"}:
        every = Text(
            "every rate diverged, also the lowest, {rate}", "每个学习率都发散，最低的 {rate} 也不例外"
        )
        return every.format(rate=rate_text(rates[0]))
    if len(tried) == 1 or comparison.hindrance == "one_rate":
        alone = Text(
            "{rate} is the only rate, and there is none to compare it with",
            "只有 {rate} 这一个学习率，无从比较",
        )
        return alone.format(rate=rate_text(rates[0]))
    if comparison.hindrance == "constant":
        return _CHANCE
    if comparison.hindrance == "broken":
        return Text("no rate came through on every seed", "没有一个学习率在每个种子上都训练下来")
    if best is None:
        silent = Text(
            "no signal: no rate lowered the {objective}", "没有信号：没有一个学习率降低了{objective}"
        )
        return silent.format(objective=comparison.objective.name)
    if comparison.too_noisy:
        low, high = comparison.near_optimal[0], comparison.near_optimal[-1]
        noisy = Text(
            "the seeds differ too much to tell rates from {low} to {high} apart",
            "种子之间差别太大，分不清 {low} 到 {high} 的学习率",
        )
        return noisy.format(low=rate_text(low), high=rate_text(high))
    return None


def _edge(comparison: Comparison, tried: Sequence[float]) -> Text | None:
    """That the best rate is the highest or the lowest of all that were tried; None where it is neither."""
    leader = comparison.leader
    word = Text("fastest", "最快") if comparison.near_zero else Text("best", "最好")
    if leader == tried[-1]:
        highest = Text(
            "the {word} rate, {rate}, is the highest tested", "{word}的学习率 {rate} 是试过的最高的"
        )
        return highest.format(word=word, rate=rate_text(leader))
    if leader == tried[0]:
        lowest = Text("the {word} rate, {rate}, is the lowest tested", "{word}的学习率 {rate} 是试过的最低的")
        return lowest.format(word=word, rate=rate_text(leader))
    return None


def _interval(comparison: Comparison, thresholds: Thresholds) -> tuple[float, ...]:
    """The tested rates that are as good as the best; where losses do not tell them apart, those as fast."""
    near = comparison.near_optimal
    if comparison.leader is None or not comparison.near_zero:
        return near
    slowness = {rate: comparison.steps_ratio(rate) for rate in near}
    centre = near.index(comparison.leader)

    def fast(rate: float) -> bool:
        return slowness[rate] <= thresholds.fast_enough

    below = list(itertools.takewhile(fast, reversed(near[:centre])))
    return (*reversed(below), near[centre], *itertools.takewhile(fast, near[centre + 1 :]))


def _choose(
    interval: Sequence[float], first_failing: float | None, comparison: Comparison, thresholds: Thresholds
) -> tuple[float, str | None]:
    """The centre of the interval, away from the cliff; and what to beware of.

    The best of a few noisy lanes stands too near to the cliff too often: on other seeds than it was chosen by
    it lost 21.7% of the loss where the middle lost 6.6% (measured on 10 small tasks, two seeds).
    """

    def at_cliff(rate: float) -> bool:
        standing = comparison.standing(rate)
        trusted = standing is not None and standing.seeds >= thresholds.cliff_seeds
        return not trusted and first_failing is not None and first_failing <= thresholds.cliff * rate

    away = [rate for rate in interval if not at_cliff(rate)]
    if away:
        return _snap(_centre(away, comparison), away), None
    several = Text("{count} seeds", "{count} 个种子")
    seeds = several.format(count=comparison.depth) if comparison.depth > 1 else Text("1 seed", "1 个种子")
    safe = [
        one.rate
        for one in comparison.standings
        if one.rate < interval[0] and one.worst_regret <= thresholds.safe_regret
    ]
    if safe:
        # The highest off the cliff; where the grid is too fine for that, the one furthest from it.
        rate = max((rate for rate in safe if not at_cliff(rate)), default=safe[0])
        # Between two rates that both came through there is no need to go down all the way.
        between = _snap(math.sqrt(rate * interval[0]), [rate, interval[0]])
        rate = rate if at_cliff(between) else between
        better = Text(
            "{rate} was better, but on {seeds} it is too near to the first rate that fails",
            "{rate} 更好，但只有 {seeds}，它离第一个失败的学习率太近",
        )
        return rate, better.format(rate=rate_text(interval[-1]), seeds=seeds)
    near = Text(
        "on {seeds} it is near to the first rate that fails", "只有 {seeds}，它离第一个失败的学习率很近"
    )
    return interval[0], near.format(seeds=seeds)


def _centre(rates: Sequence[float], comparison: Comparison) -> float:
    """The geometric mean, in which a rate counts the less the further it is above the best.

    Where noise makes all of them equal it is the middle; where they can be told apart it is the best.
    """
    known = [standing for rate in rates if (standing := comparison.standing(rate)) is not None]
    weights = np.exp([-comparison.thresholds.centring * one.excess for one in known])
    return float(np.exp(np.average(np.log([one.rate for one in known]), weights=weights)))


def _snap(centre: float, rates: Sequence[float]) -> float:
    """A tested rate if one is near, else two digits of the centre; never outside of the tested rates."""
    nearest = min(rates, key=lambda rate: abs(math.log(rate / centre)))
    if abs(math.log(nearest / centre)) < math.log(1.1):
        return nearest
    rounded = float(f"{centre:.1e}")
    return rounded if rates[0] <= rounded <= rates[-1] else centre


def _widened(
    interval: Sequence[float], comparison: Comparison, tried: Sequence[float]
) -> tuple[float, float]:
    """The interval and what lies beside it up to where rates are no longer as good; see `_border`."""
    low, high = interval[0], interval[-1]
    below = [rate for rate in tried if rate < low]
    above = [rate for rate in tried if rate > high]
    return (
        _border(low, below[-1], comparison) if below else low,
        _border(high, above[0], comparison) if above else high,
    )


def _border(good: float, beside: float, comparison: Comparison) -> float:
    """Where, between a good rate and the next one, which is not, a parabola crosses the border.

    Three quarters of the way where nothing is known of the next one but that it failed, or was given up: the
    best rate of plain gradient descent stands a factor of 1.4 to 2.1 below the first that fails (measured).
    """
    inside, outside = comparison.standing(good), comparison.standing(beside)
    if inside is None or outside is None or outside.excess <= 1:
        return float(good * (beside / good) ** 0.75)
    near, far = math.sqrt(min(inside.excess, 1.0)), math.sqrt(outside.excess)
    share = min(max((1 - near) / (far - near), 1 / 4), 3 / 4)
    return float(good * (beside / good) ** share)


def _confidence(comparison: Comparison, plan: Plan, caution: str | None) -> tuple[str, str]:
    """How sure, and why."""
    seeds = comparison.depth
    if comparison.steps < plan.steps:
        done = Text("only {done} of {steps} steps are done", "{steps} 步里只做了 {done} 步")
        return "low", done.format(done=comparison.steps, steps=plan.steps)
    if seeds == 1:
        return "low", Text("one seed", "一个种子")
    if caution is not None:
        return "low", Text("it stands at the cliff", "它在悬崖边上")
    if seeds == 2:
        return "medium", Text("two seeds", "两个种子")
    if decades(comparison.near_optimal) > comparison.thresholds.widest:
        hardly = Text("{seeds} seeds hardly tell these rates apart", "{seeds} 个种子很难分清这些学习率")
        return "medium", hardly.format(seeds=seeds)
    return "high", Text("{seeds} seeds", "{seeds} 个种子").format(seeds=seeds)


def _safe(standings: Sequence[Standing], first_failing: float | None, thresholds: Thresholds) -> list[float]:
    """Rates within 5% of the best on every seed, below the first that fails."""
    safe = (one.rate for one in standings if one.worst_regret <= thresholds.safe_regret)
    return [rate for rate in safe if first_failing is None or rate < first_failing]


def _best_by(objective: Objective, comparison: Comparison) -> float | None:
    """The rate with the lowest mean of another objective, among those that came through."""
    means = []
    for standing in comparison.standings:
        lanes = [comparison.at(standing.rate, seed) for seed in comparison.seeds]
        values = [objective.value(one) for one in lanes if one is not None]
        if values and all(map(math.isfinite, values)):
            means.append((sum(values) / len(values), standing.rate))
    return min(means)[1] if means else None
