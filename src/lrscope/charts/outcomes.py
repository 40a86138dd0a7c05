"""Outcomes: what became of every lane, one row a lane.

The valley and the table of the report are made of it.
"""

import polars as pl

from lrscope.charts.chart import Readable
from lrscope.charts.names import loss_unit, rate_labels, unit_label
from lrscope.language import SEMICOLON, said

SCHEMA: dict[str, pl.DataType] = {
    "lane": pl.Int64(),
    "rate": pl.Float64(),
    "seed": pl.Int64(),
    "label": pl.Utf8(),
    "state": pl.Utf8(),
    "steps": pl.Int64(),
    "stopped_step": pl.Int64(),
    "verdict": pl.Utf8(),
    "attributes": pl.List(pl.Utf8()),
    "why": pl.Utf8(),
}


def recorded(study: Readable, name: str) -> bool:
    """Whether the study has a series of this name."""
    return any(series.name == name for series in study.series)


def unit_of(study: Readable, name: str) -> str:
    """The unit of a series, "" where none is known."""
    return next((series.unit for series in study.series if series.name == name), "")


def loss_axis(study: Readable, what: str, name: str) -> str:
    """The title of an axis of losses, with its unit."""
    return unit_label(what, loss_unit(unit_of(study, name), study.plan.loss))


def judged_lanes(study: Readable) -> pl.DataFrame:
    """Every lane with its label and its verdict, columns as in `SCHEMA`, by seed and rising rate.

    A lane that has no verdict yet is `cannot_tell`. `why` is the first clause of the evidence, what a tooltip
    has room for.
    """
    lanes = study.lanes.select("lane", "rate", "seed", "state", "steps", "stopped_step")
    labels = rate_labels(study.plan.rates)
    verdicts = study.verdicts().select(
        "lane", "verdict", "attributes", why=pl.col("evidence").str.split(said(SEMICOLON)).list.first()
    )
    return (
        lanes.join(verdicts, on="lane", how="left", maintain_order="left")
        .with_columns(
            pl.col("rate").replace_strict(labels, default="", return_dtype=pl.Utf8()).alias("label"),
            pl.col("verdict").fill_null("cannot_tell"),
            pl.col("attributes").fill_null([]),
            pl.col("why").fill_null(""),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
        .sort("seed", "rate", "lane")
    )


def outcomes(study: Readable) -> pl.DataFrame:
    """`judged_lanes` with the losses each lane ended at.

    Adds final_train_loss (mean over the last epoch's steps), final_val_loss, best_val_loss, best_val_epoch
    (epoch 0, before training, does not count). Null for what was not measured, and for the final losses of a
    lane that stopped.
    """
    lanes = judged_lanes(study)
    epoch = max(study.plan.steps_per_epoch, 1)
    alive = lanes.filter(pl.col("stopped_step").is_null()).select("lane")
    loss = study.scalars("loss") if recorded(study, "loss") else _no_values()
    last_epoch = pl.col("step") > pl.col("step").max().over("lane") - epoch
    train = loss.filter(last_epoch).group_by("lane").agg(final_train_loss=pl.col("value").mean())
    val = study.scalars("val_loss") if recorded(study, "val_loss") else _no_values()
    val = val.filter((pl.col("step") > 0) & pl.col("value").is_finite()).sort("lane", "step")
    final = val.group_by("lane").agg(final_val_loss=pl.col("value").last())
    best = val.group_by("lane").agg(
        best_val_loss=pl.col("value").min(),
        best_val_epoch=pl.col("step").sort_by("value", "step").first() // epoch,
    )
    return (
        lanes.join(train.join(alive, on="lane"), on="lane", how="left", maintain_order="left")
        .join(final.join(alive, on="lane"), on="lane", how="left", maintain_order="left")
        .join(best, on="lane", how="left", maintain_order="left")
    )


def _no_values() -> pl.DataFrame:
    return pl.DataFrame(schema={"lane": pl.Int64, "step": pl.Int64, "value": pl.Float64})
