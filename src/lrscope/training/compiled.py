"""Compiled: a captured list of operations as machine code, by torch.compile, where the user asks for it.

It takes ten seconds and more for each shape, and a C++ compiler, and its numbers are not bitwise the same:
sums are added up in another order.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from lrscope.errors import TrainingError
from lrscope.training.random_state import RandomState

COMPILED_AFTER = 256
"""Replays of a list before it is compiled: a shape that is seldom seen, as the last batch of an epoch, is not
worth the time."""

OPTIONS: dict[str, str | int | bool | Callable[..., Any]] = {"compile_threads": 1, "fallback_random": True}
"""In this process, since what was forked can have no pool of its own; with torch's own random numbers."""

ROUNDINGS = 1_000.0
"""Compiled numbers may differ from the ordinary ones by so many roundings of the largest."""


def compiled(graph: GraphModule, inputs: Sequence[Tensor]) -> Callable[..., Any]:
    """The same operations, compiled for inputs like these; they are changed as by an ordinary call.

    Raises:
        TrainingError: it cannot be compiled here; says why in one line.
    """
    try:
        with warnings.catch_warnings(), RandomState.now().kept(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch, about itself
            fast: Callable[..., Any] = torch.compile(graph, dynamic=False, options=OPTIONS)
            fast(*inputs)
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise TrainingError(f"{type(error).__name__}: {lines[0] if lines else ''}") from error
    return fast


def near(found: Tensor, expected: Tensor) -> bool:
    """Whether both are the same but for rounding; what is not finite has to be so in both."""
    if not expected.is_floating_point() or not expected.numel():
        return torch.equal(found, expected)
    known = torch.isfinite(expected)
    if not torch.equal(known, torch.isfinite(found)):
        return False
    largest = torch.where(known, expected, 0.0).abs().max()
    off = torch.where(known, found - expected, 0.0).abs().max()
    return bool(off <= ROUNDINGS * torch.finfo(expected.dtype).eps * largest)
