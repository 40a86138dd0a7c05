from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from lrscope.errors import ProblemError
from lrscope.training.scratch_network import (
    ACTIVATIONS,
    Network,
    forward_loss,
    from_torch,
    to_torch,
    transposed,
)

TORCH = {"identity": nn.Identity, "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def line(weight, bias, dtype=np.float64):
    return [np.array([[weight]], dtype), np.array([bias], dtype)]


def net(*widths, seed=0, dtype=np.float64):
    generator = np.random.default_rng(seed)
    arrays = []
    for before, after in pairwise(widths):
        arrays += [generator.normal(size=(after, before)), generator.normal(size=after)]
    return [array.astype(dtype) for array in arrays]


def test_the_loss_is_the_mean_of_the_squared_errors():
    assert forward_loss(line(0, 0), [[1], [2], [3], [4]], [[3], [6], [9], [12]]) == (9 + 36 + 81 + 144) / 4
    assert forward_loss(line(3, 1), [[1], [2]], [[3], [6]]) == 1.0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_layers_are_those_of_torch(name):
    generator = np.random.default_rng(1)
    inputs, targets = generator.normal(size=(7, 3)), generator.normal(size=(7, 2))
    network = Network((name, "tanh", "identity"))
    parameters = net(3, 5, 4, 2)
    module = to_torch(parameters, network)
    wanted = nn.MSELoss()(module(torch.tensor(inputs)), torch.tensor(targets)).item()
    assert forward_loss(parameters, inputs, targets, network) == pytest.approx(wanted, rel=1e-14)


def test_cross_entropy_is_that_of_torch_also_for_large_logits():
    parameters = [1000 * array for array in net(3, 5)]
    inputs, classes = np.random.default_rng(1).normal(size=(7, 3)), np.array([0, 1, 2, 3, 4, 0, 1])
    network = Network(loss="cross_entropy")
    wanted = nn.CrossEntropyLoss()(to_torch(parameters)(torch.tensor(inputs)), torch.tensor(classes)).item()
    assert forward_loss(parameters, inputs, classes, network) == pytest.approx(wanted, rel=1e-14)


def test_activations_far_out_are_finite_and_silent():
    network = Network(("sigmoid",))
    assert forward_loss(line(1, 0), [[-1e4], [1e4]], [[0], [1]], network) == 0.0
    assert forward_loss(line(1e200, 0), [[1e200]], [[0]]) == np.inf


class TestConversion:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_module_goes_there_and_back(self, dtype):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 2), nn.Sigmoid()).to(
            dtype
        )
        parameters, network = from_torch(module, nn.MSELoss())
        assert network == Network(("relu", "identity", "sigmoid"), "mean_squared_error")
        for array, parameter in zip(parameters, module.parameters(), strict=True):
            assert array.shape == parameter.shape
            np.testing.assert_array_equal(array, parameter.detach().numpy())
        again = to_torch(parameters, network)
        assert [name for name, _ in again.named_parameters()] == [
            name for name, _ in module.named_parameters()
        ]
        x = torch.randn(5, 4, dtype=dtype)
        assert torch.equal(again(x), module(x))

    def test_copies_share_no_memory(self):
        module = nn.Sequential(nn.Linear(2, 2))
        parameters, _ = from_torch(module, nn.CrossEntropyLoss())
        before = module[0].weight.detach().clone()
        parameters[0] += 1
        to_torch(parameters)[0].weight.data += 1
        assert torch.equal(module[0].weight, before)
        np.testing.assert_array_equal(parameters[0], before.numpy() + 1)

    def test_an_identity_may_stand_before_an_activation(self):
        _, network = from_torch(nn.Sequential(nn.Linear(1, 1), nn.Identity(), nn.Tanh()), nn.MSELoss())
        assert network.activations == ("tanh",)

    def test_weights_are_transposed_there_and_back(self):
        parameters = net(3, 5, 2)
        other = transposed(parameters)
        assert [array.shape for array in other] == [(3, 5), (5,), (5, 2), (2,)]
        for array, again in zip(parameters, transposed(other), strict=True):
            np.testing.assert_array_equal(array, again)

    @pytest.mark.parametrize(
        ("module", "loss", "words"),
        [
            (nn.Linear(1, 1), nn.MSELoss(), "the model is of type Linear"),
            (nn.Sequential(nn.Linear(1, 1, bias=False)), nn.MSELoss(), "the model holds Linear"),
            (nn.Sequential(nn.Flatten(), nn.Linear(1, 1)), nn.MSELoss(), "the model holds Flatten"),
            (nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.ReLU()), nn.MSELoss(), "the model holds ReLU()"),
            (nn.Sequential(nn.ReLU()), nn.MSELoss(), "the model holds ReLU()"),
            (nn.Sequential(nn.Linear(1, 1)), nn.MSELoss(reduction="sum"), "the loss is MSELoss()"),
            (nn.Sequential(nn.Linear(1, 1)), nn.L1Loss(), "the loss is L1Loss()"),
            (nn.Sequential(nn.Linear(1, 1)), None, "the loss is None"),
            (nn.Sequential(nn.Linear(1, 2)), nn.CrossEntropyLoss(label_smoothing=0.1), "the loss is Cross"),
            (nn.Sequential(nn.Linear(1, 2)), nn.CrossEntropyLoss(weight=torch.ones(2)), "the loss is Cross"),
        ],
    )
    def test_what_it_does_not_know_is_refused_by_name(self, module, loss, words):
        with pytest.raises(ProblemError) as caught:
            from_torch(module, loss)
        assert words in str(caught.value)
        assert "wanted is" in str(caught.value)


