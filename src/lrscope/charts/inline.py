"""Rows of plain data inside a chart."""

from collections.abc import Iterable, Mapping
from typing import Any


def inline(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as the data of an Altair chart.

    As a tuple: Altair copies a chart at every step of building it, deeply through lists and never into
    tuples, and with 10,000 points that is a second. Nor are rows bound by Altair's limit of 5,000, or
    validated one by one.
    """
    return {"values": tuple(rows)}
