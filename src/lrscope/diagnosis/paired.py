"""Paired: means of rates over seeds that not every rate was trained on.

A seed is a start and an order of batches; its lanes share what is particular to it. So a value is taken to be
that of its rate, plus that of its seed, plus noise: the two-way layout without interaction, by least squares.
Where every rate has every seed this is the plain mean. Letters: R rates, S seeds.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from lrscope.diagnosis.curve import Floats


@dataclasses.dataclass(frozen=True, eq=False)
class Paired:
    """Rates and seeds, told apart.

    Attributes:
        means: [R], of every rate, over all seeds, also those it was not trained on.
        of_seeds: [S], what a seed adds; these sum to 0.
        residuals: [R, S], what is left, NaN where a rate was not trained on a seed.
    """

    means: Floats
    of_seeds: Floats
    residuals: Floats

    def errors(self, best: int, window_R: NDArray[np.bool_]) -> Floats | None:
        """Standard error over sqrt 2 of every rate's difference to the best one, [R].

        (That of a mean, in a full layout.) None where the noise is unknown: with one seed, or one rate.

        Args:
            best: the row compared with.
            window_R: the rates from which the noise is estimated.
        """
        known_RS = np.isfinite(self.residuals)
        inside_RS = known_RS & window_R[:, None]
        rates, seeds = int(inside_RS.any(axis=1).sum()), int(inside_RS.any(axis=0).sum())
        freedom = int(inside_RS.sum()) - rates - seeds + 1
        if freedom < 1:
            return None
        variance = float((self.residuals[inside_RS] ** 2).sum()) / freedom
        design, _ = _design(known_RS)
        covariance = np.linalg.pinv(design.T @ design)[: len(known_RS), : len(known_RS)]
        spread_R = np.diag(covariance) + covariance[best, best] - 2 * covariance[best]
        errors_R: Floats = np.sqrt(variance * np.maximum(spread_R, 0.0) / 2)
        # The best one differs from itself by nothing; among equals, though, it might be another.
        errors_R[best] = errors_R[np.arange(len(errors_R)) != best].min(initial=math.inf)
        return errors_R


def paired(values_RS: Floats) -> Paired:
    """Fit values that are NaN where a rate was not trained on a seed; every rate has one at least."""
    known_RS = np.isfinite(values_RS)
    if known_RS.all():
        means, of_seeds = values_RS.mean(axis=1), values_RS.mean(axis=0) - values_RS.mean()
    else:
        design, (rates, _) = _design(known_RS)
        # Values that are not finite (the logarithm of 0) are rows without a value.
        solution = np.linalg.lstsq(design, values_RS[known_RS], rcond=None)[0]
        means, of_seeds = solution[:rates], solution[rates:]
        means, of_seeds = means + of_seeds.mean(), of_seeds - of_seeds.mean()
    return Paired(means, of_seeds, values_RS - means[:, None] - of_seeds)


def _design(known_RS: NDArray[np.bool_]) -> tuple[Floats, tuple[int, int]]:
    """A row for each known value: which rate, and which seed."""
    rates, seeds = known_RS.shape
    rows, columns = np.nonzero(known_RS)
    design = np.zeros((len(rows), rates + seeds))
    design[np.arange(len(rows)), rows] = 1.0
    design[np.arange(len(rows)), rates + columns] = 1.0
    return design, (rates, seeds)
