"""Check gradients: what autograd says of a user's model and loss, beside finite differences, in float64.

Every tensor is checked element by element; of a large one a random sample of elements, and all of it at once
along a random direction: a wrong element then shows however few were sampled, and halving the direction
finds it.

Letters: N elements of a tensor.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lrscope.problems.load import given_problem
from lrscope.problems.problem import Problem
from lrscope.training import slopes
from lrscope.training.batches import Batches, examples
from lrscope.training.block import WORTH_THREADS
from lrscope.training.dry_run import dry_run
from lrscope.training.initial_models import starting_modules
from lrscope.training.passes import Passes
from lrscope.training.random_state import undisturbed
from lrscope.training.slopes import Slope

ELEMENTS = 32
"""Elements of a tensor that are checked one by one, unless told otherwise."""

EXAMPLES = 32
"""Examples of the batch, at most, unless told otherwise: more make every pass longer and tell no more."""


class Element(NamedTuple):
    """One scalar of a tensor: its place and its derivative both ways."""

    place: tuple[int, ...]
    slope: Slope


@dataclasses.dataclass(frozen=True)
class TensorCheck:
    """What was found of one tensor.

    Attributes:
        tensor, shape: as `named_parameters` has it.
        found: the elements that were checked one by one.
        whole: the derivative along a random direction of all elements, where these were sampled; else None.
        has_gradient: whether autograd gives it a gradient at all. Where not, that counts as zeros.
    """

    tensor: str
    shape: tuple[int, ...]
    found: tuple[Element, ...]
    whole: Slope | None
    has_gradient: bool

    @property
    def size(self) -> int:
        """Its elements."""
        return math.prod(self.shape)

    def count(self, outcome: str) -> int:
        """Elements of this outcome."""
        return sum(element.slope.outcome == outcome for element in self.found)

    @property
    def outcome(self) -> str:
        """Wrong if anything in it is; else that it agrees if anything does."""
        outcomes = [element.slope.outcome for element in self.found]
        outcomes += [] if self.whole is None else [self.whole.outcome]
        order = (slopes.WRONG, slopes.AGREES, slopes.NOT_DIFFERENTIABLE, slopes.CANNOT_TELL)
        return next(outcome for outcome in order if outcome in outcomes)

    @property
    def worst(self) -> Element | None:
        """The element that is furthest off, a wrong one if there is one; None if none could be told."""
        for outcome in (slopes.WRONG, slopes.AGREES):
            alike = [element for element in self.found if element.slope.outcome == outcome]
            if alike:
                return max(alike, key=lambda element: element.slope.error)
        return None


@dataclasses.dataclass(frozen=True)
class GradientCheck:
    """What was found of a problem.

    Attributes:
        problem: its name.
        loss: of the batch, in float64.
        examples: in the batch.
        seed: of the model, the batch, the random numbers drawn in the model, and the sample.
        tensors: every trained tensor.
        left_out: names of the tensors that are not trained, not real numbers, or empty.
    """

    problem: str
    loss: float
    examples: int
    seed: int
    tensors: tuple[TensorCheck, ...]
    left_out: tuple[str, ...]

    @property
    def wrong(self) -> tuple[TensorCheck, ...]:
        """The tensors whose gradient is wrong."""
        return tuple(tensor for tensor in self.tensors if tensor.outcome == slopes.WRONG)


def check_gradients(
    problem: Problem | str,
    *,
    elements: int = ELEMENTS,
    batch_size: int | None = None,
    seed: int = 0,
    announce: Callable[[int, float], None] | None = None,
) -> GradientCheck:
    """Compare autograd with central differences, at the weights a problem starts from.

    The model is as its factory leaves it (in training mode, unless that says otherwise) and draws the same
    random numbers at every pass, so that dropout drops the same. Model, loss, data and the global random
    state are as before afterwards.

    Args:
        problem: a Problem, or the name of a built-in one.
        elements: tensors of more elements than that are sampled.
        batch_size: examples in the batch; by default the problem's own, at most `EXAMPLES`. A DataLoader
            gives its first batch.
        seed: see `GradientCheck`.
        announce: called once, with the number of passes to come, about, and the seconds each takes.

    Raises:
        ProblemError: model, loss and data do not fit, not in float64, or the loss is not the same every time.
    """
    problem = given_problem(problem)
    cpu = torch.device("cpu")
    with undisturbed(problem.train, problem.val) as threads:
        batches = Batches(problem.train, batch_size or min(problem.batch_size or EXAMPLES, EXAMPLES), cpu)
        modules, streams = starting_modules(problem, [seed], cpu)
        batch = batches.first(seed)
        # What does not fit in the user's own dtype is said as it is before any training.
        dry_run(problem, modules[seed], batch, None, streams[seed], cpu)
        passes = Passes(problem, modules[seed], batch, streams[seed])
        sizes = [min(weights.numel(), elements) for weights in passes.weights.values()]
        if announce is not None:
            announce(2 * (sum(sizes) + len(sizes)), passes.seconds)
        if passes.seconds > WORTH_THREADS:
            torch.set_num_threads(threads)
        chance = np.random.default_rng(seed)
        tensors = tuple(_check(passes, name, elements, chance) for name in passes.weights)
        left_out = tuple(name for name, _ in modules[seed].named_parameters() if name not in passes.weights)
        return GradientCheck(problem.name, passes.base, examples(batch), seed, tensors, left_out)


def _check(passes: Passes, name: str, elements: int, chance: np.random.Generator) -> TensorCheck:
    """Check one tensor: all its elements, or a sample and a direction."""
    weights, gradient = passes.weights[name], passes.gradients[name]
    shape = passes.shapes[name]
    largest = 0.0 if gradient is None else float(gradient.abs().nan_to_num(0.0).amax())
    size = len(weights)
    places = np.arange(size) if size <= elements else np.sort(chance.choice(size, elements, replace=False))

    def element(place: int) -> Element:
        slope = passes.slope(name, torch.tensor([place]), torch.ones(1, dtype=torch.float64), largest)
        return Element(tuple(int(i) for i in np.unravel_index(place, shape)), slope)

    found = [element(int(place)) for place in places]
    whole = None
    if size > elements:
        signs = torch.from_numpy(chance.choice([-1.0, 1.0], size))
        spread = 0.0 if gradient is None else float(gradient.square().mean().sqrt())
        along = functools.partial(_along, passes, name, signs, spread)
        whole = along(torch.arange(size))
        if whole.outcome == slopes.WRONG and all(e.slope.outcome != slopes.WRONG for e in found):
            found.append(element(_culprit(along, size)))
    return TensorCheck(name, shape, tuple(found), whole, gradient is not None)


def _along(passes: Passes, name: str, signs: Tensor, scale: float, places: Tensor) -> Slope:
    """The derivative along a random direction of some elements."""
    return passes.slope(name, places, signs[places], scale)


def _culprit(along: Callable[[Tensor], Slope], size: int) -> int:
    """The element to blame for a wrong slope along all of them: of halves the worse one, to the end."""
    places = torch.arange(size)
    while len(places) > 1:
        halves = places.tensor_split(2)

        def missing(half: Tensor) -> float:
            slope = along(half)
            return abs(slope.autograd - slope.difference) * math.sqrt(len(half))

        places = max(halves, key=missing)
    return int(places[0])
