"""The table of lanes and the recommendation in a terminal, readable from 40 columns up.

Columns come as the terminal widens: at 40 the final loss, at 56 the best loss and a metric, at 72 the
training loss, at 108 the reasons. In a narrower terminal reasons stand below the table, one for each kind of
verdict.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrscope.diagnosis.verdict import kind
from lrscope.language import COMMA, joined, said, say
from lrscope.outlets.json_document import lane_rows, representatives
from lrscope.outlets.text import (
    batch_text,
    count_text,
    length_text,
    number_text,
    one_line,
    printable,
    state_text,
)
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
    **dict.fromkeys(("too_slow", "not_started", "frozen"), "blue"),
    **dict.fromkeys(("unstable", "too_high"), "yellow"),
    **dict.fromkeys(("failed", "collapsed", "diverging", "diverged"), "magenta"),
    **dict.fromkeys(("invalid", "cannot_tell"), "dim"),
}
"""Of the sign and word of each verdict; never the only difference."""


class Column(NamedTuple):
    """A column of the table.

    Attributes:
        title: its first line.
        shown_from: the width of the terminal from which it is shown.
        text: returns its cell for a lane.
        number: True puts it on the right, never wrapped.
        wraps: True lets it take several lines next to the reasons.
    """

    title: str
    shown_from: int
    text: Callable[[dict[str, Any]], Text]
    number: bool = False
    wraps: bool = False


class Terminal(Console):
    """A console of plain text that leaves it to the command what a broken pipe means.

    Args:
        file: standard output.
        width: columns; None asks the terminal.
    """

    def __init__(self, file: TextIO, width: int | None) -> None:
        width = max(NARROWEST, terminal_width() if width is None else width)
        # With a height as well: rich does not believe a width alone where TERM=dumb.
        super().__init__(file=file, width=width, height=25, markup=False, emoji=False, highlight=False)

    def on_broken_pipe(self) -> None:
        """Pass the BrokenPipeError on; rich would end the program here, with exit code 1."""
        raise

    def table(self) -> Table:
        """Return an empty table without lines."""
        space = 2 if self.width >= ROOMY_FROM else 1
        return Table(box=None, padding=(0, space, 0, 0), header_style="dim", pad_edge=False)

    def points(self, texts: Sequence[Text]) -> None:
        """Print texts with '- ' before each of them, later lines set in."""
        for text in texts:
            start, mark = 0, "- "
            for line in wrapped(text.plain, self.width - 2):
                start = text.plain.index(line, start)
                self.print(Text(mark) + text[start : start + len(line)])
                start, mark = start + len(line), "  "


def show(content: Mapping[str, Any], file: TextIO, width: int | None = None) -> None:
    """Write the table of lanes and the recommendation to a stream.

    Args:
        content: the document of a study, finished or not.
        file: standard output.
        width: columns; None asks the terminal.
    """
    console = Terminal(file, width)
    lanes = lane_rows(content)
    console.print(Text(_headline(content)))
    console.print()
    _print_lanes(console, lanes, _columns(content, ascii_only=not console.encoding.startswith("utf")))
    if console.width < WHY_FROM:
        console.print()
        console.points([_reason(lane) for lane in representatives(lanes)])
    console.print()
    sentence = wrapped(one_line(content["recommendation"]["sentence"]), console.width)
    console.print(Text("\n".join(sentence), style="bold"))
    if content.get("conclusions"):
        heading = say("What this study says of a rate that is", "对学习率的三种说法，这份研究的回答")
        console.print()
        console.print(Text(heading, style="dim"))
        console.points([Text(one_line(conclusion["headline"])) for conclusion in content["conclusions"]])


def terminal_width() -> int:
    """Return the columns of the user's terminal: COLUMNS, else of a standard stream that has a terminal."""
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


