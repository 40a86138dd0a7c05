"""Tensor statistics: the same numbers, whenever and however many at a time are measured."""

import numpy as np
import pytest
import torch
from lrscope.quantities import tensor_statistics
from lrscope.quantities.observe import Observer
from lrscope.quantities.tensor_statistics import CHANGE, POINT
from lrscope.training.looks import Ahead
from torch import nn

from lrscope.problems.problem import Problem
from lrscope.record import Record
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed

RATES = (1e-3, 1e-2, 1e-1)


def problem() -> Problem:
    generator = torch.Generator().manual_seed(8)
    X = torch.randn(30, 6, generator=generator, dtype=torch.float64)
    return Problem(
        name="measured",
        model=lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double(),
        train=(X, X[:, :3].argmax(1)),
        val=(X[:8], X[:8, :3].argmax(1)),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam,
        batch_size=10,
        epochs=12,
    )


def measured(looks_every: int = 0, per_block: int | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """name -> steps [n] and values [n, lanes, tensors], with looks where they are wanted or more often."""
    with undisturbed():
        run = prepare(problem(), RATES, 1, lanes_per_block=per_block)
        observer = Observer(run.plan)

        def looks(step: int) -> Ahead:
            ahead = observer.looks(step)
            return ahead.within(step + looks_every) if looks_every else ahead

        records = list(observer.records(run.steps(looks, observer.measures)))
    found = {}
    for name in (*POINT, *CHANGE):
        own = [one for one in records if isinstance(one, Record) and one.quantity == name]
        found[name] = np.concatenate([one.steps for one in own]), np.concatenate([one.values for one in own])
    return found


@pytest.fixture(scope="module")
def each() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A point is measured at its own step, the update that follows at the next one."""
    return measured(looks_every=1)


@pytest.mark.parametrize("per_block", [None, 1])
@pytest.mark.parametrize("waiting", [0, 500, 2**30])
@pytest.mark.parametrize("piece", [1, 2**30])
def test_whatever_waits_and_however_it_is_cut(
    each: dict[str, tuple[np.ndarray, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
    per_block: int | None,
    waiting: int,
    piece: int,
) -> None:
    monkeypatch.setattr(tensor_statistics, "WAITING_ELEMENTS", waiting)
    monkeypatch.setattr(tensor_statistics, "PIECE_ELEMENTS", piece)
    found = measured(per_block=per_block)
    for name, (steps, values) in each.items():
        last = 36 if name in POINT and name != "gradient_norm" else 35
        assert steps.tolist() == list(range(last + 1)), name
        assert found[name][0].tolist() == steps.tolist(), name
        assert values.shape == (last + 1, 3, 4)
        np.testing.assert_allclose(found[name][1], values, rtol=1e-12, atol=1e-15, err_msg=name)
