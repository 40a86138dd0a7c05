"""What the tests of the store record, and what a reader has to make of it: slow, and row by row."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record, Series
from lrscope.store.recorder import Recorder

PLAN = Plan(
    problem="small",
    rates=(0.01, 0.1, 1.0),
    seeds=(0, 1),
    epochs=3,
    steps_per_epoch=4,
    batch_size=8,
    tensors=("0.weight", "0.bias"),
    shapes=((2, 2), ()),
    tracked=(("0.weight", (0, 1)), ("0.weight", (1, 1)), ("0.bias", ())),
    metrics=("accuracy",),
)

SERIES = (
    Series("loss", "nats", "scalar", "at w_t"),
    Series("val_loss", "nats", "scalar", "eval mode"),
    Series("accuracy", "share", "scalar", "eval mode"),
    Series("weight_norm", "1", "tensor", "2-norm"),
    Series("trajectory", "1", "trajectory", "tracked"),
)

WIDTHS = {"scalar": 1, "tensor": 2, "trajectory": 3}


def recorder(path: Any, plan: Plan = PLAN, **options: Any) -> Recorder:
    return Recorder(path, plan, SERIES, about={"versions": {"numpy": np.__version__}}, **options)


def record(name: str, steps: Sequence[int], values: Any, lanes: Sequence[int] | None = None) -> Record:
    ids = range(len(PLAN.lanes)) if lanes is None else lanes
    return Record(name, np.array(steps, np.int64), np.array(ids, np.int32), np.asarray(values))


def losses(first: int, last: int, plan: Plan = PLAN, dtype: Any = np.float32) -> Record:
    """Losses whose every value tells its step and lane: step + lane / 1000."""
    steps, lanes = np.arange(first, last + 1), np.arange(len(plan.lanes), dtype=np.int32)
    return Record("loss", steps, lanes, (steps[:, None] + lanes / 1000).astype(dtype))


@dataclasses.dataclass
class Twin:
    """A random study: its records, and the rows that its frames must have."""

    plan: Plan
    records: list[Record | HistogramRecord]
    rows: dict[str, list[tuple[Any, ...]]]
    stopped: dict[int, int]

    def cut(self, name: str, lane: int, step: int) -> bool:
        return step > self.stopped.get(lane, self.plan.steps)


def twin(seed: int) -> Twin:
    """Chunks of random length, lanes of a seed apart, gaps in the steps, lanes that stop."""
    rng = np.random.default_rng(seed)
    plan = dataclasses.replace(PLAN, epochs=int(rng.integers(1, 4)), steps_per_epoch=int(rng.integers(1, 6)))
    lanes = [key.lane for key in plan.lanes]
    stopped = {lane: int(rng.integers(0, plan.steps)) for lane in lanes if rng.random() < 0.3}
    made = Twin(plan, [], {one.name: [] for one in SERIES} | {"histogram": []}, stopped)
    groups = [lanes] if rng.random() < 0.5 else [lanes[:3], lanes[3:]]
    for group in groups:
        for one in SERIES:
            made.records += _chunks(made, rng, one, group)
        made.records += _histograms(made, rng, group)
    for rows in made.rows.values():
        rows.sort(key=lambda row: row[:-1])
    return made


def _chunks(made: Twin, rng: Any, one: Series, group: list[int]) -> Iterator[Record]:
    steps = np.arange(made.plan.steps + (one.name != "loss"))
    if one.name != "loss" and len(steps) > 2:
        steps = np.sort(rng.choice(steps, int(rng.integers(1, len(steps))), replace=False))
    dtype = rng.choice([np.float32, np.float64])
    shape = (len(steps), len(group)) + ((WIDTHS[one.kind],) if one.kind != "scalar" else ())
    values = rng.standard_normal(shape).astype(dtype)
    values[rng.random(shape) < 0.05] = 0.5 if one.name == "loss" else rng.choice([np.nan, np.inf, -np.inf])
    for column, lane in enumerate(group):
        if one.name == "loss" and lane in made.stopped:
            values[made.stopped[lane] :, column] = rng.choice([np.nan, np.inf, 3.0])
            values[made.stopped[lane], column] = rng.choice([np.nan, np.inf, -np.inf])
        for row, step in enumerate(steps.tolist()):
            if not made.cut(one.name, lane, step):
                cells = values[row, column].reshape(-1).tolist()
                made.rows[one.name] += [
                    (lane, place, step, cell if math.isfinite(cell) else None)
                    for place, cell in enumerate(cells)
                ]
    borders = sorted({0, len(steps), *rng.integers(0, len(steps), 3).tolist()})
    for low, high in itertools.pairwise(borders):
        yield Record(one.name, steps[low:high], np.array(group, np.int32), values[low:high])


def _histograms(made: Twin, rng: Any, group: list[int]) -> Iterator[HistogramRecord]:
    for epoch in range(made.plan.epochs + 1):
        edges, counts, nonfinite = [], [], []
        for tensor in range(len(made.plan.tensors)):
            bins = int(rng.integers(1, 5))
            edges.append(np.sort(rng.standard_normal(bins + 1)))
            counts.append(rng.integers(0, 9, (len(group), bins), np.uint32))
            nonfinite.append(rng.integers(0, 9, len(group), np.uint32))
            for column, lane in enumerate(group):
                if not made.cut("histogram", lane, epoch * made.plan.steps_per_epoch):
                    what = (edges[-1].tolist(), counts[-1][column].tolist(), int(nonfinite[-1][column]))
                    made.rows["histogram"].append((lane, tensor, epoch, what))
        yield HistogramRecord(epoch, np.array(group, np.int32), tuple(edges), tuple(counts), tuple(nonfinite))
