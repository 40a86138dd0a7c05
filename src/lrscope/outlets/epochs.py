"""Epochs: a line for each while a sweep runs, with the first tracked weight of every lane."""

from collections.abc import Sequence
from typing import Protocol

from lrscope.outlets.progress import Moment, View
from lrscope.rates import format_rates


class Epoch(Protocol):
    """The end of an epoch; `lrscope.sweep` hands these out with its progress."""

    @property
    def epoch(self) -> int:
        """Its number, 0 before training."""

    @property
    def scalar(self) -> str:
        """Which weight is told, '0.weight[0,0]'."""

    @property
    def values(self) -> Sequence[float]:
        """The weight in every lane."""


class EpochMoment(Moment, Protocol):
    """A moment that knows which epochs ended since the one before."""

    @property
    def epochs(self) -> Sequence[Epoch]:
        """In their order."""


class EpochLines:
    """Shows moments on a view, and every epoch on a line that stays (`--verbose`).

    Args:
        view: which shows them.
        rates, seeds: lanes are rates (rising) for every seed, seed by seed.
    """

    def __init__(self, view: View, rates: Sequence[float], seeds: int) -> None:
        self._view = view
        self._lanes = [
            f"{rate} (seed {seed})" if seeds > 1 else rate
            for seed in range(seeds)
            for rate in format_rates(rates)
        ]

    def __call__(self, moment: EpochMoment) -> None:
        """Show a moment and the epochs that ended."""
        self._view(moment)
        self._view.say(*map(self.line, moment.epochs))

    def line(self, epoch: Epoch) -> str:
        """'epoch 10: 0.weight[0,0] is 2.265477 at 0.01, 2.721776 at 0.1'."""
        values = (f"{value:.7g} at {lane}" for lane, value in zip(self._lanes, epoch.values, strict=True))
        return f"epoch {epoch.epoch:,}: {epoch.scalar} is {', '.join(values)}"
