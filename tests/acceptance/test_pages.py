"""The tutorial, run as its readers would."""

from pathlib import Path

import pytest
from snippets import ENGLISH, Session, furnish, snippets

pytestmark = pytest.mark.timeout(1200)

MINE = """
import torch
import lrscope

x = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
problem = lrscope.Problem(
    "mine", lambda: torch.nn.Linear(4, 1), (x, x.sum(1, keepdim=True)), loss=torch.nn.MSELoss(), epochs=3
)
"""


PAGES = {
    ENGLISH: {"weight.svg", "rates.svg", "ringing.svg", "histogram.svg", "mine.html"},
}
"""Every page, and what its reader has in the folder afterwards."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_snippet_runs_and_shows_what_the_page_states(page: Path, tmp_path: Path) -> None:
    furnish(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    stated = 0
    with Session(tmp_path) as session:
        for snippet in snippets(page):
            shown = session.run(snippet)
            where = f"{snippet.page}, line {snippet.line}: {snippet.source}"
            if snippet.stated is not None:
                stated += 1
                assert shown.agrees(snippet.stated), f"{where}\nshows\n{shown.output}\nnot\n{snippet.stated}"
            elif snippet.kind == "python":
                assert not shown.output, f"{where}\nprints what the page does not state:\n{shown.output}"
    assert stated
    assert PAGES[page] <= {path.name for path in tmp_path.iterdir()}
