"""Kernels: torch.optim's own updates of all lanes, with less Python around them.

The one file that calls private functions of torch. An update found here is used only for versions it was
written for, and only after it has been rehearsed: done on copies beside the ordinary step, on the real
gradients, it must give bitwise the same weights and the same state.

Letters: L lanes.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from lrscope.optimizer_facts import facts_of

OLDEST, NEWEST = (2, 8), (2, 13)
"""Versions of torch whose private functions are known."""

ELEMENTS_AT_MOST = 2**23
"""Of weights and state: a rehearsal copies them, and larger ones gain nothing by less Python."""


class Update(Protocol):
    """Updates all lanes from their gradients, and their optimizers' state with them."""

    def __call__(self) -> bool:
        """Update; or do nothing and return False where a gradient is missing."""
        ...

    def copied(self) -> tuple["Update", Sequence[tuple[Tensor, Tensor]]]:
        """The same update of copies; and each copy beside what it was made from."""
        ...


def version_known() -> bool:
    """Whether this torch is one that this file was written for."""
    major, minor = torch.__version__.split(".")[:2]
    return OLDEST <= (int(major), int(minor)) <= NEWEST


def hooked(optimizer: Optimizer) -> bool:
    """Whether something else is called at its steps, which an update other than `step` would leave out."""
    everywhere = sys.modules[Optimizer.__module__]
    known = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")
    return bool(
        optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        # Where torch no longer keeps such hooks there, nothing is known: then everything counts as hooked.
        or any(getattr(everywhere, name, True) for name in known)
    )


def rehearsed(update: Update, ordinary: Callable[[], object]) -> bool:
    """Do the ordinary step, and the update on copies; whether all that they change is bitwise the same."""
    copy, pairs = update.copied()
    ordinary()
    return copy() and all(torch.allclose(made, real, rtol=0, atol=0, equal_nan=True) for made, real in pairs)


@dataclasses.dataclass
class _Group:
    """A parameter group of one lane.

    Attributes:
        options: as the optimizer holds them.
        params: those that get gradients.
        holders: the parameters that hold these gradients, where they are not stacked.
        places: of each, its name and lane in the stacked gradients.
        state: name -> a tensor for each of the parameters.
    """

    options: dict[str, Any]
    params: list[Tensor]
    holders: list[Tensor]
    places: list[tuple[str, int]]
    state: dict[str, list[Tensor]]


