"""Tracked scalars: the path of each over the steps, and which of them move at all."""

from collections.abc import Sequence

import polars as pl


def path_of(paths: pl.DataFrame, tensor: str, index: Sequence[int]) -> pl.DataFrame:
    """The path of one scalar: columns lane, step, value.

    Args:
        paths: as `Study.trajectories`.
        tensor, index: which scalar.
    """
    mine = (pl.col("tensor") == tensor) & (pl.col("index").cast(pl.List(pl.Int64)) == list(index))
    return paths.filter(mine).select("lane", "step", "value")


def moves(path: pl.DataFrame) -> bool:
    """Whether any lane moves the scalar; seeds begin in different places.

    The weight of a pixel that is black in every example never moves.
    """
    known = path.filter(pl.col("value").is_finite())
    ends = known.group_by("lane").agg(low=pl.col("value").min(), high=pl.col("value").max())
    return bool((ends["high"] > ends["low"]).any())
