"""Lanes trained in this process, with every number that they gave, for tests that look at all of them."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor

import lrscope
from lrscope.executors.block_runner import BlockRunner
from lrscope.record import HistogramRecord, Record
from lrscope.training.prepare import Prepared, prepare
from lrscope.training.random_state import undisturbed


@dataclasses.dataclass
class Run:
    """What lanes gave on their way.

    Attributes:
        prepared: the problem made ready.
        weights: at w_0, w_1, ...: lane -> name -> tensor; only of the last step where no others were asked.
        records, histograms: as they came.
        notes: sentences for the user.
    """

    prepared: Prepared
    weights: list[dict[int, dict[str, Tensor]]] = dataclasses.field(default_factory=list)
    records: list[Record] = dataclasses.field(default_factory=list)
    histograms: list[HistogramRecord] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def steps(self, name: str) -> list[int]:
        """Return the steps at which any lane has values of a series."""
        return sorted({step for one in self.records if one.quantity == name for step in one.steps.tolist()})

    def of(self, name: str) -> np.ndarray:
        """Return the values of a series: [n, L, ...], NaN where a lane has none."""
        own = [one for one in self.records if one.quantity == name]
        steps, lanes = self.steps(name), len(self.prepared.plan.lanes)
        values = np.full((len(steps), lanes, *own[0].values.shape[2:]), np.nan)
        for one in own:
            values[np.ix_(np.searchsorted(steps, one.steps), one.lanes)] = one.values
        return values


def trained(
    problem: lrscope.Problem,
    rates: Sequence[float],
    seeds: int = 1,
    *,
    each: bool = False,
    track: Sequence[tuple[str, tuple[int, ...]]] = (),
    **options: Any,
) -> Run:
    """Train every Block to its end; with `each` it is held after every step and its weights are kept."""
    with undisturbed(problem.train, problem.val):
        run = Run(prepare(problem, rates, seeds, **options))
        run.prepared.plan = dataclasses.replace(run.prepared.plan, tracked=tuple(track))
        for block in run.prepared.blocks(run.prepared.plan.lanes):
            follow(run, BlockRunner(run.prepared, block, run.prepared.plan), each=each)
    return run


def follow(run: Run, runner: BlockRunner, *, each: bool) -> None:
    """Train a Block to its end and keep what it gives."""
    last = run.prepared.plan.steps
    for place, until in enumerate(range(last + 1) if each else (last,)):
        keep(run, runner.advance(until))
        if place == len(run.weights):
            run.weights.append({})
        run.weights[place] |= runner.weights()
    run.notes += runner.notes


def keep(run: Run, messages: Iterable[object] | Iterator[object]) -> None:
    """Keep Records."""
    for message in messages:
        if isinstance(message, HistogramRecord):
            run.histograms.append(message)
        elif isinstance(message, Record):
            run.records.append(message)
