"""Sample: the elements of large tensors that are measured, where measuring all would take too long."""

import itertools
import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from lrscope.quantities.budget import DETAILS
from lrscope.quantities.look import norm, rows

ELEMENTS = 2**12
"""Of a tensor that has more, about so many are measured: a norm is then known to 1.1% where elements are
normally distributed: sqrt((kurtosis - 1) / (4 n))."""

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


def spread(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """name -> s, of the tensors with more than `ELEMENTS`: every s-th is measured, about as many in all.

    No side of a tensor is divided by what divides s, so that no column is measured more than others; what is
    near in memory is fetched far sooner than as many elements at random.

    Args:
        weights: name -> [...], of one lane.
    """
    strides = {name: _stride(weight.numel()) for name, weight in weights.items()}
    return {name: stride for name, stride in strides.items() if stride > 1}


def _stride(size: int) -> int:
    """Of the two numbers about size / `ELEMENTS` that have no divisor in common with the size the nearer."""
    wanted = size // ELEMENTS
    if not wanted:
        return 1
    fewer = next(stride for stride in range(wanted, 0, -1) if math.gcd(stride, size) == 1)
    more = next(stride for stride in itertools.count(wanted + 1) if math.gcd(stride, size) == 1)
    return fewer if wanted**2 < fewer * more else more
