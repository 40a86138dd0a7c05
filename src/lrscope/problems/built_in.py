"""The built-in problems: what `lrscope problems` lists, and how each is made.

Listing them loads neither torch nor the data: every `make` imports its own module when it is called.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lrscope.problems.problem import Problem


@dataclasses.dataclass(frozen=True)
class BuiltIn:
    """A problem that comes with lrscope.

    Attributes:
        name: what is typed.
        summary: one line for `lrscope problems`.
        make: makes the Problem; called with data=FOLDER if `data` says so, without an argument otherwise.
        data: what --data FOLDER holds; None for a problem that takes no folder.
    """

    name: str
    summary: str
    make: "Callable[..., Problem]"
    data: str | None = None


def _digits() -> "Problem":
    from lrscope.problems import digits

    return digits.make()


def _line() -> "Problem":
    from lrscope.problems import line

    return line.make()


def _quadratic() -> "Problem":
    from lrscope.problems import quadratic

    return quadratic.make()


def _diabetes() -> "Problem":
    from lrscope.problems import diabetes

    return diabetes.make()


def _mnist(data: Path | None = None) -> "Problem":
    from lrscope.problems import images

    return images.make_mnist(data)


def _fashion(data: Path | None = None) -> "Problem":
    from lrscope.problems import images

    return images.make_fashion(data)


def _fashion_mlp(data: Path | None = None) -> "Problem":
    from lrscope.problems import images

    return images.make_fashion_mlp(data)


IDX_FOLDER = "an IDX folder (images and labels, plain or .gz); fetched from OpenML where none is given"

BUILT_IN = (
    BuiltIn("digits", "1,797 real handwritten digits of 8x8 pixels; 64-100-10, ReLU, Adam", _digits),
    BuiltIn("line", "four samples of y = 3x; a weight and a bias from zero, gradient descent", _line),
    BuiltIn("quadratic", "a bowl of curvatures 1, 0.1, 0.01 whose every step is known exactly", _quadratic),
    BuiltIn("diabetes-mlp", "442 real patients, easily overfitted; 10-64-1, ReLU, Adam", _diabetes),
    BuiltIn("mnist", "handwritten digits of 28x28 pixels; 784-300-10, ReLU, Adam", _mnist, IDX_FOLDER),
    BuiltIn("fashion", "pictures of clothes of 28x28 pixels; 784-300-10, ReLU, Adam", _fashion, IDX_FOLDER),
    BuiltIn("fashion-mlp", "the same pictures; wide, 784-1000-10, ReLU, Adam", _fashion_mlp, IDX_FOLDER),
)
