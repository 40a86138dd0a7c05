import io
import os
import re
from typing import Any

import pytest
from contents import KINDS, RATES, document, lane

from lrscope.diagnosis.verdict import KINDS as ALL_KINDS
from lrscope.outlets.json_document import lane_rows, representatives
from lrscope.outlets.terminal import COLOURS, show, terminal_width


def shown(content: dict[str, Any], width: int = 120, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    show(content, file, width)
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue().decode(encoding)


def rows(text: str) -> list[str]:
    """The lines of the table that begin a lane."""
    lines = text.splitlines()
    return [line for line in lines if re.match(r"[→> ] [\d.e-]+ +(\d+ +)?[^\w\s]( \w|\s*$)", line)]


@pytest.mark.parametrize("width", [20, 30, 40, 56, 60, 72, 80, 108, 120, 200])
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


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_on_a_narrow_terminal_a_lane_is_one_line(width: int) -> None:
    assert len(_table(width)) == 1 + len(RATES)


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (30, "rate verdict"),
        (40, "rate verdict val loss"),
        (56, "rate verdict val loss best accuracy"),
        (72, "rate verdict train val loss best accuracy"),
        (107, "rate verdict train val loss best accuracy"),
        (108, "rate verdict train val loss best accuracy why"),
    ],
)
def test_columns_come_as_the_terminal_widens(width: int, titles: str) -> None:
    assert " ".join(_table(width)[0].split()) == titles


def test_a_row_reads_like_this() -> None:
    lines = [line.rstrip() for line in shown(document(), 80).splitlines()]
    assert lines[0] == "digits: Adam, 5 epochs of 45 steps, batch 32, 8 rates"
    assert lines[3].split() == ["1e-5", "◁", "not", "started", "1.235", "2.346", "0.9877", "0.9721"]
    assert lines[6].split()[:4] == ["→", "1e-3", "●", "good"]
    assert lines[10].split() == ["1", "×", "diverged", "-", "-", "0.9877", "-"]


def test_the_reason_stands_beside_the_lane_where_there_is_room_and_below_where_not() -> None:
    wide = shown(document(), 160)
    for kind, rate in zip(KINDS, RATES, strict=True):
        assert f"evidence of {kind} at {rate:g}" in wide
    narrow = " ".join(shown(document(), 60).split())
    assert "too slow, as at 4.64e-4: evidence of too_slow" in narrow
    assert "evidence of too_slow at 0.0001" not in narrow


def test_the_reason_shown_for_a_kind_is_the_one_nearest_to_the_recommended_rate() -> None:
    chosen = representatives(lane_rows(document()))
    assert [(one["verdict"], one["rate"]) for one in chosen] == [
        ("not_started", 1e-5),
        ("too_slow", 4.6415888e-4),
        ("good", 1e-3),
        ("unstable", 0.01),
        ("failed", 0.1),
        ("diverged", 1.0),
    ]


def test_a_recommended_rate_between_two_lanes_points_to_the_nearer() -> None:
    content = document(recommendation={"rate": 3e-3, "sentence": "Use 3e-3."})
    assert [line.split()[1] for line in shown(content, 60).splitlines() if line.startswith("→")] == [
        "2.15e-3"
    ]


def test_beside_a_lane_stands_the_evidence_of_its_verdict_only() -> None:
    content = document(lanes=[lane(1e-3, "good", evidence="the best rate; it took 1.0 times as many steps")])
    wide = shown(content, 120)
    assert "the best rate" in wide
    assert "as many steps" not in wide
    assert "as many steps" in shown(content, 80)


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


def test_attributes_stand_with_the_verdict() -> None:
    content = document(lanes=[lane(1e-3, "good", attributes=["ringing", "overfitting"])])
    assert "● good, ringing, overfitting" in shown(content, 80)


def test_rates_that_differ_late_are_told_apart() -> None:
    content = document(lanes=[lane(0.1001, "good"), lane(0.1002, "good")])
    text = shown(content, 60)
    assert "0.1001 " in text
    assert "0.1002 " in text


def test_a_study_that_did_not_finish_says_how_far_it_came() -> None:
    line = shown(document(state="interrupted"), 120).splitlines()[0]
    assert line.endswith("8 rates [interrupted at step 225 of 225]")


def test_full_batch_schedule_and_clipping_are_told() -> None:
    plan = {"batch_size": 1440, "schedule": "cosine", "clip_norm": 0.5, "epochs": 1}
    line = shown(document(plan=plan), 120).splitlines()[0]
    assert line == "digits: Adam, cosine, 1 epoch of 45 steps, full batch, clipped at 0.5, 8 rates"


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


def test_an_ascii_terminal_gets_ascii_signs() -> None:
    text = shown(document(), 80, encoding="ascii")
    assert "> 1e-3" in text
    assert "+ good" in text
    assert "x diverged" in text


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


def test_the_width_is_what_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "61")
    assert terminal_width() == 61


@pytest.mark.parametrize("columns", ["", "0", "-3", "wide"])
def test_without_a_terminal_the_table_is_wide(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    def refuse(_: int) -> os.terminal_size:
        raise OSError("no terminal")

    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(os, "get_terminal_size", refuse)
    assert terminal_width() == 120


def test_a_terminal_that_says_zero_columns_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((0, 0)))
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
@pytest.mark.parametrize("width", [40, 60, 80, 120])
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
