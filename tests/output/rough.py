"""A small study with everything that an export could lose: limits of floats, gaps, names nobody chooses."""

import math
from typing import Any

import numpy as np

from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record, Series
from lrscope.store.recorder import Recorder
from lrscope.study import Study

METRICS = ("../../up", "LOSS", "lanes", "con", 'a"b,c\nd;=1+1', "名", "a/b")
TENSORS = ("0.weight", 'q"uote,comma\n\x1b[31m名', "scalar", "=cmd()")
SHAPES = ((2, 3), (4,), (), (1,))
TRACKED = (("0.weight", (0, 2)), (TENSORS[1], (3,)), ("scalar", ()))
EXACT = (0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3, 1e22, 123456789.123456789, 2.0**-1074 * 3)
"""Float64 values that a format that rounds would change."""
NOTES = {"how": "by hand", "notes": ["a\nb", "</script>"], "seconds": 0.25, "landscape": {"x": [1.5, None]}}


def rough() -> Study:
    """Two seeds of two rates; the last lane stops at step 3 of 8."""
    plan = Plan(
        problem="</script>\x1b[31m, 'name'",
        rates=(1e-3, 0.1 + 0.2),
        seeds=(0, 1),
        epochs=2,
        steps_per_epoch=4,
        batch_size=2,
        val_size=3,
        optimizer="SGD",
        loss="MSELoss",
        tensors=TENSORS,
        shapes=SHAPES,
        tracked=TRACKED,
        metrics=METRICS,
    )
    series = [Series("loss", "", "scalar", "at w_t"), Series("val_loss", "nats", "scalar", "")]
    series += [Series(name, "share", "scalar", "own") for name in METRICS]
    series += [Series("weight_norm", "1", "tensor", ""), Series("trajectory", "1", "trajectory", "tracked")]
    lanes = np.arange(4, dtype=np.int32)
    writer = Recorder(None, plan, series, about={"versions": {"lrscope": "0"}, "machine": "none"})
    with writer:
        for key, value in NOTES.items():
            writer.note(key, value)
        loss = np.tile(np.array(EXACT)[:, None], 4)
        loss[1, 0] = loss[0, 1]
        loss[3:, 3] = math.nan
        writer.write(Record("loss", np.arange(8), lanes, loss))
        third = np.float32(1) / np.float32(3) * np.arange(1, 13, dtype=np.float32).reshape(3, 4)
        for name in ("val_loss", *METRICS):
            values: Any = third.copy()
            # Not finite though the lane goes on.
            values[1, 0], values[2, 1], values[2, 2] = math.nan, math.inf, -math.inf
            writer.write(Record(name, np.array([0, 4, 8]), lanes, values))
        norms = np.resize(np.array([1.5, math.inf, *EXACT]), (2, 4, len(TENSORS)))
        writer.write(Record("weight_norm", np.array([0, 5]), lanes, norms))
        writer.write(Record("trajectory", np.arange(9), lanes, np.resize(np.array(EXACT), (9, 4, 3))))
        for epoch in (0, 2):
            edges = tuple(np.linspace(-1 / 3, 0.1 + epoch, 3 + i) for i in range(len(TENSORS)))
            counts = tuple(
                np.arange(4 * (2 + i), dtype=np.uint32).reshape(4, -1) for i in range(len(TENSORS))
            )
            nonfinite = tuple(np.array([0, 4_000_000_000, 1, 0], np.uint32) for _ in TENSORS)
            writer.write(HistogramRecord(epoch, lanes, edges, counts, nonfinite))
    return Study(writer.study_file())
