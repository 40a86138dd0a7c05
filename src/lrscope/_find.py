"""Find: find the rate to use within a budget of training runs."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lrscope._sweep import about, notes_of, raise_if_all_failed, shortened, typed
from lrscope.diagnosis.curve import Curve, read_curves
from lrscope.diagnosis.objective import TRAIN_LOSS, check_objective
from lrscope.diagnosis.range_rules import centre
from lrscope.diagnosis.recommendation import Recommendation
from lrscope.diagnosis.search import Search
from lrscope.errors import UsageError
from lrscope.executors import InProcess, Processes, executor_for
from lrscope.executors.executor import Training, train
from lrscope.plan import LaneKey, Plan
from lrscope.problems.load import given_problem
from lrscope.problems.problem import Problem
from lrscope.ramp import FEWEST_STEPS, ramp
from lrscope.rates import format_rate
from lrscope.record import HistogramRecord, Record
from lrscope.recording.series import series
from lrscope.store.recorder import Recorder
from lrscope.store.target import check_target
from lrscope.study import Study
from lrscope.training.prepare import Prepared, prepare
from lrscope.training.random_state import undisturbed

EXPECTED_RATES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Rates from which the layout of a search is worked out: about as many as it trains at a time."""

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
    """Find the learning rate to use, within a budget of training runs.

    Many rates are trained for a short time, the better ones longer, and the recommended rate to the end.

    Args:
        problem: a Problem, or the name of a built-in one such as "digits".
        budget: the most that the search may spend, in full training runs, every step of every lane counted;
            at least 1.
        seed: random seed of the search. Its lanes are trained with the seeds `seed`, `seed` + 100, ...
        objective: what rates are compared by: "val-loss" (the validation loss at the end of a full run),
            "train-loss", or the name of a metric of the problem such as "f1". Write "f1:max" or "f1:min" to
            say which direction is better. By default the validation loss if there are validation data.
        epochs: passes over the training data in a full run; by default the problem's.
        batch_size: examples a step, 0 for all; by default the problem's.
        schedule: name of a schedule: "constant", "cosine", "linear", "warmup-cosine", "onecycle" or "step";
            by default the problem's.
        device: device to train on: "cpu", "cuda", "cuda:1", ...
        path: file of the study that the search leaves; None keeps none.
        overwrite: whether to replace an existing study at `path`.

    Returns:
        The recommendation: the rate, its interval, the first rate that fails, the confidence, and the cost.

    Raises:
        UsageError: problem, budget, seed or path cannot be used as given; nothing was trained.
        TrainingError: the model raised while training.
        StoreError: the study could not be written any further.
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
    """Find the learning rate as `find` does, and return the study of everything that was trained.

    Args:
        problem, budget, seed, objective, epochs, batch_size, schedule, device, path, overwrite: as in `find`.
        progress: a function that is called with what is trained now, in words, and the full runs spent.

    Returns:
        The study of the search, open for reading. Lanes that the search stopped early are short.
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
        prepared = prepare(
            problem,
            EXPECTED_RATES,
            seeds,
            schedule=schedule,
            device=device,
            curvature=False,
            threads=threads,
        )
        plan = dataclasses.replace(prepared.plan, rates=(), chosen=(), objective=objective)
        with Recorder(path, plan, series(plan), overwrite=overwrite, about=about(prepared)) as recorder:
            recorder.note("how", prepared.execution(0))
            recorder.note("reference", reference)
            recorder.note("search", {"budget": budget, "seed": seed})
            lab = TrainingLab(problem, prepared, plan, recorder, device, progress)
            hunt = Search(lab, float(budget), seeds)
            lab.validate_at = hunt.rungs
            began, worked = time.monotonic(), _cpu_seconds()
            try:
                hunt.run()
            finally:
                lab.close()
                recorder.note("notes", notes_of(prepared, lab.trainings))
                recorder.note("seconds", round(time.monotonic() - began, 3))
                recorder.note("cpu_seconds", round(_cpu_seconds() - worked, 3))
        return Study(recorder.study_file())


def seeds_for(budget: float) -> int:
    """Return how many seeds a search of this budget may need."""
    return max(2, min(SEEDS_AT_MOST, int(budget / 2)))


