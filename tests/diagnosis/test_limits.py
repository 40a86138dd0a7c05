"""Each row of the table against the optimizer's own recurrence on a quadratic."""

from collections.abc import Callable

import numpy as np
import pytest

from lrscope.diagnosis.limits import stability_limit

S = 16.7006


def growth(matrix_of: Callable[[float], np.ndarray], rate: float) -> float:
    """Spectral radius of one step at that rate."""
    return float(np.abs(np.linalg.eigvals(matrix_of(rate))).max())


def heavy_ball(b: float, d: float = 0.0, w: float = 0.0) -> Callable[[float], np.ndarray]:
    """(theta, v): v' = b v + (1 - d)(s + w) theta, theta' = theta - rate v'."""
    h = (1 - d) * (S + w)
    return lambda rate: np.array([[1 - rate * h, -rate * b], [h, b]])


def nesterov(b: float, w: float = 0.0) -> Callable[[float], np.ndarray]:
    """v' = b v + g, theta' = theta - rate (g + b v')."""
    h = S + w
    return lambda rate: np.array([[1 - rate * (h + b * h), -rate * b * b], [h, b]])


def adam(b: float, w: float = 0.0) -> Callable[[float], np.ndarray]:
    """m' = b m + (1 - b) s theta, theta' = (1 - rate w) theta - rate m'."""
    return lambda rate: np.array([[1 - rate * w - rate * (1 - b) * S, -rate * b], [(1 - b) * S, b]])


ROWS = [
    ("SGD", {}, heavy_ball(0.0)),
    ("SGD", {"weight_decay": 5.0}, heavy_ball(0.0, w=5.0)),
    ("SGD", {"momentum": 0.9}, heavy_ball(0.9)),
    ("SGD", {"momentum": 0.5, "weight_decay": 1.0}, heavy_ball(0.5, w=1.0)),
    ("SGD", {"momentum": 0.9, "dampening": 0.4}, heavy_ball(0.9, d=0.4)),
    ("SGD", {"momentum": 0.9, "nesterov": True}, nesterov(0.9)),
    ("SGD", {"momentum": 0.99, "nesterov": True, "weight_decay": 1.0}, nesterov(0.99, w=1.0)),
    ("RMSprop", {}, heavy_ball(0.0)),
    ("Adam", {}, adam(0.9)),
    ("Adam", {"betas": (0.95, 0.99)}, adam(0.95)),
    ("AdamW", {"weight_decay": 3.0}, adam(0.9, w=3.0)),
    ("AdamW", {}, adam(0.9, w=0.01)),
]


@pytest.mark.parametrize(("optimizer", "options", "matrix_of"), ROWS)
def test_steps_contract_exactly_below_the_limit(
    optimizer: str, options: dict[str, object], matrix_of: Callable[[float], np.ndarray]
) -> None:
    limit = stability_limit(optimizer, options, S)
    assert limit is not None
    assert growth(matrix_of, limit * (1 - 1e-6)) < 1
    assert growth(matrix_of, limit * (1 + 1e-6)) > 1
    assert growth(matrix_of, limit) == pytest.approx(1, abs=1e-9)


def test_the_line_of_four_samples() -> None:
    hessian = 2 * np.array([[7.5, 2.5], [2.5, 1.0]])
    assert stability_limit("SGD", {}, np.linalg.eigvalsh(hessian)[-1]) == pytest.approx(0.119756, abs=5e-7)


@pytest.mark.parametrize(
    ("optimizer", "options", "sharpness"),
    [("NAdam", {}, 1.0), ("RMSprop", {"momentum": 0.9}, 1.0), ("SGD", {}, 0.0), ("Adam", {}, -1.0)],
)
def test_no_limit_where_there_is_none(optimizer: str, options: dict[str, object], sharpness: float) -> None:
    assert stability_limit(optimizer, options, sharpness) is None
