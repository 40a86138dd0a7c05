"""A range test in the terminal, a row a rule, and as one strict JSON document.

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

from rich.table import Table
from rich.text import Text

from lrscope import language
from lrscope.diagnosis.range_reading import RangeReading
from lrscope.diagnosis.range_rules import Suggestion
from lrscope.language import said, say
from lrscope.outlets.document import strict
from lrscope.outlets.numerals import count_text
from lrscope.outlets.printable import one_line
from lrscope.outlets.terminal import NARROWEST, ROOMY_FROM, Terminal, listed, terminal_width
from lrscope.rates import format_rate

SCHEMA = 1

TAKES_FROM = 100
"""Columns from which a rule's words stand beside what it says."""


def range_document(reading: RangeReading) -> Any:
    """What `--json` prints."""
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
                    "name": one.rule.name,
                    "takes": one.rule.words,
                    "source": one.rule.source,
                    "rates": list(one.rates),
                    "rate": one.rate,
                    "lowest": min(one.found, default=None),
                    "highest": max(one.found, default=None),
                    "decades": one.decades,
                }
                for one in reading.suggestions
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
    width = max(NARROWEST, terminal_width() if width is None else width)
    console = Terminal(file=file, width=width, height=25, markup=False, emoji=False, highlight=False)
    console.print(Text(_headline(reading)))
    if reading.no_signal is not None:
        console.print(Text(one_line(said(reading.no_signal)), style="bold"))
    console.print()
    console.print(_table(reading.suggestions, width))
    console.print()
    console.print(listed([Text(one_line(line)) for line in reading.caveats()], width))


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


def _table(suggestions: tuple[Suggestion, ...], width: int) -> Table:
    roomy = width >= ROOMY_FROM
    table = Table(box=None, padding=(0, 2 if roomy else 1, 0, 0), header_style="dim", pad_edge=False)
    several = len(suggestions[0].rates) > 1
    table.add_column(say("rule", "规则"), overflow="fold")
    table.add_column(say("rate", "学习率"), justify="right", no_wrap=True)
    if several and roomy:
        table.add_column(say("lowest", "最低"), justify="right", no_wrap=True)
        table.add_column(say("highest", "最高"), justify="right", no_wrap=True)
    if several:
        table.add_column(say("decades", "数量级"), justify="right", no_wrap=True)
    partial = any(0 < len(one.found) < len(one.rates) for one in suggestions)
    if partial:
        table.add_column(say("seeds", "种子"), justify="right", no_wrap=True)
    if width >= TAKES_FROM:
        table.add_column(say("takes", "取"), overflow="fold", style="dim")
    for at, one in enumerate(suggestions):
        cells = [one.rule.name, "-" if one.rate is None else format_rate(one.rate)]
        if several and roomy:
            cells += [format_rate(choose(one.found)) if one.found else "-" for choose in (min, max)]
        if several:
            cells.append("-" if one.decades is None else f"{one.decades:.2f}")
        if partial:
            cells.append(f"{len(one.found)}/{len(one.rates)}")
        if width >= TAKES_FROM:
            cells.append(said(one.rule.words))
        table.add_row(*cells, style="bold" if at == 0 else "")
    return table
