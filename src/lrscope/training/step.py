"""Step: all lanes at one point of training."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from lrscope.plan import LaneKey
from lrscope.training.curvature import Curvature


class Stretch(NamedTuple):
    """What is measured at every step, of the steps since the last look: this one's included.

    Attributes:
        first: the first of them.
        losses: [n, L], mini-batch losses, of as many as have one.
        tracked: [m, k, L], the k scalars of the weights that are tracked.
    """

    first: int
    losses: Tensor
    tracked: Tensor


@dataclasses.dataclass(frozen=True)
class Step:
    """All lanes at weights w_t, before the update: everything under one number belongs to one point.

    Borrowed: its tensors are overwritten when the next step is asked for. Letters: L lanes.

    Attributes:
        index: t, updates done.
        keys: the lanes.
        losses: [L], the mini-batch losses at w_t; None for the last point, w_T, after which nothing follows.
        weights: name -> [L, ...], every parameter in the order of `named_parameters`.
        gradients: gives name -> [L, ...] for the trained parameters, of `losses`, before clipping; not to be
            called where losses is None. Called with name -> flat indices [n], it gives [L, n] of those named.
        validation: at the end of an epoch and before training: name -> [L] float64, `val_loss` and the
            metrics at w_t, taken before the forward pass of this step moves any buffer; empty otherwise.
        curvature: gives the top of each lane's Hessian at w_t; None where it is not wanted.
        stretch: what is measured at every step, since the last Step that was given.
        rates: gives the learning rate of each lane for the update that follows.
        rounded: gives name -> bool [L, ...], where a measured derivative reads 0 because weight + nudge
            rounds to the weight; nothing where gradients are exact.
        again: gives name -> [L, ...], the gradients at w_t of the batch of the step before, drawn with the
            same random numbers; None where they are not wanted. Nothing of training is moved by it.
        branch: of the last point, gives the losses [n, L] of going on a little at a fifth of the rate; None
            where that is not wanted. Weights and buffers are put back.
    """

    index: int
    keys: tuple[LaneKey, ...]
    losses: Tensor | None
    weights: Mapping[str, Tensor]
    gradients: Callable[..., dict[str, Tensor]]
    validation: Mapping[str, Tensor]
    stretch: Stretch
    rates: Callable[[], list[float]]
    curvature: Callable[[], Curvature] | None = None
    rounded: Callable[[], dict[str, Tensor]] = dict
    again: Callable[[], dict[str, Tensor]] | None = None
    branch: Callable[[], Tensor] | None = None
