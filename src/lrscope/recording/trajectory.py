"""Trajectories: chosen scalars of the weights at every step."""

import re
from collections.abc import Mapping, Sequence

from lrscope.errors import ProblemError
from lrscope.plan import Tracked
from lrscope.record import Series

TRAJECTORY = Series("trajectory", "", "trajectory", "chosen scalars of the weights, at every step")

VALUES_AT_MOST = 20_000_000
"""Tracked values of a whole run, lanes and steps counted, that the default choice stays below (80 MB)."""


def default_tracked(
    shapes: Mapping[str, tuple[int, ...]],
    lanes: int,
    steps: int,
    liveliest: Mapping[str, tuple[int, ...]],
) -> Tracked:
    """The first element of every tensor, or the liveliest where the first does not move; of evenly spaced
    tensors where all would be too much to keep.
    """
    names = [name for name, shape in shapes.items() if 0 not in shape]
    most = max(1, VALUES_AT_MOST // max(1, lanes * (steps + 1)))
    if len(names) > most:
        names = [names[round(k * (len(names) - 1) / max(1, most - 1))] for k in range(most)]
    return tuple((name, liveliest.get(name, (0,) * len(shapes[name]))) for name in names)


def read_tracked(chosen: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> Tracked:
    """Read '0.weight[0,3]' and the like.

    Raises:
        ProblemError: no such tensor, or an index outside its shape.
    """
    tracked = []
    for text in chosen:
        match = re.fullmatch(r"\s*(.+?)\s*\[([-\d\s,]*)\]\s*|\s*([^\[\]]+?)\s*", text)
        name = (match[1] or match[3]) if match else text
        if match is None or name not in shapes:
            raise ProblemError(
                f"cannot track {text!r}: write a tensor's name and an index, as in "
                f"'{_last(*next(iter(shapes.items())))}'; the tensors are {', '.join(shapes)}"
            )
        shape = shapes[name]
        parts = [part for part in (match[2] or "").replace(" ", "").split(",") if part]
        try:
            index = tuple(int(part) for part in parts) if match[2] is not None else (0,) * len(shape)
        except ValueError:
            raise ProblemError(f"cannot track {text!r}: an index is whole numbers, as in [0,3]") from None
        inside = len(index) == len(shape) and all(-n <= i < n for i, n in zip(index, shape, strict=True))
        if not inside:
            raise ProblemError(
                f"cannot track {text!r}: {name} has shape {list(shape)}; its last element is "
                f"'{_last(name, shape)}'"
            )
        tracked.append((name, tuple(i % n for i, n in zip(index, shape, strict=True))))
    return tuple(dict.fromkeys(tracked))


def _last(name: str, shape: tuple[int, ...]) -> str:
    """The last element of a tensor, as it is typed: "0.weight[99,63]", or "scale" of a scalar."""
    return f"{name}[{','.join(str(size - 1) for size in shape)}]" if shape else name