def _cpu_seconds() -> float:
    """Return the processor time of this process and of those that it has ended, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class TrainingLab:
    """Trains the lanes that a search asks for, Block by Block, and records them.

    Args:
        problem: what is trained.
        prepared: the same, made ready.
        plan: the question, without lanes so far.
        recorder: takes the Records.
        device: a torch device, for the range test.
        progress: told what is trained now, in words, and what is spent so far.

    Attributes:
        plan: the plan with all lanes begun so far.
        validate_at: steps at which lanes are validated, beside the ends of epochs; set before the first lane.
        trainings: all Blocks begun so far.
    """

    def __init__(
        self,
        problem: Problem,
        prepared: Prepared,
        plan: Plan,
        recorder: Recorder,
        device: str,
        progress: Callable[[str, float], None] | None,
    ) -> None:
        self.plan = plan
        self.validate_at: Sequence[int] = ()
        self.trainings: list[Training] = []
        self._problem, self._device = problem, device
        self._prepared, self._recorder, self._progress = prepared, recorder, progress
        self._executor: InProcess | Processes | None = None
        self._curves: tuple[Curve, ...] | None = ()

    @property
    def open(self) -> frozenset[tuple[float, int]]:
        """Lanes, (rate, seed), that may go on from where they are."""
        return frozenset((key.rate, key.seed) for training in self.trainings for key in training.keys)

    @property
    def curves(self) -> tuple[Curve, ...]:
        """All lanes begun so far; read from the study once after they were trained."""
        if self._curves is None:
            self._recorder.commit()
            self._curves = read_curves(self._recorder.study_file())
        return self._curves

    def scout(self, steps: int) -> float | None:
        """Return the centre of a range test on two seeds; None also where the steps are too few for one."""
        if steps < FEWEST_STEPS:
            return None
        seeds = self._prepared.plan.seeds[:2]
        found = ramp(self._problem, seeds, steps=steps, device=self._device)
        self.plan = dataclasses.replace(self.plan, scouted=len(seeds) * steps)
        return centre(found.rates, found.losses)

    def train(self, lanes: Sequence[tuple[float, int]], until: int) -> None:
        """Bring lanes to so many updates; others of their Blocks train no further."""
        if self._executor is None:
            self._executor = executor_for(self._prepared, self.plan, self.validate_at)
        wanted = set(lanes)
        going = []
        for training in self.trainings:
            stay = {key for key in training.keys if (key.rate, key.seed) in wanted}
            wanted -= {(key.rate, key.seed) for key in stay}
            if stay and training.done < until:
                leaving = [key.lane for key in training.keys if key not in stay]
                if leaving:
                    self._write(training.drop(leaving))
                going.append(training)
        new = sorted(wanted, key=lambda lane: (lane[1], lane[0]))
        first = len(self.plan.lanes)
        keys = [LaneKey(first + number, rate, seed) for number, (rate, seed) in enumerate(new)]
        if keys:
            self._extend(keys)
            going += [Training(self._executor, block) for block in self._prepared.blocks(keys)]
        self._tell(going, until)
        self._curves = None
        self.trainings += [training for training in going if training not in self.trainings]
        for training, record in train(self._executor, [(training, until) for training in going]):
            if record is not None:
                self._recorder.write(record)
            elif not training.keys:
                training.close()
        raise_if_all_failed(going)

    def close(self) -> None:
        """Train nothing any more."""
        for training in self.trainings:
            training.close()
        if self._executor is not None:
            self._executor.close()

    def _write(self, records: Iterable[Record | HistogramRecord | None]) -> None:
        for record in records:
            if record is not None:
                self._recorder.write(record)

    def _tell(self, going: Sequence[Training], until: int) -> None:
        if self._progress is None or not going:
            return
        rates = ", ".join(format_rate(key.rate) for training in going for key in training.keys)
        spent = self.plan.scouted + sum(curve.steps for curve in self.curves)
        self._progress(f"{rates} to step {until:,}", spent / self.plan.steps)

    def _extend(self, keys: Sequence[LaneKey]) -> None:
        chosen = (*(self.plan.chosen or ()), *((key.rate, key.seed) for key in keys))
        self.plan = dataclasses.replace(
            self.plan,
            chosen=chosen,
            rates=tuple(sorted({rate for rate, _ in chosen})),
            seeds=tuple(dict.fromkeys(seed for _, seed in chosen)),
        )
        self._recorder.extend(self.plan)
