"""Sample: the elements of large tensors that are measured, where measuring all would take too long.

`lrscope.plan.Plan.sampled` says where that is.
"""

import itertools
import math
from collections.abc import Mapping

from torch import Tensor

ELEMENTS = 2**12
"""Of a tensor that has more, about so many are measured: a norm is then known to 1.1% where elements are
normally distributed: sqrt((kurtosis - 1) / (4 n))."""


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
