"""Step: all lanes at one point of training."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from lrscope.plan import LaneKey
from lrscope.training.curvature import Hessian


class Measured(NamedTuple):
    """What was found at a point, of every tensor.

    Attributes:
        step: it is recorded under.
        names: of the quantities.
        values: [k * q, L], tensor by tensor, q quantities of each.
        seconds: that it took.
    """

    step: int
    names: tuple[str, ...]
    values: Tensor
    seconds: float


class Stretch(NamedTuple):
    """What was found out of the steps since the last look, this one included.

    Attributes:
        first: the first of them.
        losses: [n, L], mini-batch losses, of as many as have one.
        tracked: [m, k, L], the k scalars of the weights that are tracked.
        measured: at points.
        rates: (step, [L]), of the updates that followed, where they are noted.
        kept: of points that are not measured yet; nobody but who trains the lanes sees such.
    """

    first: int
    losses: Tensor
    tracked: Tensor
    measured: Sequence[Measured] = ()
    rates: Sequence[tuple[int, Sequence[float]]] = ()
    kept: Sequence[Any] = ()


NOTHING = Stretch(0, torch.empty(0, 0), torch.empty(0, 0, 0))

Question: TypeAlias = Callable[[Sequence[LaneKey], Mapping[str, Tensor], Any], Any]
"""A function of a module, given lanes, weights and an argument: what is asked where lanes are trained."""


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
            called where losses is None. Where lanes are trained it takes name -> s, of tensors of which only
            every s-th element is needed, and may give no more of those: [L, n].
        validation: at the end of an epoch and before training: name -> [L] float64, `val_loss` and the
            metrics at w_t, taken before the forward pass of this step moves any buffer; empty otherwise.
        curvature: measures the top of each lane's Hessian at w_t, or keeps what it takes to do so later; None
            where it is not wanted.
        rates: gives the learning rate of each lane for the update that follows.
        rounded: gives name -> bool [L, ...], where a measured derivative reads 0 because weight + nudge
            rounds to the weight; nothing where gradients are exact.
        again: gives name -> [L, ...], the gradients at w_t of the batch of the step before, drawn with the
            same random numbers; None where they are not wanted. Nothing of training is moved by it.
        branch: of the last point, gives the losses [n, L] of going on a little at a fifth of the rate; None
            where that is not wanted. Weights and buffers are put back.
        processes: given a question and its argument, what each process that trains some of the lanes answers,
            in their order; None where one trains all.
        stretch: what was found out since the last Step that was looked at.
    """

    index: int
    keys: tuple[LaneKey, ...]
    losses: Tensor | None
    weights: Mapping[str, Tensor]
    gradients: Callable[..., dict[str, Tensor]]
    validation: Mapping[str, Tensor]
    rates: Callable[[], list[float]]
    curvature: Hessian | None = None
    rounded: Callable[[], dict[str, Tensor]] = dict
    again: Callable[[], dict[str, Tensor]] | None = None
    branch: Callable[[], Tensor] | None = None
    processes: Callable[[Question, Any], list[Any]] | None = None
    stretch: Stretch = NOTHING

    def asked(self, question: Question, argument: Any) -> list[Any]:
        """What those answer who train the lanes: one, or several with lanes that follow each other."""
        if self.processes is not None:
            return self.processes(question, argument)
        return [question(self.keys, self.weights, argument)]
