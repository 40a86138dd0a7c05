"""Probes: two experiments beside training that tell a rate that is too high; neither changes what is trained.

A batch is asked for its gradient once more after its own update, which shows steps that overshoot. And after
training the rate is divided by five for a twentieth of the run, which shows a loss held up by its own noise.

Letters: L lanes, n steps.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrscope.training.gradients import Gradients
from lrscope.training.lanes import Lanes

REPEATED_BATCHES = 20
"""Batches that are asked twice, evenly over the run."""

BRANCH_RATE = 1 / 5
"""The rate after training, relative to the lane's."""

BRANCH_LENGTH, BRANCH_STEPS = 1 / 20, 10
"""Its length relative to the run, and its steps at least."""


def repeat_points(steps: int) -> frozenset[int]:
    """Return the steps whose batch is asked again after the update; the last is among them."""
    even = np.linspace(0, steps - 1, min(REPEATED_BATCHES, steps)).round()
    return frozenset(int(step) for step in even)


def branch_steps(steps: int) -> int:
    """Return how many updates follow the end of a run of so many, at a fifth of the rate."""
    return max(round(steps * BRANCH_LENGTH), BRANCH_STEPS)


def repeated(lanes: Lanes, call: Callable[[Any], Tensor], batch: Any) -> dict[str, Tensor]:
    """Return the gradients of a batch at the present weights: name -> [L, ...]; NaN where the model raises.

    Weights, buffers and gradients are afterwards as they were.

    Args:
        lanes: whose gradients are meant.
        call: sets their gradients on a batch, drawing the random numbers of its first call.
        batch: the batch.
    """
    held = lanes.gradients()
    buffers = {name: buffer.clone() for name, buffer in lanes.buffers.items()}
    try:
        with lanes.lent():
            call(batch)
        found = {name: lanes.hidden(gradient) for name, gradient in lanes.gradients().items()}
    except Exception:
        # Some functions raise at a value that is not finite; training deals with that itself.
        found = {name: torch.full_like(gradient, torch.nan) for name, gradient in held.items()}
    finally:
        lanes.set_gradients(held, range(len(lanes)))
        for lane in lanes.retired:
            lanes.drop_gradients(lane)
        for name, buffer in buffers.items():
            lanes.buffers[name].copy_(buffer)
    return found


def branched(lanes: Lanes, gradients: Gradients, batches: Iterator[Any], steps: int) -> Tensor:
    """Return the losses [n, L] of n updates at a fifth of each lane's rate; weights and buffers are put back.

    For the end of training: the optimizers' states and the random numbers have moved on.
    """
    kept = [(tensor, tensor.clone()) for tensor in (*lanes.weights.values(), *lanes.buffers.values())]
    groups = [group for lane in lanes.lanes for group in lane.optimizer.param_groups]
    rates = [group["lr"] for group in groups]
    losses = []
    try:
        for group in groups:
            group["lr"] = group["lr"] * BRANCH_RATE
        for _ in range(steps):
            losses.append(gradients(next(batches)).detach().clone())
            gradients.update()
    finally:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
    return torch.stack(losses)
