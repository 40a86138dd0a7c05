"""Find: spend a budget of training runs on finding the rate to use."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrscope.diagnosis.curve import Curve, read_curves
from lrscope.diagnosis.objective import TRAIN_LOSS, check_objective
from lrscope.diagnosis.range_rules import centre
from lrscope.diagnosis.recommendation import Recommendation
from lrscope.diagnosis.search import Search
from lrscope.errors import UsageError
from lrscope.language import Text
from lrscope.plan import LaneKey, Plan
from lrscope.problems.load import given_problem
from lrscope.problems.problem import Problem
from lrscope.quantities.observe import Observer, series
from lrscope.rates import format_rate
from lrscope.record import HistogramRecord, Record
from lrscope.store.recorder import Recorder
from lrscope.store.target import check_target
from lrscope.study import Study
from lrscope.sweeping import about, shortened, typed
from lrscope.training.course import Course
from lrscope.training.prepare import prepare
from lrscope.training.ramp import FEWEST_STEPS, ramp
from lrscope.training.random_state import undisturbed
from lrscope.training.run import Run

SEEDS_AT_MOST = 6
"""Starts and batch orders of the largest search."""

SEED_STRIDE = 100
"""Between the seeds of one search: two searches with seeds below it share none."""


def find(
    problem: Problem | str,
    budget: float = 8.0,
    seed: int = 0,
    *,
    objective: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    schedule: str | None = None,
    device: str = "cpu",
    path: str | Path | None = None,
    overwrite: bool = False,
) -> Recommendation:
    """Find the learning rate to use, within a budget.

    Args:
        problem: a Problem, or the name of a built-in one.
        budget: in full training runs, all lanes and their steps counted; at least 1.
        seed: of the search: its lanes are trained with the seeds `seed`, `seed` + 100, ...
        objective: "val-loss" (the validation loss at the end of a full-length run), "train-loss", or the name
            of a metric of the problem, "f1", or "f1:max" and "f1:min" to say what is better.
        epochs, batch_size: in place of the problem's own.
        schedule: the name of a schedule ("cosine", ...) in place of the problem's own.
        device: "cpu", "cuda", ...
        path: keeps the study of the search; None keeps it in memory.
        overwrite: replace an existing file.

    Returns:
        The rate, its interval, the first rate that fails, how sure that is, and what it cost.

    Raises:
        UsageError: problem, budget, seed or path cannot be used as they are; nothing was trained.
        TrainingError: the model raised while training.
    """
    study = search(
        problem,
        budget,
        seed,
        objective=objective,
        epochs=epochs,
        batch_size=batch_size,
        schedule=schedule,
        device=device,
        path=path,
        overwrite=overwrite,
    )
    with study:
        return study.recommendation()


def search(
    problem: Problem | str,
    budget: float = 8.0,
    seed: int = 0,
    *,
    objective: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    schedule: str | None = None,
    device: str = "cpu",
    path: str | Path | None = None,
    overwrite: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Study:
    """The same as `find`, with everything that was trained on the way.

    Args:
        problem, budget, seed, objective, epochs, batch_size, schedule, device, path, overwrite: as in `find`.
        progress: called with what is trained now, in words, and what is spent so far.

    Returns:
        The study of the search, open for reading; lanes that it had seen enough of are short.
    """
    problem = given_problem(problem)
    reference = typed(problem, batch_size, schedule)
    problem = shortened(problem, epochs, batch_size)
    if not isinstance(budget, (int, float)) or isinstance(budget, bool) or not 1 <= budget < 1e6:
        raise UsageError(f"budget= wants a number of full training runs of at least 1; got {budget!r}")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UsageError(f"seed= wants a whole number from 0; got {seed!r}")
    if objective not in (None, TRAIN_LOSS) and problem.val is None:
        raise UsageError(
            f"objective={objective!r} wants validation data and {problem.name} has none: give val="
        )
    if objective is not None:
        check_objective(objective, tuple(problem.metrics), validated=problem.val is not None)
    if path is not None:
        check_target(path, overwrite=overwrite)
    seeds = [seed + SEED_STRIDE * number for number in range(seeds_for(budget))]
    with undisturbed(problem.train, problem.val) as threads:
        run = prepare(
            problem, (1e-3,), seeds, schedule=schedule, device=device, curvature=False, threads=threads
        )
        plan = dataclasses.replace(run.plan, rates=(), chosen=(), objective=objective)
        with Recorder(path, plan, series(plan), overwrite=overwrite, about=about(run)) as recorder:
            recorder.note("how", _without_number(run.how))  # how many is not known yet
            recorder.note("reference", reference)
            recorder.note("search", {"budget": budget, "seed": seed})
            lab = CourseLab(problem, run, plan, recorder, device, progress)
            hunt = Search(lab, float(budget), seeds)
            lab.validate_at = hunt.rungs
            began, worked = time.monotonic(), _cpu_seconds()
            try:
                hunt.run()
            finally:
                lab.end()
                recorder.note("notes", run.notes)
                recorder.note("seconds", round(time.monotonic() - began, 3))
                recorder.note("cpu_seconds", round(_cpu_seconds() - worked, 3))
        return Study(recorder.study_file())


def seeds_for(budget: float) -> int:
    """How many starts and batch orders a search of this budget may come to need."""
    return max(2, min(SEEDS_AT_MOST, int(budget / 2)))


def _cpu_seconds() -> float:
    """Return the processor time of this process and of those that it has ended, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _without_number(how: str) -> str:
    """How lanes run, without how many there are, in every language."""
    if not isinstance(how, Text):
        return how.partition(" ")[2]
    return Text(how.en.partition(" ")[2], how.zh.partition(" ")[2].removeprefix("条"))


