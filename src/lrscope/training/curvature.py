"""Curvature: the largest eigenvalue of every lane's Hessian, by Lanczos over Hessian-vector products.

All lanes go through one vectorised product an iteration, of a tiny model those of many points. Letters:
L lanes, R rows, one a lane and point, N trained parameters.
"""

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves

from lrscope.plan import LaneKey
from lrscope.training.lanczos import ITERATIONS_AT_MOST, Top, lanczos
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective
from lrscope.training.preconditioner import Preconditioner, preconditioner

Product: TypeAlias = Callable[[Tensor], Tensor]
"""[R, N] -> [R, N], the matrix of every row times its vector."""

EXAMPLES_AT_MOST = 2_048
"""Examples the loss is averaged over. The fewer, the sharper it bends: with 128 about 1.2 times, with 512
about 1.03 times as much as with all."""

TOGETHER = 2**17
"""Lanes times parameters times examples up to which points wait for others, to be measured with them."""

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


class Place(NamedTuple):
    """Lanes at a point, in copies.

    Attributes:
        keys: the lanes.
        trained, constants: name -> [L, ...], zeros for a lane that is not finite.
        finite: bool [L], which are.
        divided: what their optimizers divide gradients by; None as of `preconditioner`.
    """

    keys: tuple[LaneKey, ...]
    trained: dict[str, Tensor]
    constants: dict[str, Tensor]
    finite: Tensor
    divided: Preconditioner | None


class Hessian:
    """The Hessian of the training loss at the lanes' weights, on a fixed set of examples.

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

    def kept(self) -> Place:
        """The lanes as they are now, to be measured later."""
        lanes = self._lanes
        everything = [
            tensor.reshape(len(lanes), -1) for tensor in (*lanes.weights.values(), *lanes.buffers.values())
        ]
        finite_L = torch.stack([torch.isfinite(flat).all(dim=1) for flat in everything]).all(dim=0)
        finite_L[sorted(lanes.retired)] = False
        trained = {name: _masked(lanes.weights[name], finite_L) for name in lanes.trained}
        fixed = {name: tensor for name, tensor in lanes.weights.items() if name not in trained}
        constants = {name: _masked(tensor, finite_L) for name, tensor in {**fixed, **lanes.buffers}.items()}
        return Place(lanes.keys, trained, constants, finite_L, preconditioner(lanes))

    def state(self) -> dict[str, Any]:
        """Return the eigenvectors found last, from which the next measurement begins."""
        return {"found": dict(self._found)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the eigenvectors that another one found."""
        self._found = dict(state["found"])

    def enough(self, places: Sequence[Place]) -> bool:
        """Whether so many lanes are kept that they are better measured now."""
        (examples, *_) = [leaf for leaf in tree_leaves(self._examples) if isinstance(leaf, Tensor)]
        rows = sum(len(place.keys) for place in places)
        return rows * self.size * len(examples) > TOGETHER

    def top(self, iterations: int = ITERATIONS_AT_MOST) -> Curvature:
        """The largest (most positive) eigenvalue of every lane, as it is now."""
        return self.tops([self.kept()], iterations)[0]

    def tops(self, places: Sequence[Place], iterations: int = ITERATIONS_AT_MOST) -> list[Curvature]:
        """Those of lanes as they were, all together.

        The first time from one random start for all lanes; then from the eigenvector found last.
        """
        plain = self._tops("plain", places, iterations)
        divided = [place for place in places if place.divided is not None]
        others = iter(self._tops("preconditioned", divided, iterations) if divided else ())
        return [
            Curvature(found, None if place.divided is None else next(others))
            for place, found in zip(places, plain, strict=True)
        ]

    def _tops(self, kind: str, places: Sequence[Place], iterations: int) -> list[Top]:
        """The top of one kind of matrix at each place, hidden where a lane has none."""
        trained = _joined([place.trained for place in places])
        constants = _joined([place.constants for place in places])
        known_R = torch.cat([place.finite for place in places])

        product: Product = functools.partial(self._product, trained, constants)
        if kind == "preconditioned":
            divided = [place.divided for place in places if place.divided is not None]
            root_RN, decay_RN = (torch.cat([one[at] for one in divided]) for at in (0, 1))
            known_R = known_R & torch.isfinite(root_RN).all(dim=1)
            product = _divided(product, _masked(root_RN, known_R), decay_RN)
        # By lane: some may have left since.
        names = [(kind, key.lane) for place in places for key in place.keys]
        fresh_N = self._fresh_N.to(next(iter(trained.values())))
        starts = [self._found[one] + FRESH * fresh_N if one in self._found else fresh_N for one in names]
        with _twice_differentiable():
            found = lanczos(product, functional.normalize(torch.stack(starts)), iterations)
        self._found.update(zip(names, found.vector.unbind(), strict=True))
        hidden_R = torch.where(known_R, 0.0, torch.nan)
        found = found._replace(value=found.value + hidden_R, residual=found.residual + hidden_R)
        ends = list(itertools.accumulate(len(place.keys) for place in places))
        return [
            Top(found.value[begin:end], found.residual[begin:end], found.vector[begin:end], found.products)
            for begin, end in zip([0, *ends], ends, strict=False)
        ]


def _divided(product: Product, root_RN: Tensor, decay_RN: Tensor) -> Product:
    """With the preconditioner's root on both sides, and the weight decay added to the gradient."""
    added_RN = decay_RN * root_RN.square()
    return lambda v_RN: root_RN * product(root_RN * v_RN) + added_RN * v_RN


def _joined(stacks: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([own[name] for own in stacks]) for name in stacks[0]}


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
