"""Finders of learning rates against the truth: lrscope at several budgets, other packages, published rules.

    python benchmarks/finders.py --half develop [--budgets 2,4,8,16] [--seeds 4] [--tasks a,b] [--jobs 2]
                                 [--only lrscope|rivals] [--out FILE.json] [--forget lrscope]

Every answer goes to FILE.json as it comes, and what is there already is not asked again (`--forget` drops
the answers of finders that have changed). Prints the table of finders, regret against budget, the sign tests
against minimum / 10, and a row a task. Needs truth.json; `lrscope` itself is named after its budget.
"""

import argparse
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from finder_table import print_all
from scores import Answer
from tasks import HALVES, TASKS
from truth import read_truth

Asked = dict[str, dict[tuple[str, int], Answer]]
"""finder -> (task, seed) -> answer."""


class Question(NamedTuple):
    """One thing to run: the budget of lrscope's find, or a rival by name, on one task with one seed."""

    task: str
    seed: int
    budget: float | None = None
    rival: str | None = None


def lrscope_at(budget: float) -> str:
    """What lrscope at a budget is called."""
    return f"lrscope {budget:g}"


def ask(question: Question) -> dict[str, Answer]:
    """Run it: finder -> answer. One search answers for one finder, a range test for each of its rules."""
    import torch

    torch.set_num_threads(1)
    problem = TASKS[question.task].problem()
    began = time.monotonic()
    if question.budget is not None:
        answer = _found(problem, question)
        return {lrscope_at(question.budget): answer._replace(seconds=round(time.monotonic() - began, 2))}
    from rivals import RIVALS

    assert question.rival is not None
    found = RIVALS[question.rival](problem, question.seed)
    seconds = round(time.monotonic() - began, 2)
    steps = problem.epochs * -(-len(problem.train[0]) // (problem.batch_size or len(problem.train[0])))
    return {
        finder: Answer(
            question.task, question.seed, one.rate, None, None, one.steps / steps, seconds, one.why
        )
        for finder, one in found.items()
    }


def _found(problem: Any, question: Question) -> Answer:
    """What lrscope says; that it raises counts as silence."""
    import lrscope

    try:
        told = lrscope.find(problem, budget=question.budget, seed=question.seed, objective="val-loss")
    except Exception as error:
        return Answer(question.task, question.seed, None, why=f"{type(error).__name__}: {error}")
    return Answer(
        question.task,
        question.seed,
        told.rate,
        told.low,
        told.high,
        told.spent,
        why=told.cannot_tell or "",
    )


def questions(tasks: Sequence[str], seeds: int, budgets: Sequence[float], known: Asked) -> Iterator[Question]:
    """What is not known yet."""
    from rivals import FINDERS_OF

    for task in tasks:
        for seed in range(seeds):
            for budget in budgets:
                if (task, seed) not in known.get(lrscope_at(budget), {}):
                    yield Question(task, seed, budget=budget)
            for rival, finders in FINDERS_OF.items():
                if any((task, seed) not in known.get(finder, {}) for finder in finders):
                    yield Question(task, seed, rival=rival)


def answered(asked: Sequence[Question], jobs: int) -> Iterator[dict[str, Answer]]:
    """The answers as they come, from so many processes."""
    if jobs == 1:
        yield from map(ask, asked)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(ask, asked)


def read(path: Path | None) -> Asked:
    """The answers kept in a file."""
    if path is None or not path.exists():
        return {}
    kept = json.loads(path.read_text())["answers"]
    return {
        finder: {(row["task"], row["seed"]): Answer(**row) for row in rows} for finder, rows in kept.items()
    }


def write(path: Path | None, known: Asked) -> None:
    """Keep the answers, a line each, whole or not at all."""
    if path is None:
        return
    import torch

    versions = {"python": platform.python_version(), "torch": torch.__version__}
    blocks = []
    for finder in sorted(known):
        rows = [json.dumps(known[finder][key]._asdict()) for key in sorted(known[finder])]
        blocks.append(f"{json.dumps(finder)}: [\n" + ",\n".join(rows) + "\n]")
    whole = f'{{"versions": {json.dumps(versions)}, "answers": {{\n' + ",\n".join(blocks) + "\n}}\n"
    beside = path.with_suffix(".part")
    beside.write_text(whole)
    beside.replace(path)


def keep(known: Asked, answers: Iterable[tuple[str, Answer]]) -> None:
    for finder, answer in answers:
        rounded = {name: _rounded(value) for name, value in answer._asdict().items()}
        known.setdefault(finder, {})[answer.task, answer.seed] = Answer(**rounded)


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=tuple(HALVES), required=True)
    parser.add_argument("--budgets", default="8")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--tasks", help="some of the half, by name")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", choices=("lrscope", "rivals"))
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    parser.add_argument("--forget", metavar="NAME", help="drop the answers of finders whose name begins so")
    options = parser.parse_args()

    truths = read_truth()
    names = [task.name for task in HALVES[options.half]]
    if options.tasks:
        unknown = set(options.tasks.split(",")) - set(names)
        if unknown:
            parser.error(f"not in the {options.half} half: {', '.join(sorted(unknown))}")
        names = [name for name in names if name in options.tasks.split(",")]
    missing = [name for name in names if name not in truths]
    if missing:
        parser.error(f"no truth yet, run benchmarks/truth.py: {', '.join(missing)}")

    known = read(options.out)
    if options.forget:
        known = {finder: rows for finder, rows in known.items() if not finder.startswith(options.forget)}
    budgets = [] if options.only == "rivals" else [float(budget) for budget in options.budgets.split(",")]
    wanted = [
        question
        for question in questions(names, options.seeds, budgets, known)
        if options.only != "lrscope" or question.rival is None
    ]
    began = time.monotonic()
    for number, answers in enumerate(answered(wanted, options.jobs), start=1):
        keep(known, answers.items())
        write(options.out, known)
        for finder, answer in answers.items():
            if finder.startswith("lrscope"):
                _say(number, len(wanted), finder, answer)
    if wanted:
        print(f"{len(wanted)} runs in {time.monotonic() - began:.0f} s\n")
    seen = {
        finder: [answer for (task, seed), answer in rows.items() if task in names and seed < options.seeds]
        for finder, rows in known.items()
    }
    print_all({finder: rows for finder, rows in seen.items() if rows}, truths, names)


def _say(number: int, total: int, finder: str, answer: Answer) -> None:
    said = f"none: {answer.why}" if answer.rate is None else f"{answer.rate:.3g}"
    print(
        f"{number}/{total} {finder}: {answer.task}, seed {answer.seed}, {answer.seconds:.1f} s: {said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
