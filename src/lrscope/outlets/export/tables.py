"""Tables: what a study holds, as frames by name, read one at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import polars as pl

from lrscope.errors import UsageError
from lrscope.outlets.text import printable
from lrscope.record import Series

if TYPE_CHECKING:
    from lrscope.charts.chart import Readable  # it loads altair

    class Exportable(Readable, Protocol):
        """A study as far as an export reads it."""

        @property
        def noted(self) -> dict[str, Any]:
            """Every note of the run, by its key."""


class Table(NamedTuple):
    """One table of a study.

    Attributes:
        name: as it is asked for; no two tables share one.
        kind: lanes, verdicts, histogram, or the kind of the series: scalar, tensor, trajectory.
        series: the name under which it was recorded; "" for what is no series.
        unit, source: of the series; "" for the others.
        read: the frame, read when it is called.
    """

    name: str
    kind: str
    series: str
    unit: str
    source: str
    read: Callable[[], pl.DataFrame]


def tables(study: "Exportable") -> list[Table]:
    """Every table of a study: lanes, verdicts, each series by its name, trajectories, histograms."""
    found = [
        Table("lanes", "lanes", "", "", "", lambda: study.lanes),
        Table("verdicts", "verdicts", "", "", "", study.verdicts),
    ]
    ends = [Table("histograms", "histogram", "", "", "", study.histograms)]
    taken = {"lanes", "verdicts", "trajectories", "histograms"}
    for one in study.series:
        if one.kind == "trajectory":
            ends.insert(
                0, Table("trajectories", one.kind, one.name, one.unit, one.source, study.trajectories)
            )
            continue
        # A metric may be called "lanes".
        name = one.name if one.name not in taken else f"{one.name}_series"
        taken.add(name)
        found.append(Table(name, one.kind, one.name, one.unit, one.source, _reader(study, one)))
    return found + ends


def table(study: "Exportable", name: str) -> Table:
    """The table of this name.

    Raises:
        UsageError: there is none.
    """
    every = tables(study)
    for one in every:
        if one.name == name:
            return one
    names = printable(", ".join(one.name for one in every))
    raise UsageError(f"this study has no table {name!r}; it has {names}")


def _reader(study: "Exportable", series: Series) -> Callable[[], pl.DataFrame]:
    read = study.scalars if series.kind == "scalar" else study.tensors
    return lambda: read(series.name)
