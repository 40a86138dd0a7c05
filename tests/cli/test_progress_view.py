import io
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from lrscope.outlets.progress import (
    BarView,
    LineView,
    View,
    progress_view,
)

RATES = tuple(10 ** (-5 + power / 3) for power in range(16))


class At(NamedTuple):
    """A moment of a sweep."""

    step: int
    steps: int
    alive: Sequence[bool]
    loss: Sequence[float]
    seconds: float
    how: str = "32 lanes in one pass"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _moment(step: int, *, seeds: int = 1, dead: int = 3) -> At:
    alive = [number < 16 - dead for number in range(16)] * seeds
    loss = [0.1 + abs(number - 8) if lives else math.nan for number, lives in enumerate(alive[:16])] * seeds
    return At(step, 2000, alive, loss, step / 20)


def _lines(width: int, *, seeds: int = 1, step: int = 500) -> list[str]:
    view = BarView(io.StringIO(), name="digits", rates=RATES, seeds=seeds, width=width)
    view._console.no_color = True
    with view._console.capture() as capture:
        view._console.print(view.picture(_moment(step, seeds=seeds)))
    return re.sub(r"\x1b\[[0-9;]*m", "", capture.get()).splitlines()


@pytest.mark.parametrize("width", [20, 40, 80, 300])
@pytest.mark.parametrize("seeds", [1, 40])
def test_the_picture_is_two_lines_that_fit(width: int, seeds: int) -> None:
    lines = _lines(width, seeds=seeds)
    assert len(lines) == 2
    assert all(len(line.rstrip()) <= width for line in lines)
    assert "25%" in lines[0]


@pytest.mark.parametrize("width", [40, 120])
def test_the_strip_stands_between_the_lowest_and_the_highest_rate(width: int) -> None:
    bar, strip = _lines(width)
    assert "1:15 left" in bar
    assert re.match(r"1e-5 [▁-█]{13}××× 1  13", strip)
    assert "alive" in strip


def test_without_a_terminal_one_line_every_thirty_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    view = LineView(stream, name="digits", rates=RATES, seeds=2, clock=clock)
    with view:
        for second in range(95):
            clock.now = 100.0 + second
            view(_moment(1 + 20 * second))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "digits: 2,000 steps for each of 16 rates x 2 seeds, 32 lanes in one pass"
    assert lines[1] == "digits: step 601 of 2,000 (30%), 13 of 16 lanes alive, 3 diverged, 1:10 left"
    assert len(lines) == 1 + 3


def test_notes_wait_until_training_has_begun() -> None:
    stream = io.StringIO()
    with LineView(stream, name="digits", rates=RATES, seeds=1) as view:
        view.hold("split by seed 0", "in one part")
        assert stream.getvalue() == ""
        view(_moment(1))
        view(_moment(2))
    assert stream.getvalue().splitlines()[1:] == ["split by seed 0", "in one part"]


def test_on_a_terminal_pictures_are_drawn_ten_times_a_second_at_most() -> None:
    stream, clock = Terminal(), Clock()
    with BarView(stream, name="digits", rates=RATES, seeds=1, clock=clock, width=80) as view:
        drawn = 0
        for tick in range(100):
            clock.now = 100.0 + tick / 100
            before = len(stream.getvalue())
            view(_moment(tick))
            drawn += len(stream.getvalue()) > before
    assert 9 <= drawn <= 11


def test_the_cursor_comes_back_after_an_interrupt() -> None:
    stream = Terminal()

    def train() -> None:
        with BarView(stream, name="digits", rates=RATES, seeds=1, width=80) as view:
            view(_moment(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    text = stream.getvalue()
    assert "\x1b[?25l" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("terminal", "term", "ci", "quiet", "kind"),
    [
        (True, "xterm-256color", None, False, BarView),
        (True, "xterm-256color", "false", False, BarView),
        (True, "xterm-256color", "true", False, LineView),
        (True, "dumb", None, False, LineView),
        (True, "", None, False, LineView),
        (False, "xterm-256color", None, False, LineView),
        (True, "xterm-256color", None, True, View),
    ],
)
def test_the_view_fits_the_stream(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, term: str, ci: str | None, quiet: bool, kind: type[View]
) -> None:
    monkeypatch.setenv("TERM", term)
    if ci is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", ci)
    stream = Terminal() if terminal else io.StringIO()
    view = progress_view(stream, name="digits", rates=RATES, seeds=1, quiet=quiet)
    assert type(view) is kind


def test_no_color_means_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = re.compile(r"\x1b\[[0-9;]*(3[0-8]|9[0-7])[;m]")
    texts = []
    for setting in ("", "1"):
        monkeypatch.setenv("NO_COLOR", setting)
        stream = Terminal()
        with progress_view(stream, name="digits", rates=RATES, seeds=1) as view:
            view(_moment(500))
        texts.append(stream.getvalue())
    assert coloured.search(texts[0])
    assert not coloured.search(texts[1])


def test_quiet_says_nothing() -> None:
    stream = Terminal()
    with progress_view(stream, name="digits", rates=RATES, seeds=1, quiet=True) as view:
        view.hold("a note")
        view.say("another")
        view(_moment(500))
    assert stream.getvalue() == ""


@pytest.mark.parametrize("kind", [BarView, LineView])
def test_hostile_names_are_shown_and_not_obeyed(kind: type[BarView] | type[LineView]) -> None:
    stream = Terminal()
    with kind(stream, name="[red]\x1b]0;pwned\x07", rates=RATES, seeds=1) as view:
        view.say("[bold]note\x1b[2J\nsecond")
        view(_moment(500)._replace(how="lane after lane: \x1b[31m[/red]"))
    text = stream.getvalue()
    assert "\x1b]0;" not in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "[bold]note\\x1b[2J second" in text.replace("\r\n", " ").replace("\n", " ")
    assert "[red]" in text
