"""Every entry of the table of optimizer facts, against the optimizers of torch themselves."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lrscope.optimizer_facts import OPTIMIZERS, UNKNOWN, facts_named, facts_of

LATE = 10_000_000
"""Updates done, where nothing is left of how an optimizer begins."""

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {},
        {"weight_decay": 5.0},
        {"momentum": 0.9},
        {"momentum": 0.5, "weight_decay": 1.0},
        {"momentum": 0.9, "dampening": 0.4},
        {"dampening": 0.4},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.99, "nesterov": True, "weight_decay": 1.0},
    ],
    "Adam": [
        {},
        {"betas": (0.5, 0.99)},
        {"betas": (0.95, 0.999), "eps": 0.1},
        {"amsgrad": True},
        {"weight_decay": 0.7},
        {"weight_decay": 3.0, "decoupled_weight_decay": True},
    ],
    "AdamW": [{}, {"weight_decay": 3.0}, {"betas": (0.8, 0.9), "weight_decay": 1.0}],
    "NAdam": [
        {},
        {"betas": (0.5, 0.99), "momentum_decay": 0.1},
        {"weight_decay": 0.7},
        {"weight_decay": 3.0, "decoupled_weight_decay": True},
    ],
    "RMSprop": [{}, {"momentum": 0.9}, {"momentum": 0.8, "weight_decay": 0.5}, {"centered": True}],
}
"""Options of every optimizer that has a limit."""

CASES = [(name, options) for name, examples in EXAMPLES.items() for options in examples]
SQUARES = ("exp_avg_sq", "max_exp_avg_sq", "square_avg")
MEMORIES = ("exp_avg", "momentum_buffer")
TINY = 1e-9
"""Size of weights whose squared gradients do not change a running mean of squares near 1."""


def bowl() -> Tensor:
    factor = torch.randn(3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return factor @ factor.T + torch.eye(3, dtype=torch.float64)


class Quadratic:
    """w' H w / 2 under an optimizer of torch, whose state is set as after so many steps.

    The running means of squares hold still, since the weights are tiny.
    """

    def __init__(self, name: str, options: dict[str, Any], rate: float, done: int = LATE) -> None:
        self.hessian = bowl()
        self.w = torch.full((3,), TINY, dtype=torch.float64, requires_grad=True)
        self.optimizer = getattr(torch.optim, name)([self.w], lr=rate, **options)
        self.step()
        self.state = self.optimizer.state[self.w]
        self.memories = [key for key in MEMORIES if isinstance(self.state.get(key), Tensor)]
        with torch.no_grad():
            self.w.fill_(TINY)
        for key, value in self.state.items():
            if key in SQUARES:
                value.copy_(torch.logspace(-1, 1, 3))
            elif key == "step":
                value.fill_(done - 1)
            elif isinstance(value, Tensor):
                value.zero_()

    def step(self) -> None:
        self.w.grad = self.hessian @ self.w.detach()
        self.optimizer.step()

    def part(self) -> Tensor:
        return torch.cat([self.w.detach(), *(self.state[key] for key in self.memories)])

    def divisor(self) -> Tensor:
        """P after the last step; 1 where the optimizer divides by nothing."""
        divisor = facts_of(type(self.optimizer)).divisor
        group = self.optimizer.param_groups[0]
        return torch.ones(3).double() if divisor is None else divisor(group, self.state)

    def sharpness(self) -> float:
        """The largest eigenvalue of P^-1/2 (H + w) P^-1/2 after the last step."""
        group, divisor = self.optimizer.param_groups[0], self.divisor()
        # SGD's formula adds the decay itself.
        added = facts_of(type(self.optimizer)).divisor and not group.get("decoupled_weight_decay")
        decay = group["weight_decay"] if added else 0.0
        root = divisor.rsqrt()
        matrix = root[:, None] * (self.hessian + decay * torch.eye(3, dtype=torch.float64)) * root
        return float(torch.linalg.eigvalsh(matrix)[-1])


def growth(name: str, options: dict[str, Any], rate: float, done: int = LATE) -> float:
    """Spectral radius of one step of the optimizer, a linear map of the weights and its momentum."""
    size = len(Quadratic(name, options, rate, done).part())
    columns = []
    for place in range(size):
        one = Quadratic(name, options, rate, done)
        basis = torch.zeros(size, dtype=torch.float64)
        basis[place] = TINY
        with torch.no_grad():
            one.w.copy_(basis[:3])
            for index, key in enumerate(one.memories):
                one.state[key].copy_(basis[3 * index + 3 : 3 * index + 6])
        one.step()
        columns.append(one.part() / TINY)
    return float(np.abs(np.linalg.eigvals(torch.stack(columns, dim=1).numpy())).max())


def limit_of(name: str, options: dict[str, Any], done: int = LATE) -> float:
    facts = facts_named(name)
    one = Quadratic(name, options, 1.0, done)
    one.step()
    assert facts.limit is not None
    limit = facts.limit({**facts.limit_options, **options}, one.sharpness(), done - 1)
    assert limit is not None
    return limit


@pytest.mark.parametrize("done", [100, 2_000, LATE])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_torch_s_own_step_contracts_exactly_below_the_limit(
    name: str, options: dict[str, Any], done: int
) -> None:
    limit = limit_of(name, options, done)
    assert growth(name, options, limit, done) == pytest.approx(1, abs=1e-6)
    assert growth(name, options, limit * (1 - 1e-3), done) < 1 - 1e-5
    assert growth(name, options, limit * (1 + 1e-3), done) > 1 + 1e-5


@pytest.mark.parametrize(("name", "options"), CASES)
def test_far_below_the_limit_it_contracts_as_well(name: str, options: dict[str, Any]) -> None:
    limit = limit_of(name, options)
    for share in (0.03, 0.3, 0.6, 0.9):
        assert growth(name, options, share * limit) < 1


@pytest.mark.parametrize(("name", "options"), CASES)
def test_far_above_the_limit_it_grows(name: str, options: dict[str, Any]) -> None:
    limit = limit_of(name, options)
    for factor in (1.1, 2.0, 10.0):
        assert growth(name, options, factor * limit) > 1


def test_every_limit_has_examples_and_a_row_on_the_page() -> None:
    limited = {name for name, facts in OPTIMIZERS.items() if facts.limit}
    assert set(EXAMPLES) == limited
    page = (Path(__file__).parents[1] / "docs" / "science.md").read_text(encoding="utf-8")
    section = page.partition("\n## Limits of stability\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| (\w+) \| \(", section, re.MULTILINE)) == limited


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_names_and_options_are_torch_s(name: str) -> None:
    kind = getattr(torch.optim, name)
    facts = facts_of(kind)
    assert facts is OPTIMIZERS[name]
    assert facts.fused == ("fused" in inspect.signature(kind).parameters)
    defaults = kind([torch.zeros(1)]).defaults
    for option, default in facts.limit_options.items():
        assert defaults[option] == default


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_limit_reads_no_option_that_it_does_not_list(name: str) -> None:
    facts = OPTIMIZERS[name]
    assert facts.limit is not None
    limit = facts.limit(facts.limit_options, 1.0, LATE)
    assert limit is not None
    assert limit > 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_limit_without_a_curvature_that_bends_up(name: str) -> None:
    facts = OPTIMIZERS[name]
    for sharpness in (0.0, -1.0):
        assert facts.limit is None or facts.limit(facts.limit_options, sharpness, LATE) is None


def test_a_class_from_elsewhere_is_not_known_by_its_name() -> None:
    class Adam(torch.optim.Adam):
        pass

    assert facts_of(Adam) is UNKNOWN
    assert facts_named("Lion") is UNKNOWN


def test_nadam_s_limit_rises_while_its_momentum_does() -> None:
    """From little momentum to Nesterov's limit, for averaged gradients."""
    facts = OPTIMIZERS["NAdam"]
    assert facts.limit is not None
    limits = [facts.limit(facts.limit_options, 1.0, step) for step in (0, 1_000, 10_000, 100_000)]
    assert limits == sorted(limits)
    assert limits[0] == pytest.approx(3.8 / 1.09, rel=1e-3)
    assert limits[-1] == pytest.approx(3.8 / (0.1 * 2.8), rel=1e-3)


