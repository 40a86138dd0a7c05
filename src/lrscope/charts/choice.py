"""Which lanes and tensors a chart shows when there are more than the eye can take."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from lrscope.language import COMMA, Text, joined, said


def evenly(count: int, most: int, keep: Sequence[int] = ()) -> list[int]:
    """At most `most` of 0 ..

    count - 1, evenly spaced, with both ends, and with those of `keep` in place of their neighbours.
    """
    if count <= most:
        return list(range(count))
    chosen = [round(float(i)) for i in np.linspace(0, count - 1, most)] if most > 1 else [0]
    for wanted in keep:
        movable = [i for i in chosen if i not in keep and i not in (0, count - 1)]
        if movable and wanted not in chosen and 0 <= wanted < count:
            chosen[chosen.index(min(movable, key=lambda i: abs(i - wanted)))] = wanted
    return sorted(set(chosen))


def chosen_lanes(lanes: pl.DataFrame, most: int, rate: float | None) -> tuple[pl.DataFrame, str]:
    """At most `most` lanes: one seed of several, then rates evenly spaced, the recommended `rate` among them.

    Args:
        lanes: columns lane, rate, seed.
        most: how many.
        rate: the recommended one, None where there is none.

    Returns:
        The lanes that stay, and a sentence that tells what was left out ("" when nothing was).
    """
    if lanes.height <= most:
        return lanes, ""
    seeds = lanes["seed"].n_unique()
    left = lanes.filter(pl.col("seed") == pl.col("seed").min()) if seeds > 1 else lanes
    rates = left["rate"].unique().sort()
    total = len(rates)
    keep = [] if rate is None else [int(np.argmin(np.abs(rates.to_numpy() - rate)))]
    picked = rates.gather(evenly(total, most, keep))
    left = left.filter(pl.col("rate").is_in(picked.implode()))
    parts = []
    if seeds > 1:
        one = Text("seed {seed} of {seeds}", "{seeds} 个种子中的种子 {seed}")
        parts.append(one.format(seed=int(left["seed"][0]), seeds=seeds))
    if len(picked) < total:
        some = Text("{shown} of {total} rates", "{total} 个学习率中的 {shown} 个")
        parts.append(some.format(shown=len(picked), total=total))
    return left, said(_SHOWN.format(parts=joined(parts, COMMA)))


_SHOWN = Text("Shown: {parts}.", "图中是 {parts}。")


def chosen_tensors(shapes: Sequence[Sequence[int]], most: int) -> list[int]:
    """At most `most` tensors by place, evenly spaced over the model.

    Matrices and kernels before biases and scales.
    """
    if len(shapes) <= most:
        return list(range(len(shapes)))
    large = [i for i, shape in enumerate(shapes) if len(shape) > 1]
    pool = large if len(large) >= most else list(range(len(shapes)))
    return [pool[i] for i in evenly(len(pool), most)]
