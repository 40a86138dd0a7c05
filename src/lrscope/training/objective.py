"""Objective: model and loss as one module, so that a functional call swaps all parameters both see."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lrscope.errors import ProblemError
from lrscope.problems.problem import Problem


class Objective(nn.Module):
    """`batch -> scalar training loss` of one model.

    Args:
        problem: its loss or step is used; a loss that is a module is copied to `device`.
        model: any module of the problem's architecture.
    """

    prefix = "model."
    """What `named_parameters` of the objective puts before the model's names."""

    def __init__(self, problem: Problem, model: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.model = model
        loss = problem.loss
        if isinstance(loss, nn.Module):
            loss = copy.deepcopy(loss).to(device)
        # Kept out of the registry of submodules: a loss's own tensors are constants, the same for all lanes.
        self.__dict__["_loss"] = loss
        self.__dict__["_step"] = problem.step

    def forward(self, batch: Any) -> Tensor:
        """The loss of one batch: a scalar tensor."""
        step = self.__dict__["_step"]
        if step is not None:
            loss: Tensor = step(self.model, batch)
        else:
            inputs, target = pair(batch)
            loss = self.__dict__["_loss"](self.model(inputs), target)
        return loss

    def loss_of(self, output: Any, target: Any) -> Tensor:
        """The loss of an output already computed; only for problems with `loss=`."""
        loss: Tensor = self.__dict__["_loss"](output, target)
        return loss


def pair(batch: Any) -> tuple[Any, Any]:
    """A batch as (input, target).

    Raises:
        ProblemError: it is not a pair.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    what = (
        f"{type(batch).__name__} of length {len(batch)}"
        if hasattr(batch, "__len__")
        else type(batch).__name__
    )
    raise ProblemError(
        f"loss= wants batches that are pairs (input, target); these are a {what}; "
        "use step=lambda model, batch: ... instead of loss="
    )
