"""Record: the one value that crosses from the makers (training, quantities) to the readers (store)."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Record(NamedTuple):
    """One quantity of some lanes at some steps.

    Letters: n steps, l lanes, then what the quantity is measured on (nothing, tensors, tracked scalars).

    Attributes:
        quantity: the name of the quantity, as in `Series.name`.
        steps: int64 [n], updates done when it was measured, rising.
        lanes: int32 [l], lane ids, rising.
        values: float [n, l, ...]; not finite only where the lane itself was not.
    """

    quantity: str
    steps: NDArray[np.int64]
    lanes: NDArray[np.int32]
    values: NDArray[Any]


class HistogramRecord(NamedTuple):
    """The histogram of every tensor of some lanes at one epoch.

    Attributes:
        epoch: 0 is before training.
        lanes: int32 [l], lane ids, rising.
        edges: a float64 [bins + 1] for each tensor, shared by the lanes.
        counts: a uint32 [l, bins] for each tensor; values that are not finite are left out.
        nonfinite: a uint32 [l] for each tensor: how many were left out.
    """

    epoch: int
    lanes: NDArray[np.int32]
    edges: tuple[NDArray[np.float64], ...]
    counts: tuple[NDArray[np.uint32], ...]
    nonfinite: tuple[NDArray[np.uint32], ...]


class Series(NamedTuple):
    """What the records of one quantity are: announced to the store before the first of them.

    Attributes:
        name: "loss", "val_loss", "accuracy", "weight_norm", ...
        unit: in words, "nats", "1", "share"; "" where none is known.
        kind: "scalar" [n, l]; "tensor" [n, l, tensors]; "trajectory" [n, l, tracked].
        source: where the definition comes from, in one line.
    """

    name: str
    unit: str
    kind: str
    source: str
