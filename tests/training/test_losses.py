import pytest
import torch
from lrscope.training.losses import ROWS, Losses


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("steps", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS])
def test_losses_come_back_step_after_step_as_they_were(at_once: bool, dtype: torch.dtype, steps: int) -> None:
    given = torch.arange(3 * steps, dtype=torch.float64).div(7).to(dtype).reshape(steps, 3)
    losses = Losses(at_once=at_once)
    for row in given:
        losses.add(row.clone().requires_grad_())
    taken = losses.taken(3)
    assert taken.shape == (steps, 3)
    assert not taken.requires_grad
    assert not steps or (taken.dtype == dtype and torch.equal(taken, given))


@pytest.mark.parametrize("at_once", [True, False])
def test_what_was_taken_stays_and_fewer_lanes_may_follow(at_once: bool) -> None:
    losses = Losses(at_once=at_once)
    losses.add(torch.tensor([1.0, 2.0, 3.0]))
    first = losses.taken(3)
    losses.add(torch.tensor([4.0, torch.nan]))
    losses.add(torch.tensor([5.0, torch.inf]))
    second = losses.taken(2)
    assert first.tolist() == [[1.0, 2.0, 3.0]]
    torch.testing.assert_close(
        second, torch.tensor([[4.0, torch.nan], [5.0, torch.inf]]), equal_nan=True, rtol=0, atol=0
    )
    assert losses.taken(2).shape == (0, 2)
