"""The envelope of a long line: few points, every spike.

Minimum and maximum of each bin of steps. A laboratory of divergence needs extremes more than shape: a spike of one step, or
a weight that alternates with period 2, is still there when 100,000 steps become 600 points; every n-th point, a mean
or largest-triangle-three-buckets would lose it.
"""

import numpy as np
from numpy.typing import NDArray

POINTS_PER_CHART = 30_000
"""No chart draws more points than this; beyond, browsers stutter."""

POINTS_PER_PIXEL = 0.6
"""Two points, lowest and highest, for every three pixels or so of a line's width: finer hardly changes the picture."""


def points_per_line(lines: int, pixels: int) -> int:
    """How many points each of `lines` lines of one chart may have, drawn over so many pixels."""
    return max(8, min(round(POINTS_PER_PIXEL * pixels), POINTS_PER_CHART // max(lines, 1)))


def bins_of(steps: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """The bin, 0 .. bins - 1, of each step: equal widths between the first and the last step."""
    first, last = int(steps[0]), int(steps[-1])
    return ((steps - first) * bins) // (last - first + 1)


def envelope(steps: NDArray[np.int64], values: NDArray[np.float64], points: int) -> NDArray[np.int64]:
    """Which points of a line to draw: of each bin the lowest and the highest, and the line's two ends.

    Args:
        steps: int64 [n], rising.
        values: float64 [n]. The line is cut at its first value that is not finite: what follows would eat the budget.
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
