"""Gradient descent by finite differences: what a learner writes first, exact, and fast enough to use.

The derivative of a scalar parameter is measured: nudge it by h, run the network again, and divide the change
of the loss by h; or nudge it both ways and divide by 2 h (R. L. Burden and J. D. Faires, Numerical Analysis,
section 4.1). All derivatives are taken at the same point, then all parameters move: gradient descent, not
coordinate descent. Written out that is one forward pass for every scalar; `nudged_network` does all of them
in one.

Rounding is kept as it is, because it is what a learner must see. Parameters and the nudged parameter are in
their own dtype: once a float32 weight is so large that weight + 1e-4 rounds to the weight, its derivative
reads 0 exactly, and training stands still at any loss. In a layer of one feature forward differences are to
the last bit those of the loop written out; elsewhere they lack the noise that subtracting two losses leaves.

Letters: L lanes, n samples, i features of the layer before, j nodes of this layer, k outputs.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrscope.errors import ProblemError
from lrscope.training.perturbed_network import ForwardPass
from lrscope.training.scratch_network import Array, Network, Parameters, linear, samples


@dataclasses.dataclass(frozen=True)
class Difference:
    """How a derivative is measured.

    Args:
        central: (loss(p + h) - loss(p - h)) / 2 h, its error of order h^2, in place of
            (loss(p + h) - loss(p)) / h, of order h.
        nudge: h. The smaller, the closer to the derivative, until the rounding of p + h takes over, which is
            about the precision of p divided by h. For a central difference 3e-6 is best in float64 and 5e-3
            in float32.
    """

    central: bool = False
    nudge: float = 1e-4

    def __post_init__(self) -> None:
        """A nudge that moves something."""
        if not (math.isfinite(self.nudge) and self.nudge > 0):
            raise ProblemError(f"nudge= wants a positive number such as 1e-4; got {self.nudge!r}")

    def ends(self, array: Array) -> tuple[Array, Array]:
        """Where the losses are taken whose difference it is: below and above, in the array's own dtype."""
        h = array.dtype.type(self.nudge)
        return (array - h if self.central else array), array + h

    @property
    def width(self) -> float:
        """What the difference of the losses is divided by."""
        return 2 * self.nudge if self.central else self.nudge


FORWARD = Difference()
"""As it is written out first: a nudge of 1e-4, upwards."""

CENTRAL = Difference(central=True, nudge=3e-6)
"""For float64: within 1e-9 of the gradient, in terms of a tensor's largest, for networks of a few layers."""


class Epoch(NamedTuple):
    """All lanes at one point of their training, and where they go from there.

    Attributes:
        epoch: updates done.
        losses: float64 [L], at `parameters`.
        parameters: [L, ...] each, before the update.
        derivatives: float64 [L, ...] each, of the loss by the parameters.
        updated: [L, ...] each, after the update.
    """

    epoch: int
    losses: NDArray[np.float64]
    parameters: tuple[Array, ...]
    derivatives: tuple[NDArray[np.float64], ...]
    updated: tuple[Array, ...]


def update(
    parameters: Parameters,
    inputs: ArrayLike,
    targets: ArrayLike,
    rate: float,
    network: Network | None = None,
    difference: Difference = FORWARD,
    maximise: bool = False,
) -> list[Array]:
    """Move every parameter by its measured derivative times the learning rate: one step of training.

    Args:
        parameters, inputs, targets, network: as in `forward_loss`; they are left as they are.
        rate: the learning rate.
        difference: how derivatives are measured.
        maximise: climb (add) in place of descending (subtract).

    Returns:
        New parameters, of the same shapes and dtype.
    """
    stacked = [np.asarray(array)[None] for array in parameters]
    _, derivatives = derivatives_of(stacked, inputs, targets, network, difference)
    return [array[0] for array in moved(stacked, derivatives, [rate], maximise)]


def train_lanes(
    parameters: Parameters,
    rates: Sequence[float],
    inputs: ArrayLike,
    targets: ArrayLike,
    network: Network | None = None,
    difference: Difference = FORWARD,
    maximise: bool = False,
    epochs: int = 1000,
) -> Iterator[Epoch]:
    """Train one lane a rate, all from the same parameters, all samples an epoch, and yield each epoch.

    A lane that diverges goes on with infinities and NaN; the others are not touched by it.
    """
    now = tuple(np.repeat(np.asarray(array)[None], len(rates), axis=0) for array in parameters)
    for epoch in range(epochs):
        losses, derivatives = derivatives_of(now, inputs, targets, network, difference)
        updated = moved(now, derivatives, rates, maximise)
        yield Epoch(epoch, losses, now, derivatives, updated)
        now = updated


def moved(
    parameters: Parameters,
    derivatives: Sequence[NDArray[np.float64]],
    rates: ArrayLike,
    maximise: bool = False,
) -> tuple[Array, ...]:
    """Parameters -+ rate x derivative, in float64, then rounded to their dtype; all [L, ...], rates [L]."""
    step = np.asarray(rates, dtype=np.float64) * (1 if maximise else -1)
    with np.errstate(all="ignore"):
        return tuple(
            (array + step.reshape(-1, *[1] * (array.ndim - 1)) * derivative).astype(array.dtype)
            for array, derivative in zip(parameters, derivatives, strict=True)
        )


def unmoved_share(parameters: Parameters, difference: Difference = FORWARD) -> NDArray[np.float64]:
    """The share of each lane's scalars that the nudge does not move, because it is rounded away: [L] in 0..1.

    Their derivatives read 0 whatever the loss is. A lane with nearly all of them unmoved is frozen.
    """
    unmoved = total = 0
    for array in parameters:
        below, above = difference.ends(np.asarray(array))
        unmoved = unmoved + (below == above).reshape(len(array), -1).sum(axis=1)
        total += array[0].size
    return np.asarray(unmoved) / total


def derivatives_of(
    parameters: Parameters,
    inputs: ArrayLike,
    targets: ArrayLike,
    network: Network | None = None,
    difference: Difference = FORWARD,
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], ...]]:
    """Measure the loss of each lane and the derivative of every scalar.

    Args:
        parameters: [L, ...] each: W [L, j, i], b [L, j].
        inputs, targets, network: as in `forward_loss`, shared by the lanes.
        difference: how derivatives are measured.

    Returns:
        Losses float64 [L], and derivatives float64 [L, ...] of the parameters' shapes.

    Raises:
        ProblemError: shapes do not fit.
    """
    network = network or linear(parameters)
    x, y = samples(parameters, inputs, targets, network, stacked=True)
    with np.errstate(all="ignore"):  # a lane that diverged is data
        passed = ForwardPass(parameters, x, y, network)
        return passed.losses, tuple(
            _derivatives(passed, place, difference) for place in range(len(parameters))
        )


def _derivatives(passed: ForwardPass, place: int, difference: Difference) -> NDArray[np.float64]:
    """The derivatives of the loss by `parameters[place]`, in its shape."""
    array = passed.parameters[place]
    low, high = difference.ends(array)
    derivatives = passed.changes(place, high, as_written=not difference.central)
    if difference.central:
        derivatives -= passed.changes(place, low)
    derivatives /= difference.width
    # Unmoved, the loss is the same by definition; no matrix library promises that to the last bit.
    alive = np.isfinite(passed.losses).reshape(-1, *[1] * (array.ndim - 1))
    derivatives[(low == high) & alive] = 0.0
    return derivatives
