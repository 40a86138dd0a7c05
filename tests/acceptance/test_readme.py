"""README, run as its reader would: every command in a process of its own, every block of Python."""

import re

import pytest
from snippets import README, Session, Shown, Snippet, furnish, snippets
from user import skeleton

pytestmark = pytest.mark.timeout(1200)

FOUND = [snippet for snippet in snippets(README) if snippet.kind != "file"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[Snippet, Shown]:
    """What every snippet shows, in the page's order and in one folder."""
    folder = tmp_path_factory.mktemp("reader")
    furnish(folder)
    with Session(folder) as session:
        return {snippet: session.run(snippet) for snippet in snippets(README)}


def test_every_snippet_runs(shown: dict[Snippet, Shown]) -> None:
    assert len(FOUND) > 15
    assert set(FOUND) <= set(shown)


def test_every_sweep_and_every_search_has_a_row_for_each_rate_and_an_answer(
    shown: dict[Snippet, Shown],
) -> None:
    answered = [
        one for one in FOUND if one.source.startswith(("lrscope sweep", "lrscope find", "lrscope show"))
    ]
    assert len(answered) > 6
    for snippet in answered:
        if "--json" not in snippet.source and "--lang" not in snippet.source:
            header, rates, verb = skeleton(shown[snippet].output)
            assert "verdict" in header, snippet.source
            asked = _number_of_rates(snippet.source)
            assert len(rates) == asked if asked else len(rates) >= 3, snippet.source
            assert verb, snippet.source


def _number_of_rates(line: str) -> int | None:
    """Return how many rates a command line asks for; None where it leaves them out."""
    asked = re.search(r"--rates (\S+)", line)
    if asked is None:
        return None
    return int(asked[1].rpartition(":")[2]) if ":" in asked[1] else asked[1].count(",") + 1


def test_the_output_that_the_page_states_is_of_the_shape_that_the_command_has(
    shown: dict[Snippet, Shown],
) -> None:
    """The last digits of a loss differ between machines. Columns, rates and the kind of answer do not."""
    stated = [snippet for snippet in FOUND if snippet.stated is not None]
    assert len(stated) >= 4
    for snippet in stated:
        assert snippet.stated is not None
        assert "..." not in snippet.stated, "a page shows real output"
        assert skeleton(snippet.stated) == skeleton(shown[snippet].output), snippet.source


def test_its_own_problem_has_an_answer(shown: dict[Snippet, Shown]) -> None:
    own = [
        one
        for one in FOUND
        if one.source.startswith(("lrscope sweep mine.py:problem --rates", "lrscope find"))
    ]
    assert len(own) >= 2
    assert all(skeleton(shown[snippet].output)[2] == "Use" for snippet in own)
