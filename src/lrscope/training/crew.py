"""Crew: Python threads that take lanes side by side.

An operation releases Python's lock while it computes, so where operations are long, two threads take two
lanes in the time of one. Threads within an operation wait for each other at its end; these once a step.
"""

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


class Crew:
    """Threads that wait for work.

    Each has one thread to an operation, and takes denormal numbers for 0, as `undisturbed` sets it.

    Args:
        size: how many there are; with one, everything is done by who asks.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None

    def map(self, function: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
        """The function of every item, in order.

        Where one raises, the others are waited for first: nothing goes on behind the caller's back.
        """
        if self.size == 1:
            return [function(item) for item in items]
        if self._threads is None:
            self._threads = concurrent.futures.ThreadPoolExecutor(self.size, "lanes", _alone)
        futures = [self._threads.submit(function, item) for item in items]
        try:
            concurrent.futures.wait(futures)
        except BaseException:  # interrupted while it waited
            for future in futures:
                future.cancel()
            concurrent.futures.wait(futures)
            raise
        return [future.result() for future in futures]

    def shares(self, items: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """The items in as many runs of about one length as there are threads, without empty ones."""
        size = -(-len(items) // self.size)
        yield from (items[begin : begin + size] for begin in range(0, len(items), size))


def _alone() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


ALONE = Crew(1)
"""No threads but the caller's."""
