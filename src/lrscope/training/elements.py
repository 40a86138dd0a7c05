"""Elements: some of a tensor's, of every lane; and rows of several tensors.

Letters: L lanes, n elements.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def picked(stack: Tensor, stride: int | None) -> Tensor:
    """[L, n]: every so many elements of every lane, a view; the stack itself where all are wanted.

    Args:
        stack: [L, ...].
        stride: from one element to the next.
    """
    return stack if stride is None else stack.reshape(len(stack), -1)[:, ::stride]


def joined(pieces: Sequence[Tensor]) -> Tensor:
    """Row after row; a single piece as it is."""
    return pieces[0] if len(pieces) == 1 else torch.cat(tuple(pieces))


def readable(tensors: Iterable[Tensor]) -> bool:
    """Whether NumPy can read them all."""
    return all(tensor.device.type == "cpu" and tensor.dtype != torch.bfloat16 for tensor in tensors)
