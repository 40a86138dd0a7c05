"""Figures: the name and the definition of every number that describes a lane or a study, in one place.

Verdicts, the table, the report, the JSON document and the charts take their figures from here, so that one
name never stands for two numbers. Letters: T steps, n measurements.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl

from lrscope.diagnosis.curve import Floats
from lrscope.diagnosis.progress import running_mean
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.language import Text
from lrscope.plan import Plan
from lrscope.record import Series


class Figure(NamedTuple):
    """One figure.

    Attributes:
        token: its name in frames, in JSON and in Python.
        name: how sentences, tables and charts call it.
        meaning: its definition.
    """

    token: str
    name: Text
    meaning: Text


FINAL_TRAIN_LOSS = Figure(
    "final_train_loss",
    Text("final training loss", "最终训练损失"),
    Text("the mean of the training losses of the last epoch's steps", "最后一轮各步训练损失的平均"),
)
END_TRAIN_LOSS = Figure(
    "end_train_loss",
    Text("smoothed training loss at the end", "结束时平滑后的训练损失"),
    Text(
        "the running mean of the training loss at the last step, half-life 2% of the run; the last training "
        "loss itself where the last 2% of the run only fall",
        "最后一步的训练损失滑动平均，半衰期是全程的 2%；如果最后 2% 只降不升，就是最后一步的训练损失",
    ),
)
FINAL_VAL_LOSS = Figure(
    "final_val_loss",
    Text("final validation loss", "最终验证损失"),
    Text("the validation loss measured last", "最后一次测到的验证损失"),
)
BEST_VAL_LOSS = Figure(
    "best_val_loss",
    Text("best validation loss", "最好的验证损失"),
    Text("the lowest validation loss measured, before training included", "测到的最低验证损失，包括训练之前"),
)
EARLY_STOPPED_VAL_LOSS = Figure(
    "early_stopped_val_loss",
    Text("early-stopped validation loss", "早停的验证损失"),
    Text(
        "the lowest mean of three neighbouring validation losses after training began, so that a lucky epoch "
        "does not win",
        "训练开始之后，相邻三次验证损失平均值中最低的，免得碰巧的一轮胜出",
    ),
)
WORSE_FROM = Figure(
    "worse_from",
    Text("worse from", "从此变差"),
    Text(
        "the lowest tested rate above the rates as good as the best that is not one of them",
        "在与最好的一样好的学习率之上，第一个不再一样好的",
    ),
)
FIRST_FAILING = Figure(
    "first_failing",
    Text("fails from", "从此失败"),
    Text(
        "the lowest tested rate above the rates as good as the best at which most lanes are failed, "
        "diverged, diverging, collapsed, unstable or, above the good rates, frozen",
        "在与最好的一样好的学习率之上，第一个让多数训练线失败、发散、正在发散、塌缩、不稳定或冻结的",
    ),
)
MARGIN = Figure(
    "margin",
    Text("safety margin", "安全余量"),
    Text("the rate it fails from over the recommended rate", "开始失败的学习率除以推荐的学习率"),
)

FIGURES = (
    FINAL_TRAIN_LOSS,
    END_TRAIN_LOSS,
    FINAL_VAL_LOSS,
    BEST_VAL_LOSS,
    EARLY_STOPPED_VAL_LOSS,
    WORSE_FROM,
    FIRST_FAILING,
    MARGIN,
)
"""Every figure that has a name."""


def final_train_loss(loss_T: Floats, steps_per_epoch: int) -> float:
    """Return the mean of the last epoch's losses, NaN where there is none."""
    last = loss_T[-max(steps_per_epoch, 1) :]
    last = last[np.isfinite(last)]
    return float(last.mean()) if len(last) else np.nan


def end_train_loss(loss_T: Floats, smooth_T: Floats, thresholds: Thresholds = DEFAULT) -> float:
    """Return the last loss where the late losses only fall, else their running mean; see `smoothed`."""
    late = loss_T[-max(int(len(loss_T) * thresholds.smoothing), 3) :]
    return float(late[-1] if (np.diff(late) <= 0).all() else smooth_T[-1])


def smoothed(loss_T: Floats, thresholds: Thresholds = DEFAULT) -> Floats:
    """Return the running mean of the loss, [T]."""
    return running_mean(loss_T, thresholds.smoothing * len(loss_T))


