"""Optimizers and schedules: found by name, and stepped for all lanes.

Every lane has the optimizer its factory made, unmodified, over its own parameters. What is shared is only the
call: optimizers of torch.optim's own classes are stepped by one object that holds all lanes' parameter groups
and states, which is bitwise the same as stepping them one after another.
"""

import copy
import difflib
import inspect
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from lrscope.errors import ProblemError
from lrscope.language import Text
from lrscope.optimizer_facts import facts_of
from lrscope.plan import GROUP_RATES
from lrscope.problems.problem import OptimizerFactory, Problem, Schedule
from lrscope.training.descent import descent
from lrscope.training.kernels import Update, fused, hooked, rehearsed


def optimizer_by_name(name: str, options: Mapping[str, Any]) -> OptimizerFactory:
    """The factory of a torch.optim class, found without regard to case.

    Raises:
        ProblemError: no such class, an option it does not have, or an option's value it refuses.
    """
    classes: dict[str, Any] = {
        key.lower(): value
        for key, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, Optimizer) and value is not Optimizer
    }
    optimizer = classes.get(name.lower())
    if optimizer is None:
        near = difflib.get_close_matches(name.lower(), classes, n=3)
        known = ", ".join(sorted(classes[key].__name__ for key in near or classes))
        raise ProblemError(f"there is no optimizer {name!r} in torch.optim; try one of: {known}")
    allowed = [key for key in inspect.signature(optimizer).parameters if key not in ("params", "lr")]
    for key in options:
        if key not in allowed:
            raise ProblemError(f"{optimizer.__name__} has no option {key!r}; it has: {', '.join(allowed)}")
    try:
        optimizer([torch.zeros(1, requires_grad=True)], lr=0.1, **options)
    except Exception as error:
        raise ProblemError(f"{optimizer.__name__} refuses {dict(options)}: {error}") from error

    def factory(params: Any, lr: float) -> Optimizer:
        made: Optimizer = optimizer(params, lr=lr, **options)
        return made

    factory.__name__ = optimizer.__name__
    return factory


SCHEDULE_STEPS = 100_000
"""Steps that a schedule is tried for, at most."""

NEGLIGIBLE_RATE = 1e-6
"""A rate below so much of its peak trains nothing."""

ENDS_EARLY = Text(
    "the schedule has brought the rate to {factor} of its peak by update {step} of {steps}: it is stepped "
    "after every update; if it is meant once an epoch, multiply its step counts by the updates of an epoch",
    "到第 {step} 次更新（共 {steps} 次），学习率调度已把学习率降到峰值的 {factor}：它在每次更新之后前进一步；"
    "如果原意是每轮一步，请把它的步数乘以每轮的更新次数",
)

SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "constant": lambda steps: lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0),
    "cosine": lambda steps: lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps),
    "linear": lambda steps: (
        lambda optimizer: lr_scheduler.LinearLR(
            optimizer, start_factor=1.0, end_factor=0.0, total_iters=steps
        )
    ),
    "warmup-cosine": lambda steps: (
        lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, steps))
    ),
    "onecycle": lambda steps: (
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, max_lr=[group["lr"] for group in optimizer.param_groups], total_steps=steps + 1
        )
    ),
    "step": lambda steps: (
        lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=max(1, math.ceil(steps / 3)))
    ),
}
"""Schedules by name, each a function of the number of steps; the lane's rate is the peak."""


