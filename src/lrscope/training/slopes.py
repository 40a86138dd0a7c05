"""Slopes: a derivative as autograd gives it, beside the same measured by central differences.

    D(h) = (f(h) - f(-h)) / 2 h = f'(0) + h^2 f'''/6 + ..., of the loss f along a direction

(R. L. Burden and J. D. Faires, Numerical Analysis, section 4.1). Where D(h) is not what autograd says, a
second, smaller h tells why: a backward pass that is wrong leaves the measured slope the same at both, a kink
leaves the slopes to the left and to the right apart at both, and rounding leaves nothing that lasts.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

AGREES = "agrees"
WRONG = "wrong"
NOT_DIFFERENTIABLE = "not differentiable here"
CANNOT_TELL = "cannot tell"

NUDGE = 3e-6
"""h, times the size of the weights where that is above 1: the cube root of float64's precision, about."""

FINER = 0.1
"""The second h over the first. Left and right slopes of a smooth loss come nearer by this factor."""

TOLERANCE = 1e-5
"""Of the scale. What h and rounding leave is smaller by a factor of 100 at least in networks as they are."""

ROUNDING = 100 * 2.0**-52
"""Of the loss: what a sum of many float64 numbers may be off by."""


class Slope(NamedTuple):
    """A derivative, both ways.

    Attributes:
        autograd: what autograd says.
        difference: what the losses say.
        error: how far they are apart, over the scale; 0 where both are nothing but rounding, infinite where
            one is not finite.
        outcome: one of the four words above.
    """

    autograd: float
    difference: float
    error: float
    outcome: str


class _Measured(NamedTuple):
    """The slopes to the right and to the left over one h, and what rounding may leave in them."""

    right: float
    left: float
    rounding: float

    @property
    def middle(self) -> float:
        return (self.right + self.left) / 2

    @property
    def jump(self) -> float:
        return abs(self.right - self.left)


def compare(
    loss: Callable[[float], float], base: float, autograd: float, scale: float, nudge: float
) -> Slope:
    """Measure the slope of a loss along a direction, and compare it with what autograd says it is.

    Args:
        loss: t -> the loss at t along the direction, in float64.
        base: the loss at 0, finite.
        autograd: the derivative at 0, by autograd.
        scale: the size of the derivatives that errors are measured by; the measured slope, where larger.
        nudge: h.
    """

    def measure(h: float) -> _Measured:
        above, below = loss(h), loss(-h)
        return _Measured((above - base) / h, (base - below) / h, ROUNDING * max(abs(base), 1e-300) / h)

    def slope(at: _Measured, outcome: str) -> Slope:
        size, error = max(scale, abs(at.middle)), abs(autograd - at.middle)
        if not math.isfinite(error):
            return Slope(autograd, at.middle, math.inf, outcome)
        return Slope(autograd, at.middle, error / size if size > at.rounding else 0.0, outcome)

    def negligible(difference: float, at: _Measured) -> bool:
        return difference <= TOLERANCE * max(scale, abs(at.middle)) + at.rounding  # False for NaN too

    def agrees(at: _Measured) -> bool:
        return negligible(abs(autograd - at.middle), at)

    coarse = measure(nudge)
    if agrees(coarse) and negligible(coarse.jump, coarse):
        return slope(coarse, AGREES)
    fine = measure(FINER * nudge)
    if not math.isfinite(fine.middle):
        return slope(fine, NOT_DIFFERENTIABLE)
    if not math.isfinite(autograd):  # at a kink too: no optimizer survives it
        return slope(fine, WRONG)
    # With h the jump of a smooth loss shrinks by FINER, that of a kink stays, and that of noise grows: the
    # limits are half way, on a logarithmic scale.
    lasting = math.sqrt(FINER) * coarse.jump < fine.jump < coarse.jump / math.sqrt(FINER)
    if lasting and not negligible(fine.jump, fine):
        return slope(fine, NOT_DIFFERENTIABLE)
    if agrees(fine):  # also where a kink lay within the first h
        return slope(fine, AGREES)
    if agrees(coarse):
        return slope(coarse, AGREES)
    steady = abs(fine.middle - coarse.middle) <= 0.1 * abs(fine.middle - autograd)
    return slope(fine, WRONG if steady else CANNOT_TELL)
