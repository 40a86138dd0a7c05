"""Optimizer facts: the one table of what lrscope knows about each optimizer of `torch.optim`.

The table needs the standard library only, so the code that trains and the code that reads a study share it.
To teach lrscope the stability limit of another optimizer, give its entry a `limit`, and a `divisor` if the
optimizer divides the gradient. Add examples of its options to `tests/test_optimizer_facts.py`, and a row to
the table of limits in `docs/science.md`.

Letters of the formulas: r rate, s sharpness, b momentum or beta1, d dampening, w weight decay.

A stability limit holds for a quadratic of curvature s in steps on all examples, with the divisor P held
still. One step is then a linear map of the weight and the momentum buffer. Let T be its trace and D its
determinant. The weight converges while both roots of x^2 - T x + D lie inside the unit disc. As r grows, the
first root leaves the disc at x = -1, which is where 1 + T + D = 0. Solving that for r gives the limit.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

Options: TypeAlias = Mapping[str, Any]
"""Options of an optimizer by name."""

Limit: TypeAlias = Callable[[Options, float, float], float | None]
"""(options, sharpness, step) -> the largest stable rate; None where there is none.

The options hold every name in `limit_options`. The sharpness is the largest eigenvalue of the Hessian H of
the loss; for an optimizer with a divisor P it is that of P^-1/2 (H + w) P^-1/2, w being a weight decay that
is added to the gradient. The step matters where an optimizer changes its momentum while it trains.
"""

Divisor: TypeAlias = Callable[[Options, Mapping[str, Any]], Any]
"""(options of the parameter group, state of a tensor in float64) -> P of that tensor."""


@dataclasses.dataclass(frozen=True)
class OptimizerFacts:
    """What lrscope knows about one optimizer. The defaults are those of an optimizer that is not known.

    Attributes:
        limit: the stability limit; None where no formula is known.
        limit_options: the options on which the limit depends, with torch's defaults.
        divisor: P, by which the optimizer divides the gradient, read from its state; None where it divides by
            nothing, or by something that lrscope does not know.
        update_length: what sets the length of an update. "gradient": it is rate x gradient / (1 - momentum).
            "rate": every weight moves by about the rate. None: not known.
        linear: whether the update is linear in the gradient. Above its limit such an optimizer diverges;
            another one swings within bounds.
        fused: whether torch has a fused kernel for it on CPU and CUDA: the same update in one pass over
            memory.
        fused_state: names of the state that this kernel reads and writes; empty where lrscope never calls the
            kernel itself.
        separate_groups: whether a step treats every parameter group by itself, so that the groups of several
            lanes can share one call.
        needs_closure: whether a step evaluates the loss itself. lrscope cannot train such an optimizer.
    """

    limit: Limit | None = None
    limit_options: Options = dataclasses.field(default_factory=dict)
    divisor: Divisor | None = None
    update_length: Literal["gradient", "rate"] | None = None
    linear: bool = False
    fused: bool = False
    fused_state: tuple[str, ...] = ()
    separate_groups: bool = False
    needs_closure: bool = False


def sgd_limit(options: Options, sharpness: float, step: float) -> float | None:
    """Return (2 + 2b) / ((1 - d)(s + w)), or with Nesterov (2 + 2b) / ((1 + 2b)(s + w)).

    With k = r (s + w): T = 1 + b - (1 - d) k and D = b; with Nesterov T = (1 + b)(1 - k) and D = b (1 - k).
    Source: J. Cohen et al., Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability,
    arXiv 2103.00065, appendix B; d and w follow from the same polynomial.
    """
    curvature, b = sharpness + float(options["weight_decay"]), float(options["momentum"])
    # torch keeps no buffer, and so does not dampen, without momentum.
    share = 1 + 2 * b if options["nesterov"] else 1 - float(options["dampening"]) * (b > 0)
    return (2 + 2 * b) / (share * curvature) if curvature > 0 and share > 0 else None


def rmsprop_limit(options: Options, sharpness: float, step: float) -> float | None:
    """Return (2 + 2b) / s, the limit of momentum for the preconditioned s.

    Source: J. Cohen et al., Adaptive Gradient Methods at the Edge of Stability, arXiv 2207.14484.
    """
    return (2 + 2 * float(options["momentum"])) / sharpness if sharpness > 0 else None


def adam_limit(options: Options, sharpness: float, step: float) -> float | None:
    """Return (2 + 2b) / ((1 - b) s + (1 + b) w), s being preconditioned and w a decoupled weight decay.

    T = 1 + b - r w - r (1 - b) s and D = b (1 - r w). A weight decay that is added to the gradient is part of
    s, and w is 0. Source: J. Cohen et al., arXiv 2207.14484; w follows from the same polynomial.
    """
    if sharpness <= 0:
        return None
    b = float(options["betas"][0])
    return (2 + 2 * b) / ((1 - b) * sharpness + (1 + b) * _decoupled_decay(options))


def nadam_limit(options: Options, sharpness: float, step: float) -> float | None:
    """Return (2 + 2b) / (((1 - m)(1 + b) + n (1 - b)) s + (1 + b) w), s preconditioned and w decoupled.

    The update is rate x ((1 - m) g + n M) / P, M being the running mean of the gradients g with beta1 = b. In
    step t it takes m = m_t and n = m_(t+1) from the schedule m_t = b (1 - 0.96^(t momentum_decay) / 2) of
    T. Dozat, Incorporating Nesterov Momentum into Adam (2016). So T = 1 + b - r w - r s ((1 - m) + n (1 - b))
    and D = b (1 - r w) - r s b (1 - m). When the schedule has ended, m = n = b, and the limit is
    (2 + 2b) / ((1 - b)(1 + 2b) s + (1 + b) w): Nesterov's limit, for gradients averaged with 1 - b.
    """
    if sharpness <= 0:
        return None
    b, decay = float(options["betas"][0]), float(options["momentum_decay"])
    this, following = (b * (1 - math.pow(0.96, decay * (step + ahead)) / 2) for ahead in (1, 2))
    share = (1 - this) * (1 + b) + following * (1 - b)
    return (2 + 2 * b) / (share * sharpness + (1 + b) * _decoupled_decay(options))


def _decoupled_decay(options: Options) -> float:
    return float(options["weight_decay"]) if options["decoupled_weight_decay"] else 0.0


def rmsprop_divisor(group: Options, state: Mapping[str, Any]) -> Any:
    """Return P = sqrt(v) + eps, v being the running mean of g^2; centred, the variance of g in place of v."""
    squares = state["square_avg"]
    if group["centered"]:
        squares = (squares - state["grad_avg"] ** 2).clamp(min=0.0)
    return squares**0.5 + group["eps"]


def adam_divisor(group: Options, state: Mapping[str, Any]) -> Any:
    """Return P = (1 - beta1^t) (sqrt(v / (1 - beta2^t)) + eps) after t steps, v the running mean of g^2.

    AMSGrad has the running maximum in place of v. The first factor corrects the momentum, which starts at 0.
    Source: J. Cohen et al., arXiv 2207.14484.
    """
    done = float(state["step"])
    beta1, beta2 = (float(beta) for beta in group["betas"])
    squares = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    return ((squares / (1 - beta2**done)) ** 0.5 + group["eps"]) * (1 - beta1**done)


def nadam_divisor(group: Options, state: Mapping[str, Any]) -> Any:
    """Return P = sqrt(v / (1 - beta2^t)) + eps after t steps, v the running mean of g^2.

    The two corrections of the momentum are left out: by default both fall below 1% in six steps.
    """
    done, beta2 = float(state["step"]), float(group["betas"][1])
    return (state["exp_avg_sq"] / (1 - beta2**done)) ** 0.5 + group["eps"]


_ADAM_STATE = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
_ADAM_OPTIONS = {"betas": (0.9, 0.999), "weight_decay": 0.0, "decoupled_weight_decay": False}

OPTIMIZERS: Mapping[str, OptimizerFacts] = MappingProxyType(
    {
        "SGD": OptimizerFacts(
            limit=sgd_limit,
            limit_options={"momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0},
            update_length="gradient",
            linear=True,
            fused=True,
            fused_state=("momentum_buffer",),
            separate_groups=True,
        ),
        "Adam": OptimizerFacts(
            limit=adam_limit,
            limit_options=_ADAM_OPTIONS,
            divisor=adam_divisor,
            update_length="rate",
            fused=True,
            fused_state=_ADAM_STATE,
            separate_groups=True,
        ),
        "AdamW": OptimizerFacts(
            limit=adam_limit,
            limit_options=_ADAM_OPTIONS | {"weight_decay": 0.01, "decoupled_weight_decay": True},
            divisor=adam_divisor,
            update_length="rate",
            fused=True,
            fused_state=_ADAM_STATE,
            separate_groups=True,
        ),
        "RMSprop": OptimizerFacts(
            limit=rmsprop_limit,
            limit_options={"momentum": 0.0},
            divisor=rmsprop_divisor,
            update_length="rate",
            separate_groups=True,
        ),
        "NAdam": OptimizerFacts(
            limit=nadam_limit,
            limit_options=_ADAM_OPTIONS | {"momentum_decay": 0.004},
            divisor=nadam_divisor,
            update_length="rate",
            separate_groups=True,
        ),
        "RAdam": OptimizerFacts(update_length="rate", separate_groups=True),
        "Adamax": OptimizerFacts(update_length="rate", separate_groups=True),
        "Adagrad": OptimizerFacts(fused=True, separate_groups=True),
        "Adadelta": OptimizerFacts(separate_groups=True),
        "LBFGS": OptimizerFacts(needs_closure=True),
    }
)
"""The facts by the name of the class in `torch.optim`."""

UNKNOWN = OptimizerFacts()
"""The facts about an optimizer that is not in the table."""


def facts_named(name: str) -> OptimizerFacts:
    """Return the facts about an optimizer by its class name, as in `Plan.optimizer`."""
    return OPTIMIZERS.get(name, UNKNOWN)


def facts_of(kind: type) -> OptimizerFacts:
    """Return the facts about an optimizer class; `UNKNOWN` for any class that is not torch's own.

    A class from elsewhere may have the name of one of torch's and do something else.
    """
    return facts_named(kind.__name__) if kind.__module__.startswith("torch.optim.") else UNKNOWN
