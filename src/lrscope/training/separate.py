"""Separate: the losses and gradients of all lanes, lane after lane, by ordinary backward passes.

For models that a vectorised call cannot take. The lanes are the same modules and the results are the same.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lrscope.problems.problem import Problem
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective
from lrscope.training.random_state import Stream


class Separate:
    """Gives every lane its gradient by its own forward and backward pass.

    Args:
        problem: names the loss or step.
        lanes: whose modules are called.
        seeds: in the order of the batches; every lane has one of them.
        streams: the random stream of each seed; every lane of the seed draws the same numbers from it.
        draws: whether the model or loss draws random numbers.
        device: where a loss module's own tensors belong.
    """

    def __init__(
        self,
        problem: Problem,
        lanes: Lanes,
        seeds: Sequence[int],
        streams: dict[int, Stream],
        *,
        draws: bool,
        device: torch.device,
    ) -> None:
        self._lanes = lanes
        self._streams = streams
        self._draws = draws
        self._objectives = [Objective(problem, lane.module, device) for lane in lanes.lanes]
        self._seeds = list(seeds)
        last = {key.seed: index for index, key in enumerate(lanes.keys)}
        self._last_of_seed = set(last.values())

    def __call__(self, batches: Sequence[Any]) -> Tensor:
        """Set the gradients of all lanes and return their losses [L].

        Args:
            batches: one a seed, or a single one that all share.
        """
        alive = [index for index in range(len(self._lanes)) if index not in self._lanes.retired]
        # Every lane of a seed starts from the same random state; the last one moves the stream on.
        made = [self.lane(index, batches, keep=index in self._last_of_seed) for index in alive]
        losses_L = torch.full((len(self._lanes),), torch.nan, dtype=made[0].dtype, device=made[0].device)
        losses_L[alive] = torch.stack(made)
        return losses_L

    def lane(self, index: int, batches: Sequence[Any], *, keep: bool) -> Tensor:
        """Set the gradients of one lane and return its loss; with keep=False its draws do not count."""
        lane = self._lanes.lanes[index]
        batch = batches[0 if len(batches) == 1 else self._seeds.index(lane.key.seed)]
        self._lanes.drop_gradients(index)
        if self._draws:
            with self._streams[lane.key.seed].entered(keep=keep):
                loss = self._objectives[index](batch)
                loss.backward()
        else:
            loss = self._objectives[index](batch)
            loss.backward()
        return loss.detach()  # type: ignore[no-any-return]

    def clip(self, max_norm: float) -> None:
        """Clip the gradient of every lane by itself."""
        for lane in self._lanes.lanes:
            torch.nn.utils.clip_grad_norm_(lane.module.parameters(), max_norm)
