"""Memory: what there is, and whether a sweep's lanes fit into it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import torch
from torch import nn

from lrscope.errors import UsageError
from lrscope.rates import format_rate, format_rates
from lrscope.training.footprint import Footprint, Need, need

LANES_AT_MOST = 1_000
"""Lanes of one sweep. More cannot be told apart in any table or chart, and are a mistyped grid."""

STATE_TENSORS = 6
"""Tensors of the parameters' size a lane keeps: weights, gradients, optimizer state, copies to measure."""

CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where the system says what a container may use."""


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
    if needed > free:
        fitting = max(1, int(free / (size * STATE_TENSORS)))
        raise UsageError(f"{many}; {_bytes(free)} are free: at most {fitting:,} lanes fit")


def refuse_too_large(
    one: Footprint,
    rates: Sequence[float],
    seeds: int,
    name: str,
    device: torch.device,
    *,
    at_once: Callable[[int], int],
    alive: Callable[[int], int],
    recorded: bool = True,
) -> Need:
    """What a sweep needs, if it is there.

    Args:
        one: what a lane takes.
        rates, seeds: the lanes.
        name: of the problem.
        device: where they train.
        at_once: of so many lanes, how many share a vectorised call at most.
        alive: of so many lanes, how many are trained at a time.
        recorded: whether all elements of tensors are measured on the way.

    Raises:
        UsageError: it does not fit; says what would.
    """

    def of(count: int, starts: int) -> Need:
        lanes = count * starts
        scatters = device.type == "cpu"
        return need(one, alive(lanes), starts, at_once=at_once(lanes), recorded=recorded, scatters=scatters)

    whole = of(len(rates), seeds)
    free = free_memory(device)
    if free is None or whole.total <= free:
        return whole
    fitting = [count for count in range(1, len(rates)) if of(count, seeds).total <= free]
    if fitting:
        many = "one rate fits" if fitting[-1] == 1 else f"{fitting[-1]} rates fit"
        offer = f"{many} at once: type --rates {_written(rates[: fitting[-1]])}"
    elif of(1, 1).total <= free:
        offer = f"one rate fits at once, with one seed: type --rates {format_rate(rates[0])} --seeds 1"
    else:
        offer = "not even one lane fits: take a smaller --batch-size"
    lanes = len(rates) * seeds
    raise UsageError(f"{lanes:,} lanes of {name!r} need {words(whole)}; {_bytes(free)} are free; {offer}")


def lanes_that_fit(one: Footprint, lanes: int, seeds: int, device: torch.device, *, recorded: bool) -> int:
    """How many lanes can share a call on an accelerator: all, or half of them, ..., one at least.

    Args:
        one: what a lane takes.
        lanes, seeds: how many there are.
        device: where they train.
        recorded: whether all elements of tensors are measured on the way.
    """
    free = free_memory(device)
    size = lanes
    while free is not None and size > 1:
        if need(one, lanes, seeds, at_once=size, recorded=recorded, scatters=False).total <= free:
            break
        size = -(-size // 2)
    return size


def words(what: Need) -> str:
    """The estimate, in a sentence's part."""
    return (
        f"about {_bytes(what.total)}: weights {_bytes(what.weights)}, gradients {_bytes(what.gradients)}, "
        f"optimizer {_bytes(what.optimizer)}, recording {_bytes(what.recording)}, "
        f"within a step {_bytes(what.passing)}, torch itself {_bytes(what.itself)}"
    )


def free_memory(device: torch.device) -> float | None:
    """Bytes that can be had on a device; None where that is not told."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds for later is there as well.
        return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return _free_memory() if device.type == "cpu" else None


def _free_memory() -> float:
    """Return the bytes that can be had without swapping, within the limits of a container."""
    free, in_group = float(psutil.virtual_memory().available), _free_of_group()
    return free if in_group is None else min(free, in_group)


def _free_of_group() -> float | None:
    """Return what the limits of a container leave, which psutil does not read; both versions of cgroups."""
    free = []
    for folder, limit, used in (
        (CONTROL_GROUPS, "memory.max", "memory.current"),
        (CONTROL_GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most = int((folder / limit).read_text())
            taken = int((folder / used).read_text())
        except (ValueError, OSError):  # "max", or no such file
            continue
        free.append(float(most - taken + _cached(folder)))
    return max(0.0, min(free)) if free else None


def _cached(folder: Path) -> int:
    """Bytes counted as used that are a cache of files, given back when wanted."""
    try:
        entries = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int(entries.get("inactive_file", 0))
    except (ValueError, OSError):
        return 0


def _written(rates: Sequence[float]) -> str:
    """Rates as one types them."""
    if len(rates) <= 4:
        return ",".join(format_rates(rates))
    return f"{format_rate(rates[0])}:{format_rate(rates[-1])}:{len(rates)}"


def _bytes(count: float) -> str:
    power = min(3, int(math.log(max(count, 1), 1024)))
    size = count / 1024**power
    return f"{f'{size:.3g}' if size < 999.5 else f'{size:,.0f}'} {('B', 'KiB', 'MiB', 'GiB')[power]}"
