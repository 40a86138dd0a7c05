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
    from lrscope.diagnosis.recommendation import Recommendation
    from lrscope.diagnosis.verdict import Verdict
    from lrscope.finding import find
    from lrscope.plan import Plan
    from lrscope.problems.problem import Problem
    from lrscope.ranging import RangeTest, range_test
    from lrscope.study import Study
    from lrscope.study import open_study as open
    from lrscope.sweeping import sweep

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
    "RangeTest": ("lrscope.ranging", "RangeTest"),
    "Recommendation": ("lrscope.diagnosis.recommendation", "Recommendation"),
    "Study": ("lrscope.study", "Study"),
    "Verdict": ("lrscope.diagnosis.verdict", "Verdict"),
    "find": ("lrscope.finding", "find"),
    "open": ("lrscope.study", "open_study"),
    "range_test": ("lrscope.ranging", "range_test"),
    "sweep": ("lrscope.sweeping", "sweep"),
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'lrscope' has no attribute {name!r}")
    module, attribute = _ON_FIRST_USE[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
