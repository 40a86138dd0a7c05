"""Chart: a picture is plain data and a drawing of it; and Readable: all that a chart may ask of a study."""

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
    """What a chart reads of a recommendation: a rate with its interval, or why there is none."""

    @property
    def rate(self) -> float | None:
        """The recommended rate; None when it cannot be told."""

    @property
    def low(self) -> float | None:
        """The lower end of the interval of rates as good."""

    @property
    def high(self) -> float | None:
        """The upper end of that interval."""

    @property
    def first_failing(self) -> float | None:
        """The lowest rate above the good ones that fails on most of its lanes."""

    @property
    def worse_from(self) -> float | None:
        """The lowest rate above the good ones that is not one of them."""

    @property
    def margin(self) -> float | None:
        """first_failing / rate."""

    @property
    def confidence(self) -> str:
        """In a word: high, medium, low."""

    @property
    def objective(self) -> str:
        """What rates were compared by: final validation loss, smoothed training loss, a metric."""

    @property
    def cannot_tell(self) -> str | None:
        """Why there is no rate; None where there is one."""

    @property
    def next_experiment(self) -> str | None:
        """The command that would tell more; None where nothing is open."""

    def sentence(self, lang: str | None = None) -> str:
        """All of it in a sentence."""


class Readable(Protocol):
    """A study, as far as charts and the report read it. Frames are those of `lrscope.Study`."""

    @property
    def plan(self) -> Plan:
        """The question."""

    @property
    def state(self) -> str:
        """running, finished, interrupted or failed."""

    @property
    def about(self) -> dict[str, Any]:
        """Versions, when it was made."""

    @property
    def series(self) -> Sequence[Series]:
        """What was recorded, with units."""

    @property
    def lanes(self) -> pl.DataFrame:
        """Columns lane, rate, seed, state, steps, stopped_step."""

    def note(self, key: str) -> Any:
        """A note of the run, None where there is none."""

    def scalars(self, name: str) -> pl.DataFrame:
        """Columns lane, rate, seed, step, value (null where not finite)."""

    def tensors(self, name: str) -> pl.DataFrame:
        """Columns lane, rate, seed, step, tensor, value."""

    def trajectories(self) -> pl.DataFrame:
        """Columns lane, rate, seed, step, tensor, index, value."""

    def histograms(self) -> pl.DataFrame:
        """Columns lane, rate, seed, epoch, tensor, edges, counts, nonfinite."""

    def verdicts(self) -> pl.DataFrame:
        """Columns lane, rate, seed, verdict, attributes, step, evidence."""

    def recommendation(self, objective: str | None = None) -> Advice:
        """The rate to take by an objective, or why it cannot be told."""

    def conclusions(self) -> Sequence[Conclusion]:
        """What the study says of too high, medium and too low a rate."""


@dataclasses.dataclass(frozen=True)
class Chart:
    """One picture, declared once for every surface that shows it.

    Attributes:
        name: how it is asked for: `study.charts.valley()`, `lrscope chart STUDY valley`.
        title: its heading.
        question: what a reader learns from it; the subtitle.
        frame: gathers all that is drawn as one tidy frame, small enough to draw; no rows where there is
            nothing yet. What concerns the whole picture (a unit, the recommended rate) stands in every row.
        draw: draws such a frame, any size, as an Altair chart.
        option: what `lrscope sweep` needs to record the data of this chart: "--curvature"; "" where every
            sweep records them unless told not to; None where no option of a sweep does.
    """

    name: str
    title: Text
    question: Text
    frame: Callable[[Readable], pl.DataFrame]
    draw: Callable[[pl.DataFrame, Theme], Drawing]
    option: str | None = None

    def of(self, study: Readable, theme: Theme = LIGHT) -> Drawing:
        """The picture of a study."""
        return self.draw(self.frame(study), theme)