class Fused:
    """The fused kernel of SGD, Adam or AdamW, called with lists that are made once.

    Args:
        kind: the class.
        groups: of all lanes.
        gradients: name -> [L, ...], of this step; None where they are not stacked.
        idle: parameters that have no gradient so far.
    """

    def __init__(
        self,
        kind: type[Optimizer],
        groups: Sequence[_Group],
        gradients: Callable[[], Mapping[str, Tensor] | None],
        idle: Sequence[Tensor] = (),
    ) -> None:
        self._kind = kind
        self._groups = list(groups)
        self._gradients = gradients
        self._idle = list(idle)
        self._names = {name for group in groups for name, _ in group.places}
        # Counted as one: the steps of each parameter become views of it.
        counted = [step for group in groups for step in group.state.get("step", [])]
        self._steps = torch.stack(counted) if counted else None
        if self._steps is not None:
            views = iter(self._steps.unbind(0))
            for group in groups:
                group.state["step"] = [next(views) for _ in group.params]

    def __call__(self) -> bool:
        """Update; or do nothing and return False where others have gradients than had at first."""
        gradients = self._of_groups()
        if any(gradient is None for own in gradients for gradient in own):
            return False
        if self._idle and any(param.grad is not None for param in self._idle):
            return False
        update = self._sgd if self._kind is SGD else self._adam
        with torch.no_grad():
            if self._steps is not None:
                self._steps.add_(1)
            for group, own in zip(self._groups, gradients, strict=True):
                update(group, own)
        return True

    def _of_groups(self) -> list[list[Any]]:
        stacked = self._gradients()
        if stacked is None or not self._names <= stacked.keys():
            return [[param.grad for param in group.holders] for group in self._groups]
        of_lane = {name: stack.unbind(0) for name, stack in stacked.items()}
        return [[of_lane[name][lane] for name, lane in group.places] for group in self._groups]

    def _sgd(self, group: _Group, gradients: list[Tensor]) -> None:
        options = group.options
        torch._fused_sgd_(
            group.params,
            gradients,
            group.state.get("momentum_buffer", []),
            weight_decay=options["weight_decay"],
            momentum=options["momentum"],
            lr=options["lr"],
            dampening=options["dampening"],
            nesterov=options["nesterov"],
            maximize=options["maximize"],
            is_first_step=False,
        )

    def _adam(self, group: _Group, gradients: list[Tensor]) -> None:
        options, state = group.options, group.state
        beta1, beta2 = options["betas"]
        decoupled = self._kind is AdamW or options.get("decoupled_weight_decay", False)
        kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        kernel(
            group.params,
            gradients,
            state["exp_avg"],
            state["exp_avg_sq"],
            state.get("max_exp_avg_sq", []),
            state["step"],
            amsgrad=options["amsgrad"],
            lr=options["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=options["weight_decay"],
            eps=options["eps"],
            maximize=options["maximize"],
        )

    def copied(self) -> tuple[Update, Sequence[tuple[Tensor, Tensor]]]:
        """The same update of copies; and each copy beside what it was made from."""
        pairs: list[tuple[Tensor, Tensor]] = []

        def copies(tensors: Sequence[Tensor]) -> list[Tensor]:
            made = [tensor.detach().clone() for tensor in tensors]
            pairs.extend(zip(made, tensors, strict=True))
            return made

        groups = [
            dataclasses.replace(
                group,
                params=copies(group.params),
                state={
                    name: list(tensors) if name == "step" else copies(tensors)
                    for name, tensors in group.state.items()
                },
            )
            for group in self._groups
        ]
        held = self._gradients()
        kept = None if held is None else dict(held)
        made = Fused(self._kind, groups, lambda: kept, self._idle)
        if made._steps is not None and self._steps is not None:
            pairs.append((made._steps, self._steps))
        return made, pairs


def fused(
    optimizers: Sequence[Optimizer],
    stacks: Mapping[str, tuple[Tensor, Sequence[Tensor]]],
    gradients: Callable[[], Mapping[str, Tensor] | None],
) -> Fused | None:
    """The kernel for optimizers of one class that have made a step already; None where there is none.

    Args:
        optimizers, stacks, gradients: as of `lrscope.training.descent.descent`.
    """
    kind = type(optimizers[0])
    names = facts_of(kind).fused_state
    if not names or not version_known():
        return None
    place_of = {
        id(param): (name, lane) for name, (_, params) in stacks.items() for lane, param in enumerate(params)
    }
    groups: list[_Group] = []
    idle: list[Tensor] = []
    elements = 0
    for optimizer in optimizers:
        if hasattr(optimizer, "grad_scale") or hasattr(optimizer, "found_inf"):
            return None
        for options in optimizer.param_groups:
            params = [param for param in options["params"] if param.grad is not None]
            idle += [param for param in options["params"] if param.grad is None]
            if not options.get("fused") or not _plain(options, params):
                return None
            if not params:
                continue
            state: dict[str, list[Tensor]] = {}
            for name in names:
                held = [optimizer.state[param].get(name) for param in params]
                if all(isinstance(tensor, Tensor) for tensor in held):
                    state[name] = held
                elif any(tensor is not None for tensor in held):
                    return None
            if kind is SGD and bool(options["momentum"]) != ("momentum_buffer" in state):
                return None
            if kind is not SGD and not {"step", "exp_avg", "exp_avg_sq"} <= set(state):
                return None
            elements += sum(param.numel() for param in params) * (1 + len(state))
            if not all(id(param) in place_of for param in params):
                return None
            places = [place_of[id(param)] for param in params]
            groups.append(_Group(options, params, params, places, state))
    if not groups or elements > ELEMENTS_AT_MOST:
        return None
    made = Fused(kind, groups, gradients, idle)
    states = {id(param): optimizer.state[param] for optimizer in optimizers for param in optimizer.state}
    for group in groups:
        for param, step in zip(group.params, group.state.get("step", []), strict=False):
            states[id(param)]["step"] = step
    return made


def _plain(options: Mapping[str, Any], params: Sequence[Tensor]) -> bool:
    same = len({(param.dtype, param.device) for param in params}) <= 1
    unusual = options.get("differentiable") or options.get("capturable")
    betas = all(isinstance(beta, float) for beta in options.get("betas", ()))
    return same and not unusual and betas and isinstance(options["lr"], (int, float))
