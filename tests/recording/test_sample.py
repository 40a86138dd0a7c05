"""Measuring some elements of large tensors: which, when, and how near that comes to measuring all."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import lrscope
from lrscope import plan
from lrscope.problems.problem import Problem
from lrscope.recording.sample import ELEMENTS, spread

WIDE = {"large": torch.ones(2, 300, 200), "small": torch.ones(2, 100), "scalar": torch.ones(2)}


def wide(width: int = 600) -> Problem:
    generator = torch.Generator().manual_seed(2)
    X = torch.randn(64, 50, generator=generator)
    return Problem(
        name="wide",
        model=lambda: nn.Sequential(nn.Linear(50, width), nn.Tanh(), nn.Linear(width, 3)),
        train=(X, X[:, :3].argmax(1)),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam,
        batch_size=16,
        epochs=5,
    )


def test_large_tensors_are_sampled_and_small_ones_are_not() -> None:
    assert spread(WIDE).keys() == {"large"}


@pytest.mark.parametrize("shape", [(1000, 784), (512, 512), (64, 3, 7, 7, 11), (30_030, 9), (2**14 + 1,)])
def test_every_row_and_column_gets_its_part(shape: tuple[int, ...]) -> None:
    """As nearly as their number allows."""
    size = math.prod(shape)
    stride = spread({"": torch.empty(shape)}).get("", 1)
    assert ELEMENTS / 3 < size / stride < 3 * ELEMENTS
    places = np.unravel_index(np.arange(0, size, stride), shape)
    for place, side in zip(places, shape, strict=True):
        counts = np.bincount(place, minlength=side)
        assert counts.max() - counts.min() <= 1 + 0.1 * counts.max()


def test_the_samples_values_are_near_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Norms are those of all elements, as far as the sample can tell."""
    lengths = ("weight_norm", "gradient_norm", "distance", "weight_std")

    def of(study: lrscope.Study) -> list[np.ndarray]:
        return [study.tensors(name)["value"].to_numpy() for name in lengths]

    monkeypatch.setattr(plan, "SAMPLED_BELOW", 0)
    with lrscope.sweep(wide(1_100), (1e-3, 1e-2)) as study:
        whole = of(study)
        assert "evenly spread" not in study.note("recording")
        counts = study.histograms().filter(tensor="0.weight")["counts"][0]
        assert sum(counts) == 1_100 * 50
    monkeypatch.undo()
    with lrscope.sweep(wide(1_100), (1e-3, 1e-2)) as study:
        some = of(study)
        assert "of tensors of more than 4,096 elements about 4,096, evenly spread" in study.note("recording")
        counts = study.histograms().filter(tensor="0.weight")["counts"][0]
        stride = spread({"": torch.empty(1_100 * 50)}).get("", 1)
        assert sum(counts) == -(-1_100 * 50 // stride)
    for one, other in zip(some, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.05)
        assert not np.array_equal(one, other)
