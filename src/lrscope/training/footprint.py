"""Footprint: the memory one lane takes, measured on one batch, and from it what all lanes take."""

import copy
import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lrscope.problems.problem import Problem
from lrscope.training.objective import Objective
from lrscope.training.optimizers import make_optimizer
from lrscope.training.random_state import RandomState
from lrscope.training.trial_passes import COPIES

KEPT_COPIES = 3
"""Copies of the weights that recording keeps: the start, the point before an update, what moves in it."""

SCATTERING = 2**17
"""Bytes of a parameter, from which what lasts of a lane (its optimizer's state, what waits to be measured) is
scattered by the C library over the room that the pass before left: the next lane's pass finds too little in
one piece, and takes as much anew."""

SCATTERED = 1.25
"""What a lane so adds, in parts of what its pass keeps: benchmarks/memory.py --lanes 2, 4, 16, 24."""

VECTORISED = 2.0
"""What a vectorised call holds at its peak, in parts of what the passes of its lanes keep: copies that
vectorised operations make, and memory not given back at once. Measured: see benchmarks/memory.py."""

ITSELF = 85 * 2**20
"""Bytes that torch takes for itself while it trains: compiled kernels, the captured step, the allocator."""

HISTOGRAM_BYTES = 32
"""For each element that is sorted into bins at a time."""

HISTOGRAM_ELEMENTS = 2**18
"""Elements sorted at a time, at most."""


class Footprint(NamedTuple):
    """Bytes of one lane.

    Attributes:
        weights: parameters and buffers.
        gradients: of the trained parameters.
        optimizer: its state.
        activations: what the forward pass keeps for the backward pass, which itself is about as large again
            for the two largest of them.
        largest: the largest parameter.
        validation: the two largest results within a forward pass over a validation batch.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    largest: int
    validation: int


@dataclasses.dataclass(frozen=True)
class Need:
    """Bytes that a sweep takes at its peak, beside the data and what was there before.

    Attributes:
        weights, optimizer, recording: kept throughout, of all lanes.
        gradients: of those that share a call.
        passing: what comes and goes within a step, at its largest: activations and the gradients that replace
            the old ones; or temporary copies while recording; or a validation batch.
        itself: what torch takes for itself.
    """

    weights: int
    gradients: int
    optimizer: int
    recording: int
    passing: int
    itself: int = ITSELF

    @property
    def total(self) -> int:
        """All of it."""
        lasting = self.weights + self.gradients + self.optimizer + self.recording
        return lasting + self.passing + self.itself


def footprint(
    problem: Problem, start: nn.Module, batch: Any, val_batch: Any, device: torch.device
) -> Footprint:
    """Measure one lane on a copy of its starting module; nothing is left behind.

    Args:
        problem: as in `prepare`; model and loss have been tried already.
        start: a starting module.
        batch, val_batch: the first ones; None where there is no validation.
        device: where they are.
    """
    module = copy.deepcopy(start)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    with RandomState.now().kept(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to warn of is said when training begins
        objective = Objective(problem, module, device).train()
        kept = _kept(objective, batch)
        seen = []
        if val_batch is not None:
            seen = _kept(objective.eval(), val_batch)
        state = _optimizer_state(problem, module)
    return Footprint(
        weights=_bytes([*module.parameters(), *module.buffers()]),
        gradients=_bytes(parameters),
        optimizer=state,
        activations=sum(kept) + sum(kept[:2]),
        largest=max(_bytes([parameter]) for parameter in module.parameters()),
        validation=sum(seen[:2]),
    )


def need(
    one: Footprint, lanes: int, seeds: int, *, at_once: int, recorded: bool, scatters: bool = True
) -> Need:
    """What all lanes take.

    Args:
        one: of one lane.
        lanes, seeds: how many.
        at_once: lanes whose gradients are computed in one call.
        recorded: whether all elements of tensors are measured on the way.
        scatters: whether the C library hands out the memory: an accelerator's finds room.
    """
    counting = min(lanes * one.largest, 4 * HISTOGRAM_ELEMENTS) * HISTOGRAM_BYTES // 4
    measuring = lanes * one.gradients + max(2 * lanes * one.largest, counting) if recorded else 0
    scattered = 0
    if scatters and at_once == 1 and one.largest >= SCATTERING:
        scattered = round(SCATTERED * lanes * one.activations)
    # The dry run makes a vectorised call of a few lanes before anything else.
    return Need(
        weights=(lanes + seeds) * one.weights,
        gradients=at_once * one.gradients,
        optimizer=lanes * one.optimizer,
        recording=KEPT_COPIES * lanes * one.weights if recorded else 0,
        passing=max(
            round(VECTORISED * max(at_once, COPIES) * one.activations),
            measuring,
            lanes * one.validation,
            scattered,
        ),
    )


def _kept(objective: Objective, batch: Any) -> list[int]:
    """Bytes of everything that a forward pass keeps for the backward pass, the largest first."""
    own = [*objective.model.parameters(), *objective.model.buffers(), *tree_leaves(batch)]
    known = {_place(tensor) for tensor in own if isinstance(tensor, Tensor)}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if _place(tensor) not in known:
            found[_place(tensor)] = tensor.untyped_storage().nbytes()
        # A tensor that knows how it came about, kept by that very operation, would never be given back.
        return tensor.detach()

    held = []
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, _itself):
        # The result is held: a place in memory that is free again could be counted for another tensor.
        held.append(objective(batch))
    return sorted(found.values(), reverse=True)


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _optimizer_state(problem: Problem, module: nn.Module) -> int:
    """Bytes of an optimizer's state after a step; twice the weights where no step can be made just so."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            optimizer = make_optimizer(problem.optimizer, list(module.parameters()), 1e-3)
            for parameter in trained:
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
        return _bytes(_tensors(list(optimizer.state.values())))
    except Exception:
        # One that wants a closure, or sees the gradients of a whole network.
        return 2 * _bytes(trained)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _bytes(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
