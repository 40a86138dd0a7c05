"""Lanczos against the whole spectrum."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lrscope.plan import LaneKey
from lrscope.problems.problem import Problem
from lrscope.training.curvature import Hessian
from lrscope.training.lanczos import lanczos
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective
from lrscope.training.random_state import undisturbed
from lrscope.training.starts import starting_modules


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    with undisturbed():
        yield
    torch.set_default_dtype(torch.float32)


def symmetric(lanes: int, size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(lanes, size, size, generator=generator)
    return matrix + matrix.mT


@pytest.mark.parametrize("size", [1, 2, 3, 10, 200])
@pytest.mark.parametrize("shift", [-100.0, 0.0, 30.0])
def test_lanczos_finds_the_largest_eigenvalue_not_the_largest_magnitude(size: int, shift: float) -> None:
    matrix = symmetric(4, size, 1) + shift * torch.eye(size)
    start = torch.randn(4, size, generator=torch.Generator().manual_seed(2))
    start = start / start.norm(dim=1, keepdim=True)
    found = lanczos(lambda v: torch.einsum("lij,lj->li", matrix, v), start, 200)
    exact = torch.linalg.eigvalsh(matrix)[:, -1]
    # It stops once two iterations in a row change a lane by less than a thousandth.
    torch.testing.assert_close(found.value, exact, rtol=1e-2 if size >= 10 else 1e-6, atol=1e-9)
    nearest = (torch.linalg.eigvalsh(matrix) - found.value[:, None]).abs().amin(dim=1)
    assert (nearest <= found.residual + 1e-8 * exact.abs()).all()


def test_a_space_that_ends_early_is_exact() -> None:
    """Two eigenvalues only: the Krylov space has two dimensions whatever the size."""
    matrix = torch.diag(torch.tensor([3.0] * 20 + [-7.0] * 20)).expand(2, 40, 40)
    start = torch.ones(2, 40) / 40**0.5
    found = lanczos(lambda v: torch.einsum("lij,lj->li", matrix, v), start, 30)
    assert found.products <= 3
    torch.testing.assert_close(found.value, torch.tensor([3.0, 3.0]))


def test_a_value_that_waits_below_the_top_is_not_taken_for_it() -> None:
    """A start nearly without the top's direction: the second eigenvalue stands still for a while."""
    matrix = torch.diag(torch.cat([torch.tensor([2.0, 1.0]), torch.linspace(0.0, 0.9, 98)])).expand(
        1, 100, 100
    )
    start = torch.ones(1, 100)
    start[0, 0] = 1e-5
    found = lanczos(lambda v: torch.einsum("lij,lj->li", matrix, v), start / start.norm(), 60)
    torch.testing.assert_close(found.value, torch.tensor([2.0]), rtol=1e-3, atol=0)
    assert found.vector[0, 0].abs() > 0.99


def test_no_more_products_than_allowed_and_room_for_all_of_them() -> None:
    """A spectrum so even that nothing settles soon."""
    matrix = torch.diag(torch.linspace(0.0, 1.0, 400)).expand(1, 400, 400)
    start = torch.ones(1, 400) / 20
    found = lanczos(lambda v: torch.einsum("lij,lj->li", matrix, v), start, 20)
    assert found.products <= 20
    nearest = (torch.linspace(0.0, 1.0, 400) - found.value).abs().min()
    assert nearest <= found.residual


def build(
    model: object, rates: tuple[float, ...], optimizer: object = torch.optim.SGD
) -> tuple[Hessian, Lanes, Problem]:
    generator = torch.Generator().manual_seed(9)
    X, y = torch.randn(60, 8, generator=generator), torch.randint(0, 4, (60,), generator=generator)
    problem = Problem(name="h", model=model, train=(X, y), loss=nn.CrossEntropyLoss())  # type: ignore[arg-type]
    device = torch.device("cpu")
    starts, _ = starting_modules(problem, range(1), device)
    lanes = Lanes(starts[0], [LaneKey(k, rate, 0) for k, rate in enumerate(rates)], optimizer, None)  # type: ignore[arg-type]
    return Hessian(Objective(problem, starts[0], device), lanes, (X, y)), lanes, problem


