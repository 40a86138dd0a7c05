"""`import lrscope`: what it offers, and what it does not load until it is asked for."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import lrscope

PUBLIC = [
    "LrscopeError",
    "Plan",
    "Problem",
    "ProblemError",
    "RangeTest",
    "RatesError",
    "Recommendation",
    "RunError",
    "StoreError",
    "Study",
    "StudyError",
    "TrainingError",
    "UsageError",
    "Verdict",
    "find",
    "open",
    "range_test",
    "sweep",
]

HEAVY = ("torch", "numpy", "polars", "altair", "sklearn", "scipy", "sqlite3", "rich", "click")


def loaded_by(script: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded at the end of a script."""
    end = f"\nimport sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", script + end], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    return set(ended.stdout.split())


def test_the_public_names_are_these() -> None:
    assert lrscope.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(lrscope))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(lrscope, name)
    assert callable(value)
    assert value.__module__.startswith("lrscope.")
    assert value.__doc__


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'lrscope' has no attribute 'sweeps'"):
        _ = lrscope.sweeps  # type: ignore[attr-defined]


def test_no_module_takes_the_name_of_a_public_function() -> None:
    """`import lrscope.x` would put the module where the function was."""
    modules = {module.name for module in pkgutil.iter_modules(lrscope.__path__)}
    assert modules & set(PUBLIC) == set()
    importlib.import_module("lrscope._sweep")
    assert callable(lrscope.sweep)


def test_import_lrscope_loads_nothing_heavy() -> None:
    assert loaded_by("import lrscope") == set()
    assert loaded_by("from lrscope import StudyError, LrscopeError, Plan") == set()


def test_reading_and_judging_load_neither_torch_nor_altair() -> None:
    loaded = loaded_by("from lrscope import Study, Verdict, Recommendation, open")
    assert loaded & {"torch", "altair", "sklearn", "scipy", "rich", "click"} == set()
    assert {"polars", "sqlite3"} <= loaded
