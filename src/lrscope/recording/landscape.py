"""Landscape: the training loss over the plane of two tracked scalars, everything else held where it ended."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrscope.plan import Tracked

CELLS = 49
"""Places along each axis."""

PLACES_AT_ONCE = 256
"""Weights stacked in one call, at least."""

ELEMENTS_AT_ONCE = 2**17
"""Of them, and more of a model that has few, where few examples are asked."""

ROOM = 0.25
"""How far the plane reaches beyond the paths, in parts of their extent."""

Losses = Callable[[Mapping[str, Tensor]], Tensor]


def landscape(
    losses_of: Losses,
    ends: Mapping[str, Tensor],
    tracked: Tracked,
    paths: NDArray[np.float64],
    examples: int,
) -> dict[str, Any] | None:
    """The loss at 49 x 49 places of the plane of the first two tracked scalars.

    With a model of two scalars this is the whole loss surface; with more, a section through the end of the
    lane that ended lowest.

    Args:
        losses_of: name -> [G, ...] stacked weights to their losses [G].
        ends: name -> [L, ...], the weights after training.
        tracked: at least two scalars.
        paths: float64 [n, L, 2 or more], not finite where a lane ran away.
        examples: over which losses are averaged.

    Returns:
        JSON: "scalars" (their names), "x" and "y" (places, rising), "loss" ([y][x], null where not finite).
        None where no lane stayed finite.
    """
    final_L = _known(losses_of, ends)
    finite = torch.isfinite(final_L)
    if not bool(finite.any()):
        return None
    best = int(torch.where(finite, final_L, torch.inf).argmin())
    # Lanes that ran away would make the others a dot: the plane is that of the lanes that settle.
    calm = [lane for lane in range(len(final_L)) if finite[lane] and _stays(paths[:, lane, :2])] or [best]
    axes = [_axis(paths[:, calm, k]) for k in (0, 1)]
    template = {name: tensor[best].detach() for name, tensor in ends.items()}
    grid = [(float(x), float(y)) for y in axes[1] for x in axes[0]]
    elements = examples * sum(tensor.numel() for tensor in template.values())
    at_once = max(PLACES_AT_ONCE, ELEMENTS_AT_ONCE // elements)
    pieces = [grid[first : first + at_once] for first in range(0, len(grid), at_once)]
    found = [_known(losses_of, _moved(template, tracked[:2], piece)) for piece in pieces]
    losses = torch.cat(found).reshape(CELLS, CELLS).numpy()
    return {
        "scalars": [name + str(list(index)) for name, index in tracked[:2]],
        "x": axes[0].tolist(),
        "y": axes[1].tolist(),
        "loss": [[float(v) if np.isfinite(v) else None for v in row] for row in losses],
    }


def _known(losses_of: Losses, weights: Mapping[str, Tensor]) -> Tensor:
    """The losses [G] of stacked weights, NaN where the model or loss raises, as some do far out."""
    try:
        return losses_of(weights).double().cpu()
    except Exception:
        count = len(next(iter(weights.values())))
        if count == 1:
            return torch.full((1,), torch.nan, dtype=torch.float64)
        halves = (slice(None, count // 2), slice(count // 2, None))
        return torch.cat(
            [_known(losses_of, {name: tensor[half] for name, tensor in weights.items()}) for half in halves]
        )


def _stays(path_n2: NDArray[np.float64]) -> bool:
    """Whether the steps of a path are no longer in its second half than they were in its first."""
    known = path_n2[np.isfinite(path_n2).all(axis=1)]
    if len(known) < 2:
        return False
    late = np.abs(np.diff(known[len(known) // 2 :], axis=0)).max(initial=0.0)
    early = np.abs(np.diff(known[: max(2, len(known) // 2)], axis=0)).max(initial=0.0)
    return bool(late <= early)


def _axis(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    room = ROOM * (high - low) or 0.5
    return np.linspace(low - room, high + room, CELLS)


def _moved(
    template: Mapping[str, Tensor],
    places: Sequence[tuple[str, tuple[int, ...]]],
    grid: Sequence[tuple[float, float]],
) -> dict[str, Tensor]:
    """The template once for each place of the grid, with the two scalars put there."""
    stacked = {
        name: tensor.unsqueeze(0).repeat(len(grid), *[1] * tensor.ndim) for name, tensor in template.items()
    }
    for k, (name, index) in enumerate(places):
        at = torch.tensor(
            [place[k] for place in grid], dtype=stacked[name].dtype, device=stacked[name].device
        )
        functools.reduce(lambda view, i: view.select(1, i), index, stacked[name]).copy_(at)
    return stacked
