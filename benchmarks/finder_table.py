"""The figures of finders as text: the table, regret against budget, sign tests, a row a task."""

import statistics
from collections.abc import Sequence

from rivals import BASELINE
from scores import Answer, Score, paired, score, sign_test, wilson
from tasks import TASKS
from truth import Truth

FAR, FARTHER = 0.05, 0.1
"""Regrets above which a suggestion is a bad one, and a very bad one."""


LEGEND = f"""Median and mean regret; shares over {FAR} and {FARTHER}, with 95% Wilson intervals; median
|log10(rate / optimum)|; intervals that cover the optimum, or any rate that cannot be told from it; their
median width in decades; answers without a rate, which count as regret 1; median and mean of
loss / lowest - 1; full training runs spent, and seconds, a suggestion."""


def print_all(answers: dict[str, list[Answer]], truths: dict[str, Truth], names: Sequence[str]) -> None:
    """Everything about these tasks.

    Args:
        answers: finder -> what it said.
        truths: task -> truth.
        names: the tasks asked for.
    """
    answers = dict(sorted(answers.items(), key=lambda item: _place(item[0])))
    telling = {
        finder: [answer for answer in rows if TASKS[answer.task].signal] for finder, rows in answers.items()
    }
    scores = {finder: score(rows, truths) for finder, rows in telling.items() if rows}
    if scores:
        print_table(scores)
        _print_signs(telling, truths)
        _print_tasks(telling, truths, names)
    _print_silent({finder: [a for a in rows if not TASKS[a.task].signal] for finder, rows in answers.items()})


def _place(finder: str) -> tuple[int, float, str]:
    """lrscope by budget first, then the baseline, then the others."""
    if finder.startswith("lrscope"):
        return 0, float(finder.split()[1]), finder
    return (1 if finder == BASELINE else 2), 0.0, finder


COLUMNS = (
    ("regret", 8),
    ("mean", 7),
    (f"> {FAR}", 18),
    (f"> {FARTHER}", 18),
    ("|error|", 8),
    ("covers", 18),
    ("as good", 8),
    ("width", 6),
    ("silent", 7),
    ("excess", 8),
    ("mean", 8),
    ("runs", 6),
    ("s", 6),
)


def print_table(scores: dict[str, Score]) -> None:
    print(f"{'':16}" + "".join(f"{title:>{width}}" for title, width in COLUMNS))
    for finder, one in scores.items():
        cells = (
            f"{statistics.median(one.regrets):.4f}",
            f"{statistics.fmean(one.regrets):.3f}",
            _share(one.over(FAR), one.answers),
            _share(one.over(FARTHER), one.answers),
            f"{statistics.median(one.errors):.2f}" if one.errors else "-",
            "-" if one.covered is None else _share(one.covered, one.answers),
            "-" if one.covered_as_good is None else f"{one.covered_as_good / one.answers:.0%}",
            f"{statistics.median(one.widths):.2f}" if one.widths else "-",
            f"{one.silent}",
            f"{statistics.median(one.excesses):.3f}",
            f"{statistics.fmean(one.excesses):.3f}",
            f"{one.spent:.2f}",
            f"{one.seconds:.1f}",
        )
        row = "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True))
        print(f"{finder:16}{row}")
    print(f"\n{max(one.answers for one in scores.values())} answers a finder. {LEGEND}")


def _share(count: int, total: int) -> str:
    low, high = wilson(count, total)
    return f"{count / total:.0%} [{low:.0%}, {high:.0%}]"


def _print_signs(answers: dict[str, list[Answer]], truths: dict[str, Truth]) -> None:
    baseline = answers.get(BASELINE)
    if not baseline:
        return
    print(f"\nAgainst {BASELINE}: pairs better / worse / equal, and how often a coin does as well")
    measures = {
        "regret": lambda answer: truths[answer.task].regret(answer.rate),
        "excess": lambda answer: truths[answer.task].excess(answer.rate),
    }
    for finder, rows in answers.items():
        if finder == BASELINE or not rows:
            continue
        said = []
        for name, value in measures.items():
            for by_task in (False, True):
                signs = sign_test(*paired(rows, baseline, value, by_task=by_task))
                low, high = wilson(signs.better, signs.better + signs.worse)
                what = f"{name}, {'task means' if by_task else 'task and seed'}"
                counts = f"{signs.better}/{signs.worse}/{signs.ties}"
                said.append(f"{what}: {counts} [{low:.0%}, {high:.0%}] p={signs.chance:.2g}")
        print(f"{finder:16}" + f"\n{'':16}".join(said))


def _print_tasks(answers: dict[str, list[Answer]], truths: dict[str, Truth], names: Sequence[str]) -> None:
    print(
        "\nRegret a task, median and worst of its seeds; s: answers that are silent; o: intervals that miss"
    )
    finders = [finder for finder, rows in answers.items() if rows]
    print(f"{'':32}{'optimum':>9} " + "".join(f"{finder[:15]:>16}" for finder in finders))
    for name in names:
        if not TASKS[name].signal:
            continue
        cells = [_cell([a for a in answers[finder] if a.task == name], truths[name]) for finder in finders]
        print(f"{name:32}{truths[name].optimum:9.2g} " + "".join(f"{cell:>16}" for cell in cells))


def _cell(rows: Sequence[Answer], truth: Truth) -> str:
    if not rows:
        return "-"
    regrets = [truth.regret(answer.rate) for answer in rows]
    silent = sum(answer.rate is None for answer in rows)
    missed = sum(
        answer.low is not None and answer.high is not None and not answer.low <= truth.optimum <= answer.high
        for answer in rows
    )
    marks = (f" {silent}s" if silent else "") + (f" {missed}o" if missed else "")
    return f"{statistics.median(regrets):.3f} {max(regrets):.2f}{marks}"


def _print_silent(answers: dict[str, list[Answer]]) -> None:
    if not any(answers.values()):
        return
    print("\nWhere there is no signal: answers that say so, of all")
    for finder, rows in answers.items():
        if rows:
            print(
                f"{finder:16}{_share(sum(answer.rate is None for answer in rows), len(rows))} of {len(rows)}"
            )
