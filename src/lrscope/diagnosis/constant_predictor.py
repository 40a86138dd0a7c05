"""ConstantAnswer: a rate's lanes beside the best answer that does not look at its inputs.

Its loss is where a model that learned nothing from the inputs still gets. Verdicts and recommendation ask
here whether a rate did better, and both get the same answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.objective import END_TRAINING, Objective
from lrscope.diagnosis.progress import came_down
from lrscope.diagnosis.thresholds import Thresholds
from lrscope.plan import Plan


class BesideConstant(NamedTuple):
    """Like with like: all of the validation data, or all of the training.

    Attributes:
        constant: the loss of the best constant answer, positive.
        start: the rate's loss before training, mean over its lanes.
        reached: that at the end, or at the best checkpoint, as lanes are compared.
        share: a loss below this share of `constant` is better by more than chance.
    """

    constant: float
    start: float
    reached: float
    share: float

    @property
    def beaten(self) -> bool:
        """Whether the rate did better than a constant answer, by more than chance."""
        return self.reached < self.share * self.constant

    def came_from_far(self, thresholds: Thresholds) -> bool:
        """Whether the rate came down from a start so far above that this is something by itself.

        It makes the rate no good one, but better than one that came down less.
        """
        far = self.start > thresholds.far_above_constant * self.constant
        return far and came_down(self.start, self.reached, thresholds)


def beside_constant(
    row: Sequence[Facts], objective: Objective, thresholds: Thresholds
) -> BesideConstant | None:
    """A rate's lanes beside a constant answer, None where the loss of that is not known.

    On the validation data where lanes are compared there: targets that cannot be learned can be fitted.

    Args:
        row: the lanes of one rate, one at least.
        objective: what lanes are compared by.
        thresholds: see `Thresholds`.
    """
    plan = row[0].plan
    validated = objective.is_validation and _known(plan.constant_val_loss)
    constant = plan.constant_val_loss if validated else plan.constant_loss
    if constant is None or constant <= 0:
        return None
    of = objective if validated else END_TRAINING
    return BesideConstant(
        constant=constant,
        start=float(np.mean([of.start(one) for one in row])),
        reached=float(np.mean([of.value(one) for one in row])),
        share=_share(plan, thresholds) if validated else thresholds.no_progress,
    )


def _known(loss: float | None) -> bool:
    return loss is not None and loss > 0


def _share(plan: Plan, thresholds: Thresholds) -> float:
    """Of the loss of a constant answer on the validation data: what training on noise does not come below."""
    if not plan.val_size:
        return thresholds.no_progress
    return min(thresholds.no_progress, 1 - min(thresholds.chance / plan.val_size, thresholds.chance_most))
