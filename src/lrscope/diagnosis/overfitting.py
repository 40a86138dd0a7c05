"""Overfitting: whether a lower rate generalises worse on the study at hand, tested fairly.

"Too low a rate may overfit" cannot be seen at equal steps, where a lower rate has simply trained less. So
three comparisons are made, seed by seed: (A) at equal steps, (B) at equal training loss, and (C) each lane
stopped at its best checkpoint. Only a lower rate that is worse by B and by C overfits.

Seeds stand for other starts and other orders of the batches. They share one validation set, whose own luck no
interval here contains.

Letters: S seeds, E epochs.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.curve import Curve, Floats
from lrscope.diagnosis.descent import epochs_needed, meeting
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.objective import early_stopped
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds


@dataclasses.dataclass(frozen=True)
class Difference:
    """How much higher the validation loss of a lower rate is than the reference's, over paired seeds.

    Attributes:
        each: a value a seed, in seeds rising.
        mean: their mean.
        low, high: its 95% interval by Student's t; None with one seed.
        chance: of so large a mean where there is no difference, two-sided, Holm-corrected over lower rates.
        margin: a mean below it is no harm.
    """

    each: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    chance: float
    margin: float

    @property
    def as_good(self) -> bool:
        """Whether a harm as large as the margin is excluded."""
        return self.high is not None and self.high < self.margin

    @property
    def worse(self) -> bool:
        """Whether the lower rate is certainly worse, and by what may be more than the margin."""
        return not self.as_good and self.mean > 0 and self.chance < 1 - DEFAULT.confidence


@dataclasses.dataclass(frozen=True)
class LowerRate:
    """One lower rate beside the reference.

    Attributes:
        rate: the rate.
        equal_steps: A, by the final validation loss.
        equal_training: B, by the validation loss when both have the smallest training loss that both reached;
            None where that is not deep enough to say anything.
        best: C, by the best validation loss, smoothed over three epochs.
        still_falling: its validation loss was not at its best yet, so C shows it worse than it is.
        epochs: about how many would make B possible; None where it is, or where they are too many.
    """

    rate: float
    equal_steps: Difference
    equal_training: Difference | None
    best: Difference
    still_falling: bool
    epochs: int | None

    @property
    def outcome(self) -> str:
        """confirmed, refuted, not_reachable, or open."""
        training = self.equal_training
        if self.best.as_good or (training is not None and training.as_good):
            return "refuted"
        if training is None:
            return "not_reachable"
        if training.worse and self.best.worse and not self.still_falling:
            return "confirmed"
        return "open"


@dataclasses.dataclass(frozen=True)
class FairTest:
    """Whether lower rates overfit.

    Attributes:
        verdict: confirmed, refuted or cannot_tell.
        missing: why it cannot be told: no_reference, no_validation, one_epoch, no_lower_rate, one_seed,
            noise, steps; None where it can.
        reference: the rate that others are compared with; None where there is none.
        seeds: that differ from each other.
        lower: the rates compared with it, rising.
        relative: differences are of the logarithm of the loss; else of the loss as a share of what the
            reference learned, for losses that are negative or next to nothing.
        margin: harm from which on a rate counts as worse, in the same unit.
    """

    verdict: str
    missing: str | None
    reference: float | None
    seeds: int = 0
    lower: tuple[LowerRate, ...] = ()
    relative: bool = True
    margin: float = 0.0


def reference_rate(
    comparison: Comparison, low: float | None = None, high: float | None = None
) -> float | None:
    """The rate that others are held against: the middle of those as good as the best, of two the higher.

    The single best rate is best partly by luck, which would speak for the claim that others are worse.

    Args:
        comparison: the lanes side by side.
        low, high: the recommended interval, where there is one.
    """
    near = comparison.near_optimal
    inside_RR = [rate for rate in near if (low or 0.0) <= rate <= (high or math.inf)] or list(near)
    return inside_RR[len(inside_RR) // 2] if inside_RR else None


def fair_test(comparison: Comparison, reference: float | None) -> FairTest:
    """Compare lower rates with the reference in all three ways.

    Args:
        comparison: the lanes side by side.
        reference: of `reference_rate`.
    """
    if reference is None:
        return FairTest("cannot_tell", "no_reference", None)
    own = [one for seed in comparison.seeds if (one := comparison.at(reference, seed)) is not None]
    own_S = _different(own)
    if not own_S or not all(_validated(one.curve, own_S[0].curve) for one in own_S):
        short = any(len(one.curve.val.steps) == 2 for one in own_S)  # before training and after an epoch
        return FairTest("cannot_tell", "one_epoch" if short else "no_validation", reference, len(own_S))
    rows = {
        rate: [comparison.at(rate, one.curve.seed) for one in own_S]
        for rate in lower_rates(comparison, reference)
    }
    sound = {
        rate: [one for one in row if one is not None]
        for rate, row in rows.items()
        if all(one is not None and _validated(one.curve, own_S[0].curve) for one in row)
    }
    if not sound:
        return FairTest("cannot_tell", "no_lower_rate", reference, len(own_S))
    lower, relative, margin = _lower(own_S, sound, comparison.thresholds)
    verdict, missing = _verdict(lower, len(own_S))
    return FairTest(verdict, missing, reference, len(own_S), lower, relative, margin)


def lower_rates(comparison: Comparison, reference: float) -> tuple[float, ...]:
    """The tested rates nearest to a third and a tenth of the reference, rising."""
    below = [rate for rate in comparison.rates if rate * comparison.thresholds.lower <= reference]
    aims = [reference / step for step in comparison.thresholds.lower_steps]
    return (
        tuple(sorted({min(below, key=lambda rate: abs(math.log(rate / aim))) for aim in aims}))
        if below
        else ()
    )


def _verdict(lower: Sequence[LowerRate], seeds: int) -> tuple[str, str | None]:
    """Confirmed if any rate confirms it; refuted if all that can be tested do; and else what is missing."""
    outcomes = {one.outcome for one in lower}
    if "confirmed" in outcomes:
        return "confirmed", None
    if seeds < 2:
        return "cannot_tell", "one_seed"
    if "open" in outcomes:
        return "cannot_tell", "noise"
    return ("refuted", None) if "refuted" in outcomes else ("cannot_tell", "steps")


def _different(lanes: Sequence[Facts]) -> list[Facts]:
    """One lane for each loss curve: seeds that change nothing are no second sample."""
    kept: list[Facts] = []
    for one in lanes:
        if not any(np.array_equal(one.curve.loss, other.curve.loss) for other in kept):
            kept.append(one)
    return kept


def _validated(curve: Curve, like: Curve) -> bool:
    """Whether there is a validation loss before training and after every epoch, as in another lane."""
    steps, values = curve.val
    return (
        curve.stopped_step is None
        and len(steps) > 2
        and bool(np.isfinite(values).all())
        and np.array_equal(steps, like.val.steps)
    )


def _lower(
    own_S: Sequence[Facts], rows: dict[float, list[Facts]], limits: Thresholds
) -> tuple[tuple[LowerRate, ...], bool, float]:
    """Every lower rate, the unit, and the margin."""
    start = float(np.mean([one.curve.val.values[0] for one in own_S]))
    finals_S, bests_S = _finals(own_S), _bests(own_S)
    pairs = {
        rate: [meeting(low, high) for low, high in zip(row, own_S, strict=True)] for rate, row in rows.items()
    }
    deep = {
        rate: [(one.lower, one.upper) for one in row]
        for rate, row in pairs.items()
        if all(one.depth >= limits.depth for one in row)
    }
    values = [
        finals_S,
        bests_S,
        *(_finals(row) for row in rows.values()),
        *(_bests(row) for row in rows.values()),
    ]
    positive = min(float(one.min()) for one in values) > 0 and all(
        min(one) > 0 for row in deep.values() for one in row
    )
    relative = positive and float(bests_S.mean()) > limits.interpolating * start
    margin = limits.tolerance if relative else limits.regret
    unit = max(start - float(bests_S.mean()), np.finfo(np.float64).tiny)

    def each(low_S: Floats, high_S: Floats) -> Floats:
        return np.log(low_S / high_S) if relative else (low_S - high_S) / unit

    equal_steps = _differences({rate: each(_finals(row), finals_S) for rate, row in rows.items()}, margin)
    best = _differences({rate: each(_bests(row), bests_S) for rate, row in rows.items()}, margin)
    equal_training = _differences({rate: each(*np.array(row).T) for rate, row in deep.items()}, margin)
    lower = tuple(
        LowerRate(
            rate=rate,
            equal_steps=equal_steps[rate],
            equal_training=equal_training.get(rate),
            best=best[rate],
            still_falling=any(_still_falling(one, limits) for one in row),
            epochs=None if rate in deep else epochs_needed(row, own_S, limits.longest * row[0].plan.epochs),
        )
        for rate, row in rows.items()
    )
    return lower, relative, margin


def _finals(lanes_S: Sequence[Facts]) -> Floats:
    return np.array([one.curve.val.values[-1] for one in lanes_S])


def _bests(lanes_S: Sequence[Facts]) -> Floats:
    return np.array([early_stopped(one.curve)[1] for one in lanes_S])


def _still_falling(facts: Facts, limits: Thresholds) -> bool:
    return early_stopped(facts.curve)[0] > limits.still_falling * int(facts.curve.val.steps[-1])


def _differences(each: dict[float, Floats], margin: float) -> dict[float, Difference]:
    """The mean over seeds of every rate, with its interval and its chance among these rates."""
    intervals = {rate: _interval(values_S) for rate, values_S in each.items()}
    chances = dict(zip(intervals, holm([chance for *_, chance in intervals.values()]), strict=True))
    return {
        rate: Difference(tuple(each[rate].tolist()), mean, low, high, chances[rate], margin)
        for rate, (mean, low, high, _) in intervals.items()
    }


def holm(chances: Sequence[float]) -> tuple[float, ...]:
    """Correct chances of error (p-values) for having tested so many hypotheses at once; the order stays.

    The k-th smallest of m is multiplied by m - k + 1, and is at least as large as the one before. Source:
    S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statistics 6 (1979) 65-70.
    """
    corrected = [0.0] * len(chances)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[index]))
        corrected[index] = highest
    return tuple(corrected)


def _interval(values_S: Floats) -> tuple[float, float | None, float | None, float]:
    """Return the mean, both ends of its interval, and the two-sided chance of so large a mean.

    A paired t test (W. S. Gosset, The Probable Error of a Mean, Biometrika 6 (1908) 1-25).
    """
    seeds, mean = len(values_S), float(values_S.mean())
    if seeds < 2:
        return mean, None, None, 1.0
    # Here, since importing it takes longer than all the rest of this file.
    from scipy.special import stdtr, stdtrit

    error = float(values_S.std(ddof=1)) / math.sqrt(seeds)
    reach = float(stdtrit(seeds - 1, (1 + DEFAULT.confidence) / 2)) * error
    t = math.inf if error == 0 and mean != 0 else abs(mean) / max(error, np.finfo(np.float64).tiny)
    return mean, mean - reach, mean + reach, 2 * float(stdtr(seeds - 1, -t))
