"""Preconditioner: what the Adam family and RMSprop divide a gradient by, read from the lanes' optimizers.

Letters: L lanes, N trained parameters.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrscope.training.lanes import Lanes

KNOWN = (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)
"""The very classes: another one may divide by something else."""


class Preconditioner(NamedTuple):
    """P of every lane, diagonal.

    Attributes:
        inverse_root: [L, N], P^-1/2; 0 where a parameter is not moved. NaN in a lane without a P yet.
        decay: [L, N], the weight decay that is added to the gradient, and so to the Hessian; 0 for AdamW,
            whose decay passes P by.
    """

    inverse_root: Tensor
    decay: Tensor


def preconditioner(lanes: Lanes) -> Preconditioner | None:
    """P at the lanes' present weights; None where the optimizer has none, or has not made a step yet.

    After t updates, v_t being the running mean of the squared gradient (its running maximum with AMSGrad):

    - Adam and AdamW: P = (1 - beta1^t) (sqrt(v_t / (1 - beta2^t)) + eps), J. Cohen et al., Adaptive Gradient
      Methods at the Edge of Stability, arXiv 2207.14484;
    - RMSprop: P = sqrt(v_t) + eps; centred, the variance v_t - mean(g)^2 in place of v_t.

    A parameter group with a rate of its own is moved by so much more: its P is divided by the ratio of its
    rate to the first group's.
    """
    if any(type(lane.optimizer) not in KNOWN for lane in lanes.lanes):
        return None
    roots, decays = [], []
    for lane in lanes.lanes:
        params = dict(lane.module.named_parameters())
        parts = [_inverse_root(lane.optimizer, params[name]) for name in lanes.trained]
        roots.append(torch.cat([root for root, _ in parts]))
        decays.append(torch.cat([decay for _, decay in parts]))
    inverse_root, decay = torch.stack(roots), torch.stack(decays)
    unmoved_L = (inverse_root == 0).all(dim=1)
    if bool(unmoved_L.all()):
        return None
    return Preconditioner(inverse_root.masked_fill(unmoved_L.unsqueeze(1), torch.nan), decay)


def _inverse_root(optimizer: Optimizer, parameter: Tensor) -> tuple[Tensor, Tensor]:
    """P^-1/2 and the coupled decay of one tensor, flat; zeros while it has no state."""
    # Not by item: that would make an entry.
    state = optimizer.state.get(parameter)
    still = torch.zeros_like(parameter.detach()).flatten()
    if not state:
        return still, still
    group = next(
        group for group in optimizer.param_groups if any(one is parameter for one in group["params"])
    )
    divisor = (_rmsprop if isinstance(optimizer, torch.optim.RMSprop) else _adam)(group, state)
    root = divisor.rsqrt()
    # 0 / 0: without eps, what never had a gradient does not move.
    root = torch.where(torch.isinf(root), 0.0, root)
    own, first = float(group["lr"]), float(optimizer.param_groups[0]["lr"])
    if own != first > 0:
        root = root * math.sqrt(own / first)
    coupled = 0.0 if group.get("decoupled_weight_decay") else float(group["weight_decay"])
    return root.to(parameter.dtype).flatten(), torch.full_like(still, coupled)


def _adam(group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor:
    done = float(state["step"])
    beta1, beta2 = (float(beta) for beta in group["betas"])
    squares: Tensor = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    root: Tensor = (squares.double() / (1 - beta2**done)).sqrt() + group["eps"]
    divisor: Tensor = root * (1 - beta1**done)
    return divisor


def _rmsprop(group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor:
    squares = state["square_avg"].double()
    if group["centered"]:
        squares = (squares - state["grad_avg"].double().square()).clamp(min=0.0)
    divisor: Tensor = squares.sqrt() + group["eps"]
    return divisor
