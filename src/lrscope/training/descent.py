"""Descent: plain gradient descent of all lanes, with less Python around it.

Letters: L lanes.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from lrscope.training.kernels import ELEMENTS_AT_MOST, Update


@dataclasses.dataclass
class Stack:
    """A parameter of all lanes.

    Attributes:
        weights: [L, ...].
        groups: the parameter group of each lane's optimizer that holds it.
    """

    weights: Tensor
    groups: list[dict[str, Any]]


class Descent:
    """Plain gradient descent of all lanes in one call a tensor.

    w <- w + (-rate) g, in the rounding of `Tensor.add_(g, alpha=-rate)`: one multiplication and addition.

    Args:
        stacks: the parameters.
        gradients: name -> [L, ...], of this step; None where they are not stacked.
    """

    def __init__(
        self, stacks: Mapping[str, Stack], gradients: Callable[[], Mapping[str, Tensor] | None]
    ) -> None:
        self._stacks = dict(stacks)
        self._gradients = gradients
        distinct = {id(group): group for stack in stacks.values() for group in stack.groups}
        self._groups = list(distinct.values())
        self._rates: list[float] = []
        self._factors: dict[str, Tensor] = {}

    def __call__(self) -> bool:
        """Update; or do nothing and return False where gradients are not stacked."""
        gradients = self._gradients()
        if gradients is None or not all(name in gradients for name in self._stacks):
            return False
        rates = [group["lr"] for group in self._groups]
        if rates != self._rates:
            self._renew(rates)
        with torch.no_grad():
            for name, stack in self._stacks.items():
                stack.weights.addcmul_(gradients[name], self._factors[name])
        return True

    def _renew(self, rates: list[float]) -> None:
        self._rates = rates
        for name, stack in self._stacks.items():
            shape = (-1, *[1] * (stack.weights.ndim - 1))
            negative = [-group["lr"] for group in stack.groups]
            factor = torch.tensor(negative, dtype=stack.weights.dtype, device=stack.weights.device)
            self._factors[name] = factor.view(shape)

    def copied(self) -> tuple[Update, Sequence[tuple[Tensor, Tensor]]]:
        """The same update of copies; and each copy beside what it was made from."""
        copies = {
            name: Stack(stack.weights.detach().clone(), stack.groups) for name, stack in self._stacks.items()
        }
        held = self._gradients()
        kept = None if held is None else dict(held)
        pairs = [(copies[name].weights, stack.weights) for name, stack in self._stacks.items()]
        return Descent(copies, lambda: kept), pairs


def descent(
    optimizers: Sequence[Optimizer],
    stacks: Mapping[str, tuple[Tensor, Sequence[Tensor]]],
    gradients: Callable[[], Mapping[str, Tensor] | None],
) -> Descent | None:
    """Plain descent for the optimizers of all lanes; None where one of them does anything else.

    Args:
        optimizers: one a lane.
        stacks: name -> the stacked weights [L, ...] and each lane's parameter, of all that get gradients.
        gradients: name -> [L, ...], of this step.
    """
    group_of: list[dict[int, dict[str, Any]]] = []
    elements = 0
    for optimizer in optimizers:
        if type(optimizer) is not SGD:
            return None
        own: dict[int, dict[str, Any]] = {}
        for options in optimizer.param_groups:
            other = ("momentum", "weight_decay", "maximize", "differentiable")
            if any(options.get(name) for name in other) or not isinstance(options["lr"], (int, float)):
                return None
            own |= {id(param): options for param in options["params"]}
        group_of.append(own)
    found: dict[str, Stack] = {}
    for name, (weights, params) in stacks.items():
        groups = [own.get(id(param)) for own, param in zip(group_of, params, strict=True)]
        if weights.dtype not in (torch.float32, torch.float64):
            return None
        if all(group is None for group in groups):
            continue  # the user's optimizer does not train it
        known = [group for group in groups if group is not None]
        if len(known) < len(groups):
            return None
        elements += weights.numel()
        found[name] = Stack(weights, known)
    return Descent(found, gradients) if found and elements <= ELEMENTS_AT_MOST else None
