"""Curvature: the largest eigenvalue of every lane's Hessian, by Lanczos over Hessian-vector products.

All lanes go through one vectorised product an iteration. Letters: L lanes, N trained parameters, k
iterations.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective

ITERATIONS_AT_MOST = 30
"""Lanczos needs about 27 products for 5% on a million parameters with 1% chance of failure: J. Kuczynski and
H. Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992), theorem 4.2 with its worst-case spectrum."""

SETTLED = 1e-3
"""Relative change of the top Ritz value below which, twice in a row, every lane is done."""

EXAMPLES_AT_MOST = 2_048
"""Examples the loss is averaged over. The fewer, the sharper it bends: with 128 about 1.2 times, with 512
about 1.03 times as much as with all."""

BROKEN_DOWN = 1e-6
"""A residual so small, relative to the Ritz values, ends the Krylov space: what was found there is exact."""


class Curvature(NamedTuple):
    """The top of each lane's spectrum.

    Attributes:
        sharpness: [L], the largest eigenvalue of the Hessian of the loss; a lower bound. NaN for a lane whose
            weights are not finite.
        residual: [L], the norm of H u - sharpness u: some eigenvalue is that near to `sharpness`.
        products: Hessian-vector products made.
    """

    sharpness: Tensor
    residual: Tensor
    products: int


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
        """The largest (most positive) eigenvalue of every lane, from the same fixed random start."""
        lanes = self._lanes
        everything = [
            tensor.reshape(len(lanes), -1) for tensor in (*lanes.weights.values(), *lanes.buffers.values())
        ]
        finite_L = torch.stack([torch.isfinite(flat).all(dim=1) for flat in everything]).all(dim=0)
        trained = {name: _masked(lanes.weights[name], finite_L) for name in lanes.trained}
        fixed = {name: tensor for name, tensor in lanes.weights.items() if name not in trained}
        constants = {name: _masked(tensor, finite_L) for name, tensor in {**fixed, **lanes.buffers}.items()}
        some = next(iter(trained.values()))
        generator = torch.Generator().manual_seed(0)
        start_N = torch.randn(self.size, generator=generator, dtype=torch.float64)
        start_LN = (start_N / start_N.norm()).to(some).expand(len(lanes), -1)
        with _twice_differentiable():
            found = lanczos(lambda v_LN: self._product(trained, constants, v_LN), start_LN, iterations)
        hidden = torch.where(finite_L, 0.0, torch.nan).to(found.sharpness)
        return Curvature(found.sharpness + hidden, found.residual + hidden, found.products)


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


def lanczos(product: Any, start_LN: Tensor, iterations: int) -> Curvature:
    """The largest eigenvalue of L symmetric matrices [N, N] at once, with full reorthogonalisation.

    The tridiagonal matrix of the Krylov space has its top Ritz value t and vector s; the residual is
    |beta_k s_k| (B. N. Parlett, The Symmetric Eigenvalue Problem, section 13.2).

    Args:
        product: [L, N] -> [L, N], each lane's matrix times its vector.
        start_LN: unit vectors.
        iterations: at most so many products.
    """
    lanes, size = start_LN.shape
    steps = min(iterations, size)
    basis = start_LN.new_zeros(steps, lanes, size)
    diagonal = torch.zeros(lanes, steps, dtype=torch.float64, device=start_LN.device)
    beside = torch.zeros(lanes, steps, dtype=torch.float64, device=start_LN.device)
    vector, alive_L = start_LN, torch.ones(lanes, dtype=torch.bool, device=start_LN.device)
    settled, top, residual = 0, diagonal[:, 0], diagonal[:, 0]
    products = 0
    for k in range(steps):
        basis[k] = vector
        image = product(vector)
        products += 1
        alpha = (image.double() * vector.double()).sum(dim=1)
        # A lane whose space is exhausted repeats its first Rayleigh quotient, which never is above the top.
        diagonal[:, k] = torch.where(alive_L, alpha, diagonal[:, 0])
        for _ in range(2):  # twice is enough
            overlaps = torch.einsum("kln,ln->kl", basis[: k + 1], image)
            image = image - torch.einsum("kl,kln->ln", overlaps, basis[: k + 1])
        beta = torch.linalg.vector_norm(image, dim=1).double()
        previous = top
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal[:, : k + 1], beside[:, :k]))
        top = values[:, -1]
        alive_L = alive_L & (beta > BROKEN_DOWN * values.abs().amax(dim=1)) & torch.isfinite(beta)
        residual = torch.where(alive_L, (beta * vectors[:, -1, -1]).abs(), 0.0)
        quiet = (top - previous).abs() <= SETTLED * top.abs()
        settled = settled + 1 if k and bool((quiet | ~alive_L).all()) else 0
        if settled == 2 or not bool(alive_L.any()) or k == steps - 1:
            break
        beside[:, k] = torch.where(alive_L, beta, 0.0)
        safe = torch.where(alive_L, beta, 1.0).to(image)
        vector = torch.where(alive_L.unsqueeze(1), image / safe.unsqueeze(1), 0.0)
    return Curvature(top, residual, products)


def _tridiagonal(diagonal: Tensor, beside: Tensor) -> Tensor:
    return torch.diag_embed(diagonal) + torch.diag_embed(beside, 1) + torch.diag_embed(beside, -1)