def _columns(content: Mapping[str, Any], *, ascii_only: bool) -> list[Column]:
    """Return the columns that this study fills."""
    plan = content["plan"]
    pointer = ">" if ascii_only else "→"

    def verdict(lane: dict[str, Any]) -> Text:
        entry = kind(lane["verdict"])
        return Text(
            f"{entry.ascii if ascii_only else entry.sign} {lane['words']}", style=COLOURS[lane["verdict"]]
        )

    def rate(lane: dict[str, Any]) -> Text:
        return Text(
            f"{pointer if lane['recommended'] else ' '} {lane['rate_text']}",
            style="bold" if lane["recommended"] else "",
        )

    def number(title: str, shown_from: int, key: str) -> Column:
        return Column(title, shown_from, lambda lane: Text(number_text(lane[key])), number=True)

    columns = [Column(say("  rate", "  学习率"), 0, rate)]
    if len(plan["seeds"]) > 1:
        columns.append(Column(say("seed", "种子"), 0, lambda lane: Text(str(lane["seed"])), number=True))
    columns.append(Column(say("verdict", "判定"), 0, verdict, wraps=True))
    if len({lane["steps"] for lane in content["lanes"] if lane["stopped_step"] is None}) > 1:
        columns.append(Column(say("steps", "步数"), 72, lambda lane: Text(f"{lane['steps']:,}"), number=True))
    if any(row["best_val_loss"] is not None for row in content["lanes"]):
        columns.append(number(say("train", "训练"), 72, "final_train_loss"))
        columns.append(number(say("val loss", "验证损失"), 40, "final_val_loss"))
        columns.append(number(say("best", "最好"), 56, "best_val_loss"))
    else:
        columns.append(number(say("train loss", "训练损失"), 40, "final_train_loss"))
    if plan["metrics"]:
        metric = plan["metrics"][0]
        value = Column(
            printable(metric)[:12], 56, lambda lane: Text(number_text(lane["metrics"].get(metric)))
        )
        columns.append(value._replace(number=True))
    columns.append(Column(say("why", "原因"), WHY_FROM, lambda lane: Text(one_line(lane["why"]))))
    return columns


def _print_lanes(console: Terminal, lanes: Sequence[dict[str, Any]], columns: Sequence[Column]) -> None:
    shown = [column for column in columns if console.width >= column.shown_from]
    table = console.table()
    for column in shown:
        table.add_column(
            column.title,
            justify="right" if column.number else "left",
            no_wrap=column.number or column is shown[0],
            # Next to the reasons, which take lines anyway, attributes go to lines of their own.
            max_width=14 if column.wraps and console.width >= WHY_FROM else None,
            overflow="fold",
        )
    for lane in lanes:
        table.add_row(*(column.text(lane) for column in shown))
    console.print(table)


def _reason(lane: dict[str, Any]) -> Text:
    """Return the reason of a verdict with an example: 'too slow, as at 1e-5: ...'."""
    word = Text(said(kind(lane["verdict"]).word), style=COLOURS[lane["verdict"]])
    why = say(
        ", as at {rate}: {why}",
        "，例如 {rate}：{why}",
        rate=lane["rate_text"],
        why=one_line(lane["evidence"]),
    )
    return Text.assemble(word, why)


def _headline(content: Mapping[str, Any]) -> str:
    """Say what was trained, for how long, and whether it came to its end."""
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
    state = ""
    if content["state"] != "finished":
        state = say(
            " [{state} at step {steps} of {all}]",
            "［{state}，在第 {steps} 步，共 {all} 步］",
            state=state_text(content["state"]),
            steps=f"{max(row['steps'] for row in content['lanes']):,}",
            all=f"{plan['epochs'] * plan['steps_per_epoch']:,}",
        )
    about = joined((part for part in parts if part), COMMA)
    problem = plan["problem"]
    return printable(
        say(
            "{problem}: {about}{state}",
            "{problem}：{about}{state}",
            problem=problem,
            about=about,
            state=state,
        )
    )
