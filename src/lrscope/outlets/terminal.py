"""Terminal: a study as a table of lanes and one sentence, readable from 40 columns up.

Columns come as the terminal widens: at 40 the final loss, at 56 the best loss and a metric, at 72 the
training loss, at 96 the reasons. In a narrower terminal the reasons stand below the table, one for each kind
of verdict.
"""

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrscope.outlets.document import document
from lrscope.outlets.numerals import count_text, number_text
from lrscope.outlets.printable import one_line, printable
from lrscope.rates import format_rates
from lrscope.study import Study

WIDTH_OF_FILES = 120
"""Columns where nothing says how wide the reader's terminal is."""

NARROWEST = 20

WHY_FROM = 96
"""Columns from which the reasons have a column of their own: narrower, they would stand a word a line."""

COLOURS = {
    "good": "green",
    "too_slow": "blue",
    "not_started": "blue",
    "frozen": "blue",
    "unstable": "yellow",
    "too_high": "yellow",
    "failed": "magenta",
    "collapsed": "magenta",
    "diverging": "magenta",
    "diverged": "magenta",
    "invalid": "dim",
    "cannot_tell": "dim",
}
"""Of the sign and word of each verdict; never the only difference."""

SIGNS = {
    "good": "●",
    "too_slow": "◀",
    "not_started": "◁",
    "frozen": "□",
    "unstable": "◆",
    "too_high": "▶",
    "failed": "▷",
    "collapsed": "▼",
    "diverging": "▲",
    "diverged": "×",
    "invalid": "!",
    "cannot_tell": "?",
}

ASCII_SIGNS = {
    "good": "+",
    "too_slow": "<",
    "not_started": "<",
    "frozen": "<",
    "invalid": "!",
    "cannot_tell": "?",
}
"""Where the terminal's encoding has no better; 'x' for every other verdict."""


@dataclasses.dataclass(frozen=True)
class Lane:
    """One lane as the table shows it."""

    rate: float
    rate_text: str
    seed: int
    verdict: str
    attributes: tuple[str, ...]
    why: str
    train: float | None
    val: float | None
    best: float | None
    metric: float | None
    recommended: bool

    @property
    def words(self) -> str:
        """The verdict and its attributes: 'good, overfitting'."""
        return ", ".join((self.verdict, *self.attributes)).replace("_", " ")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table and the width of the terminal from which it is shown."""

    title: str
    shown_from: int
    text: Callable[[Lane], Text]
    right: bool = False


def show(study: Study, file: TextIO, width: int | None = None) -> None:
    """Write the table of lanes and the recommendation to a stream.

    Args:
        study: finished, interrupted or still running.
        file: standard output.
        width: columns; None asks the terminal.
    """
    width = terminal_width() if width is None else width
    console = Console(file=file, width=max(width, NARROWEST), markup=False, emoji=False, highlight=False)
    ascii_only = not console.encoding.lower().startswith("utf")
    lanes = _lanes(document(study))
    console.print(Text(_headline(study)))
    console.print()
    console.print(_table(lanes, _columns(study, ascii_only=ascii_only), width))
    if width < WHY_FROM:
        console.print()
        for lane in representatives(lanes):
            console.print(_reason(lane))
    console.print()
    console.print(Text(one_line(study.recommendation().sentence()), style="bold"))


def terminal_width() -> int:
    """Columns of the user's terminal: what COLUMNS says, else whichever standard stream has a terminal."""
    try:
        asked = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        asked = 0
    if asked > 0:
        return asked
    for stream in (sys.__stdout__, sys.__stderr__, sys.__stdin__):
        try:
            columns = os.get_terminal_size(stream.fileno()).columns if stream is not None else 0
        except (OSError, ValueError):
            continue
        if columns > 0:
            return columns
    return WIDTH_OF_FILES


def representatives(lanes: Sequence[Lane]) -> list[Lane]:
    """One lane of each kind of verdict, in the order of rates: the one nearest to the recommended rate."""
    centre = next((lane.rate for lane in lanes if lane.recommended), None)
    chosen: dict[str, Lane] = {}
    for lane in lanes:
        held = chosen.get(lane.verdict)
        if held is None or (centre is not None and _decades(lane.rate, centre) < _decades(held.rate, centre)):
            chosen[lane.verdict] = lane
    return sorted(chosen.values(), key=lambda lane: lane.rate)


