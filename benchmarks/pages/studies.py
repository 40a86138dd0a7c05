"""Studies to show: trained here and now, or made up to have the most there is to draw."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

import lrscope
from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record
from lrscope.recording.series import series
from lrscope.store.recorder import Recorder

EPOCHS, STEPS_PER_EPOCH, BINS = 20, 500, 40
SHAPES = {"0.weight": (64, 100), "0.bias": (100,), "2.weight": (100, 10), "2.bias": (10,)}


def digits(path: Path) -> None:
    lrscope.sweep("digits", "1e-5:1:16", path=path).close()


def line(path: Path) -> None:
    lrscope.sweep("line", "0.1", path=path).close()


def made_up(path: Path, lanes: int) -> None:
    """A study of numbers that nobody trained: noisy losses, wandering weights, histograms that widen."""
    draw = np.random.default_rng(0)
    names, rates = tuple(SHAPES), np.geomspace(1e-5, 1e-1, lanes)
    plan = Plan(
        problem=f"made up, {lanes} lanes",
        rates=tuple(rates.tolist()),
        seeds=(0,),
        epochs=EPOCHS,
        steps_per_epoch=STEPS_PER_EPOCH,
        batch_size=32,
        train_size=32 * STEPS_PER_EPOCH,
        val_size=1000,
        optimizer="Adam",
        loss="CrossEntropyLoss",
        constant_loss=2.3,
        tensors=names,
        shapes=tuple(SHAPES.values()),
        tracked=tuple((name, (0,) * len(shape)) for name, shape in SHAPES.items()),
        metrics=("accuracy",),
    )
    steps, ids = np.arange(plan.steps), np.arange(lanes, dtype=np.int32)
    ends = np.arange(EPOCHS + 1) * STEPS_PER_EPOCH
    best = np.abs(np.log10(rates / 1e-3)) / 2
    falling = 2.3 * np.exp(-np.linspace(0, 4, plan.steps + 1)[:, None] * np.exp(-best))
    loss = falling[:-1] * draw.lognormal(0, 0.2, (plan.steps, lanes))
    val_loss = falling[ends] * draw.lognormal(0, 0.02, (EPOCHS + 1, lanes))
    loss[0] = val_loss[0] = falling[0]  # all lanes start alike
    path_of = np.cumsum(draw.normal(0, rates[:, None], (plan.steps + 1, lanes, len(names))), axis=0)
    points = np.unique(np.linspace(0, plan.steps - 1, 80).astype(np.int64))
    announced = series(plan)
    with Recorder(path, plan, announced, about={"versions": {"lrscope": version("lrscope")}}) as writer:
        writer.write(Record("loss", steps, ids, loss))
        writer.write(Record("val_loss", ends, ids, val_loss))
        writer.write(Record("accuracy", ends, ids, np.exp(-falling[ends])))
        writer.write(Record("trajectory", np.arange(plan.steps + 1), ids, path_of))
        for one in announced:
            if one.kind == "tensor":
                values = draw.lognormal(-3, 0.5, (len(points), lanes, len(names)))
                writer.write(Record(one.name, points, ids, values))
        for epoch in range(EPOCHS + 1):
            edges = tuple(np.linspace(-1, 1, BINS + 1) for _ in names)
            widths = 0.1 + 0.02 * epoch * np.linspace(0, 1, lanes)
            weights = [np.exp(-0.5 * ((edge[:-1] + edge[1:]) / 2 / widths[:, None]) ** 2) for edge in edges]
            counts = tuple(
                draw.poisson(one / one.sum(1, keepdims=True) * np.prod(shape)).astype(np.uint32)
                for one, shape in zip(weights, SHAPES.values(), strict=True)
            )
            none = tuple(np.zeros(lanes, np.uint32) for _ in names)
            writer.write(HistogramRecord(epoch, ids, edges, counts, none))


CASES: dict[str, Callable[[Path], None]] = {
    "digits-16": digits,
    "made-16": lambda path: made_up(path, 16),
    "made-64": lambda path: made_up(path, 64),
    "line-1": line,
}
