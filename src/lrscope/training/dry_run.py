"""The dry run: before training, find out whether model, loss, data and optimizer fit, and how lanes can run.

A few steps are done twice on throw-away copies, plainly and vectorised. What raises plainly is the user's to
mend and is said in one line; what raises, or differs, only when vectorised is trained lane after lane.
"""

import contextlib
import copy
import dataclasses
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lrscope.errors import ProblemError
from lrscope.problems.problem import Problem
from lrscope.training.capture import stateless
from lrscope.training.evaluate import evaluating
from lrscope.training.objective import Objective, pair
from lrscope.training.optimizers import make_optimizer, make_scheduler
from lrscope.training.random_state import RandomState, Stream
from lrscope.training.together import vectorised

TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-4}
"""Largest difference of gradients, over the lane's largest gradient, that rounding explains; else 2e-2."""

COPIES = 3
"""Lanes of the dry run, a little apart from each other."""


COLD_SECONDS = 5e-3
"""A pass that took less is timed again."""

WARM_PASSES = 10


@dataclasses.dataclass(frozen=True)
class Findings:
    """What the dry run found.

    Attributes:
        together: whether all lanes can be one vectorised call.
        reason: why not, in a sentence; "" where they can.
        validate_together: the same for the forward pass in eval mode.
        draws: whether the model or loss draws random numbers while training.
        unused: trainable parameters the loss does not depend on.
        seconds: how long one forward and backward pass of one lane took.
        capturable: whether the Python of model and loss keeps no state, as far as can be seen.
    """

    together: bool
    reason: str
    validate_together: bool
    draws: bool
    unused: frozenset[str]
    capturable: bool
    seconds: float


def dry_run(
    problem: Problem, start: nn.Module, batch: Any, val_batch: Any, stream: Stream, device: torch.device
) -> Findings:
    """Try the problem on copies of one starting module.

    Raises:
        ProblemError: model, loss, data or optimizer do not fit together; the message names the shapes.
    """
    with warnings.catch_warnings():
        # The slow path of a vectorised operator is no fault of the user's.
        warnings.simplefilter("ignore")
        plain = _Plain(problem, start, device)
        plain.run(batch, stream)
        if val_batch is not None:
            _try_validation(problem, plain.models[0], val_batch, device)
        reason = plain.obstacle or _compare(problem, start, plain, batch, stream, device)
        validate_together = not reason and _validates_together(problem, plain.models, val_batch, device)
        capturable = not plain.stateful and stateless(start, problem.loss, problem.step)
    return Findings(
        not reason, reason, validate_together, plain.draws, plain.unused, capturable, plain.seconds
    )


class _Plain:
    """The copies, run one after another by ordinary backward passes."""

    def __init__(self, problem: Problem, start: nn.Module, device: torch.device) -> None:
        self._problem, self._device = problem, device
        self.models = [_perturbed(start, scale=1e-3 * k) for k in range(COPIES)]
        self.starts = [copy.deepcopy(model) for model in self.models]
        self._objectives = [Objective(problem, model, device) for model in self.models]
        self.losses: list[Tensor] = []
        self.gradients: list[dict[str, Tensor]] = []
        self.buffers: list[dict[str, Tensor]] = []
        self.obstacle = ""
        self.draws = self.stateful = False
        self.unused: frozenset[str] = frozenset()
        self.seconds = math.inf

    def run(self, batch: Any, stream: Stream) -> None:
        """One forward and backward pass a copy; then one update of the first, to see that it can be."""
        for model, objective in zip(self.models, self._objectives, strict=True):
            buffers = dict(model.named_buffers())
            attributes = _attributes(model)
            with stream.entered(keep=False):
                before = RandomState.now()
                began = time.perf_counter()
                loss = _loss(objective, batch, self._problem)
                _backward(loss)
                self.seconds = min(self.seconds, time.perf_counter() - began)
                after = RandomState.now()
            self.draws |= after.differs_from(before)
            self.stateful |= _attributes(model) != attributes or after.python_differs_from(before)
            for name, buffer in model.named_buffers():
                if buffers.get(name) is not buffer:
                    self.obstacle = f"the buffer {name!r} is replaced, not changed in place, in forward"
            self._collect(model, loss)
        if self.seconds < COLD_SECONDS:
            self._warm(batch, stream)
        self._update()

    def _warm(self, batch: Any, stream: Stream) -> None:
        """A small pass takes several times as long at first: see how long the later ones take."""
        objective = Objective(self._problem, copy.deepcopy(self.starts[0]), self._device)
        for _ in range(WARM_PASSES):
            with stream.entered(keep=False):
                began = time.perf_counter()
                _backward(_loss(objective, batch, self._problem))
                self.seconds = min(self.seconds, time.perf_counter() - began)

    def _collect(self, model: nn.Module, loss: Tensor) -> None:
        gradients = {}
        unused = set()
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            if parameter.grad is None:
                unused.add(name)
            elif parameter.grad.layout != torch.strided:
                self.obstacle = f"the gradient of {name!r} is sparse"
            else:
                gradients[name] = parameter.grad.detach().clone()
        if not gradients and not self.obstacle:
            raise ProblemError("the loss depends on no parameter of the model: nothing would be trained")
        self.unused = frozenset(unused)
        self.losses.append(loss.detach())
        self.gradients.append(gradients)
        self.buffers.append({name: buffer.detach().clone() for name, buffer in model.named_buffers()})

    def _update(self) -> None:
        model = self.models[0]
        optimizer = make_optimizer(self._problem.optimizer, list(model.parameters()), 1e-3)
        scheduler = make_scheduler(self._problem.schedule, optimizer)
        try:
            optimizer.step()
        except Exception as error:
            name = type(optimizer).__name__
            raise ProblemError(
                f"{name} cannot update this model: {type(error).__name__}: {_line(error)}"
            ) from error
        if scheduler is not None:
            try:
                scheduler.step()
            except Exception as error:
                name = type(scheduler).__name__
                raise ProblemError(f"{name} cannot be stepped after every update: {_line(error)}") from error