def _decades(rate: float, other: float) -> float:
    return abs(math.log10(rate / other))


def _lanes(content: Mapping[str, Any]) -> list[Lane]:
    """The lanes of a study's document, rate by rate."""
    rows = sorted(content["lanes"], key=lambda row: (row["rate"], row["seed"]))
    texts = format_rates([row["rate"] for row in rows])
    recommended = content["recommendation"]["rate"]
    return [
        Lane(
            rate=row["rate"],
            rate_text=text,
            seed=row["seed"],
            verdict=row["verdict"],
            attributes=tuple(row["attributes"]),
            why=row["evidence"],
            train=row["final_train_loss"],
            val=row["final_val_loss"],
            best=row["best_val_loss"],
            metric=next(iter(row["metrics"].values()), None),
            recommended=recommended is not None and math.isclose(row["rate"], recommended, rel_tol=1e-9),
        )
        for row, text in zip(rows, texts, strict=True)
    ]


def _columns(study: Study, *, ascii_only: bool) -> list[Column]:
    """The columns this study has something to say in."""
    plan = study.plan
    pointer = ">" if ascii_only else "→"

    def verdict(lane: Lane) -> Text:
        sign = ASCII_SIGNS.get(lane.verdict, "x") if ascii_only else SIGNS.get(lane.verdict, "?")
        return Text(f"{sign} {lane.words}", style=COLOURS.get(lane.verdict, ""))

    columns = [
        Column("", 0, lambda lane: Text(pointer if lane.recommended else "")),
        Column("rate", 0, lambda lane: Text(lane.rate_text, style="bold" if lane.recommended else "")),
    ]
    if len(plan.seeds) > 1:
        columns.append(Column("seed", 0, lambda lane: Text(str(lane.seed)), right=True))
    columns.append(Column("verdict", 0, verdict))
    validated = plan.val_size is not None
    columns.append(
        Column("train loss", 72 if validated else 40, lambda lane: Text(number_text(lane.train)), right=True)
    )
    if validated:
        columns.append(Column("val loss", 40, lambda lane: Text(number_text(lane.val)), right=True))
        columns.append(Column("best", 56, lambda lane: Text(number_text(lane.best)), right=True))
    if plan.metrics:
        title = printable(plan.metrics[0])[:12]
        columns.append(Column(title, 56, lambda lane: Text(number_text(lane.metric)), right=True))
    columns.append(Column("why", WHY_FROM, lambda lane: Text(one_line(lane.why))))
    return columns


def _table(lanes: Sequence[Lane], columns: Sequence[Column], width: int) -> Table:
    shown = [column for column in columns if width >= column.shown_from]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for column in shown:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column.right or column.title in ("", "rate"),
            overflow="fold",
        )
    for lane in lanes:
        table.add_row(*(column.text(lane) for column in shown))
    return table


def _reason(lane: Lane) -> Text:
    """'too slow, as at 1e-5: needs 12 times the steps of ...'."""
    return Text.assemble(
        (lane.verdict.replace("_", " "), COLOURS.get(lane.verdict, "")),
        f", as at {lane.rate_text}: {one_line(lane.why)}",
    )


def _headline(study: Study) -> str:
    """What was trained, for how long, and how far it came if it is not finished."""
    plan = study.plan
    parts = [
        plan.optimizer,
        plan.schedule or "",
        f"{count_text(plan.epochs, 'epoch')} of {count_text(plan.steps_per_epoch, 'step')}",
        f"batch {plan.batch_size}" if plan.batch_size else "full batch",
        f"clipped at {plan.clip_norm:g}" if plan.clip_norm is not None else "",
        f"{count_text(len(plan.rates), 'rate')} x {count_text(len(plan.seeds), 'seed')}",
    ]
    state = "" if study.state == "finished" else f" [{study.state}]"
    return f"{one_line(plan.problem)}: {printable(', '.join(part for part in parts if part))}{state}"