def whole(lanes: Lanes, lane: int, problem: Problem) -> Tensor:
    """Every second derivative of one lane, by brute force."""
    module = lanes.lanes[lane].module.eval()
    named = {name: p.detach() for name, p in module.named_parameters()}
    X, y = problem.train
    sizes = [p.numel() for p in named.values()]

    def loss(flat: Tensor) -> Tensor:
        pieces = torch.split(flat, sizes)
        tensors = {n: piece.reshape(p.shape) for (n, p), piece in zip(named.items(), pieces, strict=True)}
        return nn.functional.cross_entropy(functional_call(module, tensors, (X,)), y)

    return torch.autograd.functional.hessian(loss, torch.cat([p.flatten() for p in named.values()]))


MODELS = {
    "tanh": lambda: nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 4)),
    "relu": lambda: nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 4)),
    "norms": lambda: nn.Sequential(
        nn.Linear(8, 12), nn.BatchNorm1d(12), nn.GELU(), nn.Dropout(0.4), nn.Linear(12, 4)
    ),
}


@pytest.mark.parametrize("model", MODELS)
def test_sharpness_of_networks_against_the_whole_hessian(model: str) -> None:
    hessian, lanes, problem = build(MODELS[model], (0.1, 0.2, 0.3))
    with torch.no_grad():
        for index, tensor in enumerate(lanes.weights.values()):
            tensor[1::2] *= 1.0 + 0.3 * index
    found = hessian.top().plain.value
    for lane in range(len(lanes)):
        exact = torch.linalg.eigvalsh(whole(lanes, lane, problem))[-1]
        assert found[lane] == pytest.approx(exact.item(), rel=0.01)
        assert found[lane] <= exact * (1 + 1e-9)


def test_a_lane_that_is_not_finite_has_no_sharpness_and_disturbs_none() -> None:
    hessian, lanes, _ = build(MODELS["tanh"], (0.1, 0.2, 0.3))
    before = hessian.top().plain.value
    lanes.weights["0.weight"][1, 0, 0] = torch.nan
    after = hessian.top().plain.value
    assert torch.isnan(after[1])
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]], rtol=1e-3, atol=0)


def test_attention_has_a_second_derivative() -> None:
    def model() -> nn.Module:
        return nn.Sequential(
            nn.Unflatten(1, (2, 4)),
            nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True),
            nn.Flatten(),
            nn.Linear(8, 4),
        )

    hessian, lanes, problem = build(model, (0.1,))
    # The reference needs the same kernel in the same mode.
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):
        exact = torch.linalg.eigvalsh(whole(lanes, 0, problem))[-1]
    assert hessian.top().plain.value[0] == pytest.approx(exact.item(), rel=0.01)


def moved(lanes: Lanes, problem: Problem, steps: int) -> None:
    """Some steps of every lane by itself."""
    X, y = problem.train
    for _ in range(steps):
        for lane in lanes.lanes:
            lane.optimizer.zero_grad()
            nn.functional.cross_entropy(lane.module(X), y).backward()
            lane.optimizer.step()


def test_the_next_measurement_starts_from_the_last_and_takes_fewer_products() -> None:
    hessian, lanes, problem = build(MODELS["tanh"], (0.05, 0.1))
    first = hessian.top().plain
    moved(lanes, problem, 3)
    second = hessian.top().plain
    assert second.products < first.products
    for lane in range(len(lanes)):
        exact = torch.linalg.eigvalsh(whole(lanes, lane, problem))[-1]
        assert second.value[lane] == pytest.approx(exact.item(), rel=0.01)


def test_a_lane_that_left_takes_its_last_vector_with_it() -> None:
    hessian, lanes, problem = build(MODELS["tanh"], (0.05, 0.1, 0.2))
    moved(lanes, problem, 3)
    before = hessian.top().plain
    lanes.keep([1, 2])
    after = hessian.top().plain
    torch.testing.assert_close(after.value, before.value[1:], rtol=1e-3, atol=0)
    assert after.products < before.products
