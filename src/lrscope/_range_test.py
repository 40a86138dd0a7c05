"""Ranging: the learning-rate range test, as people run it, with its spread over seeds."""

import os
from collections.abc import Sequence
from pathlib import Path

from lrscope.diagnosis.range_reading import RangeReading
from lrscope.output.figure import save_range_figure
from lrscope.problems.constant_loss import constant_loss
from lrscope.problems.load import given_problem
from lrscope.problems.problem import Problem
from lrscope.ramp import ramp
from lrscope.training.optimizers import describe


class RangeTest(RangeReading):
    """A range test: a reading, which can be saved as a chart."""

    def save(self, path: str | os.PathLike[str], theme: str = "light") -> None:
        """Save its chart: .pdf, .svg, .png, .html or .json (Vega-Lite).

        Args:
            path: the file; its ending is the format.
            theme: "light" or "dark".

        Raises:
            UsageError: there is no such format or theme, or no file can be written there.
        """
        save_range_figure(self, Path(path), theme)


def range_test(
    problem: Problem | str,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    seeds: int | Sequence[int] = 4,
    device: str = "cpu",
) -> RangeTest:
    """Train while the rate rises exponentially from step to step, and read it by every published rule.

    A reference, not the answer: see `RangeTest.caveats`. The problem's own schedule gives way to the ramp;
    its model, data and optimizer and the global random state are as before afterwards.

    Args:
        problem: a Problem, or the name of a built-in one.
        low, high: the rates of the first and of the last step.
        steps: of the ramp.
        seeds: starts and batch orders: how many, 0..seeds-1, or which.
        device: "cpu", "cuda", ...

    Returns:
        Rates [n], losses [S, n], what every rule suggests for every seed, and what it cost in full runs.

    Raises:
        UsageError: problem, rates, steps or seeds cannot be used as they are; nothing was trained.
        TrainingError: the model raised while training.
    """
    problem = given_problem(problem)
    measured = ramp(problem, seeds, low=low, high=high, steps=steps, device=device)
    return RangeTest(
        problem=problem.name,
        optimizer=describe(problem.optimizer)[0],
        rates=measured.rates,
        losses=measured.losses,
        seeds=measured.seeds,
        full_run=measured.full_run,
        how=measured.how,
        notes=measured.notes,
        seconds=measured.seconds,
        constant_loss=constant_loss(problem),
    )
