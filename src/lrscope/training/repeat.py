"""Repeat: the gradient of a step's batch once more, at the weights after the update, without leaving a trace.

Letters: L lanes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrscope.training.lanes import Lanes
from lrscope.training.random_state import Stream
from lrscope.training.together import Together

MEASUREMENTS = 20
"""Batches that are asked twice, evenly over the run."""


def repeat_points(steps: int) -> frozenset[int]:
    """The steps whose batch is asked again after the update; the last is among them."""
    even = np.linspace(0, steps - 1, min(MEASUREMENTS, steps)).round()
    return frozenset(int(step) for step in even)


class Repeat:
    """Asks the batch of some steps again.

    The second call sees the same examples and draws the same random numbers (dropout) as the first; weights,
    buffers, gradients and random streams are afterwards as they were.

    Args:
        way: makes calls that draw from the streams given.
        lanes: whose gradients are meant.
        streams: the random stream of each seed, as training moves them on.
        points: the steps, of `repeat_points`.
    """

    def __init__(
        self,
        way: Callable[[dict[int, Stream]], Together],
        lanes: Lanes,
        streams: dict[int, Stream],
        points: frozenset[int],
    ) -> None:
        self._way = way
        self._lanes = lanes
        self._streams = streams
        self._points = points
        self._pending: Callable[[], dict[str, Tensor]] | None = None

    def before(
        self, step: int, batches: Sequence[Any] | None = None
    ) -> Callable[[], dict[str, Tensor]] | None:
        """Asked before the gradients of a step: how to get those of the last step's batch at these weights.

        Args:
            step: t.
            batches: of this step, remembered where it is to be asked again; None after the last update.

        Returns:
            Gives name -> [L, ...]; None where the last step was no point, or lanes have left since.
        """
        pending, self._pending = self._pending, None
        if batches is not None and step in self._points:
            kept = {seed: stream.copy() for seed, stream in self._streams.items()}
            count = len(self._lanes)

            def again() -> dict[str, Tensor]:
                return self._gradients(batches, kept) if len(self._lanes) == count else {}

            self._pending = again
        return pending

    def _gradients(self, batches: Sequence[Any], streams: dict[int, Stream]) -> dict[str, Tensor]:
        lanes = self._lanes
        held = lanes.gradients()
        buffers = {name: buffer.clone() for name, buffer in lanes.buffers.items()}
        try:
            with lanes.lent():
                self._way(streams)(batches)
            found = {name: lanes.hidden(gradient) for name, gradient in lanes.gradients().items()}
        except (
            Exception
        ):  # some functions raise at a value that is not finite; training deals with that itself
            found = {name: torch.full_like(gradient, torch.nan) for name, gradient in held.items()}
        finally:
            lanes.set_gradients(held, range(len(lanes)))
            for lane in lanes.retired:
                lanes.drop_gradients(lane)
            for name, buffer in buffers.items():
                lanes.buffers[name].copy_(buffer)
        return found
