"""The dry run: before training, find out whether model, loss, data and optimizer fit, and how lanes can run.

A few steps are done twice on throw-away copies, plainly and vectorised. What raises plainly is the user's to
mend and is said in one line; what raises, or differs, only when vectorised is trained lane after lane.
"""

import copy
import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lrscope.problems.problem import Problem
from lrscope.training.capture import stateless
from lrscope.training.gradients import vectorised
from lrscope.training.objective import Objective, pair
from lrscope.training.random_state import RandomState, Stream
from lrscope.training.trial_passes import COPIES, Rehearsal, first_line, try_validation
from lrscope.training.validation import evaluating

TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-4}
"""Largest difference of gradients, over the lane's largest gradient, that rounding explains; else 2e-2."""


@dataclasses.dataclass(frozen=True)
class Findings:
    """What the dry run found.

    Attributes:
        together: whether all lanes can be one vectorised call.
        reason: why not, in a sentence; "" where they can.
        validate_together: the same for the forward pass in eval mode.
        draws: whether the model or loss draws random numbers while training.
        unused: trainable parameters the loss does not depend on.
        capturable: whether the Python of model and loss keeps no state, as far as can be seen.
        stateful: whether it was seen to keep some.
        liveliest: of tensors whose first element has no gradient, the index of the one that has the largest.
    """

    together: bool
    reason: str
    validate_together: bool
    draws: bool
    unused: frozenset[str]
    capturable: bool
    stateful: bool
    liveliest: Mapping[str, tuple[int, ...]]


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
        plain = Rehearsal(problem, start, device)
        plain.run(batch, stream)
        if val_batch is not None:
            try_validation(problem, plain.models[0], val_batch, device)
        reason = plain.obstacle or _compare(problem, start, plain, batch, stream, device)
        validate_together = not reason and _validates_together(problem, plain.models, val_batch, device)
        capturable = not plain.stateful and stateless(start, problem.loss, problem.step)
    return Findings(
        not reason,
        reason,
        validate_together,
        plain.draws,
        plain.unused,
        capturable,
        plain.stateful,
        _liveliest(plain.gradients[0]),
    )


def _liveliest(gradients: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Where to see a tensor move whose first element does not: a pixel that is always black has no weight
    that learns.
    """
    found = {}
    for name, gradient in gradients.items():
        size = gradient.reshape(-1).abs()
        if size.numel() and not size[0] and size.max() > 0:
            index = torch.unravel_index(size.argmax(), gradient.shape)
            found[name] = tuple(int(one) for one in index)
    return found


def _compare(
    problem: Problem, start: nn.Module, plain: Rehearsal, batch: Any, stream: Stream, device: torch.device
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
            gradients, losses = vectorised(objective)(trained, constants, batch)
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
    return f"{type(error).__name__}: {first_line(error)}"
