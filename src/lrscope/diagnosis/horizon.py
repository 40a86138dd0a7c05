"""Horizon: how the best rate moves with the length of the run, and what that means for a longer one.

A lane at a constant rate, cut at a step, is a shorter run; a schedule that decays has no such shorter runs
in it.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from lrscope.diagnosis.comparison import compare
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.evidence import rate_text
from lrscope.diagnosis.objective import TRAIN_LOSS
from lrscope.diagnosis.rate_score import Standing
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.language import COMMA, Text, joined, said
from lrscope.plan import Plan

SHARES = (4, 2, 1)
"""The lengths compared: T/4, T/2 and T."""


@dataclasses.dataclass(frozen=True)
class Horizon:
    """The best rate against the length of the run.

    Attributes:
        steps, rates: the lengths, and the best rate at each: the vertex of the parabola of ln loss over ln
            rate through the best rate and its two neighbours.
        slope: least-squares slope of ln rate over ln steps.
        error: standard error of the slope over seeds; None with one seed.
        training_slope: the slope by the training loss; None if its best rate is at the edge of the grid.
        seeds: number of seeds that have a slope.
    """

    steps: tuple[int, ...]
    rates: tuple[float, ...]
    slope: float
    error: float | None
    training_slope: float | None
    seeds: int = 1

    def reach(self, thresholds: Thresholds = DEFAULT) -> float | None:
        """Half of the slope's interval over seeds, by Student's t; None with one seed."""
        if self.error is None:
            return None
        # Here, since importing it takes longer than all the rest of this file.
        from scipy.special import stdtrit

        return float(stdtrit(self.seeds - 1, (1 + thresholds.confidence) / 2)) * self.error

    def falls(self, thresholds: Thresholds = DEFAULT) -> bool:
        """Whether the best rate falls with the length of the run, as far as that can be told.

        It falls, or stays, from every length to the next, by enough to matter, and by more than chance: over
        several seeds the interval of the slope lies below 0; of one seed the fall is wider than the
        best rates of two seeds are apart.
        """
        steady = all(later <= earlier for earlier, later in itertools.pairwise(self.rates))
        if not steady or self.slope > -thresholds.horizon_slope:
            return False
        reach = self.reach(thresholds)
        if reach is None:
            return self.rates[0] > thresholds.seed_scatter * self.rates[-1]
        return self.slope + reach < 0

    def sentence(self, thresholds: Thresholds = DEFAULT) -> str | None:
        """What it means for a longer run; None where it cannot be told that the best rate falls."""
        text = self.text(thresholds)
        return None if text is None else said(text)

    def text(self, thresholds: Thresholds = DEFAULT) -> Text | None:
        """The same in every language."""
        if not self.falls(thresholds):
            return None
        place = Text("{rate} at {steps} steps", "{steps} 步时 {rate}")
        path = joined(
            (
                place.format(rate=rate_text(rate), steps=f"{steps:,}")
                for steps, rate in zip(self.steps, self.rates, strict=True)
            ),
            COMMA,
        )
        reach = self.reach(thresholds)
        between = "" if reach is None else f" [{self.slope - reach:.2f}, {self.slope + reach:.2f}]"
        slope = f"{self.slope:.2f}{between}"
        trained = self.training_slope
        if self.slope < -thresholds.early_stop_slope and (
            trained is not None and trained > -thresholds.horizon_slope
        ):
            return _EARLY_STOP.format(path=path, slope=slope)
        longer = self.rates[-1] * 2**self.slope
        return _LONGER.format(path=path, slope=slope, rate=rate_text(longer))


_EARLY_STOP = Text(
    "the best rate falls with the length of the run ({path}; slope {slope}): the validation loss "
    "prefers less training, not a smaller rate; stop early instead",
    "训练越长，最好的学习率越低（{path}；斜率 {slope}）：验证损失要的是少训练，不是更小的学习率；该早停",
)
_LONGER = Text(
    "the best rate falls with the length of the run ({path}; slope {slope}): for a run twice as long {rate}, "
    "extrapolated",
    "训练越长，最好的学习率越低（{path}；斜率 {slope}）：训练长一倍时，外推是 {rate}",
)


def horizon(curves: Sequence[Curve], plan: Plan, thresholds: Thresholds = DEFAULT) -> Horizon | None:
    """How the best rate of these lanes moves with the length of the run.

    Longer runs want smaller rates (Bjorck et al. 2024, arXiv 2409.19913); the best rate by the final
    validation loss of lanes that overfit falls as 1/T, which is early stopping in disguise.

    Args:
        curves: of all lanes.
        plan: of the study.
        thresholds: see `Thresholds`.

    Returns:
        None where the rates decay by a schedule, or the best rate is not inside the grid at every length.
    """
    if plan.schedule not in (None, "constant"):
        return None
    found = _vertices(curves, plan, thresholds)
    if found is None:
        return None
    steps, rates = found
    seeds = sorted({curve.seed for curve in curves if curve.steps >= plan.steps})
    alone = [_vertices([curve for curve in curves if curve.seed == seed], plan, thresholds) for seed in seeds]
    slopes = [_slope(*one) for one in alone if one is not None]
    error = float(np.std(slopes, ddof=1)) / math.sqrt(len(slopes)) if len(slopes) > 1 else None
    trained = _vertices(curves, dataclasses.replace(plan, objective=TRAIN_LOSS), thresholds)
    return Horizon(
        steps=steps,
        rates=rates,
        slope=_slope(steps, rates),
        error=error,
        training_slope=None if trained is None else _slope(*trained),
        seeds=max(len(slopes), 1),
    )


def _vertices(
    curves: Sequence[Curve], plan: Plan, thresholds: Thresholds
) -> tuple[tuple[int, ...], tuple[float, ...]] | None:
    """Lengths and best rates, None unless each length has its best rate inside the grid."""
    steps, rates = [], []
    for share in SHARES:
        length = plan.steps // share
        if length < thresholds.least_steps:
            return None
        comparison = compare(curves, plan, thresholds, steps=length, at_end=True)
        best = None if comparison.best is None else _vertex(comparison.standings, comparison.best)
        if best is None:
            return None
        steps.append(length)
        rates.append(best)
    return tuple(steps), tuple(rates)


def _vertex(standings: Sequence[Standing], best: Standing) -> float | None:
    """The minimum of the parabola through the best rate and its neighbours, in the logarithms."""
    place = standings.index(best)
    if not 0 < place < len(standings) - 1:
        return None
    x = np.log([one.rate for one in standings[place - 1 : place + 2]])
    y = np.array([one.value for one in standings[place - 1 : place + 2]])
    if (y > 0).all():
        y = np.log(y)
    bend, tilt, _ = np.polyfit(x - x[1], y, 2)
    if bend <= 0:
        return best.rate
    return float(np.exp(np.clip(x[1] - tilt / (2 * bend), x[0], x[2])))


def _slope(steps: Sequence[int], rates: Sequence[float]) -> float:
    return float(np.polyfit(np.log(steps), np.log(rates), 1)[0])
