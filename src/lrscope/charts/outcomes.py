"""Outcomes: what became of every lane, one row a lane.

The valley and the table of the report are made of it.
"""

import polars as pl

from lrscope.charts.chart import Readable
from lrscope.charts.names import loss_unit, rate_labels, unit_label
from lrscope.diagnosis.figures import lane_figures
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
    """Return `judged_lanes` with the figures of every lane; see `lane_figures`.

    Adds best_val_epoch, the epoch of the best validation loss.
    """
    figures = lane_figures(study).drop(study.plan.metrics)
    epoch = max(study.plan.steps_per_epoch, 1)
    figures = figures.with_columns(best_val_epoch=pl.col("best_val_step") // epoch)
    return judged_lanes(study).join(figures, on="lane", how="left", maintain_order="left")
