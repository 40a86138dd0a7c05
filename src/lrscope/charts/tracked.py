"""Tracked scalars: the path of each over the steps, and which of them move at all."""

from collections import Counter

import polars as pl

from lrscope.charts.chart import Readable


def tracked_paths(study: Readable, lanes: pl.DataFrame) -> list[pl.DataFrame]:
    """The path of each tracked scalar, in the order of the plan: columns lane, step, value.

    Args:
        study: what is read.
        lanes: a column lane; those that are wanted.
    """
    paths = study.trajectories().filter(pl.col("lane").is_in(lanes["lane"].implode()))
    of_tensor = Counter(tensor for tensor, _ in study.plan.tracked)
    found = []
    for tensor, index in study.plan.tracked:
        own = paths.filter(pl.col("tensor") == tensor)
        if of_tensor[tensor] > 1:  # comparing lists takes longer than all the rest
            own = own.filter(pl.col("index").cast(pl.List(pl.Int64)) == list(index))
        found.append(own.select("lane", "step", "value"))
    return found


def moves(path: pl.DataFrame) -> bool:
    """Whether any lane moves the scalar; seeds begin in different places.

    The weight of a pixel that is black in every example never moves.
    """
    known = path.filter(pl.col("value").is_finite())
    ends = known.group_by("lane").agg(low=pl.col("value").min(), high=pl.col("value").max())
    return bool((ends["high"] > ends["low"]).any())
