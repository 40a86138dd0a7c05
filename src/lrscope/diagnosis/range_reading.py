"""RangeReading: a range test as measured, what every rule reads off it, and what to think of that.

Letters: S seeds, n steps.
"""

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import NDArray

from lrscope.diagnosis.range_curve import SMOOTHING, end_of, smoothed
from lrscope.diagnosis.range_rules import Suggestion, centre, read_rules
from lrscope.rates import format_rate


@dataclasses.dataclass(frozen=True, eq=False)
class RangeReading:
    """A range test.

    Attributes:
        problem, optimizer: what was trained, by what.
        rates: float64 [n], rising; that of each step.
        losses: float64 [S, n], the mini-batch loss at each step, before its update; NaN from a lane's first
            loss that is not finite on.
        seeds: of the rows of `losses`.
        full_run: steps of one training run of the problem.
        how: how the lanes ran, in words.
        notes: sentences for the user.
        seconds: how long it took.
    """

    problem: str
    optimizer: str
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    seeds: tuple[int, ...]
    full_run: int
    how: str
    notes: tuple[str, ...]
    seconds: float

    @functools.cached_property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """What every published rule says, the one to compare others with first."""
        return read_rules(self.rates, self.losses)

    @property
    def cost(self) -> float:
        """What it took, in full training runs of the problem."""
        return self.losses.size / self.full_run

    @property
    def centre(self) -> float | None:
        """Where to centre a search; None where no seed's loss falls."""
        return centre(self.rates, self.losses)

    @property
    def ends(self) -> tuple[int, ...]:
        """For each seed how many of its steps belong to the ramp: up to where it breaks, or n."""
        return tuple(end_of(losses_n) for losses_n in self.losses)

    @property
    def decades_of_rates(self) -> float:
        """Decades that the ramp spans."""
        return math.log10(self.rates[-1] / self.rates[0])

    def smoothed(self) -> NDArray[np.float64]:
        """The losses as most rules see them, [S, n]: debiased moving mean; NaN where a ramp is over."""
        means = np.full_like(self.losses, np.nan)
        for row, losses_n, end in zip(means, self.losses, self.ends, strict=True):
            row[:end] = smoothed(losses_n[:end])
        return means

    def caveats(self) -> tuple[str, ...]:
        """Why this is a reference and not the answer, in the figures of this very ramp."""
        steps = len(self.rates)
        reach = min(steps, round(1 / (1 - SMOOTHING)))
        share = steps / self.full_run
        lines = [
            "a range test is a reference, not the answer: its rate rises while the model learns, so the loss "
            "at a rate tells as much of the steps before as of the rate",
            f"it sees {steps:,} steps, {share:.2g} of a full run of {self.full_run:,}: the rate that is best "
            "over few steps is seldom the best over many",
            f"its smoothing reaches back over some {reach} steps, here "
            f"{self.decades_of_rates * reach / (steps - 1):.2g} decades of rates",
        ]
        named = [one for one in self.suggestions if one.rate is not None]
        if not named:
            lines.append("here no rule finds anything: the loss does not fall, or too soon breaks")
        elif len(named) > 1:
            low, high = (choose(named, key=lambda one: one.rate or 0.0) for choose in (min, max))
            apart = math.log10((high.rate or 1.0) / (low.rate or 1.0))
            line = (
                f"its rules disagree, here by {apart:.2g} decades: from {format_rate(low.rate or 0.0)} "
                f"({low.rule.name}) to {format_rate(high.rate or 0.0)} ({high.rule.name})"
            )
            wide = max(named, key=lambda one: one.decades or 0.0)
            if wide.decades:
                line += (
                    f"; {wide.rule.name} alone varies by {wide.decades:.2g} decades over "
                    f"{len(self.seeds)} seeds"
                )
            lines.append(line)
        return tuple(lines)
