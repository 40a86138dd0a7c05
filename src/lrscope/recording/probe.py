"""Probe: what a batch says of the update that it made, and what a fifth of the rate would make of the end.

Letters: L lanes, n steps of the branch.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lrscope.record import Series

COSINE = Series(
    "same_batch_cosine",
    "",
    "scalar",
    "cosine of a batch's gradients before and after its own update: negative where the update overshot",
)
BEND = Series(
    "update_curvature",
    "",
    "scalar",
    "(g' - g).u / (-g.u), g and g' being a batch's gradients before and after its own update u; for plain "
    "gradient descent rate times g.H g / g.g: above 1 the slope along the update has turned, above 2 the "
    "batch's own loss has risen",
)
BRANCH = (
    Series(
        "branch_loss",
        "",
        "scalar",
        "mean loss of the later half of a twentieth of the run more, at a fifth of the rate",
    ),
    Series("branch_error", "", "scalar", "standard error of that mean"),
)


class Asked(NamedTuple):
    """What is kept of a step whose batch is asked again.

    Attributes:
        step: t.
        weights, gradients: name -> [L, ...], at w_t; the gradients before clipping.
    """

    step: int
    weights: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


def answers(
    asked: Asked, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """name -> float64 [L], recorded under t.

    Args:
        asked: before the update.
        weights, gradients: name -> [L, ...], at w_{t+1}, the gradients of the batch of step t.
    """
    lanes = len(next(iter(weights.values())))

    def product(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        parts = [
            (first[name].double() * second[name].double()).reshape(lanes, -1).sum(dim=1) for name in gradients
        ]
        return torch.stack(parts).sum(dim=0)

    update = {name: weights[name].double() - asked.weights[name].double() for name in gradients}
    before, after = product(asked.gradients, update), product(gradients, update)
    lengths = product(asked.gradients, asked.gradients).sqrt() * product(gradients, gradients).sqrt()
    # Nothing divided by nothing is not measured: NaN.
    return {
        COSINE.name: product(asked.gradients, gradients) / lengths,
        BEND.name: (after - before) / -before,
    }


def branch(losses_nL: Tensor) -> dict[str, Tensor]:
    """name -> float64 [L], of the losses along the branch."""
    later = losses_nL[len(losses_nL) // 2 :].double()
    error = later.std(dim=0) / math.sqrt(len(later)) if len(later) > 1 else torch.zeros_like(later[0])
    return dict(zip((one.name for one in BRANCH), (later.mean(dim=0), error), strict=True))
