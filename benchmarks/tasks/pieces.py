"""What tasks are put together from: losses, schedules and optimizers that torch has under no short name."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from lrscope import Problem
from tasks.data import Split

Optimizer = Callable[..., torch.optim.Optimizer]

SGD, Adam, AdamW, RMSprop = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop
momentum = functools.partial(SGD, momentum=0.9)
nesterov = functools.partial(SGD, momentum=0.9, nesterov=True)


def problem(
    split: Split,
    model: Callable[[], nn.Module],
    loss: Callable[[Any, Any], Tensor],
    optimizer: Optimizer,
    *,
    batch: int,
    epochs: int,
    cosine: bool = False,
) -> Problem:
    """A problem yet without its task's name; with `cosine` the rate falls to 0 over the run."""
    steps = epochs * -(-len(split.train[0]) // batch)
    return Problem(
        name="task",
        model=model,
        train=split.train,
        val=split.val,
        loss=loss,
        optimizer=optimizer,
        schedule=_cosine(steps) if cosine else None,
        batch_size=batch,
        epochs=epochs,
    )


def letters_loss(scores: Tensor, letters: Tensor) -> Tensor:
    """Cross-entropy of scores [B, t, letters] for letters [B, t]."""
    return F.cross_entropy(scores.flatten(0, 1), letters.flatten())


def scaled(loss: Callable[[Any, Any], Tensor], factor: float) -> Callable[[Any, Any], Tensor]:
    """The same loss times a number."""

    def times(output: Any, target: Any) -> Tensor:
        return loss(output, target) * factor

    return times


def summed_over(loss: Callable[[Any, Any], Tensor], batch: int) -> Callable[[Any, Any], Tensor]:
    """What a loss reduced by "sum" is on a full batch: its mean times the batch's size.

    Written as a product, so that validation does not depend on how it is cut into batches.
    """
    return scaled(loss, float(batch))


def deaf_loss(output: Tensor, target: Tensor) -> Tensor:
    """The spread of the target: it depends on the weights in form only, and every gradient is 0."""
    return target.float().square().mean() + 0.0 * output.sum()


def grouped(optimizer: Optimizer, last: int, ratio: float) -> Optimizer:
    """Two groups: the last tensors at the rate, those before at `ratio` of it."""

    def make(params: Sequence[Tensor], lr: float) -> torch.optim.Optimizer:
        tensors = list(params)
        return optimizer([{"params": tensors[-last:]}, {"params": tensors[:-last], "lr": ratio * lr}], lr=lr)

    return make


def _cosine(steps: int) -> Callable[[torch.optim.Optimizer], LRScheduler]:
    def cosine(optimizer: torch.optim.Optimizer) -> LRScheduler:
        return CosineAnnealingLR(optimizer, T_max=steps)

    return cosine
