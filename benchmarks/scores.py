"""How good a finder is: its answers against the truth, put into figures. Nothing is trained here."""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import stats

from truth import Truth


class Answer(NamedTuple):
    """What a finder said about a task.

    Attributes:
        task, seed: what it was asked.
        rate: what it suggests; None where it does not.
        low, high: its interval; None where it gives none.
        spent: in full training runs.
        seconds: how long it took.
        why: what it said in place of a rate.
    """

    task: str
    seed: int
    rate: float | None
    low: float | None = None
    high: float | None = None
    spent: float = 0.0
    seconds: float = 0.0
    why: str = ""

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        return cls(**found)


class Score(NamedTuple):
    """The figures of one finder over tasks that have a signal.

    Attributes:
        answers: how many there are.
        silent: of them, those without a rate; each counts as regret 1.
        regrets: of every answer, in the order given.
        excesses: loss / lowest - 1 of every answer.
        errors: |log10(rate / optimum)| in decades, of answers with a rate.
        covered, covered_as_good: answers whose interval holds the optimum, or any rate as good; None where
            the finder gives no intervals.
        widths: of the intervals, in decades.
        spent, seconds: means.
    """

    answers: int
    silent: int
    regrets: tuple[float, ...]
    excesses: tuple[float, ...]
    errors: tuple[float, ...]
    covered: int | None
    covered_as_good: int | None
    widths: tuple[float, ...]
    spent: float
    seconds: float

    def over(self, limit: float) -> int:
        """Answers with a larger regret."""
        return sum(regret > limit for regret in self.regrets)


def score(answers: Sequence[Answer], truths: dict[str, Truth]) -> Score:
    """The figures of answers to tasks with a signal."""
    errors, widths = [], []
    covered = as_good = intervals = 0
    for answer in answers:
        truth = truths[answer.task]
        if answer.rate is not None:
            errors.append(abs(math.log10(answer.rate / truth.optimum)))
        if answer.low is not None and answer.high is not None:
            intervals += 1
            widths.append(math.log10(answer.high / answer.low))
            covered += answer.low <= truth.optimum <= answer.high
            good = [truth.optimum, *truth.as_good]
            as_good += any(answer.low <= rate <= answer.high for rate in good)
    return Score(
        answers=len(answers),
        silent=sum(answer.rate is None for answer in answers),
        regrets=tuple(truths[answer.task].regret(answer.rate) for answer in answers),
        excesses=tuple(truths[answer.task].excess(answer.rate) for answer in answers),
        errors=tuple(errors),
        covered=covered if intervals else None,
        covered_as_good=as_good if intervals else None,
        widths=tuple(widths),
        spent=statistics.fmean(answer.spent for answer in answers),
        seconds=statistics.fmean(answer.seconds for answer in answers),
    )


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95% interval of a share: E. B. Wilson, J. Amer. Statist. Assoc. 22 (1927) 209-212."""
    if not total:
        return 0.0, 1.0
    found = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


class Signs(NamedTuple):
    """A sign test of paired figures, of which lower is better.

    Attributes:
        better, worse, ties: pairs.
        chance: how often a fair coin is at least as one-sided, in either direction.
    """

    better: int
    worse: int
    ties: int
    chance: float


def sign_test(ours: Sequence[float], theirs: Sequence[float], tie: float = 1e-9) -> Signs:
    """Compare pair by pair; ties are left out, as in the exact two-sided binomial test."""
    better = sum(a < b - tie for a, b in zip(ours, theirs, strict=True))
    worse = sum(a > b + tie for a, b in zip(ours, theirs, strict=True))
    total = better + worse
    chance = float(stats.binomtest(better, total).pvalue) if total else 1.0
    return Signs(better, worse, len(ours) - total, chance)


def paired(
    ours: Sequence[Answer], theirs: Sequence[Answer], value: Callable[[Answer], float], *, by_task: bool
) -> tuple[list[float], list[float]]:
    """A figure of both finders for each task and seed that both have answered, or its mean for each task."""
    mine = {(answer.task, answer.seed): value(answer) for answer in ours}
    others = {(answer.task, answer.seed): value(answer) for answer in theirs}
    keys = sorted(mine.keys() & others.keys())
    if not by_task:
        return [mine[key] for key in keys], [others[key] for key in keys]
    tasks = sorted({task for task, _ in keys})
    means: tuple[list[float], list[float]] = ([], [])
    for side, found in zip(means, (mine, others), strict=True):
        side += [float(np.mean([found[key] for key in keys if key[0] == task])) for task in tasks]
    return means
