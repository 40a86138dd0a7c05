"""Progress of a sweep on standard error.

A terminal gets one bar with the time left and a strip of lanes below it. Anything else (a file, a pipe,
TERM=dumb, CI) gets one line per 30 seconds.
"""

import itertools
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lrscope import language
from lrscope.language import said, say
from lrscope.outlets.text import count_text, one_line
from lrscope.rates import format_rate, format_rates

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_PICTURES = 0.1

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*%#"


class _Epoch(Protocol):
    """The end of an epoch: its number, a tracked weight ('0.weight[0,0]'), and that weight in every lane."""

    @property
    def epoch(self) -> int: ...

    @property
    def scalar(self) -> str: ...

    @property
    def values(self) -> Sequence[float]: ...


class _Moment(Protocol):
    """A sweep under way, as `lrscope.sweep` reports it; its `Progress` documents the attributes."""

    @property
    def step(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def alive(self) -> Sequence[bool]: ...

    @property
    def loss(self) -> Sequence[float]: ...

    @property
    def seconds(self) -> float: ...

    @property
    def how(self) -> str: ...

    @property
    def epochs(self) -> Sequence[_Epoch]: ...


class View:
    """A view of a sweep under way. This one shows nothing (`-q`); others show it on a stream.

    Args:
        name: the problem's, for people.
        rates, seeds: lanes are rates (rising) for every seed, seed by seed.
        verbose: write a line for every epoch.
        clock: seconds, rising; replaced in tests.
    """

    def __init__(
        self,
        *,
        name: str,
        rates: Sequence[float],
        seeds: int,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = one_line(name)
        self.rates = tuple(rates)
        self.seeds = seeds
        self.verbose = verbose
        self.clock = clock
        self._held: list[str] = []
        self._begun = False

    def hold(self, *lines: str) -> None:
        """Keep lines until training has begun: a wrong command prints its error and nothing else."""
        self._held += lines

    def __call__(self, moment: _Moment) -> None:
        """Show the state of the sweep, if it is time to."""
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
        if self.verbose:
            self.say(*map(self._epoch_line, moment.epochs))

    def _epoch_line(self, epoch: _Epoch) -> str:
        """Return 'epoch 10: 0.weight[0,0] is 2.265477 at 0.01, 2.721776 at 0.1'."""
        texts = format_rates(self.rates)
        many = self.seeds > 1
        lanes = [f"{rate} (seed {seed})" if many else rate for seed in range(self.seeds) for rate in texts]
        values = (f"{value:.7g} at {lane}" for lane, value in zip(lanes, epoch.values, strict=True))
        return f"epoch {epoch.epoch:,}: {epoch.scalar} is {', '.join(values)}"

    def say(self, *lines: str) -> None:
        """Show lines that stay."""

    def show(self, moment: _Moment) -> None:
        """Show the state of the sweep, if it is time to."""

    def __enter__(self) -> Self:
        """Begin, before anything is loaded."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the terminal as it was."""


class LineView(View):
    """A view of one line per 30 seconds."""

    def __init__(self, stream: TextIO, **settings: Any) -> None:
        super().__init__(**settings)
        self._stream = stream
        self._next = self.clock() + SECONDS_BETWEEN_LINES

    def say(self, *lines: str) -> None:
        """Write lines now."""
        for line in lines:
            print(one_line(line), file=self._stream, flush=True)

    def show(self, moment: _Moment) -> None:
        """Write a line when one is due."""
        now = self.clock()
        if now < self._next:
            return
        self._next = now + SECONDS_BETWEEN_LINES
        self.say(
            say(
                "{name}: step {step} of {steps} ({share}), {lanes}, {left} left",
                "{name}：第 {step} 步，共 {steps} 步（{share}），{lanes}，还剩 {left}",
                name=self.name,
                step=f"{moment.step:,}",
                steps=f"{moment.steps:,}",
                share=f"{moment.step / max(1, moment.steps):.0%}",
                lanes=lane_counts(moment.alive)[0],
                left=_time_left(moment),
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
        # The training loop draws it, no thread of its own; it is erased before the table comes.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Take the last lines of the terminal."""
        self._live.start()
        preparing = say("{name}: preparing", "{name}：准备中", name=self.name)
        self._live.update(Text(preparing, style="dim"), refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        """Give the lines and the cursor back."""
        self._live.stop()

    def say(self, *lines: str) -> None:
        """Write lines that stay above the bar."""
        for line in lines:
            self._console.print(Text(one_line(line)))

    def show(self, moment: _Moment) -> None:
        """Draw a picture when one is due."""
        now = self.clock()
        if now < self._next and moment.step < moment.steps:
            return
        self._next = now + SECONDS_BETWEEN_PICTURES
        self._live.update(self.picture(moment), refresh=True)

    def picture(self, moment: _Moment) -> Group:
        """Return the line of the bar and the line of the lanes."""
        width = self._console.width
        name = Text(self.name[:20] if width >= 56 else "")
        time_left = say("{left} left", "还剩 {left}", left=_time_left(moment))
        left = Text(f"{moment.step / max(1, moment.steps):4.0%}  {time_left}")
        if width >= 72:
            of_steps = language.Text("  step {step} of {steps}", "  第 {step} 步，共 {steps} 步")
            left.append(
                said(of_steps.format(step=f"{moment.step:,}", steps=f"{moment.steps:,}")), style="dim"
            )
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
        line.add_row(*((name, bar, left) if name else (bar, left)))
        return Group(line, self._strip(moment, width))

    def _strip(self, moment: _Moment, width: int) -> Text:
        """Return a character for each lane between the lowest and highest rate, and the number alive."""
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

    def _marks(self, moment: _Moment) -> Text:
        """Return the characters of the lanes in colour, a blank between seeds."""
        plain = not self._console.encoding.lower().startswith("utf")
        marks = lane_marks(moment.alive, moment.loss, plain=plain)
        strip = Text()
        for start in range(0, len(marks), len(self.rates)):
            strip.append(" " if start else "")
            of_seed = range(start, min(start + len(self.rates), len(marks)))
            for alive, lanes in itertools.groupby(of_seed, key=lambda lane: moment.alive[lane]):
                strip.append("".join(marks[lane] for lane in lanes), style="green" if alive else "red")
        return strip


def progress_view(stream: TextIO, *, quiet: bool = False, **settings: Any) -> View:
    """Return the view that fits a stream, standard error; the settings are `View`'s."""
    if quiet:
        return View(**settings)
    # Some build servers give their jobs a terminal, and keep all that was ever drawn on it.
    overwrites = stream.isatty() and os.environ.get("CI", "") in ("", "0", "false")
    if overwrites and os.environ.get("TERM", "") not in ("", "dumb", "unknown"):
        return BarView(stream, **settings)
    return LineView(stream, **settings)


def lane_marks(alive: Sequence[bool], loss: Sequence[float], *, plain: bool = False) -> str:
    """Return one character a lane: the height of its loss on a log scale, or a cross if it has diverged.

    Args:
        plain: only ASCII.
    """
    bars, cross = (_ASCII_BARS, "x") if plain else (_BARS, "×")
    heights = [
        math.log(max(value, 1e-30)) if lives and math.isfinite(value) else math.nan
        for lives, value in zip(alive, loss, strict=True)
    ]
    finite = [height for height in heights if not math.isnan(height)] or [0.0]
    low, spread = min(finite), max(finite) - min(finite) or 1.0
    return "".join(
        cross
        if not lives
        else bars[0 if math.isnan(height) else round((height - low) / spread * (len(bars) - 1))]
        for lives, height in zip(alive, heights, strict=True)
    )


def lane_counts(alive: Sequence[bool]) -> tuple[str, str]:
    """Return how many lanes are alive, long and short: '14 of 16 lanes alive, 2 diverged', '14/16 alive'."""
    living = sum(alive)
    lost = len(alive) - living
    short = say("{living}/{all} alive", "{living}/{all} 在跑", living=living, all=len(alive))
    lanes = count_text(len(alive), "lane")
    if not lost:
        return say("{lanes} alive", "{lanes}都在跑", lanes=lanes), short
    long = say(
        "{living} of {lanes} alive, {lost} diverged",
        "{lanes}中 {living} 条在跑，{lost} 条发散",
        living=f"{living:,}",
        lanes=lanes,
        lost=f"{lost:,}",
    )
    return long, short


def _time_left(moment: _Moment) -> str:
    """Return the time left at the speed so far: '0:42', '1:05:00'; '-:--' before the first step."""
    if moment.step <= 0:
        return "-:--"
    seconds = round(moment.seconds / moment.step * (moment.steps - moment.step))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
