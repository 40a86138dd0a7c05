"""Direction: whether more or less of a metric is better, as the user said or as the lanes show."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

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
    """Return whether a metric rises while the validation loss falls; None where the lanes do not show it.

    The answer is the sign of Spearman's rank correlation between the metric and the validation loss, over
    all lanes and times. Each lane counts up to its lowest loss: later it overfits, and accuracy may rise
    with the loss. The correlation must be strong, and larger than two standard errors of unrelated values,
    1 / sqrt(n - 1) each (M. Kendall, Rank Correlation Methods, 1948).

    Args:
        name: of the metric.
        curves: of all lanes.
        thresholds: see `Thresholds`.
    """
    parts = [_descent(curve, name) for curve in curves if name in curve.metrics]
    # Lanes of a seed share their start, which counts once.
    pairs = np.unique(np.concatenate([np.empty((0, 2)), *parts]), axis=0)
    frame = pl.DataFrame(pairs, schema=["loss", "metric"])
    correlation = float(frame.select(pl.corr("loss", "metric", method="spearman")).item())
    if not math.isfinite(correlation):
        return None
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
