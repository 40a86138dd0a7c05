"""A study as TensorBoard reads it: a folder with an event file for each lane.

    loss, val_loss, accuracy, ...     scalars; NaN where a value was not finite
    weight_norm/0.weight, ...         series measured on every tensor, as scalars
    trajectory/0.weight[0,0], ...     tracked scalars
    weights/0.weight, ...             histograms, at the step of their epoch
    nonfinite/0.weight, ...           how many elements a histogram left out, where it did
    verdict                           text: what became of the lane, and why

The step is the number of updates done. TensorBoard keeps scalars in single precision; limits and counts of
histograms are doubles. Nothing here loads torch or TensorFlow.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from lrscope.errors import UsageError
from lrscope.outlets.export import Table, Written, tables
from lrscope.rates import format_rates

if TYPE_CHECKING:
    from lrscope.outlets.export import Exportable

_FILE = "events.out.tfevents.0.lrscope"
"""TensorBoard takes every file with "tfevents" in its name. No time or machine stands in it: equal studies
give equal files."""

_TIME = 0.0
"""Of all events: a study does not keep the clock of its steps."""

_LARGEST = float(np.finfo(np.float32).max)


def require_tensorboard() -> None:
    """Raise UsageError unless tensorboard is installed."""
    try:
        import tensorboard.compat.proto.event_pb2  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"the export to tensorboard needs the package tensorboard ({error}); "
            "type: pip install 'lrscope[tensorboard]'"
        ) from error


def write_lanes(study: "Exportable", folder: Path) -> list[Written]:
    """Write a folder with an event file for each lane."""
    lanes = study.lanes
    names = _folder_names(lanes, several=len(study.plan.seeds) > 1)
    for name in names.values():
        (folder / name).mkdir()
        _append(folder / name, [_event(file_version="brain.Event:2")])
    per_epoch = study.plan.steps_per_epoch
    for table in tables(study):
        if table.kind == "lanes":
            continue
        # A lane at a time, each into its own file: a thousand lanes would be too many open files.
        for (lane,), rows in table.read().partition_by("lane", as_dict=True).items():
            _append(folder / names[lane], _events(table, rows, per_epoch))
    return [
        Written(names[row["lane"]], {name: row[name] for name in ("lane", "rate", "seed")})
        for row in lanes.iter_rows(named=True)
    ]


def _folder_names(lanes: pl.DataFrame, *, several: bool) -> dict[int, str]:
    """Return a name for each lane: lr=1e-3, or lr=1e-3,seed=0; no two alike."""
    rates = lanes["rate"].unique().to_list()
    labels = dict(zip(rates, format_rates(rates), strict=True))
    names: dict[int, str] = {}
    for row in lanes.iter_rows(named=True):
        name = f"lr={labels[row['rate']]}" + (f",seed={row['seed']}" if several else "")
        names[row["lane"]] = name if name not in names.values() else f"{name},lane={row['lane']}"
    return names


def _append(folder: Path, events: Iterable[Any]) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    with (folder / _FILE).open("ab") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())


def _events(table: Table, rows: pl.DataFrame, per_epoch: int) -> Iterator[Any]:
    """Yield the events of one lane and one table."""
    match table.kind:
        case "verdicts":
            yield from (_verdict(row) for row in rows.iter_rows(named=True))
        case "histogram":
            for row in rows.iter_rows(named=True):
                yield from _histograms(row, row["epoch"] * per_epoch)
        case _:
            for step, tags, values in _points(table, rows):
                pairs = zip(tags, values, strict=True)
                yield _event(step, [{"tag": tag, "simple_value": _single(value)} for tag, value in pairs])


def _points(table: Table, rows: pl.DataFrame) -> Iterator[tuple[int, list[str], list[float | None]]]:
    """Yield step, tags and values: one event a step, whatever the series is measured on."""
    if table.kind == "scalar":
        for step, value in rows.select("step", "value").iter_rows():
            yield step, [table.series], [value]
        return
    stem = "trajectory" if table.kind == "trajectory" else table.series
    tags = [f"{stem}/{tensor}" for tensor in rows["tensor"].to_list()]
    if "index" in rows.columns:
        places = (",".join(map(str, index)) for index in rows["index"].to_list())
        tags = [f"{tag}[{place}]" if place else tag for tag, place in zip(tags, places, strict=True)]
    by_step = rows.select("step", "value", tag=pl.Series(tags, dtype=pl.String))
    grouped = by_step.group_by("step", maintain_order=True).agg("tag", "value")
    yield from grouped.select("step", "tag", "value").iter_rows()


def _single(value: float | None) -> float:
    """Return a value for single precision: a number that is too large becomes infinite."""
    if value is None:
        return math.nan
    return value if abs(value) <= _LARGEST else math.copysign(math.inf, value)


def _histograms(row: dict[str, Any], step: int) -> Iterator[Any]:
    """Yield a histogram. TensorBoard's first bucket ends at the first edge: it is empty here.

    Its sum and sum of squares are those of elements in the middle of their bins.
    """
    edges, counts = np.array(row["edges"]), np.array(row["counts"], np.float64)
    content: dict[str, Any]
    if counts.sum():
        filled = np.flatnonzero(counts)
        middles = edges[:-1] / 2 + edges[1:] / 2
        with np.errstate(over="ignore"):
            sums = float(counts @ middles), float(counts @ middles**2)
        content = {
            "min": float(edges[filled[0]]),
            "max": float(edges[filled[-1] + 1]),
            "num": float(counts.sum()),
            "sum": sums[0],
            "sum_squares": sums[1],
            "bucket_limit": edges.tolist(),
            "bucket": [0.0, *counts.tolist()],
        }
    else:
        content = {"bucket_limit": edges.tolist(), "bucket": [0.0] * len(edges)}
    values: list[dict[str, Any]] = [{"tag": f"weights/{row['tensor']}", "histo": content}]
    if row["nonfinite"]:
        values.append({"tag": f"nonfinite/{row['tensor']}", "simple_value": float(row["nonfinite"])})
    yield _event(step, values)


def _verdict(row: dict[str, Any]) -> Any:
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    words = ", ".join((row["verdict"], *row["attributes"])).replace("_", " ")
    text = f"**{words}**: {row['evidence']}"
    plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
    return _event(row["step"] or 0, [{"tag": "verdict", "metadata": plugin, "tensor": tensor}])


def _event(step: int = 0, values: list[dict[str, Any]] | None = None, **fields: Any) -> Any:
    """Return an event with a summary of values, each the fields of a Summary.Value."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    if values is not None:
        fields["summary"] = Summary(value=[Summary.Value(**value) for value in values])
    return Event(wall_time=_TIME, step=step, **fields)
