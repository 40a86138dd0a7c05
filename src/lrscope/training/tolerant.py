"""Tolerant gradients: training goes on where one lane makes the model raise."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from lrscope.errors import TrainingError
from lrscope.rates import format_rate
from lrscope.training.gradients import Gradients, LoopGradients
from lrscope.training.lanes import Lanes


class TolerantGradients:
    """Gradients that outlive a lane that makes the model raise: the lane is retired, the others go on.

    Some functions raise at a value that is not finite (binary cross-entropy, Cholesky, eigh, ...), and in a
    vectorised call one such lane stops all. The culprits are found lane by lane, lent the weights of a
    healthy lane to compute on, and given no gradients; their loss reads NaN from then on. If every lane
    raises, training of the Block ends. If one of them still has finite weights, the data may be at fault:
    the error is kept in `Lanes.failure` for the caller.

    Args:
        gradients: the way chosen.
        loop: calls single lanes.
        lanes: the lanes of both.
        tell: given a sentence for each lane that is retired.
        done: how many calls came before.
    """

    def __init__(
        self,
        gradients: Gradients,
        loop: LoopGradients,
        lanes: Lanes,
        tell: Callable[[str], None],
        done: int = 0,
    ) -> None:
        self._gradients, self._loop, self._lanes = gradients, loop, lanes
        self._tell = tell
        self._calls = done
        self._losses: Tensor | None = None

    def renew(self, gradients: Gradients, loop: LoopGradients) -> None:
        """Go on with ways to get gradients that know fewer lanes."""
        self._gradients, self._loop = gradients, loop

    def __call__(self, batch: Any) -> Tensor:
        """Set the gradients of all lanes and return their losses [L].

        Raises:
            TrainingError: the model raised for no single lane's fault, or at the very first step.
        """
        saved = {name: buffer.clone() for name, buffer in self._lanes.buffers.items()}
        try:
            losses = self._of_healthy(batch)
        except Exception as error:
            if self._calls == 0:
                raise TrainingError(f"the first step raised {type(error).__name__}: {error}") from error
            self._retire(batch, saved, error)
            losses = self._of_healthy(batch)
        self._losses = losses
        self._calls += 1
        return losses

    def stacked(self, strides: Mapping[str, int]) -> dict[str, Tensor]:
        """Return the gradients that were set, before clipping."""
        return self._gradients.stacked(strides)

    def rounded(self) -> dict[str, Tensor]:
        """Return where derivatives read 0 by rounding, as `Gradients.rounded`."""
        return self._gradients.rounded()

    def update(self) -> None:
        """Update all lanes; one that is retired reads NaN afterwards."""
        if len(self._lanes.retired) < len(self._lanes):
            self._gradients.update()
        else:
            self._lanes.step()

    def _of_healthy(self, batch: Any) -> Tensor:
        lanes = self._lanes
        if not lanes.retired:
            return self._gradients(batch)
        if len(lanes.retired) == len(lanes):
            like = next(iter(lanes.weights.values())) if self._losses is None else self._losses
            return like.new_full((len(lanes),), math.nan)
        with lanes.lent():
            losses_L = self._gradients(batch)
        for lane in lanes.retired:
            lanes.drop_gradients(lane)
        return lanes.hidden(losses_L)

    def _retire(self, batch: Any, saved: dict[str, Tensor], error: Exception) -> None:
        lanes = self._lanes
        raised: dict[int, Exception] = {}
        for index in lanes.healthy:
            try:
                self._loop.lane(index, batch, keep=False)
            except Exception as caught:
                raised[index] = caught
        for name, buffer in saved.items():
            lanes.buffers[name].copy_(buffer)
        failure = TrainingError(f"step {self._calls} raised {type(error).__name__}: {error}")
        if not raised:
            raise failure from error
        if len(raised) == len(lanes.healthy) and any(lanes.finite(index) for index in raised):
            failure.__cause__ = error
            lanes.failure = failure
        for index, own in raised.items():
            lanes.retire(index)
            first_line = str(own).splitlines()[0] if str(own) else ""
            rate = format_rate(lanes.keys[index].rate)
            self._tell(f"rate {rate} stopped at step {self._calls}: {type(own).__name__}: {first_line}")
