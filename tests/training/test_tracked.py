"""Tracked scalars: what they were at every step, however their stacks lie in memory."""

import pytest
import torch

from lrscope.training.tracked import TrackedScalars

PLACES = (("layer", (1, 2)), ("bias", (0,)), ("scale", ()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("tracked", [PLACES, PLACES[2:], PLACES[:1]])
def test_every_step_is_kept_as_it_was(dtype: torch.dtype, tracked: tuple) -> None:  # type: ignore[type-arg]
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(5, *shape, generator=generator).to(dtype)
        for name, shape in (("layer", (3, 4)), ("bias", (1,)), ("scale", ()))
    }
    scalars = TrackedScalars(tracked, weights, 5)
    for count in (4, 0, 3):
        expected = []
        for _ in range(count):
            for stack in weights.values():
                stack.mul_(1.5).add_(0.25)
            expected.append(torch.stack([weights[name][(slice(None), *index)] for name, index in tracked]))
            scalars.add()
        taken = scalars.taken()
        assert taken.shape == (count, len(tracked), 5)
        if count:
            assert taken.dtype == dtype
            assert torch.equal(taken, torch.stack(expected))


def test_stacks_of_two_dtypes() -> None:
    weights = {"single": torch.ones(2, 1), "double": torch.full((2, 1), 1 / 3, dtype=torch.float64)}
    scalars = TrackedScalars((("single", (0,)), ("double", (0,))), weights, 2)
    scalars.add()
    assert scalars.taken().tolist() == [[[1.0, 1.0], [1 / 3, 1 / 3]]]


def test_nothing_is_tracked() -> None:
    scalars = TrackedScalars((), {"w": torch.ones(3, 1)}, 3)
    scalars.add()
    scalars.add()
    assert scalars.taken().shape == (2, 0, 3)
