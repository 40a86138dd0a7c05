"""Rehearsal: a few steps on throw-away copies of the model, by ordinary passes.

What raises here is the user's to mend and is said in one line.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lrscope.errors import ProblemError
from lrscope.problems.problem import Problem
from lrscope.training.objective import Objective, pair
from lrscope.training.optimizers import make_optimizer, make_scheduler
from lrscope.training.random_state import RandomState, Stream
from lrscope.training.validation import evaluating

COPIES = 3
"""Lanes of the dry run, a little apart from each other."""


class Rehearsal:
    """Copies of one starting module, run one after another.

    Args:
        problem: says what is done with them.
        start: is copied.
        device: where it is.

    Attributes:
        models, starts: the copies, as they are now and as they were.
        losses, gradients, buffers: of each copy, after a forward and backward pass.
        obstacle: why lanes of the problem cannot share a call, in a sentence; "" where nothing was seen.
        draws: whether model or loss draw random numbers.
        stateful: whether their Python was seen to keep something.
        unused: trainable parameters that got no gradient.
    """

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

    def run(self, batch: Any, stream: Stream) -> None:
        """One forward and backward pass a copy; then one update of the first, to see that it can be."""
        for model, objective in zip(self.models, self._objectives, strict=True):
            buffers = dict(model.named_buffers())
            attributes = _attributes(model)
            with stream.entered(keep=False):
                before = RandomState.now()
                loss = _loss(objective, batch, self._problem)
                _backward(loss)
                after = RandomState.now()
            self.draws |= after.differs_from(before)
            self.stateful |= _attributes(model) != attributes or after.python_differs_from(before)
            for name, buffer in model.named_buffers():
                if buffers.get(name) is not buffer:
                    self.obstacle = f"the buffer {name!r} is replaced, not changed in place, in forward"
            self._collect(model, loss)
        self._update()

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
        with _mendable(f"{type(optimizer).__name__} cannot update this model:"):
            optimizer.step()
        if scheduler is not None:
            with _mendable(f"{type(scheduler).__name__} cannot be stepped after every update:"):
                scheduler.step()


@contextlib.contextmanager
def _mendable(what: str) -> Iterator[None]:
    """Inside, what raises is the user's to mend; `what` begins the line that says it."""
    try:
        yield
    except Exception as error:
        raise ProblemError(f"{what} {type(error).__name__}: {first_line(error)}") from error


def try_validation(problem: Problem, model: nn.Module, batch: Any, device: torch.device) -> None:
    """See that a validation batch gives a loss, and every metric a number.

    Raises:
        ProblemError: it does not.
    """
    objective = Objective(problem, model, device)
    with torch.no_grad(), evaluating([model]), RandomState.now().kept():
        if problem.step is not None:
            _loss(objective, batch, problem, data="val")
            return
        inputs, target = pair(batch)
        _loss(objective, batch, problem, data="val")
        output = model(inputs)
        for name, metric in problem.metrics.items():
            with _mendable(f"metric {name!r} must give a number for (output, target);"):
                float(metric(output, target))


def _loss(objective: Objective, batch: Any, problem: Problem, data: str = "train") -> Tensor:
    try:
        loss = objective(batch)
    except ProblemError:
        raise
    except Exception as error:
        what = "step(model, batch)" if problem.step is not None else "loss(model(input), target)"
        raise ProblemError(
            f"model and {data} data do not fit together: {what} raised {type(error).__name__}: "
            f"{first_line(error)}; {_what_met(objective, batch, problem)}"
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
            return f"the model's output is {_described(output)}, the target {_described(target)}"
    return f"the batch is {_described(batch)}"


def _backward(loss: Tensor) -> None:
    if not loss.requires_grad:
        raise ProblemError("the loss does not depend on the model's parameters: nothing would be trained")
    with _mendable("the backward pass raised"):
        torch.autograd.backward(loss)


def _described(batch: Any) -> str:
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


def first_line(error: Exception) -> str:
    """Of what it says."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else "no message"
