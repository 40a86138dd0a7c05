"""What README and tutorials name: options, commands, links, pictures, the lines that set lrscope up."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from snippets import CHINESE, ENGLISH, README, ROOT, Snippet, commands, snippets
from user import done

PAGES = (README, ENGLISH, CHINESE)
LINKING = (*PAGES, ROOT / "docs" / "export.md")


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


def test_every_command_is_shown_in_the_readme(tmp_path: Path) -> None:
    shown = {words[0] for snippet in snippets(README) for words in _lrscope(snippet)}
    listed = done("lrscope --help", tmp_path).output.partition("Commands:\n")[2].partition("\n\n")[0]
    assert shown == set(re.findall(r"^  (\S+)", listed, re.MULTILINE))


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
        "pip install -c constraints.txt .",
        "pip install -c constraints.txt -e '.[test]' && pytest",
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "test" in project["optional-dependencies"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().split()}
    assert {re.split(r"[<>=\[]", name)[0].lower() for name in project["dependencies"]} <= pinned
    assert "pip install -q -c constraints.txt -e '.[test]'" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
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
