"""What optimizers divide by, against torch's own steps; the sharpness after it against the whole spectrum."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrscope
from lrscope.plan import LaneKey
from lrscope.problems.problem import Problem
from lrscope.training.curvature import Hessian
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective
from lrscope.training.preconditioner import preconditioner
from lrscope.training.random_state import undisturbed
from lrscope.training.starts import starting_modules

Make = Callable[..., torch.optim.Optimizer]


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    with undisturbed():
        yield
    torch.set_default_dtype(torch.float32)


class Bowl(nn.Module):
    """w' H w / 2, whatever the input."""

    def __init__(self, hessian: Tensor) -> None:
        super().__init__()
        self.register_buffer("hessian", hessian)
        self.w = nn.Parameter(torch.ones(len(hessian)))

    def forward(self, _: Tensor) -> Tensor:
        return self.w @ self.hessian @ self.w / 2


def bowl() -> Tensor:
    factor = torch.randn(5, 5, generator=torch.Generator().manual_seed(3))
    return factor @ factor.T / 5


def build(optimizer: Make, rates: tuple[float, ...]) -> tuple[Hessian, Lanes]:
    hessian = bowl()
    data = (torch.zeros(1, 1), torch.zeros(1))
    problem = Problem(
        name="bowl",
        model=lambda: Bowl(hessian),
        train=data,
        loss=lambda output, _: output,
        optimizer=optimizer,
    )
    starts, _ = starting_modules(problem, range(1), torch.device("cpu"))
    lanes = Lanes(starts[0], [LaneKey(k, rate, 0) for k, rate in enumerate(rates)], optimizer, None)
    return Hessian(Objective(problem, starts[0], torch.device("cpu")), lanes, data), lanes


def step(lanes: Lanes, times: int) -> None:
    for _ in range(times):
        for lane in lanes.lanes:
            lane.optimizer.zero_grad()
            lane.module(torch.zeros(1, 1)).backward()
            lane.optimizer.step()


OPTIMIZERS: dict[str, Make] = {
    "Adam": torch.optim.Adam,
    "Adam, large eps": functools.partial(torch.optim.Adam, eps=0.1, betas=(0.8, 0.9)),
    "AMSGrad": functools.partial(torch.optim.Adam, amsgrad=True, betas=(0.9, 0.5)),
    "AdamW": functools.partial(torch.optim.AdamW, weight_decay=0.3),
    "RMSprop": torch.optim.RMSprop,
    "RMSprop, centred": functools.partial(torch.optim.RMSprop, centered=True, alpha=0.7),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_p_is_what_the_last_step_divided_by(name: str) -> None:
    """A step is rate x numerator / P, P being that of the state after it."""
    _, lanes = build(OPTIMIZERS[name], (1e-3, 1e-2))
    step(lanes, 7)
    before = lanes.weights["w"].clone()
    step(lanes, 1)
    found = preconditioner(lanes)
    assert found is not None
    for index, lane in enumerate(lanes.lanes):
        (group,), (w,) = lane.optimizer.param_groups, lane.module.parameters()
        numerator = lane.optimizer.state[w].get("exp_avg", w.grad)
        kept = 1 - group["lr"] * group["weight_decay"] if "AdamW" in name else 1.0
        moved = kept * before[index] - w.detach()
        expected = group["lr"] * numerator * found.inverse_root[index].square()
        torch.testing.assert_close(moved, expected, rtol=1e-9, atol=1e-15)


def test_before_the_first_step_there_is_none_and_asking_leaves_no_trace() -> None:
    hessian, lanes = build(torch.optim.Adam, (0.1, 0.2))
    assert hessian.top().preconditioned is None
    assert not lanes.lanes[0].optimizer.state
    step(lanes, 1)
    assert hessian.top().preconditioned is not None


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adadelta, torch.optim.Adagrad])
def test_other_optimizers_have_none(optimizer: Make) -> None:
    hessian, lanes = build(optimizer, (0.01,))
    step(lanes, 2)
    assert hessian.top().preconditioned is None


