"""Study: one sweep as a user holds it, with its frames, verdicts, recommendation, charts and report."""

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
    """One sweep or search: the plan, the measurements, and what follows from them.

    `lrscope.sweep` and `lrscope.open` return one. A study can be read while it is being written: every call
    sees what was committed by then. Frames are Polars data frames. A study is also a context manager, which
    closes its file.

    Args:
        file: the study's file, on disk or in memory.
    """

    def __init__(self, file: StudyFile) -> None:
        self._file = file
        self._judged: tuple[object, tuple[Curve, ...], tuple[Verdict, ...]] | None = None
        self._advice: dict[str | None, Answer] = {}

    @property
    def plan(self) -> Plan:
        """Return the plan: rates, seeds, length of the run, and what was recorded."""
        return self._file.plan

    @property
    def path(self) -> Path | None:
        """Return the path of the study's file; None for a study in memory."""
        return self._file.path

    @property
    def state(self) -> str:
        """Return "running", "finished", "interrupted", "failed" or "unfinished".

        "unfinished" means that nothing was written for half a minute and no end was noted: the process was
        killed, or a step takes very long.
        """
        return self._file.state

    @property
    def about(self) -> dict[str, Any]:
        """Return the versions of Python, lrscope, torch and NumPy, the threads and the machine."""
        return self._file.about

    @property
    def series(self) -> tuple[Series, ...]:
        """Return every recorded series, with its name, unit and source."""
        return self._file.series

    @property
    def lanes(self) -> pl.DataFrame:
        """Return a row for each lane: lane, rate, seed, state, steps, stopped_step.

        `steps` counts the updates done. `stopped_step` is the step at which the loss was no longer finite,
        and null for every other lane.
        """
        return self._file.lanes()

    def note(self, key: str) -> Any:
        """Return a note of the sweep by its key; None if there is no such note.

        Args:
            key: "how" (how the lanes ran, in words), "notes" (sentences for the user), "seconds" (of
                training), "memory", "recording", ...
        """
        return self._file.note(key)

    @property
    def noted(self) -> dict[str, Any]:
        """Return every note of the sweep, by its key."""
        return self._file.notes()

    def scalars(self, name: str) -> pl.DataFrame:
        """Return a series with one number a step: lane, rate, seed, step, value.

        `step` counts updates done, so step 0 is before training. A value that was not finite is null.

        Args:
            name: "loss" (of the mini-batch, before the update), "val_loss", a metric, or another name in
                `series`.

        Raises:
            StudyError: the study has no such series.
        """
        return self._file.scalars(name)

    def tensors(self, name: str) -> pl.DataFrame:
        """Return a series with a number for each tensor: lane, rate, seed, step, tensor, value.

        Args:
            name: "weight_norm", "gradient_norm", "update_ratio", or another name in `series`.

        Raises:
            StudyError: the study has no such series.
        """
        return self._file.tensors(name)

    def trajectories(self) -> pl.DataFrame:
        """Return the tracked weights at every step: lane, rate, seed, step, tensor, index, value."""
        return self._file.trajectories()

    def histograms(self) -> pl.DataFrame:
        """Return every tensor's histograms: lane, rate, seed, epoch, tensor, edges, counts, nonfinite."""
        return self._file.histograms()

    def verdicts(self, lang: str | None = None) -> pl.DataFrame:
        """Return the verdict of each lane: lane, rate, seed, verdict, attributes, step, evidence.

        Verdicts are computed anew from the measurements, and again only after a commit.

        Args:
            lang: language of the evidence, "en" or "zh". By default English, or the language of the command.

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
        """Return the rate to use with its interval and margin, or the reason why there is none.

        Args:
            objective: what rates are compared by: "val-loss" (at the end of training), "train-loss" or the
                name of a metric such as "f1". Write "f1:max" or "f1:min" to say which direction is better.
                By default the objective of the search that made the study, or else the validation loss, or
                the training loss if nothing was validated.

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
        """Return a function that gives the study again: one in memory is kept, a file is opened anew.

        So a recommendation does not keep a file open.
        """
        return (
            functools.partial(Study, self._file)
            if self.path is None
            else functools.partial(open_study, self.path.absolute())
        )

    def conclusions(self) -> tuple[Conclusion, ...]:
        """Return what the study shows about a rate that is too high, medium, or too low.

        Each conclusion holds claims ("unstable?", "needs more steps?") that are confirmed, refuted or not
        decided, with their numbers.
        """
        curves, verdicts = self._judge()
        return conclusions(curves, verdicts, self.recommendation(), self.plan)

    def _judge(self) -> tuple[tuple[Curve, ...], tuple[Verdict, ...]]:
        """Return curves and verdicts; compute them anew only after a commit."""
        now = (self._file.commits, self.state)
        if self._judged is None or self._judged[0] != now:
            curves = read_curves(self._file)
            self._judged = (now, curves, judge(curves, self.plan))
            self._advice = {}
        return self._judged[1:]

    @property
    def charts(self) -> "Charts":
        """Return the charts of the study: `study.charts.valley()`; `dir(study.charts)` lists them."""
        return Charts(self)

    def report(self, path: str | os.PathLike[str], *, lang: str | None = None) -> None:
        """Write the study as one HTML page that works offline.

        Args:
            path: the file to write.
            lang: language of the page, "en" or "zh". By default English.

        Raises:
            UsageError: the page cannot be written there, or there is no such language.
        """
        from lrscope.output.report import report  # it loads altair

        with speaking(lang):
            report(self, Path(path))

    def export(self, folder: str | os.PathLike[str], to: str = "parquet", *, overwrite: bool = False) -> Path:
        """Write everything the study holds into a folder.

        Args:
            folder: a new or empty folder.
            to: "parquet", "csv" or "json" write a file for each table; "tensorboard" writes a folder for each
                lane. `study.json` in the same folder holds the plan, the notes and the recommendation.
            overwrite: whether to replace an earlier export.

        Returns:
            The folder.

        Raises:
            UsageError: there is no such format, its package is missing, or the folder cannot be written.
        """
        from lrscope.output.export import export

        return export(self, folder, to, overwrite=overwrite)

    def to_pandas(self, name: str | None = None) -> Any:
        """Return a table of the study as a pandas frame, or all tables by name.

        Args:
            name: "lanes", "verdicts", "trajectories", "histograms" or a series ("loss", "weight_norm").

        Returns:
            A `pandas.DataFrame`; without a name a dict of table name to frame.

        Raises:
            UsageError: there is no such table, or pandas is not installed.
        """
        from lrscope.output.export import pandas_frames

        return pandas_frames(self, name)

    def close(self) -> None:
        """Close the file. A study in memory stays readable as long as you hold it."""
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
        """Return what a notebook shows: the recommendation, the valley and every lane."""
        return shown_study(self, repr(self))

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else str(self.path)
        return f"<Study of {self.plan.problem}: {len(self.plan.lanes)} lanes, {self.state}, {where}>"


class Charts:
    """The charts of a study, each as a method; `dir(study.charts)` lists them.

    `study.charts.valley()` returns an Altair chart. Pass a theme (`lrscope.charts.DARK`) or a language
    (`lang="zh"`). A method raises UsageError if the study lacks the data of its chart; the message names the
    command that records them.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):  # notebooks and `copy` ask for such names
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
    """Open a study file for reading, also while it is being written. PyTorch is not needed.

    Args:
        path: a file that `sweep(..., path=)`, `find(..., path=)` or `lrscope sweep --out` wrote.

    Raises:
        StudyError: the file is missing, is no study, is damaged, or was written by a newer version.
    """
    return Study(StudyFile(path))
