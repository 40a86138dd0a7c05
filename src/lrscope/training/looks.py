"""Looks: the steps at which somebody sees all lanes; between them training goes on by itself."""

import bisect
import itertools
import sys
from collections.abc import Callable, Collection
from typing import NamedTuple, TypeAlias

END = sys.maxsize
"""A step that no training gets to."""


class Ahead(NamedTuple):
    """What lies ahead.

    Attributes:
        look: the next step to look at.
        points: rising steps up to there at which lanes are measured where they are trained, without all of
            them being seen.
        rates: steps up to there whose learning rates are noted, likewise.
    """

    look: int
    points: tuple[int, ...] = ()
    rates: tuple[int, ...] = ()

    def within(self, look: int) -> "Ahead":
        """The same where an earlier step may be looked at first."""
        if look >= self.look:
            return self
        return Ahead(look, upto(self.points, look), upto(self.rates, look))

    def stop_after(self, step: int) -> int:
        """The first step after this one at which something is wanted."""
        later = (steps[bisect.bisect_right(steps, step) :][:1] for steps in (self.points, self.rates))
        return min([self.look, *itertools.chain(*later)])


Looks: TypeAlias = Callable[[int], Ahead]
"""Given a step that was looked at (-1 before the first one), what lies ahead."""


def every(steps: int) -> Looks:
    """Looks every so many steps."""
    return lambda step: Ahead(step + steps)


each = every(1)
"""Looks at every step."""


def upto(steps: tuple[int, ...], last: int) -> tuple[int, ...]:
    """The rising steps that are not beyond the last."""
    return steps[: bisect.bisect_right(steps, last)]


class Lookout:
    """What is looked at in any case, beside what somebody wants to see.

    Args:
        periods: every so many steps. The first step is looked at whatever is wanted.
        also: and at these steps.
    """

    def __init__(self, periods: Collection[int], also: Collection[int] = ()) -> None:
        self._periods = tuple(periods)
        self._also = sorted(also)

    def with_(self, wanted: Looks) -> Looks:
        """Both."""

        def after(step: int) -> Ahead:
            place = bisect.bisect_right(self._also, step)
            regular = (step - step % period + period for period in self._periods)
            first = (0,) if step < 0 else ()
            return wanted(step).within(min([*first, *regular, *self._also[place : place + 1]], default=END))

        return after
