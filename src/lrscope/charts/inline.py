"""Parts of a chart as plain data.

Altair copies a chart, all of it, at every step of building it, and its objects carry a hundred unset
properties each: the same as plain dicts, checked when the chart is written out, is made in a fifth of the
time.
"""

from collections.abc import Iterable, Mapping
from typing import Any


def inline(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as the data of an Altair chart.

    As a tuple, which Altair does not copy; nor are rows bound by its limit of 5,000, or validated one by one.
    """
    return {"values": tuple(rows)}


def mark_of(kind: str, **properties: Any) -> Any:
    """A mark: "line", "area", "rule", "text" or "point", with its properties as in Vega-Lite."""
    return {"type": kind, **properties}
