"""Objective: the one number by which lanes are compared; and overfitting."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis import figures
from lrscope.diagnosis.curve import Curve, Floats
from lrscope.diagnosis.direction import more_is_better, read_metric
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.thresholds import Thresholds
from lrscope.errors import UsageError
from lrscope.language import Text
from lrscope.plan import Plan


class Objective(NamedTuple):
    """By what lanes are compared.

    Attributes:
        name: for people: "final validation loss".
        value: a lane's value.
        start: the value before training.
        is_validation: whether it is a loss on the validation data.
        instead_of: the metric that was asked for, where the lanes do not tell which way it is better.
    """

    name: Text
    value: Callable[[Facts], float]
    start: Callable[[Facts], float]
    is_validation: bool = False
    instead_of: str | None = None


def _last_validation(facts: Facts) -> float:
    return figures.final_val_loss(facts.curve.val.values)


def _best_validation(facts: Facts) -> float:
    return early_stopped(facts.curve)[1] if len(facts.curve.val.values) else math.nan


def _first_validation(facts: Facts) -> float:
    values = facts.curve.val.values
    return float(values[0]) if len(values) else math.nan


FINAL_VALIDATION = Objective(figures.FINAL_VAL_LOSS.name, _last_validation, _first_validation, True)
EARLY_STOPPED = Objective(figures.EARLY_STOPPED_VAL_LOSS.name, _best_validation, _first_validation, True)
END_TRAINING = Objective(
    figures.END_TRAIN_LOSS.name, lambda facts: facts.end, lambda facts: facts.baseline.start
)


HIGHER = Text("final {name} (higher is better)", "最终 {name}（越高越好）")
LOWER = Text("final {name} (lower is better)", "最终 {name}（越低越好）")

VAL_LOSS, TRAIN_LOSS = "val-loss", "train-loss"
"""What `--objective` takes, beside the names of the problem's metrics; see `read_metric`."""


def check_objective(objective: str, metrics: Sequence[str], *, validated: bool) -> None:
    """Raise UsageError unless an objective is one that there is.

    Args:
        objective: as it was given.
        metrics: the problem's, by name.
        validated: whether there are validation data.
    """
    known = [VAL_LOSS, TRAIN_LOSS, *metrics] if validated else [TRAIN_LOSS]
    if objective not in known and read_metric(objective, metrics)[0] not in metrics:
        raise UsageError(f"objective wants one of {', '.join(known)}; got {objective!r}")


def choose_objective(
    lanes: Sequence[Facts], curves: Sequence[Curve], *, at_end: bool, thresholds: Thresholds
) -> Objective:
    """What these lanes are compared by: the plan's objective.

    Unless the plan names another it is the validation loss; the training loss where there is no validation
    loss to compare.

    Args:
        lanes: those compared.
        curves: of all lanes, also longer and shorter ones: in which direction a metric is better is read from
            them together.
        at_end: take the validation loss at the end of training, always. Otherwise the best one (early
            stopping) is taken where a lane overfits, since the end then tells how long it trained more than
            at which rate.
        thresholds: see `Thresholds`.
    """
    wanted = lanes[0].plan.objective if lanes else None
    if wanted == TRAIN_LOSS or not lanes or not all(_validated(one.curve, lanes[0].curve) for one in lanes):
        return END_TRAINING
    if wanted is None or wanted == VAL_LOSS:
        overfits = any(overfitting(one.curve, one.levels, one.plan, thresholds) for one in lanes)
        return EARLY_STOPPED if overfits and not at_end else FINAL_VALIDATION
    name, more = read_metric(wanted, lanes[0].plan.metrics)
    if more is None:
        more = more_is_better(name, curves, thresholds)
    return FINAL_VALIDATION._replace(instead_of=name) if more is None else _final_metric(name, more=more)


def _final_metric(name: str, *, more: bool) -> Objective:
    """A metric at the end of training, turned so that less is better."""
    sign = -1.0 if more else 1.0

    def at(place: int) -> Callable[[Facts], float]:
        def value(facts: Facts) -> float:
            track = facts.curve.metrics[name].values
            return sign * float(track[place]) if len(track) else math.nan

        return value

    better = HIGHER if more else LOWER
    return Objective(better.format(name=name), at(-1), at(0))


def _validated(curve: Curve, like: Curve) -> bool:
    """Whether there is a validation loss before training and a later one, at the same steps as another
    lane."""
    steps = curve.val.steps
    return (
        len(steps) > 1
        and steps[0] == 0
        and np.array_equal(steps, like.val.steps)
        and bool(np.isfinite(curve.val.values).all())
    )


def early_stopped(curve: Curve) -> tuple[int, float]:
    """Return step and value of the best checkpoint; see `figures.EARLY_STOPPED_VAL_LOSS`."""
    steps, values = curve.val
    best = figures.early_stopped_val_loss(values)
    return (int(steps[0]), float(values[0])) if best is None else (int(steps[best[0]]), best[1])


class Overfitting(NamedTuple):
    """Validation that got worse while training got better."""

    best_step: int
    best: float
    end: float
    loss_of_generalisation: float


def overfitting(curve: Curve, levels: Floats, plan: Plan, thresholds: Thresholds) -> Overfitting | None:
    """Prechelt's generalisation loss 100 (L_end / L_min - 1), if it is large, certain, and training went on.

    The standard error of a validation loss is taken to be its mean over the root of the number of examples
    (losses of single examples spread about as widely as their mean), or the scatter of neighbouring
    checkpoints where that is larger.
    """
    steps, values = curve.val
    if len(values) < 3 or not np.isfinite(values).all() or values.min() <= 0:
        return None
    best = int(np.argmin(values))
    end, lowest = float(values[-1]), float(values[best])
    loss_of_generalisation = 100 * (end / lowest - 1)
    scatter = float(np.median(np.abs(np.diff(values, 2)))) / math.sqrt(6)
    error = max(scatter, lowest / math.sqrt(plan.val_size) if plan.val_size else 0.0)
    certain = end - lowest > thresholds.overfitting_errors * error
    if loss_of_generalisation <= thresholds.overfitting or not certain:
        return None
    at_best = min(int(steps[best]), len(levels) - 1)
    if levels[-1] >= levels[at_best]:
        return None
    return Overfitting(int(steps[best]), lowest, end, loss_of_generalisation)