def test_what_has_no_state_does_not_move_and_a_lane_without_any_is_not_known() -> None:
    hessian, lanes = build(torch.optim.Adam, (0.1, 0.2))
    lane = lanes.lanes[1]
    lane.module(torch.zeros(1, 1)).backward()
    lane.optimizer.step()
    found = hessian.top()
    assert found.preconditioned is not None
    assert torch.isnan(found.preconditioned.value).tolist() == [True, False]
    assert torch.isfinite(found.plain.value).all()


def test_a_group_with_a_rate_of_its_own_counts_by_its_ratio() -> None:
    _, lanes = build(torch.optim.Adam, (0.1,))
    step(lanes, 2)
    (lane,) = lanes.lanes
    alone = preconditioner(lanes)
    other = nn.Parameter(torch.zeros(1))
    lane.optimizer.param_groups.insert(0, {**lane.optimizer.param_groups[0], "params": [other], "lr": 0.4})
    beside = preconditioner(lanes)
    assert alone is not None
    assert beside is not None
    torch.testing.assert_close(beside.inverse_root, alone.inverse_root / 2)


NETS: dict[str, Make] = {
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "RMSprop": functools.partial(torch.optim.RMSprop, weight_decay=0.01),
}


@pytest.mark.parametrize("name", NETS)
def test_a_sweep_records_it_against_the_whole_spectrum(name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    X, y = torch.randn(40, 6, generator=generator), torch.randint(0, 3, (40,), generator=generator)
    made: list[tuple[list[Tensor], torch.optim.Optimizer]] = []

    def optimizer(params: object, lr: float) -> torch.optim.Optimizer:
        params = list(params)  # type: ignore[call-overload]
        made.append((params, NETS[name](params, lr=lr)))
        return made[-1][1]

    problem = Problem(
        name="net",
        model=lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)),
        train=(X, y),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        batch_size=0,
        epochs=30,
    )
    study = lrscope.sweep(problem, (1e-3, 1e-2), curvature=True)
    recorded = study.scalars("preconditioned_sharpness")
    assert recorded["step"].min() > 0  # type: ignore[operator]
    assert recorded["step"].max() == 30
    for what in ("residual", "products"):
        assert study.scalars(f"preconditioned_{what}").height == recorded.height
    assert (study.scalars("sharpness_products")["value"] >= 2).all()
    for lane, (params, one) in enumerate(made[-2:]):
        decay = one.param_groups[0]["weight_decay"] if name == "RMSprop" else 0.0
        last = recorded.filter(lane=lane, step=30)["value"][0]
        assert last == pytest.approx(_whole(params, one, X, y, decay), rel=0.01)


def _whole(
    params: list[Tensor], optimizer: torch.optim.Optimizer, X: Tensor, y: Tensor, decay: float
) -> float:
    """The largest eigenvalue of P^-1/2 (H + decay) P^-1/2, with every second derivative and the book's P."""
    sizes = [p.numel() for p in params]

    def loss(flat: Tensor) -> Tensor:
        a, b, c, d = (part.reshape(p.shape) for part, p in zip(torch.split(flat, sizes), params, strict=True))
        return nn.functional.cross_entropy(torch.tanh(X @ a.T + b) @ c.T + d, y)

    flat = torch.cat([p.detach().flatten() for p in params])
    hessian = torch.autograd.functional.hessian(loss, flat).numpy() + decay * np.eye(len(flat))
    states = [optimizer.state[p] for p in params]
    if "square_avg" in states[0]:
        divisor = torch.cat([state["square_avg"].sqrt().flatten() for state in states]) + 1e-8
    else:
        squares = torch.cat([state["exp_avg_sq"].flatten() for state in states])
        divisor = (1 - 0.9**30) * ((squares / (1 - 0.999**30)).sqrt() + 1e-8)
    root = divisor.numpy() ** -0.5
    return float(np.linalg.eigvalsh(root[:, None] * hessian * root)[-1])
