"""Descent: a lane's training and validation loss side by side, and two lanes at equal training loss.

Letters: E epochs.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis.curve import Floats
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.objective import early_stopped


@dataclasses.dataclass(frozen=True, eq=False)
class Descent:
    """Training and validation loss of a lane side by side, before training and once an epoch, [E + 1].

    The training loss is the mean of an epoch, which sees every example once; the validation loss is taken at
    the same moment, the middle of the epoch, on the line between the two measured around it. Both are then
    smoothed over three epochs in the same way: where one is a linear function of the other, it stays so.
    """

    train: Floats
    val: Floats
    steps: Floats

    def first(self, target: float) -> tuple[float, float]:
        """Validation loss and step when the training loss first reaches a target."""
        after = int(np.argmax(self.train <= target))
        if after == 0:
            return float(self.val[0]), float(self.steps[0])
        share = (self.train[after - 1] - target) / (self.train[after - 1] - self.train[after])
        between = [one[after - 1] + share * (one[after] - one[after - 1]) for one in (self.val, self.steps)]
        return float(between[0]), float(between[1])


def descent(facts: Facts) -> Descent:
    """That of a lane with a validation loss at every epoch's end."""
    curve, length = facts.curve, facts.plan.steps_per_epoch
    epochs = min(curve.steps // length, len(curve.val.values) - 1)
    train = curve.loss[: epochs * length].reshape(epochs, length).mean(axis=1)
    middle = (length - 1) / 2
    before, after = curve.val.values[:epochs], curve.val.values[1 : epochs + 1]
    val = before + middle / length * (after - before)
    return Descent(
        train=np.concatenate([[facts.baseline.start], _smooth(train)]),
        val=np.concatenate([curve.val.values[:1], _smooth(val)]),
        steps=np.concatenate([[0.0], np.arange(epochs) * length + middle]),
    )


def _smooth(values_E: Floats) -> Floats:
    """The mean of three neighbours; the ends stand for themselves."""
    smooth = values_E.copy()
    smooth[1:-1] = (values_E[:-2] + values_E[1:-1] + values_E[2:]) / 3
    return smooth


class Meeting(NamedTuple):
    """Two lanes at the smallest training loss that both reached.

    Attributes:
        lower, upper: the validation losses of the lane with the lower rate and of the other.
        depth: how far down the training loss is on the other's way to its best checkpoint: 0 at the start, 1
            there.
    """

    lower: float
    upper: float
    depth: float


def meeting(low: Facts, high: Facts) -> Meeting:
    """Both lanes when each first reaches the smallest training loss that both reached."""
    lower, upper = descent(low), descent(high)
    target = max(float(lower.train.min()), float(upper.train.min()))
    return Meeting(lower.first(target)[0], upper.first(target)[0], _depth(upper, high, target))


def _depth(path: Descent, facts: Facts, target: float) -> float:
    """How far down a training loss is on the way to the best checkpoint: 0 at the start, 1 there."""
    way = path.train[0] - _at_best(path, facts)
    return float((path.train[0] - target) / way) if way > 0 else 1.0


def _at_best(path: Descent, facts: Facts) -> float:
    """The training loss at the best checkpoint."""
    return float(np.interp(early_stopped(facts.curve)[0], path.steps, path.train))


def epochs_needed(low_S: Sequence[Facts], high_S: Sequence[Facts], longest: float) -> int | None:
    """About how many epochs would take the slower lane to the other's best checkpoint.

    As many times more than that one took as the slower one took more to get where it is now. None where that
    is more than the longest.
    """
    needed = 0.0
    for low, high in zip(low_S, high_S, strict=True):
        lower, upper = descent(low), descent(high)
        reached = upper.first(max(float(lower.train.min()), float(upper.train.min())))[1]
        slower = float(lower.steps[-1]) / reached if reached > 0 else math.inf
        needed = max(needed, slower * early_stopped(high.curve)[0] / low.plan.steps_per_epoch)
    return math.ceil(needed) if needed <= longest else None
