"""Packing: copies of all tensors side by side, of what they are at the time."""

import pytest
import torch

from lrscope.recording.packing import Packing


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_views_show_what_the_tensors_hold_when_they_are_copied(dtype: torch.dtype) -> None:
    stacks = {
        "large": torch.arange(24.0, dtype=dtype).reshape(2, 3, 4),
        "scalar": torch.tensor([100.0, 200.0], dtype=dtype),
        "none": torch.zeros(2, 0, dtype=dtype),
    }
    packing = Packing(stacks, {"large": 5})
    views = packing.views(stacks)
    before = packing.packed(views)
    for stack in stacks.values():
        stack += 1
    after = packing.packed(views)
    assert after.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert before.tolist() == [[0, 5, 10, 100], [12, 17, 22, 200]]
    assert after.tolist() == [[1, 6, 11, 101], [13, 18, 23, 201]]


def test_tensors_without_one_read_zero_also_in_memory_that_was_used_before() -> None:
    stacks = {"a": torch.ones(2, 3), "b": torch.full((2, 2), 7.0)}
    packing = Packing(stacks, {})
    packing.take_back(packing.packed(packing.views(stacks)))
    assert packing.packed(packing.views({"b": stacks["b"]})).tolist() == [[0, 0, 0, 7, 7]] * 2


def test_what_is_cut_out_already_is_not_cut_again() -> None:
    stacks = {"a": torch.arange(14.0).reshape(2, 7), "b": torch.zeros(2, 1)}
    packing = Packing(stacks, {"a": 3})
    cut = {"a": stacks["a"][:, ::3], "b": stacks["b"].bool()}
    assert packing.packed(packing.views(cut)).tolist() == [[0, 3, 6, 0], [7, 10, 13, 0]]
