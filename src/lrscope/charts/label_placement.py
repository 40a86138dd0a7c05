"""Where labels stand so that none covers another: least movement, order kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lrscope.charts.choice import evenly
from lrscope.charts.names import ELLIPSIS
from lrscope.charts.scales import Span

LABEL_GAP = 13.0
"""Pixels from one label to the next."""

MOST_LABELS = 17
_SAME_PLACE = 3.0


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as possible (least squares) to the wanted ones, `gap` apart or more, in low .. high.

    Labels that touch form a block that stands at the mean of what its members want: the
    pool-adjacent-violators solution of isotonic regression on `wanted - rank * gap` (Barlow et al. 1972).
    Where there is no room for all, the gap shrinks.
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


def name_right(rows: list[dict[str, Any]], y: Span, height: float) -> None:
    """Give the lanes that reach the right edge their labels there: `text`, and `label_y` on the axis.

    One label a rate; neighbouring rates that end at one place share one ("1e-5 – 1e-4"); what has no room
    goes without.

    Args:
        rows: with rate, label and y, changed in place.
        y: the axis; `height` its length in pixels.
    """
    by_rate: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["rate"], row["y"])):
        by_rate.setdefault(row["label"], []).append(row)
    middles = [group[len(group) // 2] for group in by_rate.values()]
    runs: list[list[dict[str, Any]]] = []
    for row in middles:
        near = runs and abs(y.part(row["y"]) - y.part(runs[-1][0]["y"])) * height < _SAME_PLACE
        if near:
            runs[-1].append(row)
        else:
            runs.append([row])
    chosen = [runs[i] for i in evenly(len(runs), max(1, min(int(height // LABEL_GAP) + 1, MOST_LABELS)))]
    heights = [y.part(run[len(run) // 2]["y"]) * height for run in chosen]
    for run, place in zip(chosen, apart(heights, LABEL_GAP, 0, height), strict=True):
        row = run[len(run) // 2]
        row["text"] = run[0]["label"] if len(run) == 1 else f"{run[0]['label']} – {run[-1]['label']}"
        row["label_y"] = y.at(place / height)


def name_early(rows: list[dict[str, Any]], x: Span, y: Span, width: float, height: float) -> None:
    """Give the lanes that end inside the panel their names: `text` and, on the axis, `text_y`.

    A name stands right of its mark; marks that it would cover share one name, right of the last of them.
    """
    groups: list[tuple[list[str], float, float, dict[str, Any]]] = []
    for row in sorted(rows, key=lambda row: row["x"]):
        across, up = x.part(row["x"]) * width, y.part(row["y"]) * height
        for i, (names, right, other_up, _) in enumerate(groups):
            if abs(other_up - up) < LABEL_GAP and across < right:
                names = names if row["label"] in names else [*names, row["label"]]
                groups[i] = (names, max(right, across + _name_width(names)), other_up, row)
                break
        else:
            groups.append(([row["label"]], across + _name_width([row["label"]]), up, row))
    for names, _, up, row in groups:
        row["text"] = ", ".join(names[:3]) + (f", {ELLIPSIS}" if len(names) > 3 else "")
        # On the lower edge the name would lie on the axis: it stands a little above.
        row["text_y"] = y.at(max(up, 9.0) / height)


def _name_width(names: list[str]) -> float:
    return 16 + 6.5 * len(", ".join(names[:3]))
