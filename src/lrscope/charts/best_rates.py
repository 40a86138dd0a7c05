"""Best rates: where each lane stood after runs of several lengths, and which rate was best then."""

import math
from typing import Any

import numpy as np
import polars as pl

from lrscope.charts.chart import Readable
from lrscope.charts.outcomes import recorded
from lrscope.diagnosis.thresholds import DEFAULT
from lrscope.language import Text

HORIZONS = 6
"""Lengths of runs, each half of the next."""

_VALUES = {"lane": pl.Int64, "rate": pl.Float64, "seed": pl.Int64, "steps": pl.Int64, "value": pl.Float64}


MEAN_TRAIN_LOSS = Text("mean training loss before the end", "结束前的平均训练损失")
"""What `training_at_horizons` gives."""


def validation_at_horizons(study: Readable) -> tuple[pl.DataFrame, float]:
    """Return the validation loss of every lane at each horizon, and the one before training."""
    found = study.scalars("val_loss").sort("lane", "step")
    start = found.filter(pl.col("step") == 0)["value"].median()
    measured = found.filter(pl.col("step") > 0)
    steps = measured["step"].unique().sort().to_list()
    last = steps[-1] if steps else 0
    chosen = {
        max(step for step in steps if step <= max(last / 2**k, steps[0])) for k in range(HORIZONS) if steps
    }
    rows = measured.filter(pl.col("step").is_in(sorted(chosen)))
    return rows.select("lane", "rate", "seed", steps="step", value="value"), _number(start)


def training_at_horizons(study: Readable) -> tuple[pl.DataFrame, float]:
    """The mean training loss of every lane over the last tenth before each horizon, an epoch at most."""
    if not recorded(study, "loss"):
        return pl.DataFrame(schema=_VALUES), math.nan
    found = study.scalars("loss")
    last = int(study.lanes["steps"].max() or 0)  # type: ignore[arg-type]
    start = _number(found.filter(pl.col("step") == 0)["value"].median())
    parts = []
    for horizon in sorted({last // 2**k for k in range(HORIZONS)} - {0}):
        window = max(1, min(study.plan.steps_per_epoch, horizon // 10))
        inside = pl.col("step").is_between(horizon - window, horizon, closed="left")
        there = pl.when(pl.col("value").is_not_null().all() & (pl.len() == window)).then(
            pl.col("value").mean()
        )
        rows = found.filter(inside).group_by("lane", "rate", "seed").agg(value=there)
        # A lane that stopped before is one without a value, not one that was never there.
        lanes = study.lanes.select("lane", "rate", "seed").join(
            rows.select("lane", "value"), on="lane", how="left"
        )
        parts.append(lanes.with_columns(steps=pl.lit(horizon)))
    every = pl.concat(parts) if parts else pl.DataFrame(schema=_VALUES)
    return every.select(pl.col(name).cast(dtype) for name, dtype in _VALUES.items()), start


def best_of(rates: list[float], values: list[float], start: float) -> dict[str, float] | None:
    """The rate with the lowest value, those beside it that are as good; None where nothing was learned."""
    if not values:
        return None
    order = np.argsort(rates)
    rate_R, value_R = np.array(rates)[order], np.array(values)[order]
    best = int(np.argmin(value_R))
    learned = start - float(value_R[best])
    if not learned > 0:
        return None
    as_good = value_R - value_R[best] <= DEFAULT.regret * learned
    low = high = best
    while low > 0 and as_good[low - 1]:
        low -= 1
    while high < len(rate_R) - 1 and as_good[high + 1]:
        high += 1
    return {
        "rate": float(rate_R[best]),
        "low": float(rate_R[low]),
        "high": float(rate_R[high]),
        "value": float(value_R[best]),
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