def warmup_cosine(step: int, steps: int) -> float:
    """Factor of the peak rate: linear over the first tenth of the steps, then half a cosine to zero."""
    warmup = max(1, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def schedule_by_name(name: str) -> Callable[[int], Schedule]:
    """A named schedule as a function of the number of steps of a run.

    Raises:
        ProblemError: there is none of that name.
    """
    if name not in SCHEDULES:
        raise ProblemError(f"there is no schedule {name!r}; there is: {', '.join(SCHEDULES)}")
    return SCHEDULES[name]


def make_optimizer(factory: OptimizerFactory, params: Sequence[Tensor], rate: float) -> Optimizer:
    """Call the user's factory for one lane, and say in one line what it got wrong.

    Raises:
        ProblemError: it raised, made something that is no optimizer, or one that cannot run in lanes.
    """
    try:
        optimizer = factory(list(params), lr=rate)
    except Exception as error:
        raise ProblemError(
            f"optimizer(params, lr={rate:g}) raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(optimizer, Optimizer):
        raise ProblemError(
            f"optimizer(params, lr=...) must make a torch optimizer; it made a {type(optimizer).__name__}"
        )
    if any(facts_of(kind).needs_closure for kind in type(optimizer).__mro__):
        name = type(optimizer).__name__
        raise ProblemError(
            f"{name} evaluates the loss itself and has no learning rate in lrscope's sense; try SGD"
        )
    return optimizer


def make_scheduler(schedule: Schedule | None, optimizer: Optimizer) -> LRScheduler | None:
    """Call the user's schedule for one lane.

    Raises:
        ProblemError: it raised, or made something that cannot be stepped after every update without a metric.
    """
    if schedule is None:
        return None
    try:
        scheduler = schedule(optimizer)
    except Exception as error:
        raise ProblemError(f"schedule(optimizer) raised {type(error).__name__}: {error}") from error
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        raise ProblemError(
            "ReduceLROnPlateau waits for a metric and cannot be stepped after every update; try cosine"
        )
    if not hasattr(scheduler, "step"):
        raise ProblemError(
            f"schedule(optimizer) must make a torch LRScheduler; it made a {type(scheduler).__name__}"
        )
    return scheduler


def try_schedule(problem: Problem, params: Sequence[Tensor], steps: int) -> Text | None:
    """Step a problem's schedule through a run, without training.

    Returns:
        What to tell of a schedule that has all but ended the run after three quarters of it, as one does that
        is meant to be stepped once an epoch; None otherwise.

    Raises:
        ProblemError: it cannot be stepped so often.
    """
    optimizer = make_optimizer(problem.optimizer, params, 1.0)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is stepped without an update on purpose
        scheduler = make_scheduler(problem.schedule, optimizer)
        if scheduler is None:
            return None
        for step in range(min(steps, SCHEDULE_STEPS)):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            try:
                scheduler.step()
            except Exception as error:
                first_line = next(iter(str(error).splitlines()), "")
                name = type(scheduler).__name__
                raise ProblemError(
                    f"schedule= ({name}) raised after update {step + 1} of {steps}: it steps after every "
                    f"update, {steps} times; {type(error).__name__}: {first_line[:120]}"
                ) from error
    peak, late = max(rates), rates[3 * len(rates) // 4]
    if late >= NEGLIGIBLE_RATE * peak:
        return None
    return ENDS_EARLY.format(factor=f"{late / peak:.0e}", step=f"{3 * len(rates) // 4:,}", steps=f"{steps:,}")


def use_fused_kernel(optimizer: Optimizer) -> None:
    """Choose the fused kernel where the class has one and the user left the choice open."""
    if not facts_of(type(optimizer)).fused:
        return
    for group in optimizer.param_groups:
        left_open = not group.get("foreach") and group.get("fused") is None
        plain = not group.get("differentiable") and not group.get("capturable")
        number = isinstance(group["lr"], float)
        if left_open and plain and number and all(_fits_fused(param) for param in group["params"]):
            group["fused"] = True


def _fits_fused(param: Tensor) -> bool:
    # In half precision the CPU kernels are not the same update: that of SGD loses it for 16 elements and more
    # (measured with torch 2.13), that of Adam rounds elsewhere.
    return param.dtype in (torch.float32, torch.float64) and param.device.type in ("cpu", "cuda")


Stacks: TypeAlias = Mapping[str, tuple[Tensor, Sequence[Tensor]]]
"""name -> the weights of all lanes, [L, ...], and each lane's own parameter."""


class LaneOptimizers:
    """The optimizers and schedulers of all lanes.

    Every optimizer makes its first step itself, which makes its state. From the second on those of torch's
    own classes are stepped as one; and from the third, where that is bitwise the same, with less Python.

    Args:
        optimizers, schedulers: one a lane, as the user's factories made them.
        stacks: of all parameters that get gradients.
        stacked: the gradients of this step, name -> [L, ...]; None where they are not stacked.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        schedulers: Sequence[LRScheduler | None],
        stacks: Stacks,
        stacked: Callable[[], Mapping[str, Tensor] | None],
    ) -> None:
        self._optimizers = list(optimizers)
        self._schedulers = [scheduler for scheduler in schedulers if scheduler is not None]
        first = optimizers[0]
        alike = all(type(optimizer) is type(first) for optimizer in optimizers)
        merges = facts_of(type(first)).separate_groups
        self._mergeable = alike and merges and not any(map(hooked, optimizers))
        self._merged: Optimizer | None = None
        self._update: Update | None = None
        self._candidates: list[Callable[[], Update | None]] = [
            lambda: descent(optimizers, stacks, stacked),
            lambda: fused(optimizers, stacks, stacked),
        ]

    @property
    def from_stacks(self) -> bool:
        """Whether stacked gradients are enough: no parameter needs one of its own."""
        return self._update is not None

    def step(self, hand_out: Callable[[], None]) -> None:
        """Update every lane whose parameters hold gradients, then step the schedulers.

        Args:
            hand_out: called first where the parameters need gradients of their own.
        """
        if self._update is None or not self._update():
            hand_out()
            self._ordinary_step()
        for scheduler in self._schedulers:
            scheduler.step()

    def _ordinary_step(self) -> None:
        if self._merged is None:
            for optimizer in self._optimizers:
                optimizer.step()
            if self._mergeable:
                # Only now: an optimizer makes its state at its own first step.
                self._merged = _merge(self._optimizers)
            return
        while self._update is None and self._candidates:
            update = self._candidates.pop(0)()
            if update is not None:
                if rehearsed(update, self._merged.step):
                    self._update = update
                return
        self._merged.step()

    def rates(self) -> list[float]:
        """The current rate of each lane: that of its first parameter group."""
        return [float(optimizer.param_groups[0]["lr"]) for optimizer in self._optimizers]


def _merge(optimizers: Sequence[Optimizer]) -> Optimizer:
    """One optimizer over the very groups and states of all: schedulers and state dicts of each stay valid."""
    merged = copy.copy(optimizers[0])
    # A scheduler leaves a `step` bound to the first optimizer on the instance.
    merged.__dict__.pop("step", None)
    merged.param_groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    merged.state = defaultdict(dict)
    for optimizer in optimizers:
        for param in (param for group in optimizer.param_groups for param in group["params"]):
            # Read by item: a parameter without a gradient yet gets its (shared) empty state here.
            merged.state[param] = optimizer.state[param]
    return merged


def clip_gradients(gradients: Sequence[Tensor], max_norm: float) -> None:
    """Scale every lane's gradients in place to a 2-norm of at most `max_norm` over all its tensors.

    The arithmetic of `torch.nn.utils.clip_grad_norm_`: the norm of the norms, and a factor
    max_norm / (norm + 1e-6) that is clamped to 1.

    Args:
        gradients: tensors [L, ...].
    """
    norms = [torch.linalg.vector_norm(gradient.reshape(len(gradient), -1), dim=1) for gradient in gradients]
    total = torch.linalg.vector_norm(torch.stack(norms, dim=1), dim=1)
    factor_L = torch.clamp(max_norm / (total + 1e-6), max=1.0)
    for gradient in gradients:
        gradient.mul_(factor_L.view(-1, *[1] * (gradient.ndim - 1)))


def describe(factory: OptimizerFactory, params: Sequence[Tensor] = ()) -> tuple[str, dict[str, Any]]:
    """The class name an optimizer factory makes, and the options in which it differs from the defaults.

    Args:
        factory: of the problem.
        params: those of a model. With them there is also the option `GROUP_RATES`, where a parameter group
            is trained at another rate than the one asked for: what each group's is a multiple of it.
    """
    asked = 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = make_optimizer(factory, params or [torch.zeros(1, 1, requires_grad=True)], asked)
    parameters = inspect.signature(type(optimizer)).parameters
    options = {
        key: value
        for key, value in optimizer.defaults.items()
        if key in parameters
        and key != "lr"
        and value is not None
        and value != parameters[key].default
        and isinstance(value, (bool, int, float, str, tuple, list))
    }
    multiples = [float(f"{float(group['lr']) / asked:.6g}") for group in optimizer.param_groups]
    if params and any(multiple != 1.0 for multiple in multiples):
        options[GROUP_RATES] = multiples
    return type(optimizer).__name__, options
