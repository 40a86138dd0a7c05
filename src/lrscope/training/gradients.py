"""Gradients: two ways to get the losses and gradients of all lanes of a Block.

Letters: L lanes, l lanes of a call.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from lrscope.training.capture import Call, Captured, Written
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective
from lrscope.training.optimizers import clip_gradients
from lrscope.training.random_state import Stream


class Gradients(Protocol):
    """A way to train lanes by one step: gradients first, then the update."""

    def __call__(self, batch: Any) -> Tensor:
        """Set the gradients of all lanes on a batch and return their losses [L]."""
        ...

    def stacked(self, strides: Mapping[str, int]) -> dict[str, Tensor]:
        """Return the gradients that were set: name -> [L, ...].

        Args:
            strides: name -> s, of tensors of which only every s-th element is needed: those may be [L, n].
        """
        ...

    def rounded(self) -> dict[str, Tensor]:
        """Return name -> bool [L, ...]: where a measured derivative reads 0 by rounding; {} if gradients are
        exact.
        """
        ...

    def update(self) -> None:
        """Update the weights of all lanes from the gradients that were set."""
        ...


def vectorised(objective: Objective) -> Call:
    """Return the function (trained, constants, batch) -> (gradients, losses [L]) over stacked tensors.

    Args:
        objective: called functionally; its own parameters are not read.
    """

    def loss(trained: dict[str, Tensor], constants: dict[str, Tensor], batch: Any) -> Tensor:
        tensors = {Objective.prefix + name: tensor for name, tensor in {**trained, **constants}.items()}
        value: Tensor = functional_call(objective, tensors, (batch,))
        return value

    call: Call = vmap(grad_and_value(loss), in_dims=(0, 0, None), randomness="same")
    return call


class VmapGradients:
    """Gives the lanes their gradients by vectorised calls.

    Args:
        objective: of a module of its own, which the calls leave as it is.
        lanes: whose weights, buffers and gradients are meant.
        stream: the random numbers of their seed; every call of a step draws the same ones.
        draws: whether the model or loss draws random numbers.
        per_call: lanes in a call, at most.
        clip_norm: the largest gradient norm of a lane; None for no clipping.
        capture: whether calls may be captured, because no Python of the model's or loss's keeps state.
        tell: given a sentence when capturing is given up.
        written: captured calls, for all that make the same ones.
    """

    def __init__(
        self,
        objective: Objective,
        lanes: Lanes,
        stream: Stream,
        *,
        draws: bool,
        per_call: int,
        clip_norm: float | None,
        capture: bool,
        tell: Callable[[str], None],
        written: Written,
    ) -> None:
        self._lanes, self._stream, self._draws = lanes, stream, draws
        self._clip_norm = clip_norm
        self._call: Call = vectorised(objective)
        self._captured = Captured(self._call, tell, written) if capture else None
        count = len(lanes)
        self._calls = [range(first, min(first + per_call, count)) for first in range(0, count, per_call)]
        self._tensors = [self._views(slice(rows.start, rows.stop)) for rows in self._calls]
        self._gradients: list[dict[str, Tensor]] = []

    def _views(self, rows: slice) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the stacked tensors of some lanes: trained, and constant within a step."""
        weights, trained = self._lanes.weights, self._lanes.trained
        constants = {name: tensor for name, tensor in weights.items() if name not in trained}
        constants |= self._lanes.buffers
        return (
            {name: weights[name][rows] for name in trained},
            {name: tensor[rows] for name, tensor in constants.items()},
        )

    def __call__(self, batch: Any) -> Tensor:
        """Set the gradients of all lanes and return their losses [L]."""
        made = [self._of_call(place, batch) for place in range(len(self._calls))]
        self._gradients = [gradients for gradients, _ in made]
        self._hand_over()
        losses = [losses_l for _, losses_l in made]
        return losses[0] if len(losses) == 1 else torch.cat(losses)

    def _of_call(self, place: int, batch: Any) -> tuple[dict[str, Tensor], Tensor]:
        trained, constants = self._tensors[place]
        call = self._captured or self._call
        if not self._draws:
            return call(trained, constants, batch)
        # The last call moves the stream on.
        with self._stream.entered(keep=place == len(self._calls) - 1):
            return call(trained, constants, batch)

    def expect(self, steps: int) -> None:
        """Say how many steps are to come: a call is captured only where that pays."""
        if self._captured is not None:
            self._captured.expected = steps * len(self._calls)

    def _hand_over(self) -> None:
        for gradients, rows in zip(self._gradients, self._calls, strict=True):
            self._lanes.set_gradients(gradients, rows)

    def stacked(self, strides: Mapping[str, int]) -> dict[str, Tensor]:
        """Return the gradients that were set, before clipping."""
        return self._lanes.gradients(strides)

    def rounded(self) -> dict[str, Tensor]:
        """Return {}: gradients are exact."""
        return {}

    def update(self) -> None:
        """Clip the gradient of every lane by itself, and step its optimizer."""
        if self._clip_norm is not None:
            for gradients in self._gradients:
                clip_gradients(list(gradients.values()), self._clip_norm)
            self._hand_over()
        self._lanes.step()


class LoopGradients:
    """Gives every lane its gradient by an ordinary forward and backward pass of its own.

    Args:
        objectives: of each lane's own module.
        lanes: whose modules are called.
        stream: the random numbers of their seed; every lane draws the same ones.
        draws: whether the model or loss draws random numbers.
        clip_norm: the largest gradient norm of a lane; None for no clipping.
    """

    def __init__(
        self,
        objectives: Mapping[int, Objective],
        lanes: Lanes,
        stream: Stream,
        *,
        draws: bool,
        clip_norm: float | None,
    ) -> None:
        self._objectives, self._lanes, self._stream = objectives, lanes, stream
        self._draws, self._clip_norm = draws, clip_norm

    def __call__(self, batch: Any) -> Tensor:
        """Set the gradients of all lanes and return their losses [L]."""
        alive = self._lanes.healthy
        # Every lane starts from the same random state; the last one moves the stream on.
        made = [self.lane(index, batch, keep=index == alive[-1]) for index in alive]
        losses_L = torch.full((len(self._lanes),), torch.nan, dtype=made[0].dtype, device=made[0].device)
        losses_L[alive] = torch.stack(made)
        return losses_L

    def lane(self, index: int, batch: Any, *, keep: bool) -> Tensor:
        """Set the gradients of one lane and return its loss; with keep=False its draws do not count."""
        objective = self._objectives[self._lanes.keys[index].lane]
        self._lanes.drop_gradients(index)
        if self._draws:
            with self._stream.entered(keep=keep):
                loss = objective(batch)
                loss.backward()
        else:
            loss = objective(batch)
            loss.backward()
        return loss.detach()  # type: ignore[no-any-return]

    def stacked(self, strides: Mapping[str, int]) -> dict[str, Tensor]:
        """Return the gradients that were set, before clipping."""
        return self._lanes.gradients(strides)

    def rounded(self) -> dict[str, Tensor]:
        """Return {}: gradients are exact."""
        return {}

    def update(self) -> None:
        """Clip the gradient of every lane by itself, and step its optimizer."""
        if self._clip_norm is not None:
            for lane in self._lanes.lanes:
                torch.nn.utils.clip_grad_norm_(lane.module.parameters(), self._clip_norm)
        self._lanes.step()
