"""`lrscope check-gradients`: compare autograd with finite differences."""

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrscope.cli.command import FAILED, Command
from lrscope.cli.options import counted
from lrscope.cli.problem_options import DATA, JSON, PROBLEM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lrscope.training.check_gradients import Element, GradientCheck, TensorCheck

SAY_FROM = 5.0
"""Seconds from which a check says in advance how long it will take."""


@click.command(
    "check-gradients",
    cls=Command,
    short_help="Compare autograd with finite differences.",
    examples=(
        ("lrscope check-gradients digits", "a built-in problem"),
        ("lrscope check-gradients mine.py:problem", "your own model and loss"),
        (
            "lrscope check-gradients mine.py:problem --elements 4 --batch-size 2",
            "a large model, in less time",
        ),
    ),
)
@PROBLEM
@counted(
    "--elements",
    1,
    "Elements of each tensor to check one by one; a random sample of a larger tensor.",
    default=32,
)
@counted("--batch-size", 1, "Examples in the batch. [default: the problem's, but at most 32]")
@counted("--seed", 0, "Random seed of the model, the batch and the sample.", default=0)
@DATA
@JSON
@click.pass_context
def check_gradients_command(
    context: click.Context,
    problem: str,
    elements: int,
    batch_size: int | None,
    seed: int,
    data: Path | None,
    as_json: bool,
) -> None:
    """Compare the gradients of PROBLEM by autograd with central finite differences, in float64.

    Every tensor is checked at the initial weights, on one batch, and the worst element is named. The exit
    code is 1 if a gradient is wrong. A gradient that differs on purpose (detach, straight-through) counts as
    wrong too: it is not the derivative of the loss.
    """
    # What a user's model prints goes to standard error: standard output is for results, and may be JSON.
    with contextlib.redirect_stdout(sys.stderr):
        from lrscope.problems.load import load_problem
        from lrscope.training.check_gradients import check_gradients

        check = check_gradients(
            load_problem(problem, data),
            elements=elements,
            batch_size=batch_size,
            seed=seed,
            announce=_announce,
        )
    from lrscope.output.json_document import strict

    content = strict(_document(check))
    if as_json:
        click.echo(json.dumps(content, allow_nan=False, indent=2))
    else:
        from lrscope.output.gradient_table import show

        show(content, sys.stdout)
    if check.wrong:
        context.exit(FAILED)


def _announce(passes: int, seconds: float) -> None:
    """Say on standard error how long a long check will take."""
    if passes * seconds >= SAY_FROM:
        from lrscope.output.text import duration_text

        click.echo(
            f"{passes:,} forward passes, about {duration_text(passes * seconds)}; less with --elements and "
            "--batch-size",
            err=True,
        )


def _document(check: "GradientCheck") -> "Mapping[str, Any]":
    """What `--json` prints."""
    return {
        "schema": 1,
        "problem": check.problem,
        "seed": check.seed,
        "examples": check.examples,
        "loss": check.loss,
        "agrees": not check.wrong,
        "tensors": [_tensor(tensor) for tensor in check.tensors],
        "left_out": check.left_out,
    }


def _tensor(found: "TensorCheck") -> dict[str, Any]:
    from lrscope.training.slopes import AGREES, CANNOT_TELL, NOT_DIFFERENTIABLE, WRONG

    return {
        "tensor": found.tensor,
        "shape": found.shape,
        "outcome": found.outcome,
        "elements": found.size,
        "checked": len(found.found),
        "sampled": found.whole is not None,
        "agree": found.count(AGREES),
        "wrong": found.count(WRONG),
        "not_differentiable": found.count(NOT_DIFFERENTIABLE),
        "cannot_tell": found.count(CANNOT_TELL),
        "has_gradient": found.has_gradient,
        "worst": None if found.worst is None else _element(found.worst),
    }


def _element(element: "Element") -> dict[str, Any]:
    slope = element.slope
    return {
        "index": element.place,
        "autograd": slope.autograd,
        "finite_difference": slope.difference,
        "error": slope.error,
    }
