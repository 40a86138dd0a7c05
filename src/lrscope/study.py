"""Study: what a user holds, a thin facade over all that reads: frames, verdicts, charts, report."""

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from lrscope.diagnosis.conclusions import Conclusion, conclusions
from lrscope.diagnosis.curve import Curve, read_curves
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.objective import check_objective
from lrscope.diagnosis.recommend import recommend
from lrscope.diagnosis.recommendation import Recommendation
from lrscope.diagnosis.verdict import Verdict
from lrscope.language import said, speaking
from lrscope.output.notebook import Answer, asked_chart, shown_study
from lrscope.plan import Plan
from lrscope.record import Series
from lrscope.store.study_file import StudyFile


class Study:
    """One sweep: what was asked, what was measured, and what it means.

    A study may be read while it is written; every call sees what is committed by then. Frames are Polars.

    Args:
        file: the study's file, or one in memory.
    """

    def __init__(self, file: StudyFile) -> None:
        self._file = file
        self._judged: tuple[object, tuple[Curve, ...], tuple[Verdict, ...]] | None = None
        self._advice: dict[str | None, Answer] = {}

    @property
    def plan(self) -> Plan:
        """The whole question."""
        return self._file.plan

    @property
    def path(self) -> Path | None:
        """Where it stands; None in memory."""
        return self._file.path

    @property
    def state(self) -> str:
        """running, finished, interrupted, failed, or unfinished: not said to have ended, but silent."""
        return self._file.state

    @property
    def about(self) -> dict[str, Any]:
        """Versions, machine."""
        return self._file.about

    @property
    def series(self) -> tuple[Series, ...]:
        """What was recorded, with units and sources."""
        return self._file.series

    @property
    def lanes(self) -> pl.DataFrame:
        """A row for each lane: lane, rate, seed, state, steps, stopped_step."""
        return self._file.lanes()

    def note(self, key: str) -> Any:
        """What the sweep noted: "how" it ran, "notes" for people, "seconds"; None where it did not."""
        return self._file.note(key)

    @property
    def noted(self) -> dict[str, Any]:
        """Every note of the sweep, by its key."""
        return self._file.notes()

    def scalars(self, name: str) -> pl.DataFrame:
        """A scalar series ("loss", "val_loss", a metric): lane, rate, seed, step, value."""
        return self._file.scalars(name)

    def tensors(self, name: str) -> pl.DataFrame:
        """A series measured on every tensor ("weight_norm"): lane, rate, seed, step, tensor, value."""
        return self._file.tensors(name)

    def trajectories(self) -> pl.DataFrame:
        """The tracked scalars from w_0 to w_T: lane, rate, seed, step, tensor, index, value."""
        return self._file.trajectories()

    def histograms(self) -> pl.DataFrame:
        """Every tensor's histograms: lane, rate, seed, epoch, tensor, edges, counts, nonfinite."""
        return self._file.histograms()

    def verdicts(self, lang: str | None = None) -> pl.DataFrame:
        """What became of each lane: lane, rate, seed, verdict, attributes, step, evidence.

        Args:
            lang: of the evidence; see `lrscope.language.speaking`.

        Raises:
            UsageError: there is no such language.
        """
        with speaking(lang):
            return self._verdicts()

    def _verdicts(self) -> pl.DataFrame:
        _, verdicts = self._judge()
        return pl.DataFrame(
            {
                "lane": [verdict.lane for verdict in verdicts],
                "rate": [verdict.rate for verdict in verdicts],
                "seed": [verdict.seed for verdict in verdicts],
                "verdict": [str(verdict.kind) for verdict in verdicts],
                "attributes": [[str(attribute) for attribute in verdict.attributes] for verdict in verdicts],
                "step": [verdict.step for verdict in verdicts],
                "evidence": [said(verdict.evidence) for verdict in verdicts],
            },
            schema={
                "lane": pl.Int64,
                "rate": pl.Float64,
                "seed": pl.Int64,
                "verdict": pl.String,
                "attributes": pl.List(pl.String),
                "step": pl.Int64,
                "evidence": pl.String,
            },
        )

    def recommendation(self, objective: str | None = None) -> Recommendation:
        """The rate to take, its interval and margin; or why that cannot be told.

        Args:
            objective: "val-loss" (at the end of training), "train-loss" or the name of a metric, "f1", or
                "f1:max" and "f1:min" to say what is better; None for what the study was made for, or else the
                validation loss where there is one.

        Raises:
            UsageError: the study has no such objective.
        """
        curves, verdicts = self._judge()
        plan = self.plan
        if objective is not None:
            check_objective(objective, plan.metrics, validated=plan.val_size is not None)
            plan = dataclasses.replace(plan, objective=objective)
        if objective not in self._advice:
            self._advice[objective] = Answer.of(recommend(curves, verdicts, plan), self._again())
        return self._advice[objective]

    def _again(self) -> Callable[[], "Study"]:
        """How to read it later: one in memory is held, a file opened again, so that nothing keeps it open."""
        return (
            functools.partial(Study, self._file)
            if self.path is None
            else functools.partial(open_study, self.path.absolute())
        )

    def conclusions(self) -> tuple[Conclusion, ...]:
        """What it says of the three common sayings: too high, medium, and too low a rate; each in figures."""
        curves, verdicts = self._judge()
        return conclusions(curves, verdicts, self.recommendation(), self.plan)

    def _judge(self) -> tuple[tuple[Curve, ...], tuple[Verdict, ...]]:
        """Curves and verdicts, made anew only after a commit."""
        now = (self._file.commits, self.state)
        if self._judged is None or self._judged[0] != now:
            curves = read_curves(self._file)
            self._judged = (now, curves, judge(curves, self.plan))
            self._advice = {}
        return self._judged[1:]

    @property
    def charts(self) -> "Charts":
        """Its pictures: `study.charts.valley()`, `study.charts.valley(lang="zh")`."""
        return Charts(self)

    def report(self, path: str | os.PathLike[str], *, lang: str | None = None) -> None:
        """Write the study as one HTML page that needs no network.

        Args:
            path: of the page.
            lang: its language; see `lrscope.language.speaking`.

        Raises:
            UsageError: the page cannot be written there, or there is no such language.
        """
        from lrscope.output.report import report  # it loads altair

        with speaking(lang):
            report(self, Path(path))

    def export(self, folder: str | os.PathLike[str], to: str = "parquet", *, overwrite: bool = False) -> Path:
        """Write everything the study holds into a folder: parquet, csv, json or tensorboard.

        Args:
            folder: a new or empty one.
            to: parquet, csv or json: a file for each table; tensorboard: a folder for each lane. Beside them
                stands `study.json` with the plan, the notes and the recommendation.
            overwrite: replace an export that is there.

        Returns:
            The folder.

        Raises:
            UsageError: there is no such format, its package is missing, or the folder cannot be written.
        """
        from lrscope.output.export import export

        return export(self, folder, to, overwrite=overwrite)

    def to_pandas(self, name: str | None = None) -> Any:
        """A table of the study as a pandas frame, or all of them by name.

        Args:
            name: lanes, verdicts, a series ("loss", "weight_norm"), trajectories or histograms; None for all.

        Returns:
            A `pandas.DataFrame`, or a dict of them where no name is given.

        Raises:
            UsageError: there is no such table, or pandas is not installed.
        """
        from lrscope.output.export import pandas_frames

        return pandas_frames(self, name)

    def close(self) -> None:
        """Close the file; a study in memory stays as long as it is held."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The study in a notebook: the answer, the valley and every lane."""
        return shown_study(self, repr(self))

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else str(self.path)
        return f"<Study of {self.plan.problem}: {len(self.plan.lanes)} lanes, {self.state}, {where}>"


class Charts:
    """The charts of a study, a method each; dir() lists them.

    `charts.valley()`, `charts.valley(theme)`, `charts.valley(lang="zh")`. Each raises UsageError where the
    study lacks the data of the chart, and says how to record them.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):  # what notebooks and copy look for is no chart
            raise AttributeError(name)
        from lrscope.charts import CHARTS  # it loads altair

        for chart in CHARTS:
            if chart.name == name:
                return functools.partial(asked_chart, chart, self._study)
        raise AttributeError(f"no chart {name!r}; there are {', '.join(chart.name for chart in CHARTS)}")

    def __dir__(self) -> list[str]:
        from lrscope.charts import CHARTS  # it loads altair

        return [chart.name for chart in CHARTS]


def open_study(path: str | os.PathLike[str]) -> Study:
    """Open a study, also one that is still being written.

    Raises:
        StudyError: it is missing, no study, damaged, or of a newer version.
    """
    return Study(StudyFile(path))