def _compare(
    problem: Problem, start: nn.Module, plain: _Plain, batch: Any, stream: Stream, device: torch.device
) -> str:
    """Do the same vectorised; the sentence that says what went wrong, or ""."""
    objective = Objective(problem, copy.deepcopy(start), device)
    trained: dict[str, Tensor] = {}
    constants: dict[str, Tensor] = {}
    for name, parameter in start.named_parameters():
        stack = torch.stack([dict(model.named_parameters())[name].detach() for model in plain.starts])
        is_trained = parameter.requires_grad and name not in plain.unused
        (trained if is_trained else constants)[name] = stack.contiguous()
    for name, _ in start.named_buffers():
        stack = torch.stack([dict(model.named_buffers())[name] for model in plain.starts])
        constants[name] = stack.contiguous()
    try:
        with stream.entered(keep=False):
            gradients, losses = vectorised(objective, own_batch=False)(trained, constants, batch)
    except Exception as error:
        return f"the model cannot be vectorised: {_why_not(error)}"
    for k in range(COPIES):
        if not _close(losses[k], plain.losses[k], plain.losses[k].abs().max()):
            return "vectorised, the loss differs from an ordinary forward pass"
        largest = max((float(g.abs().max()) for g in plain.gradients[k].values() if g.numel()), default=0.0)
        for name, gradient in plain.gradients[k].items():
            if not _close(gradients[name][k], gradient, torch.tensor(largest)):
                return f"vectorised, the gradient of {name!r} differs from an ordinary backward pass"
        for name, buffer in plain.buffers[k].items():
            if not _close(
                constants[name][k], buffer, buffer.abs().max() if buffer.numel() else torch.tensor(0.0)
            ):
                return f"vectorised, the buffer {name!r} differs from an ordinary forward pass"
    return ""


def _validates_together(
    problem: Problem, models: Sequence[nn.Module], batch: Any, device: torch.device
) -> bool:
    if batch is None:
        return False
    by_step = problem.step is not None
    target: nn.Module = Objective(problem, models[0], device) if by_step else models[0]
    prefix = Objective.prefix if by_step else ""
    tensors = [{**dict(m.named_parameters()), **dict(m.named_buffers())} for m in models]
    stacked = {prefix + name: torch.stack([t[name].detach() for t in tensors]) for name in tensors[0]}
    inputs = batch if by_step else pair(batch)[0]
    try:
        with torch.no_grad(), evaluating(models), RandomState.now().kept():
            together = torch.func.vmap(
                lambda values: torch.func.functional_call(target, values, (inputs,)), randomness="same"
            )(stacked)
            alone = [Objective(problem, m, device)(batch) if by_step else m(inputs) for m in models]
    except Exception:
        return False
    together_leaves = tree_leaves(together)
    return all(
        _close(leaf[k], own, own.abs().max())
        for k in range(len(models))
        for leaf, own in zip(together_leaves, tree_leaves(alone[k]), strict=True)
        if isinstance(own, Tensor) and own.numel()
    )


