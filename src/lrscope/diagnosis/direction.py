"""Direction: whether more or less of a metric is better, as it was said or as the lanes tell."""

from collections.abc import Sequence

import numpy as np

from lrscope.diagnosis.curve import Curve, Floats
from lrscope.diagnosis.thresholds import Thresholds

_MORE, _LESS = ":max", ":min"


def read_metric(objective: str, metrics: Sequence[str]) -> tuple[str, bool | None]:
    """The metric that an objective names, and whether more of it is better; None where that is not said.

    Args:
        objective: "f1", or "f1:max" where more of it is better, or "f1:min" where less is.
        metrics: the names there are; one may itself end in ":max".
    """
    name, more = objective[: -len(_MORE)], objective.endswith(_MORE)
    said = objective not in metrics and objective.endswith((_MORE, _LESS))
    return (name, more) if said else (objective, None)


def more_is_better(name: str, curves: Sequence[Curve], thresholds: Thresholds) -> bool | None:
    """Whether a metric rises while the validation loss falls; None where the lanes do not tell.

    The validation losses of all lanes and times, each lane up to its lowest (later it overfits: accuracy may
    then rise with the loss), and the metric beside them: C. Spearman's correlation of their ranks. It tells
    where it is strong, and where it is larger than two standard errors of unrelated values, which is
    1 / sqrt(n - 1) (M. Kendall, Rank Correlation Methods, 1948).

    Args:
        name: of the metric.
        curves: of all lanes.
        thresholds: see `Thresholds`.
    """
    parts = [_descent(curve, name) for curve in curves if name in curve.metrics]
    # Lanes of a seed share their start, which counts once.
    pairs = np.unique(np.concatenate([np.empty((0, 2)), *parts]), axis=0)
    ranks = np.stack([_ranks(column) for column in pairs.T])
    apart = ranks - ranks.mean(axis=1, keepdims=True) if len(pairs) else ranks
    norms = np.sqrt((apart**2).sum(axis=1))
    if not norms.all():
        return None
    correlation = float(apart[0] @ apart[1] / norms.prod())
    chance = thresholds.direction_errors / np.sqrt(len(pairs) - 1)
    # Five points in perfect order stand just at their chance: rounding must not decide.
    strong = abs(correlation) + 1e-9 >= max(thresholds.direction, chance)
    return correlation < 0 if strong else None


def _descent(curve: Curve, name: str) -> Floats:
    """Validation loss and metric up to the lowest loss, [n, 2], where both are finite."""
    metric = curve.metrics[name]
    _, left, right = np.intersect1d(curve.val.steps, metric.steps, assume_unique=True, return_indices=True)
    pairs = np.stack([curve.val.values[left], metric.values[right]], axis=1)
    finite: Floats = pairs[np.isfinite(pairs).all(axis=1)]
    return finite[: int(np.argmin(finite[:, 0])) + 1] if len(finite) else finite


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
