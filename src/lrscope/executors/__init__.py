"""Executors: where Blocks are trained."""

from collections.abc import Collection

from lrscope.executors.in_process import InProcess
from lrscope.executors.processes import Processes
from lrscope.plan import Plan
from lrscope.training.prepare import Prepared

__all__ = ["EXECUTORS", "InProcess", "Processes", "executor_for"]

EXECUTORS = (InProcess, Processes)
"""All of them."""


def executor_for(prepared: Prepared, plan: Plan, validate_at: Collection[int] = ()) -> InProcess | Processes:
    """Return the executor that the layout of a prepared problem asks for."""
    if prepared.layout.processes > 1:
        return Processes(prepared, plan, prepared.layout.processes, validate_at)
    return InProcess(prepared, plan, validate_at)
