"""Snapshot: a study read once, so that eight charts of a report neither read nor judge it eight times."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import polars as pl

from lrscope.charts.chart import Advice, Readable
from lrscope.diagnosis.conclusions import Conclusion
from lrscope.plan import Plan
from lrscope.record import Series


class Snapshot:
    """A `Readable` over another one that asks it everything at most once.

    Args:
        study: the other one.
        advice: what it is taken to recommend; None for what it recommends itself.
    """

    def __init__(self, study: Readable, advice: Advice | None = None) -> None:
        self._study, self._advice = study, advice
        self._frames: dict[tuple[str, str], pl.DataFrame] = {}

    @cached_property
    def plan(self) -> Plan:
        """The question."""
        return self._study.plan

    @cached_property
    def state(self) -> str:
        """running, finished, interrupted or failed."""
        return self._study.state

    @cached_property
    def about(self) -> dict[str, Any]:
        """Versions, when it was made."""
        return self._study.about

    @cached_property
    def series(self) -> Sequence[Series]:
        """What was recorded."""
        return self._study.series

    @cached_property
    def lanes(self) -> pl.DataFrame:
        """Columns lane, rate, seed, state, steps, stopped_step."""
        return self._study.lanes

    def note(self, key: str) -> Any:
        """A note of the run."""
        return self._study.note(key)

    def scalars(self, name: str) -> pl.DataFrame:
        """Columns lane, rate, seed, step, value."""
        key = ("scalars", name)
        if key not in self._frames:
            self._frames[key] = self._study.scalars(name)
        return self._frames[key]

    def tensors(self, name: str) -> pl.DataFrame:
        """Columns lane, rate, seed, step, tensor, value."""
        key = ("tensors", name)
        if key not in self._frames:
            self._frames[key] = self._study.tensors(name)
        return self._frames[key]

    def trajectories(self) -> pl.DataFrame:
        """Columns lane, rate, seed, step, tensor, index, value."""
        return self._trajectories

    def histograms(self) -> pl.DataFrame:
        """Columns lane, rate, seed, epoch, tensor, edges, counts, nonfinite."""
        return self._histograms

    def verdicts(self) -> pl.DataFrame:
        """Columns lane, rate, seed, verdict, attributes, step, evidence."""
        return self._verdicts

    def recommendation(self, objective: str | None = None) -> Advice:
        """The rate to take by an objective, or why it cannot be told."""
        return self._recommendation if objective is None else self._study.recommendation(objective)

    def conclusions(self) -> Sequence[Conclusion]:
        """What the study says of too high, medium and too low a rate."""
        return self._conclusions

    @cached_property
    def _trajectories(self) -> pl.DataFrame:
        return self._study.trajectories()

    @cached_property
    def _histograms(self) -> pl.DataFrame:
        return self._study.histograms()

    @cached_property
    def _verdicts(self) -> pl.DataFrame:
        return self._study.verdicts()

    @cached_property
    def _recommendation(self) -> Advice:
        return self._study.recommendation() if self._advice is None else self._advice

    @cached_property
    def _conclusions(self) -> Sequence[Conclusion]:
        return self._study.conclusions()
