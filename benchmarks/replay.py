"""The search replayed: tasks trained once at every rate on ten seeds, then searched as often as one likes.

    python benchmarks/replay.py record FOLDER [--tasks a,b]     # a study a task; ten minutes of one core
    python benchmarks/replay.py search FOLDER [--budgets 2,4,8,16] [--draws 5]     # some 10 s a budget

FOLDER is outside the repository. A replayed search asks for lanes as a real one does and gets the recorded
ones, cut where it stops them; its seeds are drawn from the ten, and the truth is that of the others. Around
the best rate every quarter of a decade is recorded to the end, further away every half to a quarter of the
run, on every other seed: what is not there is answered by the nearest rate that is. Validation losses are
taken where a search of any budget takes them. For comparison, what every quarter of a decade tells on so many
seeds, trained to the end.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from finder_table import print_table
from lrscope import Problem
from lrscope._find import TrainingLab, seeds_for
from lrscope._sweep import about
from lrscope.diagnosis.curve import Curve, read_curves
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.range_rules import centre
from lrscope.diagnosis.recommend import recommend
from lrscope.diagnosis.search import Search, scout_steps
from lrscope.diagnosis.searched import HALF, place_of, rate_at
from lrscope.plan import Plan
from lrscope.ramp import FEWEST_STEPS, ramp
from lrscope.recording.series import series
from lrscope.store.recorder import Recorder
from lrscope.store.study_file import StudyFile
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed
from scores import Answer, score
from tasks import HALVES
from truth import Truth, read_truth

BUDGETS = (2.0, 4.0, 8.0, 16.0)
SEEDS = tuple(range(10))
AROUND = range(-16, 13, 2)
"""Places from the best one whose lanes are recorded to the end: a quarter of a decade apart."""
FURTHER = range(-44, 33, 4)
"""Places from the best one whose lanes are recorded to a quarter of the run: half a decade apart."""


def record(
    problem: Problem,
    path: Path,
    best: float,
    *,
    seeds: Sequence[int] = SEEDS,
    budgets: Sequence[float] = BUDGETS,
) -> None:
    """Train the lanes that searches may ask for, into a study.

    Args:
        problem: the task.
        path: of the study.
        best: about where the best rate is.
        seeds: an even number; every two have a range test together, and the first of them the lanes far away.
        budgets: of the searches.
    """
    with undisturbed(problem.train, problem.val) as threads:
        prepared = prepare(problem, (1e-3,), seeds, curvature=False, threads=threads)
        plan = dataclasses.replace(prepared.plan, rates=(), chosen=(), objective="val-loss")
        with Recorder(path, plan, series(plan), overwrite=True, about=about(prepared)) as recorder:
            lab = TrainingLab(problem, prepared, plan, recorder, "cpu", None)
            lab.validate_at = sorted({rung for one in budgets for rung in Search(lab, one, seeds).rungs})
            middle = HALF * round(place_of(best) / HALF)  # a search begins at half decades
            around = {middle + apart for apart in AROUND}
            further = {middle + apart for apart in FURTHER} - around
            for seed in seeds:
                lab.train([(rate_at(place), seed) for place in around], plan.steps)
            for seed in seeds[::2]:
                lab.train([(rate_at(place), seed) for place in further], plan.steps // 4)
            lab.close()
            lengths = sorted({scout_steps(plan.steps, one) for one in budgets} - {0})
            scouts = [
                [steps, pair[0], _scouted(problem, pair, steps)]
                for steps in lengths
                for pair in zip(seeds[::2], seeds[1::2], strict=True)
            ]
            recorder.note("scouts", scouts)  # last: a study without it is not whole


def _scouted(problem: Problem, pair: tuple[int, int], steps: int) -> float | None:
    if steps < FEWEST_STEPS:
        return None
    found = ramp(problem, pair, steps=steps, device="cpu")
    return centre(found.rates, found.losses)


class Recorded:
    """What was recorded of a task.

    Attributes:
        plan: without a lane.
        scouts: (steps, first seed) -> what the range test suggests.
    """

    def __init__(self, study: StudyFile) -> None:
        self.plan: Plan = dataclasses.replace(study.plan, chosen=(), rates=(), seeds=(), scouted=0)
        self.scouts = {(steps, seed): found for steps, seed, found in study.note("scouts")}
        self._curves = {(place_of(one.rate), one.seed): one for one in read_curves(study)}
        self._pair = {seed: number // 2 for number, seed in enumerate(study.plan.seeds)}
        self._cut: dict[tuple[int, int, int], Curve] = {}

    def curve(self, place: int, seed: int, until: int) -> Curve:
        """A lane after so many updates, or the nearest there is."""
        key = place, seed, until
        if key not in self._cut:
            curve = self._curves[self._nearest(*key)]
            if curve.stopped_step is not None and curve.stopped_step >= until:
                curve = dataclasses.replace(curve, stopped_step=None)  # it has not happened yet
            self._cut[key] = dataclasses.replace(curve.until(until), rate=rate_at(place), seed=seed)
        return self._cut[key]

    def _nearest(self, place: int, seed: int, until: int) -> tuple[int, int]:
        """Of the lanes that go so far: of the seed, or of the one recorded in its stead."""
        long = [
            key
            for key, one in self._curves.items()
            if self._pair[key[1]] == self._pair[seed] and (one.steps >= until or one.stopped_step is not None)
        ]
        return min(long, key=lambda key: (abs(key[0] - place), key[1] != seed))

    def truth(self, seeds: Sequence[int]) -> Truth:
        """Of the lanes recorded to the end, over some of the seeds."""
        steps = self.plan.steps
        whole = [key for key, one in self._curves.items() if one.steps == steps]
        places = sorted({place for place, _ in whole})
        rows = [[self._curves[place, seed] for seed in seeds] for place in places]
        final_rs = np.array([[_final(one, steps) for one in row] for row in rows])
        initial_s = np.array([one.val.values[0] for one in rows[0]])
        return Truth(
            np.array([rate_at(one) for one in places]), initial_s, final_rs, final_rs, final_rs, steps
        )


def _final(curve: Curve, steps: int) -> float:
    ended = curve.stopped_step is None and len(curve.val.steps) and curve.val.steps[-1] == steps
    return float(curve.val.values[-1]) if ended else np.nan


class ReplayLab:
    """A `search.Lab` that trains nothing."""

    def __init__(self, recorded: Recorded, first_seed: int) -> None:
        self.plan = recorded.plan
        self._recorded, self._first = recorded, first_seed
        self._courses: list[tuple[frozenset[tuple[float, int]], int]] = []
        self._done: dict[tuple[float, int], int] = {}

    @property
    def open(self) -> frozenset[tuple[float, int]]:
        return frozenset(lane for lanes, _ in self._courses for lane in lanes)

    @property
    def curves(self) -> tuple[Curve, ...]:
        lanes = (
            self._recorded.curve(place_of(rate), seed, done) for (rate, seed), done in self._done.items()
        )
        return tuple(dataclasses.replace(curve, lane=number) for number, curve in enumerate(lanes))

    def scout(self, steps: int) -> float | None:
        if steps >= FEWEST_STEPS:
            self.plan = dataclasses.replace(self.plan, scouted=2 * steps)
        return self._recorded.scouts[steps, self._first]

    def train(self, lanes: Sequence[tuple[float, int]], until: int) -> None:
        wanted = frozenset(lanes)
        for number, (course, done) in enumerate(self._courses):
            stay, wanted = course & wanted, wanted - course
            if stay and done < until:
                self._courses[number] = stay, until
                self._done |= dict.fromkeys(stay, until)
        if wanted:
            self._courses.append((wanted, until))
            self._done |= dict.fromkeys(sorted(wanted, key=lambda lane: (lane[1], lane[0])), until)
        chosen = tuple(self._done)
        self.plan = dataclasses.replace(
            self.plan,
            chosen=chosen,
            rates=tuple(sorted({rate for rate, _ in chosen})),
            seeds=tuple(dict.fromkeys(seed for _, seed in chosen)),
        )


def orders(draws: int, seeds: Sequence[int] = SEEDS) -> list[list[int]]:
    """Orders of the seeds; the first two are a pair that has a range test."""
    random, found = np.random.default_rng(0), []
    for draw in range(draws):
        first = 2 * (draw % (len(seeds) // 2))
        others = [*seeds[:first], *seeds[first + 2 :]]
        random.shuffle(others)
        found.append([*seeds[first : first + 2], *others])
    return found


def answers(
    name: str, recorded: Recorded, budget: float, draws: int, all_seeds: Sequence[int] = SEEDS
) -> list[tuple[Answer, Answer, Truth]]:
    """What the search says, and the best of every rate on all of its seeds; with the truth of the others."""
    found = []
    for draw, order in enumerate(orders(draws, all_seeds)):
        seeds, others = order[: seeds_for(budget)], order[seeds_for(budget) :]
        lab = ReplayLab(recorded, order[0])
        Search(lab, budget, seeds).run()
        curves = lab.curves
        told = recommend(curves, judge(curves, lab.plan), lab.plan)
        grid = recorded.truth(seeds)
        best = float(grid.rates[int(grid.curve.argmin())])
        task = f"{name} {draw}"
        searched = Answer(task, draw, told.rate, told.low, told.high, told.spent)
        swept = Answer(task, draw, best, spent=float(len(grid.rates) * len(seeds)))
        found.append((searched, swept, recorded.truth(others)))
    return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("do", choices=("record", "search"))
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--tasks", help="some of the develop half, by name")
    parser.add_argument("--budgets", default=",".join(f"{one:g}" for one in BUDGETS))
    parser.add_argument(
        "--draws", type=int, default=5, help="searches a task; there are five first pairs of seeds"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    tasks = {task.name: task for task in HALVES["develop"] if task.signal}
    names = options.tasks.split(",") if options.tasks else list(tasks)
    if set(names) - set(tasks):
        parser.error(f"not in the develop half: {', '.join(sorted(set(names) - set(tasks)))}")
    paths = {name: options.folder / f"{name}.lrscope" for name in names}
    if options.do == "record":
        options.folder.mkdir(parents=True, exist_ok=True)
        truths = read_truth()
        for name, path in paths.items():
            if not _is_whole(path):
                record(tasks[name].problem(), path, truths[name].optimum)
                print(name, flush=True)
        return
    known = {name: Recorded(StudyFile(path)) for name, path in paths.items() if _is_whole(path)}
    if not known:
        parser.error(f"nothing is recorded in {options.folder}")
    print(f"{len(known)} tasks, {options.draws} searches each", file=sys.stderr)
    scores = {}
    for budget in map(float, options.budgets.split(",")):
        rows = [row for name, one in known.items() for row in answers(name, one, budget, options.draws)]
        truths = {searched.task: truth for searched, _, truth in rows}
        scores[f"find {budget:g}"] = score([searched for searched, *_ in rows], truths)
        scores[f"grid, {seeds_for(budget)} seeds"] = score([swept for _, swept, _ in rows], truths)
    print_table(scores)


def _is_whole(path: Path) -> bool:
    """Whether a task was recorded to the end."""
    return path.exists() and StudyFile(path).note("scouts") is not None


if __name__ == "__main__":
    main()
