"""lrscope shows what a learning rate does to a PyTorch model, and finds the right one."""

import importlib
from typing import TYPE_CHECKING, Any

from lrscope.errors import (
    LrscopeError,
    ProblemError,
    RatesError,
    RunError,
    StoreError,
    StudyError,
    TrainingError,
    UsageError,
)

if TYPE_CHECKING:
    from lrscope._find import find
    from lrscope._range_test import RangeTest, range_test
    from lrscope._sweep import sweep
    from lrscope.diagnosis.recommendation import Recommendation
    from lrscope.diagnosis.verdict import Verdict
    from lrscope.plan import Plan
    from lrscope.problems.problem import Problem
    from lrscope.study import Study
    from lrscope.study import open_study as open

__all__ = [
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

# Loaded on first use, so that a study opens without torch and `lrscope --help` loads nothing heavy. The
# module is called `sweeping`: importing a module `sweep` would replace the function of that name here.
_ON_FIRST_USE = {
    "Plan": ("lrscope.plan", "Plan"),
    "Problem": ("lrscope.problems.problem", "Problem"),
    "RangeTest": ("lrscope._range_test", "RangeTest"),
    "Recommendation": ("lrscope.diagnosis.recommendation", "Recommendation"),
    "Study": ("lrscope.study", "Study"),
    "Verdict": ("lrscope.diagnosis.verdict", "Verdict"),
    "find": ("lrscope._find", "find"),
    "open": ("lrscope.study", "open_study"),
    "range_test": ("lrscope._range_test", "range_test"),
    "sweep": ("lrscope._sweep", "sweep"),
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'lrscope' has no attribute {name!r}")
    module, attribute = _ON_FIRST_USE[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
