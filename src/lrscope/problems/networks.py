"""The networks of the built-in problems."""

from itertools import pairwise

from torch import nn


def multilayer_perceptron(*widths: int) -> nn.Sequential:
    """Linear layers of the widths given, input first, with a ReLU between each two.

    `multilayer_perceptron(64, 100, 10)` takes [n, 64] to [n, 10]. Its weights come from PyTorch's own
    initialisation under the generator's current state.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def line_from_zero() -> nn.Sequential:
    """One weight and one bias, `0.weight` and `0.bias`, both 0 in float32."""
    layer = nn.Linear(1, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(layer)
