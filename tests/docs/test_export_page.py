"""The page on exports and figures, run as its reader would run it."""

import re
from pathlib import Path
from typing import Any

import pytest
from snippets import ROOT, run, snippets

PAGE = ROOT / "docs" / "export.md"


def test_every_snippet_runs_and_shows_what_the_page_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    stated = 0
    for snippet in snippets(PAGE):
        shown = run(snippet, names)
        if snippet.stated is not None:
            stated += 1
            assert shown.agrees(snippet.stated), f"{snippet.source}\nshows\n{shown.output}"
    assert stated
    there = {path.name for path in tmp_path.iterdir()}
    assert {"line-parquet", "tables", "runs", "line-json"} <= there
    assert {"valley.pdf", "loss.png", "trajectory.svg", "histogram.html"} <= there


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", PAGE.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (PAGE.parent / target).exists()] == []
