"""Branch: from where training ended, a little further at a fifth of every rate, and back again.

Letters: L lanes, n steps.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from lrscope.training.lanes import Lanes

SHARE = 1 / 5
"""Of the rate, on the branch."""

LENGTH = 1 / 20
"""Of the run, that the branch is long."""

FEWEST = 10
"""Its steps at least."""


def branch_steps(steps: int) -> int:
    """How many updates the branch of a run of so many has."""
    return max(round(steps * LENGTH), FEWEST)


def branched(
    lanes: Lanes,
    gradients: Callable[[Sequence[Any]], Tensor],
    clip: Callable[[], None] | None,
    batches: Iterable[Sequence[Any]],
    steps: int,
) -> Tensor:
    """The losses [n, L] of so many updates at a fifth of each lane's rate; weights and buffers are put back.

    For the end of training: the optimizers' states and the random streams have moved on.

    Args:
        lanes: what is trained.
        gradients: sets the gradients of all lanes and returns their losses [L].
        clip: clips them; None for no clipping.
        batches: that follow those of training.
        steps: n, at most.
    """
    kept = [(tensor, tensor.clone()) for tensor in (*lanes.weights.values(), *lanes.buffers.values())]
    groups = [group for lane in lanes.lanes for group in lane.optimizer.param_groups]
    rates = [group["lr"] for group in groups]
    losses = []
    try:
        for group in groups:
            group["lr"] = group["lr"] * SHARE
        for batch in itertools.islice(batches, steps):
            losses.append(gradients(batch).detach().clone())
            if clip is not None:
                clip()
            lanes.step()
    finally:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
    return torch.stack(losses)
