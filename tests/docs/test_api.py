"""docs/api.md is what docs/api.py makes of the docstrings."""

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import lrscope

SCRIPT = Path(__file__).parents[2] / "docs" / "api.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script, loaded as a module."""
    spec = importlib.util.spec_from_file_location("api", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_makes(script: ModuleType) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "write it again: python docs/api.py"


def test_every_public_name_is_on_the_page(script: ModuleType) -> None:
    assert {*script.FUNCTIONS, *script.OWNERS, *script.ERRORS} == set(lrscope.__all__)


@pytest.mark.parametrize("name", ["sweep", "find", "range_test", "open"])
def test_every_argument_is_described(script: ModuleType, name: str) -> None:
    function = getattr(lrscope, name)
    told = script.prose(function)
    assert [one for one in inspect.signature(function).parameters if f"- `{one}`: " not in told] == []


def test_every_field_of_a_problem_is_described(script: ModuleType) -> None:
    told = script.prose(lrscope.Problem)
    assert [one for one in inspect.signature(lrscope.Problem).parameters if f"- `{one}`: " not in told] == []