X, Y = np.ones((4, 3)), np.ones((4, 2))


@pytest.mark.parametrize(
    ("parameters", "inputs", "targets", "network", "words"),
    [
        (net(3, 2)[:1], X, Y, None, "1 layers want a weight and a bias each; got 1 arrays"),
        ([], X, Y, None, "got 0 arrays"),
        (net(3, 2), X, Y, Network(("relu", "relu")), "2 layers want a weight and a bias each; got 2 arrays"),
        (net(4, 2), X, Y, None, "got inputs (4, 3), then (2, 4), (2,)"),
        ([net(3, 2)[0], np.ones((1, 2))], X, Y, None, "then (2, 3), (1, 2)"),
        ([array[None] for array in net(3, 2)], X, Y, None, "then (1, 2, 3), (1, 2)"),
        (net(3, 2), X[0], Y, None, "got inputs (3,)"),
        (net(3, 2, dtype=int), X, Y, None, "all float32 or all float64; got int64"),
        ([net(3, 2)[0], np.ones(2, np.float32)], X, Y, None, "got float32, float64"),
        (net(3, 2), X[:0], Y[:0], None, "inputs are empty"),
        (net(3, 2), X, Y[:, 0], None, "targets of shape (4, 2) are wanted; got (4,)"),
        (net(3, 2), X, Y[:3], None, "targets of shape (4, 2) are wanted; got (3, 2)"),
        (net(3, 2), X, Y, Network(loss="cross_entropy"), "4 class numbers of 0 to 1; got float64"),
        (
            net(3, 2),
            X,
            [0, 1, 2, 0],
            Network(loss="cross_entropy"),
            "class numbers of 0 to 1; got int64 of shape (4,)",
        ),
        (net(3, 2), X, [0, -1, 1, 0], Network(loss="cross_entropy"), "class numbers of 0 to 1"),
    ],
)
def test_what_does_not_fit_is_told_with_its_shapes(parameters, inputs, targets, network, words):
    with pytest.raises(ProblemError) as caught:
        forward_loss(parameters, inputs, targets, network)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("activations", "loss", "words"),
    [
        ((), "mean_squared_error", "an activation for each layer"),
        (
            ("gelu",),
            "mean_squared_error",
            "activation 'gelu' is unknown; there are identity, relu, tanh, sigmoid",
        ),
        (("relu",), "hinge", "loss 'hinge' is unknown"),
    ],
)
def test_names_it_does_not_know_are_refused(activations, loss, words):
    with pytest.raises(ProblemError, match=words):
        Network(activations, loss)
