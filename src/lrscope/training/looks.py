"""Looks: the steps at which somebody sees all lanes; between them training goes on by itself."""

import bisect
from collections.abc import Callable, Collection
from typing import TypeAlias

Looks: TypeAlias = Callable[[int], int]
"""Given a step that was looked at, the next one to look at."""


def each(step: int) -> int:
    """Looks at every step."""
    return step + 1


class Lookout:
    """What is looked at in any case, beside what somebody wants to see.

    Args:
        periods: every so many steps.
        also: and at these steps.
    """

    def __init__(self, periods: Collection[int], also: Collection[int] = ()) -> None:
        self._periods = tuple(periods)
        self._also = sorted(also)

    def with_(self, wanted: Looks) -> Looks:
        """Both."""

        def after(step: int) -> int:
            place = bisect.bisect_right(self._also, step)
            regular = (step - step % period + period for period in self._periods)
            return min(wanted(step), *regular, *self._also[place : place + 1])

        return after
