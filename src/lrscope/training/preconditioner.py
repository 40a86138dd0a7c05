"""Preconditioner: what optimizers divide a gradient by, read from the lanes' own optimizers.

Letters: L lanes, N trained parameters.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrscope.optimizer_facts import Divisor, facts_of
from lrscope.training.lanes import Lanes


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
    """Return P at the lanes' present weights; None where an optimizer has none, or no lane has made a step.

    `lrscope.optimizer_facts` has the formulas. A parameter group with a rate of its own is moved by so much
    more: its P is divided by the ratio of its rate to the first group's.
    """
    known = [facts_of(type(lane.optimizer)).divisor for lane in lanes.lanes]
    divisors = [divisor for divisor in known if divisor is not None]
    if len(divisors) < len(known):
        return None
    roots, decays = [], []
    for lane, divisor in zip(lanes.lanes, divisors, strict=True):
        params = dict(lane.module.named_parameters())
        parts = [_inverse_root(lane.optimizer, divisor, params[name]) for name in lanes.trained]
        roots.append(torch.cat([root for root, _ in parts]))
        decays.append(torch.cat([decay for _, decay in parts]))
    inverse_root, decay = torch.stack(roots), torch.stack(decays)
    unmoved_L = (inverse_root == 0).all(dim=1)
    if bool(unmoved_L.all()):
        return None
    return Preconditioner(inverse_root.masked_fill(unmoved_L.unsqueeze(1), torch.nan), decay)


def _inverse_root(optimizer: Optimizer, divisor: Divisor, parameter: Tensor) -> tuple[Tensor, Tensor]:
    """Return P^-1/2 and the coupled decay of one tensor, flat; zeros while it has no state."""
    # `get`, because indexing would make an entry.
    state = optimizer.state.get(parameter)
    nothing = torch.zeros_like(parameter.detach()).flatten()
    if not state:
        return nothing, nothing
    group = next(
        group for group in optimizer.param_groups if any(one is parameter for one in group["params"])
    )
    exact = {name: value.double() if isinstance(value, Tensor) else value for name, value in state.items()}
    root: Tensor = divisor(group, exact).rsqrt()
    # 0 / 0: without eps, a weight that never had a gradient does not move.
    root = torch.where(torch.isinf(root), 0.0, root)
    rate, first = float(group["lr"]), float(optimizer.param_groups[0]["lr"])
    if rate != first > 0:
        root = root * math.sqrt(rate / first)
    coupled = 0.0 if group.get("decoupled_weight_decay") else float(group["weight_decay"])
    return root.to(parameter.dtype).flatten(), torch.full_like(nothing, coupled)
