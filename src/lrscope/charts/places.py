"""Where labels stand so that none covers another: least movement, order kept."""

from collections.abc import Sequence

import numpy as np

from lrscope.charts.choice import evenly


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as possible (least squares) to the wanted ones, at least `gap` apart, inside low .. high.

    Labels that touch form a block that stands at the mean of what its members want: the pool-adjacent-violators solution of
    isotonic regression on `wanted - rank * gap` (Barlow et al. 1972). Where there is no room for all, the gap shrinks.
    """
    if not wanted:
        return []
    order = np.argsort(np.asarray(wanted), kind="stable")
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    blocks: list[tuple[float, int]] = []
    for rank, i in enumerate(order):
        mean, size = wanted[i] - rank * gap, 1
        while blocks and blocks[-1][0] >= mean:
            other, members = blocks.pop()
            mean, size = (mean * size + other * members) / (size + members), size + members
        blocks.append((mean, size))
    bases = np.repeat([mean for mean, _ in blocks], [size for _, size in blocks])
    bases = np.clip(bases, low, high - gap * (len(wanted) - 1))
    places = np.empty(len(wanted))
    places[order] = bases + gap * np.arange(len(wanted))
    return [float(place) for place in places]


def labelled(count: int, room: float, gap: float, keep: Sequence[int] = ()) -> list[int]:
    """Which of `count` ordered things get a label when each wants `gap` of `room`."""
    return evenly(count, max(1, int(room // gap) + 1), keep)
