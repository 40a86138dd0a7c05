"""Terminal: a study as a table of lanes and one sentence, readable from 40 columns up.

Columns come as the terminal widens: at 40 the final loss, at 56 the best loss and a metric, at 72 the
training loss, at 108 the reasons. In a narrower terminal reasons stand below the table, one for each kind of
verdict.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrscope.diagnosis.verdict import kind
from lrscope.language import COMMA, joined, said, say
from lrscope.outlets.lane_rows import LaneRow, lane_rows, representatives
from lrscope.outlets.numerals import count_text, number_text
from lrscope.outlets.printable import one_line, printable
from lrscope.outlets.wording import batch_text, length_text, state_word
from lrscope.wrapping import wrapped

WIDTH_OF_FILES = 120
"""Columns where nothing says how wide the reader's terminal is."""

NARROWEST = 20

WHY_FROM = 108
"""Columns from which the reasons, of 100 characters or 200, have a column of their own: at least 45 wide."""

ROOMY_FROM = 56
"""Columns from which two blanks stand between the columns of the table, not one."""

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


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        title: its first line.
        shown_from: the width of the terminal from which it is shown.
        text: its cell for a lane.
        number: on the right, never wrapped.
        wraps: beside the reasons, to several lines.
    """

    title: str
    shown_from: int
    text: Callable[[LaneRow], Text]
    number: bool = False
    wraps: bool = False


class Terminal(Console):
    """A console that leaves it to the command what a reader that went away means."""

    def on_broken_pipe(self) -> None:
        """Pass the BrokenPipeError on; rich would end the program here, with exit code 1."""
        raise


def show(content: Mapping[str, Any], file: TextIO, width: int | None = None) -> None:
    """Write the table of lanes and the recommendation to a stream.

    Args:
        content: the document of a study, finished or not.
        file: standard output.
        width: columns; None asks the terminal.
    """
    width = max(NARROWEST, terminal_width() if width is None else width)
    # With a height as well: a width alone is not believed where TERM=dumb.
    console = Terminal(file=file, width=width, height=25, markup=False, emoji=False, highlight=False)
    lanes = lane_rows(content)
    console.print(Text(_headline(content)))
    console.print()
    console.print(
        _table(lanes, _columns(content, lanes, ascii_only=not console.encoding.startswith("utf")), width)
    )
    if width < WHY_FROM:
        console.print()
        console.print(listed([_reason(lane) for lane in representatives(lanes)], width))
    console.print()
    sentence = wrapped(one_line(content["recommendation"]["sentence"]), width)
    console.print(Text("\n".join(sentence), style="bold"))
    if content.get("conclusions"):
        console.print()
        console.print(
            Text(
                say("What this study says of a rate that is", "对学习率的三种说法，这份研究的回答"),
                style="dim",
            )
        )
        told = [Text(one_line(one["headline"])) for one in content["conclusions"]]
        console.print(listed(told, width))


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


def _columns(content: Mapping[str, Any], lanes: Sequence[LaneRow], *, ascii_only: bool) -> list[Column]:
    """The columns this study has something to say in."""
    plan = content["plan"]
    pointer = ">" if ascii_only else "→"

    def verdict(lane: LaneRow) -> Text:
        entry = kind(lane.verdict)
        return Text(f"{entry.ascii if ascii_only else entry.sign} {lane.words}", style=COLOURS[lane.verdict])

    def rate(lane: LaneRow) -> Text:
        return Text(
            f"{pointer if lane.recommended else ' '} {lane.rate_text}",
            style="bold" if lane.recommended else "",
        )

    def number(title: str, shown_from: int, value: Callable[[LaneRow], float | None]) -> Column:
        return Column(title, shown_from, lambda lane: Text(number_text(value(lane))), number=True)

    columns = [Column(say("  rate", "  学习率"), 0, rate)]
    if len(plan["seeds"]) > 1:
        columns.append(Column(say("seed", "种子"), 0, lambda lane: Text(str(lane.seed)), number=True))
    columns.append(Column(say("verdict", "判定"), 0, verdict, wraps=True))
    if len({lane.steps for lane in lanes if not lane.stopped}) > 1:
        columns.append(Column(say("steps", "步数"), 72, lambda lane: Text(f"{lane.steps:,}"), number=True))
    if any(row["best_val_loss"] is not None for row in content["lanes"]):
        columns.append(number(say("train", "训练"), 72, lambda lane: lane.train))
        columns.append(number(say("val loss", "验证损失"), 40, lambda lane: lane.val))
        columns.append(number(say("best", "最好"), 56, lambda lane: lane.best))
    else:
        columns.append(number(say("train loss", "训练损失"), 40, lambda lane: lane.train))
    if plan["metrics"]:
        columns.append(number(printable(plan["metrics"][0])[:12], 56, lambda lane: lane.metric))
    columns.append(Column(say("why", "原因"), WHY_FROM, lambda lane: Text(one_line(lane.short_why))))
    return columns


def _table(lanes: Sequence[LaneRow], columns: Sequence[Column], width: int) -> Table:
    shown = [column for column in columns if width >= column.shown_from]
    roomy = width >= ROOMY_FROM
    table = Table(box=None, padding=(0, 2 if roomy else 1, 0, 0), header_style="dim", pad_edge=False)
    for column in shown:
        table.add_column(
            column.title,
            justify="right" if column.number else "left",
            no_wrap=column.number or column is shown[0],
            # Beside the reasons, which take lines anyway, attributes go to lines of their own.
            max_width=14 if column.wraps and width >= WHY_FROM else None,
            overflow="fold",
        )
    for lane in lanes:
        table.add_row(*(column.text(lane) for column in shown))
    return table


def _reason(lane: LaneRow) -> Text:
    """'too slow, as at 1e-5: ...'."""
    word = Text(said(kind(lane.verdict).word), style=COLOURS[lane.verdict])
    why = say(", as at {rate}: {why}", "，例如 {rate}：{why}", rate=lane.rate_text, why=one_line(lane.why))
    return Text.assemble(word, why)


def listed(points: Sequence[Text], width: int) -> Text:
    """'- ' before each of them, later lines set in."""
    lines = []
    for point in points:
        start, mark = 0, "- "
        for line in wrapped(point.plain, width - 2):
            start = point.plain.index(line, start)
            lines.append(Text(mark) + point[start : start + len(line)])
            start, mark = start + len(line), "  "
    return Text("\n").join(lines)


def _headline(content: Mapping[str, Any]) -> str:
    """What was trained, for how long, and whether it came to its end."""
    plan = content["plan"]
    batch = plan["batch_size"]
    parts = [
        plan["optimizer"] + (say(" by finite differences", "（有限差分）") if plan.get("nudge") else ""),
        plan["schedule"] or "",
        length_text(plan["epochs"], plan["steps_per_epoch"]),
        batch_text(batch, plan["train_size"]),
        say("clipped at {norm}", "裁剪到 {norm}", norm=f"{plan['clip_norm']:g}")
        if plan["clip_norm"] is not None
        else "",
        count_text(len(plan["rates"]), "rate"),
        count_text(len(plan["seeds"]), "seed") if len(plan["seeds"]) > 1 else "",
    ]
    steps = max(row["steps"] for row in content["lanes"])
    come = say(
        " [{state} at step {steps} of {all}]",
        "［{state}，在第 {steps} 步，共 {all} 步］",
        state=state_word(content["state"]),
        steps=f"{steps:,}",
        all=f"{plan['epochs'] * plan['steps_per_epoch']:,}",
    )
    state = "" if content["state"] == "finished" else come
    told = joined((part for part in parts if part), COMMA)
    return printable(
        say(
            "{problem}: {told}{state}",
            "{problem}：{told}{state}",
            problem=plan["problem"],
            told=told,
            state=state,
        )
    )
