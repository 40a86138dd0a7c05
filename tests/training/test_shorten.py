"""A shortened list of operations gives bitwise the same, in memory of its own, and draws as often."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F

from lrscope.training.shorten import shortened

Function = Callable[..., tuple[Tensor, ...]]


def operations(graph: GraphModule) -> int:
    return sum(node.op in ("call_function", "call_method") for node in graph.graph.nodes)


def classify(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(torch.relu(x @ weight.T + bias), y)


def test_a_vectorised_gradient_loses_a_quarter_and_stays_bitwise_the_same() -> None:
    torch.manual_seed(0)
    call = vmap(grad_and_value(classify, argnums=(0, 1)), in_dims=(0, 0, None, None))

    def flat(*tensors: Tensor) -> tuple[Tensor, ...]:
        gradients, losses = call(*tensors)
        return (*gradients, losses)

    def some() -> tuple[Tensor, ...]:
        x, y = torch.randn(8, 6), torch.randint(0, 5, (8,))
        return torch.randn(3, 5, 6), torch.randn(3, 5), x, y

    graph = make_fx(flat)(*some())
    short = shortened(graph)
    assert operations(short) < 0.75 * operations(graph)
    for _ in range(3):
        tensors = some()
        for mine, theirs in zip(short.forward(*tensors), graph.forward(*tensors), strict=True):
            assert torch.equal(mine, theirs)
            assert mine.stride() == theirs.stride()


def both(function: Function, *tensors: Tensor) -> tuple[GraphModule, GraphModule]:
    graph = make_fx(function)(*tensors)
    return graph, shortened(graph)


def test_results_are_new_at_every_step_and_do_not_share_memory() -> None:
    """Clipping changes gradients in place: neither a constant nor a twin may be given out."""

    def twins(x: Tensor) -> tuple[Tensor, ...]:
        return x * 2, x * 2, torch.ones_like(x), torch.ones_like(x)

    _, short = both(twins, torch.randn(3))
    for _ in range(2):
        results = short.forward(torch.ones(3))
        assert [float(result[0]) for result in results] == [2, 2, 1, 1]
        assert len({result.data_ptr() for result in results}) == 4
        for result in results:
            result.zero_()


def test_an_argument_is_not_given_out() -> None:
    given = torch.randn(3)
    _, short = both(lambda x: (x * 1,), given)
    assert short.forward(given)[0].data_ptr() != given.data_ptr()


def test_lists_that_change_a_tensor_in_place_are_left_as_they_are() -> None:
    def counts(x: Tensor) -> tuple[Tensor, ...]:
        before = x * 2
        x.add_(1)
        return before, x * 2

    graph, short = both(counts, torch.zeros(2))
    assert short is graph
    before, after = short.forward(torch.zeros(2))
    assert (float(before[0]), float(after[0])) == (0, 2)


def test_random_numbers_are_drawn_as_often() -> None:
    def draws(x: Tensor) -> tuple[Tensor, ...]:
        torch.rand_like(x)  # not used, but the generator moves on
        return (torch.rand_like(x) - torch.rand_like(x),)

    graph, short = both(draws, torch.zeros(4))
    torch.manual_seed(3)
    expected, state = graph.forward(torch.zeros(4))[0], torch.get_rng_state()
    torch.manual_seed(3)
    assert torch.equal(short.forward(torch.zeros(4))[0], expected)
    assert torch.equal(torch.get_rng_state(), state)
    assert expected.abs().min() > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0])
def test_values_that_are_no_ordinary_numbers(value: float) -> None:
    graph, short = both(lambda x: (x.view(3) * 1 + x.expand(3),), torch.zeros(3))
    given = torch.tensor([value, 1.0, -1.0])
    assert torch.allclose(short.forward(given)[0], graph.forward(given)[0], rtol=0, atol=0, equal_nan=True)
    assert operations(short) < operations(graph)