def final_val_loss(values_n: Floats) -> float:
    """Return the validation loss measured last, NaN where there is none."""
    return float(values_n[-1]) if len(values_n) else np.nan


def best_val_loss(values_n: Floats) -> tuple[int, float] | None:
    """Return place and value of the lowest validation loss, None where there is none.

    Args:
        values_n: before training, and after every epoch.
    """
    finite = np.where(np.isfinite(values_n), values_n, np.inf)
    best = int(np.argmin(finite)) if len(finite) else 0
    return (best, float(finite[best])) if np.isfinite(finite[best : best + 1]).any() else None


def early_stopped_val_loss(values_n: Floats) -> tuple[int, float] | None:
    """Return place and value of the lowest mean of three neighbours after training began.

    The ends stand for themselves. None where there is none.
    """
    smooth = values_n.copy()
    if len(smooth) > 2:
        smooth[1:-1] = (values_n[:-2] + values_n[1:-1] + values_n[2:]) / 3
    best = best_val_loss(smooth[1:])
    return None if best is None else (1 + best[0], best[1])


class Measured(Protocol):
    """What figures are read from: a study."""

    @property
    def plan(self) -> Plan:
        """The question."""

    @property
    def series(self) -> Sequence[Series]:
        """What was recorded."""

    @property
    def lanes(self) -> pl.DataFrame:
        """Columns lane, rate, seed, state, steps, stopped_step."""

    def scalars(self, name: str) -> pl.DataFrame:
        """Columns lane, rate, seed, step, value."""


LANE_FIGURES: dict[str, pl.DataType] = {
    "lane": pl.Int64(),
    "longest": pl.Boolean(),
    "final_train_loss": pl.Float64(),
    "end_train_loss": pl.Float64(),
    "final_val_loss": pl.Float64(),
    "best_val_loss": pl.Float64(),
    "best_val_step": pl.Int64(),
    "early_stopped_val_loss": pl.Float64(),
}


def lane_figures(study: Measured) -> pl.DataFrame:
    """Return the figures of every lane: columns as in `LANE_FIGURES`, and the last value of every metric.

    `longest` tells whether a lane did as many steps as the longest one and its weights stayed finite. Lanes
    are compared at that length only: the figures of other lanes are null, but the best validation loss of a
    lane that stopped.
    """
    lanes, plan = study.lanes, study.plan
    recorded = {one.name for one in study.series}
    columns = {
        name: _by_lane(study.scalars(name)) if name in recorded else {}
        for name in ("loss", "val_loss", *plan.metrics)
    }
    going = lanes.filter(pl.col("stopped_step").is_null())
    most = going["steps"].max()
    rows = []
    for lane, steps, stopped in lanes.select("lane", "steps", "stopped_step").iter_rows():
        longest = stopped is None and steps == most and steps > 0
        row: dict[str, object] = {"lane": lane, "longest": longest}
        at, val = columns["val_loss"].get(lane, _NOTHING)
        if longest:
            loss = columns["loss"].get(lane, _NOTHING)[1]
            early = early_stopped_val_loss(val)
            row |= {
                "final_train_loss": final_train_loss(loss, plan.steps_per_epoch),
                "end_train_loss": end_train_loss(loss, smoothed(loss)) if len(loss) else None,
                "final_val_loss": final_val_loss(val),
                "early_stopped_val_loss": None if early is None else early[1],
            }
            for name in plan.metrics:
                row[name] = final_val_loss(columns[name].get(lane, _NOTHING)[1])
        best = best_val_loss(val)
        if best is not None and (longest or stopped is not None):
            row |= {"best_val_loss": best[1], "best_val_step": int(at[best[0]])}
        rows.append(row)
    schema = LANE_FIGURES | {name: pl.Float64() for name in plan.metrics}
    frame = pl.DataFrame(rows, schema=schema)
    floats = pl.col(pl.Float64)
    return frame.with_columns(pl.when(floats.is_finite()).then(floats))


_NOTHING = (np.empty(0, np.int64), np.empty(0))


def _by_lane(frame: pl.DataFrame) -> dict[int, tuple[np.ndarray, Floats]]:
    """Return steps and values of every lane, steps rising; NaN where a value was not finite."""
    parts = frame.sort("lane", "step").partition_by("lane", as_dict=True)
    return {
        int(lane): (part["step"].to_numpy(), part["value"].cast(pl.Float64).fill_null(np.nan).to_numpy())
        for (lane,), part in parts.items()
    }
