"""Chart: a frame of plain data and a drawing of it; Readable: what a chart may ask of a study."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import altair as alt
import polars as pl

from lrscope.charts.theme import LIGHT, Theme
from lrscope.diagnosis.conclusions import Conclusion
from lrscope.language import Text
from lrscope.plan import Plan
from lrscope.record import Series

Drawing: TypeAlias = "alt.LayerChart | alt.ConcatChart | alt.HConcatChart | alt.VConcatChart"


class Advice(Protocol):
    """The part of a recommendation that charts read; see `lrscope.Recommendation`."""

    @property
    def rate(self) -> float | None:
        """Return the recommended rate; None if there is none."""

    @property
    def low(self) -> float | None:
        """Return the lower end of the interval that holds the best rate."""

    @property
    def high(self) -> float | None:
        """Return the upper end of that interval."""

    @property
    def first_failing(self) -> float | None:
        """Return the lowest rate above the good ones that fails on most of its lanes."""

    @property
    def worse_from(self) -> float | None:
        """Return the lowest rate above the good ones that did worse."""

    @property
    def margin(self) -> float | None:
        """first_failing / rate."""

    @property
    def confidence(self) -> str:
        """In a word: high, medium, low."""

    @property
    def objective(self) -> str:
        """Return what rates were compared by: final validation loss, smoothed training loss, a metric."""

    @property
    def cannot_tell(self) -> str | None:
        """Return the reason why there is no rate; None if there is one."""

    @property
    def next_experiment(self) -> str | None:
        """Return the command to run next; None if there is none."""

    def sentence(self, lang: str | None = None) -> str:
        """Return the recommendation in a few sentences."""


class Readable(Protocol):
    """The part of a study that charts and the report read. Frames are those of `lrscope.Study`."""

    @property
    def plan(self) -> Plan:
        """Return the plan."""

    @property
    def state(self) -> str:
        """Return "running", "finished", "interrupted", "failed" or "unfinished"."""

    @property
    def about(self) -> dict[str, Any]:
        """Return versions and machine."""

    @property
    def series(self) -> Sequence[Series]:
        """Return every recorded series, with its unit."""

    @property
    def lanes(self) -> pl.DataFrame:
        """Return columns lane, rate, seed, state, steps, stopped_step."""

    def note(self, key: str) -> Any:
        """Return a note of the run; None if there is none."""

    def scalars(self, name: str) -> pl.DataFrame:
        """Return columns lane, rate, seed, step, value (null where not finite)."""

    def tensors(self, name: str) -> pl.DataFrame:
        """Return columns lane, rate, seed, step, tensor, value."""

    def trajectories(self) -> pl.DataFrame:
        """Return columns lane, rate, seed, step, tensor, index, value."""

    def histograms(self) -> pl.DataFrame:
        """Return columns lane, rate, seed, epoch, tensor, edges, counts, nonfinite."""

    def verdicts(self) -> pl.DataFrame:
        """Return columns lane, rate, seed, verdict, attributes, step, evidence."""

    def recommendation(self, objective: str | None = None) -> Advice:
        """Return the rate to use by an objective, or the reason why there is none."""

    def conclusions(self) -> Sequence[Conclusion]:
        """Return what the study shows about a rate that is too high, medium, or too low."""


@dataclasses.dataclass(frozen=True)
class Chart:
    """One chart, declared once for report, live page, notebook and figure.

    Attributes:
        name: name of the chart: `study.charts.valley()`, `lrscope chart STUDY valley`.
        title: heading.
        question: the question that the chart answers; the subtitle.
        frame: gathers everything to draw in one tidy frame, small enough to draw; no rows if there is nothing
            yet. A value of the whole chart (a unit, the recommended rate) is repeated in every row.
        draw: draws such a frame, of any size, as an Altair chart.
        option: the option of `lrscope sweep` that records the data of this chart, such as "--curvature"; ""
            if every sweep records them unless told not to; None if no option of a sweep does.
    """

    name: str
    title: Text
    question: Text
    frame: Callable[[Readable], pl.DataFrame]
    draw: Callable[[pl.DataFrame, Theme], Drawing]
    option: str | None = None

    def of(self, study: Readable, theme: Theme = LIGHT) -> Drawing:
        """Draw the chart of a study."""
        return self.draw(self.frame(study), theme)
