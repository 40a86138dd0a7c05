"""Sample: the elements of large tensors that are measured, where measuring all would take too long.

Letters: n elements of the sample.
"""

import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from lrscope.quantities.budget import DETAILS
from lrscope.quantities.look import norm, rows

ELEMENTS = 2**14
"""Of a tensor that has more, about so many are drawn: a norm is then known to 0.6% where elements are
normally distributed: sqrt((kurtosis - 1) / (4 n))."""

MANY = 64
"""Times as many elements, from which the sample is drawn without shuffling all."""

PASSES_OF_A_POINT = 20
PASSES_OF_HISTOGRAMS = 30
"""What measuring all elements takes, in passes over the weights, each as long as their norm takes."""


def affordable(weights: Mapping[str, Tensor], steps: int, epochs: int, seconds: float) -> bool:
    """Whether all elements can be measured as seldom as `Budget` ever does, in the seconds given.

    Args:
        weights: name -> [...], of one lane.
        steps, epochs: of the run.
        seconds: that recording may take for a lane; infinity for any.
    """
    stacks = [rows(weight.unsqueeze(0)) for weight in weights.values()]
    if math.isinf(seconds) or all(stack.shape[1] <= ELEMENTS for stack in stacks):
        return True
    took = math.inf
    for _ in range(2):  # the first one fetches what has not been used lately
        began = time.perf_counter()
        # To the host: a device is done by then.
        torch.stack([norm(stack) for stack in stacks]).cpu()
        took = min(took, time.perf_counter() - began)
    fewest = DETAILS[-1]
    points, counted = min(fewest.points, steps + 1), min(fewest.epochs, epochs + 1)
    return took * (PASSES_OF_A_POINT * points + PASSES_OF_HISTOGRAMS * counted) <= seconds


def drawn(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """name -> int64 [n], rising flat indices, of the tensors with more than `ELEMENTS`; always the same.

    Args:
        weights: name -> [...], of one lane.
    """
    generator = torch.Generator().manual_seed(0)
    large = {name: weight for name, weight in weights.items() if weight.numel() > ELEMENTS}
    # Those of one size are measured together: the same elements of each.
    of_size = {
        size: _some_of(size, generator) for size in dict.fromkeys(weight.numel() for weight in large.values())
    }
    return {name: of_size[weight.numel()].to(weight.device) for name, weight in large.items()}


def _some_of(size: int, generator: torch.Generator) -> Tensor:
    """int64 [n]: about `ELEMENTS` rising indices below a size."""
    if size <= MANY * ELEMENTS:
        return torch.randperm(size, generator=generator)[:ELEMENTS].sort().values
    # Hardly any is drawn twice, and to shuffle all would take more memory than the tensor.
    few: Tensor = torch.unique(torch.randint(size, (ELEMENTS,), generator=generator))
    return few
