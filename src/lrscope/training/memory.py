"""Memory: what a sweep's lanes take, and whether that is there."""

import math
import os
from pathlib import Path

from torch import nn

from lrscope.errors import UsageError

LANES_AT_MOST = 1_000
"""Lanes of one sweep. More cannot be told apart in any table or chart, and are a mistyped grid."""

STATE_TENSORS = 6
"""Tensors of the parameters' size a lane keeps: weights, gradients, optimizer state, copies to measure."""


def refuse_too_many(rates: int, seeds: int, module: nn.Module, name: str) -> None:
    """Refuse what is surely a mistake, or does not fit into memory, and say what it would take.

    Raises:
        UsageError: with the memory, and how many lanes would do.
    """
    lanes = rates * seeds
    size = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    needed = lanes * size * STATE_TENSORS
    free = _free_memory()
    many = f"{rates:,} rates x {seeds:,} seeds are {lanes:,} lanes of {name!r}, "
    many += f"about {_bytes(needed)} of weights and optimizer state"
    if lanes > LANES_AT_MOST:
        raise UsageError(f"{many}; a sweep takes at most {LANES_AT_MOST:,} lanes: type --rates 1e-5:1:16")
    if free is not None and needed > free:
        fitting = max(1, int(free / (size * STATE_TENSORS)))
        raise UsageError(f"{many}; {_bytes(free)} are free: at most {fitting:,} lanes fit")


def _free_memory() -> float | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        # Free pages alone leave out what the system keeps only as a cache of files.
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None


def _bytes(count: float) -> str:
    power = min(3, int(math.log(max(count, 1), 1024)))
    return f"{count / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB')[power]}"
