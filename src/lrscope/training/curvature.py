"""Curvature: the largest eigenvalue of every lane's Hessian, by Lanczos over Hessian-vector products.

All lanes go through one vectorised product an iteration. Letters: L lanes, N trained parameters.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from lrscope.training.lanczos import ITERATIONS_AT_MOST, Top, lanczos
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective
from lrscope.training.preconditioner import preconditioner

EXAMPLES_AT_MOST = 2_048
"""Examples the loss is averaged over. The fewer, the sharper it bends: with 128 about 1.2 times, with 512
about 1.03 times as much as with all."""

FRESH = 0.3
"""Of the start of a measurement, beside the eigenvector found last: so much of a new direction, lest the old
one hide that another has become the top."""


class Curvature(NamedTuple):
    """The top of each lane's spectrum; NaN for a lane that is left alone or whose weights are not finite.

    Attributes:
        plain: of the Hessian H of the loss: the sharpness.
        preconditioned: of P^-1/2 H P^-1/2, P being what the optimizer divides a gradient by, and H with the
            weight decay that is added to the gradient; None where the optimizer has no P, or no step has
            made it yet.
    """

    plain: Top
    preconditioned: Top | None


class Hessian:
    """The Hessian of the training loss at the lanes' present weights, on a fixed set of examples.

    In eval mode: no dropout, BatchNorm with its running statistics.

    Args:
        objective: its modules are copied.
        lanes: whose weights are meant.
        examples: one batch, the same at every measurement and for all lanes.
    """

    def __init__(self, objective: Objective, lanes: Lanes, examples: Any) -> None:
        self._objective = copy.deepcopy(objective).eval()
        self._lanes = lanes
        self._examples = examples
        self._shapes = {name: lanes.weights[name].shape[1:] for name in lanes.trained}
        self.size = sum(shape.numel() for shape in self._shapes.values())
        self._found: dict[tuple[str, int], Tensor] = {}
        generator = torch.Generator().manual_seed(0)
        fresh_N = torch.randn(self.size, generator=generator, dtype=torch.float64)
        self._fresh_N = fresh_N / fresh_N.norm()

        def loss(trained: dict[str, Tensor], constants: dict[str, Tensor]) -> Tensor:
            tensors = {Objective.prefix + name: tensor for name, tensor in {**trained, **constants}.items()}
            value: Tensor = functional_call(self._objective, tensors, (self._examples,))
            return value

        def product(trained: dict[str, Tensor], constants: dict[str, Tensor], vector: Tensor) -> Tensor:
            # Reverse over reverse: forward over reverse fails on scalar models and is no faster.
            direction = self._split(vector)

            def slope(at: dict[str, Tensor]) -> Tensor:
                gradient = grad(loss)(at, constants)
                return torch.stack([(gradient[name] * direction[name]).sum() for name in gradient]).sum()

            return torch.cat([part.flatten() for part in grad(slope)(trained).values()])

        self._product = vmap(product, in_dims=(0, 0, 0), randomness="same")

    def _split(self, vector: Tensor) -> dict[str, Tensor]:
        sizes = [shape.numel() for shape in self._shapes.values()]
        parts = torch.split(vector, sizes)
        return {
            name: part.reshape(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def top(self, iterations: int = ITERATIONS_AT_MOST) -> Curvature:
        """The largest (most positive) eigenvalue of every lane.

        The first time from one random start for all lanes; then from the eigenvector found last.
        """
        lanes = self._lanes
        everything = [
            tensor.reshape(len(lanes), -1) for tensor in (*lanes.weights.values(), *lanes.buffers.values())
        ]
        finite_L = torch.stack([torch.isfinite(flat).all(dim=1) for flat in everything]).all(dim=0)
        finite_L[sorted(lanes.retired)] = False
        trained = {name: _masked(lanes.weights[name], finite_L) for name in lanes.trained}
        fixed = {name: tensor for name, tensor in lanes.weights.items() if name not in trained}
        constants = {name: _masked(tensor, finite_L) for name, tensor in {**fixed, **lanes.buffers}.items()}

        def plain(v_LN: Tensor) -> Tensor:
            image_LN: Tensor = self._product(trained, constants, v_LN)
            return image_LN

        found = self._top("plain", plain, finite_L, iterations)
        divided = preconditioner(lanes)
        if divided is None:
            return Curvature(found, None)
        root_LN, decay_LN = divided
        known_L = finite_L & torch.isfinite(root_LN).all(dim=1)
        root_LN = _masked(root_LN, known_L)
        added_LN = decay_LN * root_LN.square()

        def preconditioned(v_LN: Tensor) -> Tensor:
            return root_LN * plain(root_LN * v_LN) + added_LN * v_LN

        return Curvature(found, self._top("preconditioned", preconditioned, known_L, iterations))

    def _top(self, name: str, product: Callable[[Tensor], Tensor], known_L: Tensor, iterations: int) -> Top:
        """The top of one kind of matrix, hidden where a lane has none."""
        some = self._lanes.weights[self._lanes.trained[0]]
        fresh_N = self._fresh_N.to(some)
        # By lane: some may have left since.
        names = [(name, key.lane) for key in self._lanes.keys]
        starts = [self._found[one] + FRESH * fresh_N if one in self._found else fresh_N for one in names]
        with _twice_differentiable():
            found = lanczos(product, functional.normalize(torch.stack(starts)), iterations)
        self._found.update(zip(names, found.vector.unbind(), strict=True))
        hidden_L = torch.where(known_L, 0.0, torch.nan)
        return found._replace(value=found.value + hidden_L, residual=found.residual + hidden_L)


def _masked(tensor: Tensor, finite_L: Tensor) -> Tensor:
    """Zeros in place of the lanes that are not finite: one NaN would make the small eigenproblem raise."""
    if not tensor.is_floating_point():
        return tensor
    return torch.where(finite_L.view(-1, *[1] * (tensor.ndim - 1)), tensor.detach(), 0.0)


@contextlib.contextmanager
def _twice_differentiable() -> Iterator[None]:
    """The fast attention kernels have no second derivative."""
    with sdpa_kernel(SDPBackend.MATH):
        yield