def test_nadam_on_a_quadratic_ends_where_its_limit_says() -> None:
    """Its squares grow with the swings until the rate stands at the limit; that is where it stays."""
    w = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    options = {"betas": (0.9, 0.99)}
    optimizer = torch.optim.NAdam([w], lr=0.02, eps=1e-12, **options)
    facts, curvature, ratios = facts_of(torch.optim.NAdam), 3.0, []
    assert facts.limit is not None
    assert facts.divisor is not None
    for done in range(1, 3_001):
        w.grad = curvature * w.detach()
        optimizer.step()
        divided = curvature / float(facts.divisor(optimizer.param_groups[0], optimizer.state[w]))
        limit = facts.limit({**facts.limit_options, **options}, divided, done)
        assert limit is not None
        ratios.append(0.02 / limit)
    assert np.median(ratios[-500:]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_moves_every_weight_by_the_rate_does_so(name: str) -> None:
    """The first step of such an optimizer, whatever the size of the gradient."""
    facts = OPTIMIZERS[name]
    if facts.update_length != "rate":
        return
    for size in (1e-3, 1e3):
        w = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        optimizer = getattr(torch.optim, name)([w], lr=0.01)
        for _ in range(1000):
            w.grad = size * torch.ones(4, dtype=torch.float64)
            before = w.detach().clone()
            optimizer.step()
        moved = float((w.detach() - before).abs().max())
        assert 0.3 * 0.01 < moved < 3 * 0.01


@pytest.mark.parametrize("name", [name for name, facts in OPTIMIZERS.items() if facts.linear])
def test_a_linear_update_is_as_many_times_larger_as_its_gradient(name: str) -> None:
    moved = []
    for size in (1.0, 7.0):
        w = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        w.grad = size * torch.ones(4, dtype=torch.float64)
        getattr(torch.optim, name)([w], lr=0.01).step()
        moved.append(w.detach().clone())
    torch.testing.assert_close(moved[1], 7 * moved[0])
