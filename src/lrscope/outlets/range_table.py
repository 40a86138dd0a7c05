"""A range test as a table in the terminal, a row for each rule, and as one strict JSON document.

schema             1; a later number means that a name below has another meaning
problem, optimizer what was trained, by what
low, high, steps, seeds, how, notes, seconds
                   the ramp, how it ran and how long
cost               in full training runs of the problem, whose steps are full_run
rates              of each step
losses             for each seed, of each step; null from its first loss that is not finite on
rules              for each: name, takes, source; rates, one a seed, null where it finds nothing; rate, their
                   geometric mean; lowest, highest; decades between them
centre             where to centre a search; null where no seed's loss falls
no_signal          that there is nothing to read a rate off, and why; null where there is
caveats            what to think of it
"""

from typing import Any, TextIO

from rich.text import Text

from lrscope import language
from lrscope.diagnosis.range_reading import RangeReading
from lrscope.diagnosis.range_rules import Suggestion
from lrscope.language import said, say
from lrscope.outlets.json_document import strict
from lrscope.outlets.terminal import ROOMY_FROM, Terminal
from lrscope.outlets.text import count_text, one_line
from lrscope.rates import format_rate

SCHEMA = 1

TAKES_FROM = 100
"""Columns from which a rule's words stand beside what it says."""


def range_document(reading: RangeReading) -> Any:
    """Return what `--json` prints."""
    return strict(
        {
            "schema": SCHEMA,
            "problem": reading.problem,
            "optimizer": reading.optimizer,
            "low": reading.rates[0].item(),
            "high": reading.rates[-1].item(),
            "steps": len(reading.rates),
            "seeds": list(reading.seeds),
            "how": reading.how,
            "notes": list(reading.notes),
            "seconds": round(reading.seconds, 3),
            "cost": reading.cost,
            "full_run": reading.full_run,
            "rates": reading.rates.tolist(),
            "losses": reading.losses.tolist(),
            "rules": [
                {
                    "name": suggestion.rule.name,
                    "takes": suggestion.rule.words,
                    "source": suggestion.rule.source,
                    "rates": list(suggestion.rates),
                    "rate": suggestion.rate,
                    "lowest": min(suggestion.found, default=None),
                    "highest": max(suggestion.found, default=None),
                    "decades": suggestion.decades,
                }
                for suggestion in reading.suggestions
            ],
            "centre": reading.centre,
            "no_signal": reading.no_signal,
            "caveats": list(reading.caveats()),
        }
    )


def show_range(reading: RangeReading, file: TextIO, width: int | None = None) -> None:
    """Write the table of rules and the caveats.

    Args:
        reading: the range test.
        file: standard output.
        width: columns; None asks the terminal.
    """
    console = Terminal(file, width)
    console.print(Text(_headline(reading)))
    if reading.no_signal is not None:
        console.print(Text(one_line(said(reading.no_signal)), style="bold"))
    console.print()
    _print_rules(console, reading.suggestions)
    console.print()
    console.points([Text(one_line(line)) for line in reading.caveats()])


_RUN = language.Text("{cost} full training run", "{cost} 次完整训练")
_RUNS = language.Text("{cost} full training runs", "{cost} 次完整训练")


def _headline(reading: RangeReading) -> str:
    steps, seeds = count_text(len(reading.rates), "step"), count_text(len(reading.seeds), "seed")
    runs = (_RUN if reading.cost == 1 else _RUNS).format(cost=f"{reading.cost:.2g}")
    return one_line(
        say(
            "{problem}: range test, {optimizer}, {low} to {high} in {steps}, {seeds}; cost: {runs}",
            "{problem}：范围测试，{optimizer}，{steps}内从 {low} 到 {high}，{seeds}；代价：{runs}",
            problem=reading.problem,
            optimizer=reading.optimizer,
            low=format_rate(reading.rates[0]),
            high=format_rate(reading.rates[-1]),
            steps=steps,
            seeds=seeds,
            runs=runs,
        )
    )


def _print_rules(console: Terminal, suggestions: tuple[Suggestion, ...]) -> None:
    """Print a row for each rule, in the columns that fit and differ."""
    several = len(suggestions[0].rates) > 1
    partial = any(0 < len(suggestion.found) < len(suggestion.rates) for suggestion in suggestions)
    extremes = several and console.width >= ROOMY_FROM
    explained = console.width >= TAKES_FROM
    table = console.table()
    table.add_column(say("rule", "规则"), overflow="fold")
    for title, wanted in (
        (say("rate", "学习率"), True),
        (say("lowest", "最低"), extremes),
        (say("highest", "最高"), extremes),
        (say("decades", "数量级"), several),
        (say("seeds", "种子"), partial),
    ):
        if wanted:
            table.add_column(title, justify="right", no_wrap=True)
    if explained:
        table.add_column(say("takes", "取"), overflow="fold", style="dim")
    for row, suggestion in enumerate(suggestions):
        found, decades = suggestion.found, suggestion.decades
        cells = [suggestion.rule.name, "-" if suggestion.rate is None else format_rate(suggestion.rate)]
        cells += [format_rate(choose(found)) if found else "-" for choose in (min, max) if extremes]
        cells += ["-" if decades is None else f"{decades:.2f}"] if several else []
        cells += [f"{len(found)}/{len(suggestion.rates)}"] if partial else []
        cells += [said(suggestion.rule.words)] if explained else []
        table.add_row(*cells, style="bold" if row == 0 else "")
    console.print(table)
