"""Ranging: the learning-rate range test, on several seeds and by every published rule."""

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
    """A range test: rates, losses, and the rate that each published rule suggests.

    Attributes:
        problem, optimizer: names of the problem and its optimizer.
        rates: float64 [n], rising: the rate of each step.
        losses: float64 [S, n]: the mini-batch loss of each seed at each step, before its update; NaN from the
            first loss that is not finite.
        seeds: the seeds of the rows of `losses`.
        full_run: steps of one full training run.
        constant_loss: the training loss of the best constant predictor; None if it is not known.
        how: how the lanes ran, in words.
        notes: sentences for the user.
        seconds: duration of the test.
    """

    def save(self, path: str | os.PathLike[str], theme: str = "light") -> None:
        """Save the chart of the losses and the suggested rates.

        Args:
            path: the file to write; its ending is the format: .pdf, .svg, .png, .html or .json (Vega-Lite).
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
    """Train for a few steps while the rate rises exponentially, and apply every published rule to the loss.

    The result is a reference, not the answer: `RangeTest.caveats` says why, and `find` gives an answer. The
    ramp replaces the problem's schedule. Afterwards model, data, optimizer and the global random state are as
    they were.

    Args:
        problem: a Problem, or the name of a built-in one such as "digits".
        low: rate of the first step.
        high: rate of the last step.
        steps: number of steps.
        seeds: number of seeds, 0 to seeds-1, or the seeds themselves.
        device: device to train on: "cpu", "cuda", "cuda:1", ...

    Returns:
        Rates [n], losses [S, n] of S seeds and n steps, the suggestion of every rule, and the cost.

    Raises:
        UsageError: problem, rates, steps or seeds cannot be used as given; nothing was trained.
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
