"""docs/range.md, run as its readers would."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from snippets import ROOT, run, snippets

from lrscope.diagnosis.range_rules import RULES

PAGE = ROOT / "docs" / "range.md"

MINE = """
import torch
import lrscope

x = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
problem = lrscope.Problem(
    "mine", lambda: torch.nn.Linear(4, 1), (x, x.sum(1, keepdim=True)), loss=torch.nn.MSELoss(), epochs=3
)
"""


def test_every_snippet_runs_and_shows_what_the_page_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    names: dict[str, Any] = {}
    found = snippets(PAGE)
    for snippet in found:
        shown = run(snippet, names)
        if snippet.stated is not None:
            assert shown.agrees(snippet.stated), f"line {snippet.line} shows\n{shown.output}"
    assert [snippet.kind for snippet in found] == ["command", "command", "command", "python"]
    assert (tmp_path / "range.html").exists()
    assert (tmp_path / "range.svg").exists()


def test_both_tables_name_every_rule() -> None:
    first = re.findall(r"^\| ([^|]+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert first == ["rule", *(rule.name for rule in RULES)] * 2
