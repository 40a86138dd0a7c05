"""Elements: some of a tensor's, of every lane.

Letters: L lanes, n elements.
"""

from torch import Tensor


def picked(stack: Tensor, elements: Tensor | None) -> Tensor:
    """[L, n]: the elements with these flat indices, of every lane; the stack itself where all are wanted.

    Args:
        stack: [L, ...].
        elements: int64 [n].
    """
    return stack if elements is None else stack.reshape(len(stack), -1).index_select(1, elements)
