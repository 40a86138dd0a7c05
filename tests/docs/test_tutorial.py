"""README and tutorials, run as their readers would: every snippet, output, option, link and picture."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from snippets import CHINESE, ENGLISH, README, ROOT, Snippet, commands, furnish, run, snippets

from lrscope.cli import main

PAGES = (README, ENGLISH, CHINESE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's folder: with a few images in it; `import mine` works, as in a Python session there."""
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


@pytest.mark.parametrize("page", [README, ENGLISH], ids=lambda page: page.name)
def test_every_snippet_runs_and_shows_what_the_page_states(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {}
    for snippet in snippets(page):
        shown = run(snippet, names)
        where = f"{snippet.page}, line {snippet.line}: {snippet.source}"
        if snippet.stated is not None:
            assert shown.agrees(snippet.stated), f"{where}\nit shows\n{shown.output}\nnot\n{snippet.stated}"
        elif snippet.kind == "python":
            assert not shown.output, f"{where}\nprints what the page does not state:\n{shown.output}"
    saved = {path.name for path in folder.iterdir()}
    assert (
        {"weight.svg", "rates.svg", "mine.html"} if page == ENGLISH else {"digits.html", "wine.html"}
    ) <= saved


def test_the_chinese_tutorial_has_the_same_snippets() -> None:
    """Only comments differ, so that running the English one tests both."""
    assert [_meaning(one) for one in snippets(CHINESE)] == [_meaning(one) for one in snippets(ENGLISH)]


def _meaning(snippet: Snippet) -> tuple[str, str, str | None]:
    source = snippet.source if snippet.kind == "command" else ast.dump(ast.parse(snippet.source))
    return snippet.kind, source, snippet.stated


def test_reference_values_are_stated() -> None:
    for page in (ENGLISH, CHINESE):
        stated = " ".join(snippet.stated or "" for snippet in snippets(page))
        for value in ("weight 2.265477 bias 0.7404298", "after 1,000 epochs 2.9842885", "limit 0.11976"):
            assert value in stated


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_named_is_run_with_its_command(page: Path) -> None:
    """In prose an option stands as `--rates`; a command line of some page has to use it."""
    words = [words for one in PAGES for snippet in snippets(one) for words in _lrscope(snippet)]
    run_options = {word.partition("=")[0] for line in words for word in line if word.startswith("-")}
    text = page.read_text(encoding="utf-8")
    named = {option for quoted in re.findall(r"`([^`\n]+)`", text) for option in _options(quoted)}
    assert named - {"--help"} <= run_options
    run_commands = {line[0] for line in words}
    assert set(re.findall(r"`lrscope ([a-z-]+)", text)) <= run_commands


def test_every_command_is_shown_in_the_readme() -> None:
    shown = {words[0] for snippet in snippets(README) for words in _lrscope(snippet)}
    assert shown == set(main.list_commands(click.Context(main)))


def _lrscope(snippet: Snippet) -> list[list[str]]:
    """The words of the lrscope commands of a snippet, without "lrscope"."""
    if snippet.kind != "command":
        return []
    return [words[1:] for words in commands(snippet.source) if words[0] == "lrscope"]


def _options(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)


def test_the_two_set_up_commands_of_the_readme() -> None:
    """They need a network: what they name is there, and the continuous integration runs the second."""
    installs = [snippet.source for snippet in snippets(README) if snippet.source.startswith("pip ")]
    assert installs == [
        "pip install -c constraints.txt . && lrscope sweep digits --report digits.html",
        "pip install -c constraints.txt -e '.[test]' && pytest",
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "test" in project["optional-dependencies"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().split()}
    assert {re.split(r"[<>=\[]", name)[0].lower() for name in project["dependencies"]} <= pinned
    assert "pip install -q -c constraints.txt -e '.[test]'" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_are_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    here = [target for target in targets if not target.startswith("https://")]
    assert here
    assert [target for target in here if not (page.parent / target).exists()] == []


def test_every_picture_is_small_and_shown_and_made_by_the_script() -> None:
    script = (ROOT / "docs" / "pictures.py").read_text(encoding="utf-8")
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    pictures = sorted((ROOT / "docs" / "pictures").iterdir())
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 120_000
        assert any(f"pictures/{picture.name})" in text for text in texts)
        assert f'"{picture.stem}"' in script or f'"{picture.name}"' in script