def _try_validation(problem: Problem, model: nn.Module, batch: Any, device: torch.device) -> None:
    objective = Objective(problem, model, device)
    with torch.no_grad(), evaluating([model]), RandomState.now().kept():
        if problem.step is not None:
            _loss(objective, batch, problem, data="val")
            return
        inputs, target = pair(batch)
        _loss(objective, batch, problem, data="val")
        output = model(inputs)
        for name, metric in problem.metrics.items():
            try:
                float(metric(output, target))
            except Exception as error:
                raise ProblemError(
                    f"metric {name!r} must give a number for (output, target); "
                    f"{type(error).__name__}: {_line(error)}"
                ) from error


def _loss(objective: Objective, batch: Any, problem: Problem, data: str = "train") -> Tensor:
    try:
        loss = objective(batch)
    except ProblemError:
        raise
    except Exception as error:
        what = "step(model, batch)" if problem.step is not None else "loss(model(input), target)"
        raise ProblemError(
            f"model and {data} data do not fit together: {what} raised {type(error).__name__}: "
            f"{_line(error)}; {_what_met(objective, batch, problem)}"
        ) from error
    if not isinstance(loss, Tensor) or loss.numel() != 1 or loss.ndim != 0:
        got = (
            f"a tensor of shape {tuple(loss.shape)}"
            if isinstance(loss, Tensor)
            else f"a {type(loss).__name__}"
        )
        raise ProblemError(f"the loss must be a scalar tensor; it is {got} (use reduction='mean' or .mean())")
    return loss


def _what_met(objective: Objective, batch: Any, problem: Problem) -> str:
    """What did not fit, in words: output and target where the model gives one, else the batch."""
    if problem.step is None:
        inputs, target = pair(batch)
        with contextlib.suppress(Exception), torch.no_grad():
            output = objective.model(inputs)
            return f"the model's output is {describe(output)}, the target {describe(target)}"
    return f"the batch is {describe(batch)}"


def _backward(loss: Tensor) -> None:
    if not loss.requires_grad:
        raise ProblemError("the loss does not depend on the model's parameters: nothing would be trained")
    try:
        torch.autograd.backward(loss)
    except Exception as error:
        raise ProblemError(f"the backward pass raised {type(error).__name__}: {_line(error)}") from error


def describe(batch: Any) -> str:
    """A batch in words, for people: shapes and dtypes of its tensors."""
    leaves = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor)]
    return (
        ", ".join(f"{tuple(leaf.shape)} {str(leaf.dtype).removeprefix('torch.')}" for leaf in leaves)
        or "empty"
    )


def _perturbed(start: nn.Module, scale: float) -> nn.Module:
    """A copy whose trainable parameters are a little apart, by a fixed pattern, without random numbers."""
    model = copy.deepcopy(start)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                pattern = torch.arange(parameter.numel(), device=parameter.device).remainder(7).sub(3)
                parameter.add_(pattern.to(parameter.dtype).reshape(parameter.shape), alpha=scale)
    return model


def _attributes(model: nn.Module) -> list[tuple[str, str, str]]:
    """Plain Python attributes of every submodule, as text that compares."""
    return [
        (name, key, repr(value))
        for name, module in model.named_modules()
        for key, value in _plain_items(module)
    ]


def _plain_items(module: nn.Module) -> Iterator[tuple[str, Any]]:
    for key, value in vars(module).items():
        if not key.startswith("_") and isinstance(
            value, (bool, int, float, str, tuple, list, dict, type(None))
        ):
            yield key, value


def _close(value: Tensor, expected: Tensor, scale: Tensor) -> bool:
    if not expected.is_floating_point():
        return bool(torch.equal(value.to(expected.dtype), expected))
    tolerance = TOLERANCE.get(expected.dtype, 2e-2)
    both = torch.isfinite(value) & torch.isfinite(expected)
    if not torch.equal(torch.isfinite(value), torch.isfinite(expected)):
        return False
    difference = torch.where(both, value - expected, 0.0)
    return bool((difference.abs() <= tolerance * float(scale) + 1e-30).all())


def _why_not(error: Exception) -> str:
    """The two commonest reasons in the user's terms; any other as torch has it."""
    text = str(error)
    if "data-dependent control flow" in text:
        return "it branches on the values of tensors, or calls .item() on them"
    if "randomness" in text:
        return "it draws random numbers in a way that lanes cannot share"
    return f"{type(error).__name__}: {_line(error)}"


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else "no message"
