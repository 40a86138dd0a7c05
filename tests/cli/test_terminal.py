import io
import os
import re
from typing import Any

import pytest
from contents import KINDS, RATES, document, lane

from lrscope.diagnosis.verdict import KINDS as ALL_KINDS
from lrscope.output.terminal import COLOURS, show, terminal_width


def shown(content: dict[str, Any], width: int = 120, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    show(content, file, width)
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue().decode(encoding)


def rows(text: str) -> list[str]:
    """The lines of the table that begin a lane."""
    lines = text.splitlines()
    return [line for line in lines if re.match(r"[→> ] [\d.e-]+ +(\d+ +)?[^\w\s]( \w|\s*$)", line)]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 108, 200])
@pytest.mark.parametrize("seeds", [1, 3])
def test_nothing_is_wider_than_the_terminal_and_no_lane_is_missing(width: int, seeds: int) -> None:
    text = shown(document(seeds), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert len(rows(text)) == len(RATES) * seeds


def _table(width: int, seeds: int = 1) -> list[str]:
    """The title line and the rows, up to the blank line after them."""
    lines = [line.rstrip() for line in shown(document(seeds), width).splitlines()]
    start = lines.index("") + 1
    return lines[start : lines.index("", start)]


def test_the_reason_stands_beside_the_lane_where_there_is_room_and_below_where_not() -> None:
    wide = shown(document(), 160)
    for kind, rate in zip(KINDS, RATES, strict=True):
        assert f"evidence of {kind} at {rate:g}" in wide
    narrow = " ".join(shown(document(), 60).split())
    assert "too slow, as at 4.64e-4: evidence of too_slow" in narrow
    assert "evidence of too_slow at 0.0001" not in narrow


def test_a_recommended_rate_between_two_lanes_points_to_the_nearer() -> None:
    content = document(recommendation={"rate": 3e-3, "sentence": "Use 3e-3."})
    assert [line.split()[1] for line in shown(content, 60).splitlines() if line.startswith("→")] == [
        "2.15e-3"
    ]


def test_without_a_recommendation_there_is_no_pointer() -> None:
    content = document(recommendation={"rate": None, "sentence": "Cannot tell: the best rate is the edge."})
    text = shown(content, 60)
    assert "→" not in text
    assert text.rstrip().endswith("Cannot tell: the best rate is the edge.")


def test_seeds_have_a_column_only_where_there_are_several() -> None:
    assert "seed" not in _table(60)[0]
    assert "3 seeds" in shown(document(3), 80).splitlines()[0]
    title, *lanes = _table(60, seeds=3)
    assert title.split()[:3] == ["rate", "seed", "verdict"]
    assert [line.split()[1] for line in lanes[:3]] == ["0", "1", "2"]


def test_a_study_without_validation_or_metrics_shows_what_it_has() -> None:
    content = document(plan={"metrics": [], "val_size": None})
    for row in content["lanes"]:
        row.update(final_val_loss=None, best_val_loss=None, metrics={})
    for width in (70, 80):
        assert shown(content, width).splitlines()[2].split() == ["rate", "verdict", "train", "loss"]


def test_every_kind_has_a_colour() -> None:
    assert set(COLOURS) == {kind.token for kind in ALL_KINDS}


def test_a_dumb_terminal_has_its_own_width_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    texts = []
    for term in ("xterm-256color", "dumb"):
        monkeypatch.setenv("TERM", term)
        file = Terminal()
        show(document(), file, 40)
        texts.append(file.getvalue())
    assert "\x1b[" in texts[0]
    assert "\x1b" not in texts[1]
    assert max(len(line) for line in texts[1].splitlines()) <= 40


@pytest.mark.parametrize("width", [40, 120])
def test_hostile_names_are_shown_and_not_obeyed(width: int) -> None:
    hostile = "[red]\x1b]0;pwned\x07[/red]"
    content = document(
        plan={
            "problem": hostile,
            "optimizer": "A\x1b[2J",
            "schedule": "\x9b31m",
            "metrics": ["\x1b[31ma\nb"],
        },
        lanes=[lane(1e-3, "good", evidence=f"evidence {hostile}\nsecond line", metrics={"x": 1.0})],
        recommendation={"rate": None, "sentence": f"[bold]{hostile}"},
    )
    text = shown(content, width)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert "[red]\\x1b]0;pwned\\x07[/red]" in text.replace("\n", "")
    assert "[bold]" in text


@pytest.mark.parametrize("columns", ["", "0", "-3", "wide"])
def test_without_a_terminal_the_table_is_wide(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    def refuse(_: int) -> os.terminal_size:
        raise OSError("no terminal")

    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(os, "get_terminal_size", refuse)
    assert terminal_width() == 120


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
        (False, {"CI": "true", "GITHUB_ACTIONS": "true"}, False),
    ],
)
@pytest.mark.parametrize("width", [40, 120])
def test_colour_is_for_terminals_that_want_it_and_changes_no_word(
    monkeypatch: pytest.MonkeyPatch, width: int, terminal: bool, environment: dict[str, str], coloured: bool
) -> None:
    class Stream(io.TextIOWrapper):
        def isatty(self) -> bool:
            return terminal

    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = Stream(io.BytesIO(), encoding="utf-8", write_through=True)
    show(document(), file, width)
    assert isinstance(file.buffer, io.BytesIO)
    text = file.buffer.getvalue().decode()
    colours = re.findall(r"\x1b\[[\d;]*3\d[\d;]*m", text)
    assert bool(colours) == coloured
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= width
    assert plain.split() == shown(document(), width).split()
