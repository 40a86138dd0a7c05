"""The training loop: a generator of Steps. Recording pulls; nothing is called back."""

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from lrscope.errors import TrainingError
from lrscope.rates import format_rate
from lrscope.training.curvature import Hessian
from lrscope.training.gathered import Gathered
from lrscope.training.lanes import Lanes
from lrscope.training.repeat import Repeat
from lrscope.training.separate import Separate
from lrscope.training.step import Step

CHECK_EVERY = 64
"""Steps from one check whether any lane is still finite to the next, at least: it waits for the device."""

CHECKS = 128
"""Of a long run: what is not finite any more computes on for less than a hundredth of it."""

RENEWAL_SECONDS = 1.0
"""What it may cost to go on with fewer lanes: their step is captured anew."""


def check_every(steps: int) -> int:
    """From so many steps to the next check whether any lane is still finite, in a run of so many."""
    return max(CHECK_EVERY, steps // CHECKS)


def next_check(step: int, every: int) -> int:
    """The first step from which a look is a check once more, after one that was."""
    return step - step % every + every


class Gradients(Protocol):
    """The two ways, `Together` and `Separate`, to get every lane its gradient."""

    def __call__(self, batches: Sequence[Any]) -> Tensor:
        """Set the gradients of all lanes and return their losses [L]."""
        ...

    def clip(self, max_norm: float) -> None:
        """Clip the gradient of every lane by itself."""
        ...


def train(
    lanes: Lanes,
    ways: Callable[[], Gradients],
    batches: Iterable[Sequence[Any]],
    *,
    steps: int,
    clip_norm: float | None,
    validate: Callable[[], dict[str, Tensor]],
    validate_at: Callable[[int], bool],
    gathered: Gathered,
    curvature: Hessian | None = None,
    repeat: Repeat | None = None,
    branch: Callable[[Gradients], Tensor] | None = None,
) -> Iterator[Step]:
    """Train all lanes, yielding points before their update and, last, the point after the last update.

    Between the points that are looked at, what is found out is gathered.

    A lane that goes non-finite computes on without touching its neighbours, until half of them have;
    then they leave, where what is left of the run is worth it. Training ends early only when no lane is
    finite any more. Lanes that were told to leave do so after an update; later steps have fewer keys.

    Args:
        lanes: what is trained.
        ways: makes the way to get gradients of the lanes as they are now.
        batches: of each step, one a seed or one for all.
        steps: how many there are.
        clip_norm: the largest gradient norm of a lane.
        validate: name -> [L].
        validate_at: whether to validate at a step that is looked at; at the last it is done anyway.
        gathered: says which steps are looked at; only there lanes leave.
        curvature: measures the top of each lane's Hessian.
        repeat: asks batches again after their update.
        branch: goes on at a fifth of the rate once training is over.
    """
    index = 0
    every = check_every(steps)
    due, checked, checked_at = 0, 0, 0.0
    gradients = ways()
    for batch in batches:
        seen = gathered.look(index)
        validation = validate() if seen and validate_at(index) else {}
        again = repeat.before(index, batch) if repeat is not None else None
        losses_L = gradients(batch)
        gathered.add(losses_L)
        if gathered.stop(index):
            step = Step(
                index,
                lanes.keys,
                losses_L,
                lanes.weights,
                lanes.gradients,
                validation,
                lanes.rates,
                curvature,
                again=again,
            )
            yield from gathered.at(step)
        if seen and index >= due:
            finite = torch.isfinite(losses_L).tolist()
            if not any(finite):
                return
            now = time.perf_counter()
            if index and _worth_leaving(finite, (now - checked_at) * (steps - index) / (index - checked)):
                lanes.leave([key.lane for key, lives in zip(lanes.keys, finite, strict=True) if not lives])
            due, checked, checked_at = next_check(index, every), index, now
        if clip_norm is not None:
            gradients.clip(clip_norm)
        lanes.step()
        index += 1
        if seen and lanes.narrow():
            gradients = ways()
    gathered.add(None)
    last = Step(
        index,
        lanes.keys,
        None,
        lanes.weights,
        lanes.gradients,
        validate(),
        lanes.rates,
        curvature,
        again=repeat.before(index) if repeat is not None else None,
        branch=None if branch is None else functools.partial(branch, gradients),
    )
    yield from gathered.at(last)


def _worth_leaving(finite: Sequence[bool], seconds_left: float) -> bool:
    """Whether half of the lanes compute for nothing, and longer than it takes to go on without them."""
    dead = 1 - sum(finite) / len(finite)
    return dead >= 0.5 and dead * seconds_left >= RENEWAL_SECONDS


class Surviving:
    """Gradients that outlive a lane that makes the model raise: the lane is retired, the others go on.

    Some functions raise at a value that is not finite (binary cross-entropy, Cholesky, eigh, ...), and in a
    vectorised call one such lane stops all. The culprits are found lane by lane, lent the weights of a
    healthy lane to compute on, and given no gradients; their loss reads NaN from then on. Where all lanes
    raise, they end as if none were finite any more; unless one of them is finite: then it may be the data's
    fault, which those know that train other lanes: `Lanes.failure`.

    Args:
        gradients: the way chosen.
        separate: calls single lanes.
        lanes: the lanes of both.

    Attributes:
        notes: a sentence for each lane that was retired.
    """

    def __init__(self, gradients: Gradients, separate: Separate, lanes: Lanes) -> None:
        self._gradients = gradients
        self._separate = separate
        self._lanes = lanes
        self._calls = 0
        self._losses = torch.empty(0)
        self.notes: list[str] = []

    def renew(self, gradients: Gradients, separate: Separate) -> None:
        """Go on with ways to get gradients that know fewer lanes."""
        self._gradients, self._separate = gradients, separate

    def clip(self, max_norm: float) -> None:
        """Clip the gradient of every lane by itself."""
        if len(self._lanes.retired) < len(self._lanes):
            self._gradients.clip(max_norm)

    def __call__(self, batches: Sequence[Any]) -> Tensor:
        """Set the gradients of all lanes and return their losses [L].

        Raises:
            TrainingError: the model raised for no single lane's fault, or at the very first step.
        """
        saved = {name: buffer.clone() for name, buffer in self._lanes.buffers.items()}
        try:
            self._losses = self._of_healthy(batches)
        except Exception as error:
            if self._calls == 0:
                raise TrainingError(f"the first step raised {type(error).__name__}: {error}") from error
            self._retire(batches, saved, error)
            self._losses = self._of_healthy(batches)
        self._calls += 1
        return self._losses

    def _of_healthy(self, batches: Sequence[Any]) -> Tensor:
        lanes = self._lanes
        if not lanes.retired:
            return self._gradients(batches)
        if len(lanes.retired) == len(lanes):
            return self._losses.new_full((len(lanes),), math.nan)
        with lanes.lent():
            losses_L = self._gradients(batches)
        for lane in lanes.retired:
            lanes.drop_gradients(lane)
        return lanes.hidden(losses_L)

    def _retire(self, batches: Sequence[Any], saved: dict[str, Tensor], error: Exception) -> None:
        lanes = self._lanes
        raised: dict[int, Exception] = {}
        for index in range(len(lanes)):
            if index in lanes.retired:
                continue
            try:
                self._separate.lane(index, batches, keep=False)
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
            rate = lanes.keys[index].rate
            first_line = str(own).splitlines()[0] if str(own) else ""
            self.notes.append(
                f"rate {format_rate(rate)} stopped at step {self._calls}: {type(own).__name__}: {first_line}"
            )
