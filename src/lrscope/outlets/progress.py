"""Progress: how far a sweep is, on standard error.

On a terminal one bar with the time left and a strip of lanes below it: lanes advance together, so one bar
is the whole truth. Anywhere else (a file, a pipe, TERM=dumb, CI) one line per 30 seconds.
"""

import itertools
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lrscope.language import said, say
from lrscope.outlets.lane_strip import lane_counts, lane_marks
from lrscope.outlets.text import count_text, one_line
from lrscope.rates import format_rate

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_PICTURES = 0.1


class Moment(Protocol):
    """What is shown of a sweep under way; `lrscope.sweep` hands these out."""

    @property
    def step(self) -> int:
        """Updates done."""

    @property
    def steps(self) -> int:
        """Updates in all."""

    @property
    def alive(self) -> Sequence[bool]:
        """For each lane whether its loss is still finite."""

    @property
    def loss(self) -> Sequence[float]:
        """For each lane its latest loss."""

    @property
    def seconds(self) -> float:
        """Since the sweep began."""

    @property
    def how(self) -> str:
        """How the lanes are trained, and why so."""


class View(ABC):
    """Shows moments on a stream.

    Args:
        name: the problem's, for people.
        rates, seeds: lanes are rates (rising) for every seed, seed by seed.
        clock: seconds, rising; replaced in tests.
    """

    def __init__(
        self, *, name: str, rates: Sequence[float], seeds: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = one_line(name)
        self.rates = tuple(rates)
        self.seeds = seeds
        self.clock = clock
        self._held: list[str] = []
        self._begun = False

    def hold(self, *lines: str) -> None:
        """Lines to say once training has begun: a command that turns out wrong says one line only."""
        self._held += lines

    def __call__(self, moment: Moment) -> None:
        """Show a moment, if it is time to."""
        if not self._begun:
            self._begun = True
            lanes = say(
                " for each of {rates} x {seeds}",
                "（{rates} × {seeds}，每条都是）",
                rates=count_text(len(self.rates), "rate"),
                seeds=count_text(self.seeds, "seed"),
            )
            steps = f"{count_text(moment.steps, 'step')}{lanes if self.seeds > 1 else ''}"
            self.say(f"{self.name}: {steps}, {said(moment.how)}", *self._held)
        self.show(moment)

    @abstractmethod
    def say(self, *lines: str) -> None:
        """Show lines that stay."""

    @abstractmethod
    def show(self, moment: Moment) -> None:
        """Show a moment, if it is time to."""

    def __enter__(self) -> Self:
        """Begin, before anything is loaded."""
        return self

    def __exit__(  # noqa: B027 - only a bar takes anything from the terminal
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was found."""


class QuietView(View):
    """Shows nothing (`-q`)."""

    def say(self, *lines: str) -> None:
        """Keep silent."""

    def show(self, moment: Moment) -> None:
        """Keep silent."""


class LineView(View):
    """One line per 30 seconds."""

    def __init__(self, stream: TextIO, **settings: Any) -> None:
        super().__init__(**settings)
        self._stream = stream
        self._next = self.clock() + SECONDS_BETWEEN_LINES

    def say(self, *lines: str) -> None:
        """Write lines now."""
        for line in lines:
            print(one_line(line), file=self._stream, flush=True)

    def show(self, moment: Moment) -> None:
        """Write a line when one is due."""
        now = self.clock()
        if now < self._next:
            return
        self._next = now + SECONDS_BETWEEN_LINES
        share = moment.step / max(1, moment.steps)
        self.say(
            say(
                "{name}: step {step} of {steps} ({share}), {lanes}, {left} left",
                "{name}：第 {step} 步，共 {steps} 步（{share}），{lanes}，还剩 {left}",
                name=self.name,
                step=f"{moment.step:,}",
                steps=f"{moment.steps:,}",
                share=f"{share:.0%}",
                lanes=lane_counts(moment.alive)[0],
                left=_left(moment),
            )
        )


class BarView(View):
    """A bar with the time left, and a strip of lanes with the height of their losses.

    Args:
        width: columns; None asks the terminal, again for every picture.
    """

    def __init__(self, stream: TextIO, *, width: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._next = -math.inf
        self._console = Console(
            file=stream, width=width, force_terminal=True, markup=False, emoji=False, highlight=False
        )
        # Drawn by the loop that trains, never by a thread beside it; gone when the table comes.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Take the last lines of the terminal."""
        self._live.start()
        self._live.update(
            Text(say("{name}: preparing", "{name}：准备中", name=self.name), style="dim"), refresh=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lines and the cursor back."""
        self._live.stop()

    def say(self, *lines: str) -> None:
        """Write lines that stay above the bar."""
        for line in lines:
            self._console.print(Text(one_line(line)))

    def show(self, moment: Moment) -> None:
        """Draw a picture when one is due."""
        now = self.clock()
        if now < self._next and moment.step < moment.steps:
            return
        self._next = now + SECONDS_BETWEEN_PICTURES
        self._live.update(self.picture(moment), refresh=True)

    def picture(self, moment: Moment) -> Group:
        """The two lines."""
        width = self._console.width
        name = Text(self.name[:20] if width >= 56 else "")
        time = say("{left} left", "还剩 {left}", left=_left(moment))
        left = Text(f"{moment.step / max(1, moment.steps):4.0%}  {time}")
        if width >= 72:
            step, steps = f"{moment.step:,}", f"{moment.steps:,}"
            told = say("  step {step} of {steps}", "  第 {step} 步，共 {steps} 步", step=step, steps=steps)
            left.append(told, style="dim")
        # A blank after each of the cells, and one to spare: a full line wraps in some terminals.
        space = width - name.cell_len - left.cell_len - 3
        if space < 5:
            return Group(left, self._strip(moment, width))
        bar = ProgressBar(
            total=moment.steps,
            completed=moment.step,
            width=min(40, space),
            complete_style="cyan",
            finished_style="cyan",
        )
        line = Table.grid(padding=(0, 1))
        if name:
            line.add_row(name, bar, left)
        else:
            line.add_row(bar, left)
        return Group(line, self._strip(moment, width))

    def _strip(self, moment: Moment, width: int) -> Text:
        """A character a lane between the lowest and the highest rate, and how many are alive: what fits."""
        strip = self._marks(moment)
        counts, short = lane_counts(moment.alive)
        low, high = format_rate(self.rates[0]), format_rate(self.rates[-1])
        for before, after in (
            (f"{low} ", f" {high}  {counts}"),
            (f"{low} ", f" {high}  {short}"),
            ("", f"  {short}"),
            ("", ""),
        ):
            if len(before) + len(strip) + cell_len(after) <= width:
                return Text.assemble((before, "dim"), strip, (after, "dim"), no_wrap=True)
        return Text(counts if cell_len(counts) <= width else short, style="dim", no_wrap=True)

    def _marks(self, moment: Moment) -> Text:
        """The characters of the lanes in colour, a blank between seeds."""
        plain = not self._console.encoding.lower().startswith("utf")
        marks = lane_marks(moment.alive, moment.loss, plain=plain)
        strip = Text()
        for start in range(0, len(marks), len(self.rates)):
            strip.append(" " if start else "")
            of_seed = range(start, min(start + len(self.rates), len(marks)))
            for alive, lanes in itertools.groupby(of_seed, key=lambda lane: moment.alive[lane]):
                strip.append("".join(marks[lane] for lane in lanes), style="green" if alive else "red")
        return strip


def progress_view(
    stream: TextIO, *, name: str, rates: Sequence[float], seeds: int, quiet: bool = False
) -> View:
    """The view that fits a stream, standard error; the other arguments are `View`'s."""
    settings: dict[str, Any] = {"name": name, "rates": rates, "seeds": seeds}
    if quiet:
        return QuietView(**settings)
    # Some build servers give their jobs a terminal, and keep all that was ever drawn on it.
    drawn_over = stream.isatty() and os.environ.get("CI", "") in ("", "0", "false")
    if drawn_over and os.environ.get("TERM", "") not in ("", "dumb", "unknown"):
        return BarView(stream, **settings)
    return LineView(stream, **settings)


def _left(moment: Moment) -> str:
    """The time left at the speed so far: '0:42', '1:05:00'; '-:--' before the first step."""
    if moment.step <= 0:
        return "-:--"
    seconds = round(moment.seconds / moment.step * (moment.steps - moment.step))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
