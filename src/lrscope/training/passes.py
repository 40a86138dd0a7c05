"""Passes: one model in float64, run again and again from the same state, at weights that are moved a little.

Letters: N elements of a tensor, n of them that move.
"""

import copy
import dataclasses
import math
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from lrscope.errors import ProblemError
from lrscope.problems.problem import Problem
from lrscope.training import slopes
from lrscope.training.objective import Objective
from lrscope.training.random_state import Stream
from lrscope.training.slopes import Slope


class Passes:
    """Forward passes of one model in float64, which all see the same batch, buffers and random numbers.

    Attributes:
        weights: name -> float64 [N], the trained tensors, laid flat; what is written to them the model has.
        shapes: name -> what they are.
        gradients: name -> float64 [N], by autograd; None where there is none.
        base: the loss.
        seconds: a pass takes.
    """

    def __init__(self, problem: Problem, start: nn.Module, batch: Any, stream: Stream) -> None:
        loss = problem.loss
        if isinstance(loss, nn.Module):
            problem = dataclasses.replace(problem, loss=copy.deepcopy(loss).double())
        model = copy.deepcopy(start).double()
        self._objective = Objective(problem, model, torch.device("cpu"))
        self._batch = tree_map(_widened, batch)
        self._stream = stream
        self._buffers = [
            (module, key, buffer.clone())
            for module in model.modules()
            for key, buffer in module._buffers.items()
            if buffer is not None
        ]
        trained = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and parameter.dtype == torch.float64 and parameter.numel()
        }
        for parameter in trained.values():
            parameter.data = parameter.data.contiguous()
        self.shapes = {name: tuple(parameter.shape) for name, parameter in trained.items()}
        self.weights = {name: parameter.data.view(-1) for name, parameter in trained.items()}
        self._nudges = {
            name: slopes.NUDGE * max(1.0, float(weights.square().mean().sqrt()))
            for name, weights in self.weights.items()
        }
        if not trained:
            raise ProblemError("the model trains no weights that are real numbers: there is nothing to check")
        value = self._loss()
        torch.autograd.backward(value)
        self.gradients = {
            name: None if parameter.grad is None else parameter.grad.to_dense().contiguous().view(-1).clone()
            for name, parameter in trained.items()
        }
        self.base = float(value.detach())
        began = time.perf_counter()
        again = self.loss()
        self.seconds = time.perf_counter() - began
        if not math.isfinite(self.base):
            raise ProblemError(f"the loss is {self.base} before training: there is no gradient to check")
        if abs(again - self.base) > slopes.ROUNDING * abs(self.base):
            raise ProblemError(
                f"the loss is not the same every time, {self.base!r} and {again!r} on one batch with the "
                "same random numbers: model or loss keeps a state of its own, so there is no slope to measure"
            )

    def _loss(self) -> Tensor:
        # With gradients on: a model may call autograd itself, to get a force from an energy.
        for module, key, before in self._buffers:
            module._buffers[key] = before.clone()
        with self._stream.entered(keep=False):
            try:
                value: Tensor = self._objective(self._batch)
            except Exception as error:
                words = " ".join(str(error).split())[:200]
                raise ProblemError(
                    f"the check needs float64, and there model or loss raised {type(error).__name__}: {words}"
                ) from error
        if value.dtype != torch.float64:
            kind = str(value.dtype).removeprefix("torch.")
            raise ProblemError(
                f"the check needs float64, and there the loss is {kind}: something converts it on the way"
            )
        return value

    def loss(self) -> float:
        """At the weights as they are."""
        return float(self._loss().detach())

    def slope(self, name: str, places: Tensor, signs: Tensor, scale: float) -> Slope:
        """The derivative of the loss along a direction of length 1, both ways.

        Args:
            name: of the tensor that moves.
            places: int64 [n], which of its elements move.
            signs: [n], 1 or -1: all move equally far.
            scale: what a derivative along a single element is measured by.
        """
        weights, gradient = self.weights[name], self.gradients[name]
        direction = signs / math.sqrt(len(places))
        before = weights[places]
        autograd = 0.0 if gradient is None else float(gradient[places] @ direction)

        def at(t: float) -> float:
            try:
                weights[places] = before + t * direction
                return self.loss()
            finally:
                weights[places] = before

        return slopes.compare(at, self.base, autograd, scale, self._nudges[name])


def _widened(leaf: Any) -> Any:
    """A copy of a batch's tensor, in float64 if it holds real numbers."""
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf.detach().to(torch.float64 if leaf.is_floating_point() else leaf.dtype, copy=True)