@dataclasses.dataclass
class Way:
    """A course and what is recorded of it.

    Attributes:
        held: the losses at the weights at which it pauses: they belong to the update that follows, which a
            lane that goes no further has not done.
    """

    course: Course
    observer: Observer
    held: Record | None = None

    def records(self, keys: Sequence[LaneKey], until: int) -> Iterator[Record | HistogramRecord]:
        """Train these lanes to so many updates, and give the records of what was done by then."""
        stay = [key.lane for key in keys]
        earlier, self.held = self.held, None
        for record in self.observer.records(self.course.steps(until)):
            if earlier is not None:
                yield _of_lanes(earlier, np.isin(earlier.lanes, stay))
                earlier = None
            if isinstance(record, Record) and record.quantity == "loss" and record.steps[-1] == until:
                yield record._replace(steps=record.steps[:-1], values=record.values[:-1])
                last = record._replace(steps=record.steps[-1:], values=record.values[-1:])
                finite = np.isfinite(last.values[0])
                # A loss that is not finite ends a lane, whether it goes on or not.
                yield _of_lanes(last, ~finite)
                self.held = _of_lanes(last, finite)
            else:
                yield record


def _of_lanes(record: Record, mask: NDArray[np.bool_]) -> Record:
    return record._replace(lanes=record.lanes[mask], values=record.values[:, mask])


class CourseLab:
    """Trains the lanes that a search asks for, course by course, and records them."""

    def __init__(
        self,
        problem: Problem,
        run: Run,
        plan: Plan,
        recorder: Recorder,
        device: str,
        progress: Callable[[str, float], None] | None,
    ) -> None:
        self.plan = plan
        self.validate_at: Sequence[int] = ()
        self._problem, self._device = problem, device
        self._run, self._recorder, self._progress = run, recorder, progress
        self._ways: list[Way] = []
        self._curves: tuple[Curve, ...] | None = ()

    @property
    def open(self) -> frozenset[tuple[float, int]]:
        """Lanes, (rate, seed), that may go on from where they are."""
        return frozenset((key.rate, key.seed) for way in self._ways for key in way.course.keys)

    @property
    def curves(self) -> tuple[Curve, ...]:
        """All lanes begun so far; read from the study once after they were trained."""
        if self._curves is None:
            self._recorder.commit()
            self._curves = read_curves(self._recorder.study_file())
        return self._curves

    def scout(self, steps: int) -> float | None:
        """The centre of a range test on two seeds; None also where the steps are too few for one."""
        if steps < FEWEST_STEPS:
            return None
        seeds = self._run.plan.seeds[:2]
        found = ramp(self._problem, seeds, steps=steps, device=self._device)
        self.plan = dataclasses.replace(self.plan, scouted=len(seeds) * steps)
        return centre(found.rates, found.losses)

    def train(self, lanes: Sequence[tuple[float, int]], until: int) -> None:
        """Bring lanes to so many updates."""
        wanted = set(lanes)
        for way in self._ways:
            stay = {key for key in way.course.keys if (key.rate, key.seed) in wanted}
            wanted -= {(key.rate, key.seed) for key in stay}
            if stay and way.course.done < until:
                way.course.leave([key.lane for key in way.course.keys if key not in stay])
                self._advance(way, [key for key in way.course.keys if key in stay], until)
        new = sorted(wanted, key=lambda lane: (lane[1], lane[0]))
        if new:
            first = len(self.plan.lanes)
            keys = [LaneKey(first + number, rate, seed) for number, (rate, seed) in enumerate(new)]
            self._extend(keys)
            observer = Observer(self.plan, self._run.start)
            course = self._run.course(keys, self.validate_at, observer.looks, observer.measures)
            self._ways.append(Way(course, observer))
            self._advance(self._ways[-1], keys, until)

    def end(self) -> None:
        """Nothing is trained any more."""
        for way in self._ways:
            way.course.end()

    def _advance(self, way: Way, keys: Sequence[LaneKey], until: int) -> None:
        if self._progress is not None:
            rates = ", ".join(format_rate(key.rate) for key in keys)
            spent = self.plan.scouted + sum(curve.steps for curve in self.curves)
            self._progress(f"{rates} to step {until:,}", spent / self.plan.steps)
        self._curves = None
        for record in way.records(keys, until):
            self._recorder.write(record)

    def _extend(self, keys: Sequence[LaneKey]) -> None:
        chosen = (*(self.plan.chosen or ()), *((key.rate, key.seed) for key in keys))
        self.plan = dataclasses.replace(
            self.plan,
            chosen=chosen,
            rates=tuple(sorted({rate for rate, _ in chosen})),
            seeds=tuple(dict.fromkeys(seed for _, seed in chosen)),
        )
        self._recorder.extend(self.plan)
