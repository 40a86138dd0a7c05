"""The example notebook runs, and what it shows is drawn in a browser without a network."""

import base64
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="THE NOTEBOOK WAS NOT RUN: nbclient is not installed")
pytest.importorskip("ipykernel", reason="THE NOTEBOOK WAS NOT RUN: ipykernel is not installed")

import nbformat
from example import NOTEBOOK, executed


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with warnings.catch_warnings():
        # Of the client and of its transport to the kernel: what lrscope says stands in the cells.
        warnings.simplefilter("ignore")
        return executed(tmp_path_factory.mktemp("reader"))


def shown(notebook: Any, kind: str) -> list[Any]:
    """Every output of a notebook that comes in this kind."""
    outputs = (one for cell in notebook.cells for one in cell.get("outputs", []))
    return [one["data"][kind] for one in outputs if kind in one.get("data", {})]


def test_every_cell_runs_without_a_word_of_complaint(run: Any) -> None:
    code = [cell for cell in run.cells if cell.cell_type == "code"]
    assert len(code) >= 6
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    streams = [one.text for cell in code for one in cell.outputs if one.output_type in ("stream", "error")]
    assert streams == []


def test_studies_and_charts_come_as_page_picture_and_text(run: Any) -> None:
    pictures = [base64.b64decode(png) for png in shown(run, "image/png")]
    assert len(pictures) == 4
    assert all(png.startswith(b"\x89PNG") and len(png) > 10_000 for png in pictures)
    frames = [page for page in shown(run, "text/html") if "<iframe" in page]
    assert len(frames) == len(pictures)
    for page in frames:
        assert 'sandbox="allow-scripts allow-downloads"' in page
        assert "cdn" not in page.split("atob(")[0].lower()
        assert len(page) < 1_000_000
    assert any("Use " in text or "Cannot tell" in text for text in shown(run, "text/plain"))


def test_the_notebook_in_the_docs_shows_what_it_shows_now(run: Any) -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(kept)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in run.cells]
    assert len(shown(kept, "image/png")) == len(shown(run, "image/png"))
    assert NOTEBOOK.stat().st_size < 2_000_000


def test_charts_are_drawn_in_a_browser_without_a_network(run: Any, browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "cells.html"
    page.write_text("<!doctype html><body>" + "\n".join(shown(run, "text/html")), encoding="utf-8")
    complaints: list[str] = []
    requests: list[str] = []
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 1200})
    tab = context.new_page()
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(page.as_uri())
    frames = [frame for frame in tab.frames if frame != tab.main_frame]
    assert len(frames) == 4
    for frame in frames:
        frame.wait_for_selector('html[data-drawn="yes"]', timeout=60_000, state="attached")
        size = frame.locator("canvas").first.bounding_box()
        assert size is not None
        assert size["width"] > 300
        outside = frame.frame_element().bounding_box()
        assert outside is not None
        # The whole chart stands in its frame: nothing to scroll.
        assert frame.evaluate("document.documentElement.scrollHeight") <= outside["height"] + 1
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "about:", "data:"))] == []
