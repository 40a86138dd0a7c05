"""The envelope of a long line: few points, every spike.

Minimum and maximum of each bin of steps. A laboratory of divergence needs extremes more than shape: a spike
of one step, or a weight that alternates with period 2, is still there when 100,000 steps become 600 points;
every n-th point, a mean or largest-triangle-three-buckets would lose it.
"""

import numpy as np
from numpy.typing import NDArray

POINTS_PER_CHART = 30_000
"""No chart draws more points than this; beyond, browsers stutter."""

POINTS_TO_HOVER = 25
"""Of a line beneath each, wide and unseen, that answers the pointer."""

_AT_THE_END = 4
"""Points of a line's mark and of its name."""

POINTS_PER_PIXEL = 0.6
"""Two points, lowest and highest, for every three pixels or so of a line's width.

Finer hardly changes the picture.
"""


def points_per_line(lines: int, pixels: int) -> int:
    """How many points each of `lines` lines of one chart may have, drawn over so many pixels."""
    own = POINTS_PER_CHART // max(lines, 1) - POINTS_TO_HOVER - _AT_THE_END
    return max(8, min(round(POINTS_PER_PIXEL * pixels), own))


def bins_of(steps: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """The bin, 0 .. bins - 1, of each step: equal widths between the first and the last step."""
    first, last = int(steps[0]), int(steps[-1])
    return ((steps - first) * bins) // (last - first + 1)


def envelope(steps: NDArray[np.int64], values: NDArray[np.float64], points: int) -> NDArray[np.int64]:
    """Which points of a line to draw: of each bin the lowest and the highest, and the line's two ends.

    Args:
        steps: int64 [n], rising.
        values: float64 [n]. The line is cut at its first value that is not finite: what follows would eat the
            budget.
        points: at most so many indices are returned; at least 8.

    Returns:
        Rising indices into `values`.
    """
    broken = np.flatnonzero(~np.isfinite(values))
    n = int(broken[0]) if broken.size else len(values)
    if n <= points:
        return np.arange(n)
    bin_of = bins_of(steps[:n], max(1, (points - 2) // 2))
    order = np.lexsort((values[:n], bin_of))
    starts = np.flatnonzero(np.r_[True, np.diff(bin_of[order]) > 0])
    ends = np.r_[starts[1:], n] - 1
    return np.unique(np.concatenate(([0, n - 1], order[starts], order[ends])))


def corners(across: NDArray[np.float64], up: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """Which points of a line are needed for straight segments that pass every other one within `tolerance`.

    The swinging door of Bristol (1990): from the last corner, the door of slopes that still pass all points
    narrows until one falls outside; the point before it is the next corner.

    Args:
        across: float64 [n], rising.
        up: float64 [n], in the measure of the axis; NaN is a gap, and always kept with the points beside it.
        tolerance: in the same measure: less than a pixel, and nobody sees it.
    """
    n = len(up)
    if n < 3:
        return np.arange(n)
    kept, corner = [0], 0
    lowest, highest = -np.inf, np.inf
    x, y = across.tolist(), up.tolist()
    for i in range(1, n):
        width = x[i] - x[corner]
        if y[i] != y[i] or y[i - 1] != y[i - 1] or width <= 0:
            if kept[-1] != i - 1:
                kept.append(i - 1)
            kept.append(i)
            corner, lowest, highest = i, -np.inf, np.inf
            continue
        slope = (y[i] - y[corner]) / width
        if not lowest <= slope <= highest:
            corner = i - 1
            kept.append(corner)
            width = x[i] - x[corner]
            slope = (y[i] - y[corner]) / width if width > 0 else 0.0
            lowest, highest = -np.inf, np.inf
        lowest = max(lowest, slope - tolerance / width) if width > 0 else -np.inf
        highest = min(highest, slope + tolerance / width) if width > 0 else np.inf
    if kept[-1] != n - 1:
        kept.append(n - 1)
    return np.array(kept)
