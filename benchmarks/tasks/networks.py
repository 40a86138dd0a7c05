"""The networks of the tasks: small, and of operations that a vectorised call takes."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(
    *widths: int,
    activation: type[nn.Module] = nn.ReLU,
    norm: type[nn.Module] | None = None,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Linear layers of these widths, and between each two a normalisation, an activation and dropout."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers.append(nn.Linear(before, after))
        layers += [norm(after)] if norm is not None else []
        layers.append(activation())
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def from_zero(model: nn.Sequential) -> nn.Sequential:
    """The same model, its last layer 0: it begins by predicting nothing."""
    last = model[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return model


def cnn(size: int, classes: int, *, norm: bool = False, width: int = 8) -> nn.Sequential:
    """Two 3x3 convolutions, each halving the image, with or without BatchNorm, and a linear layer."""
    layers: list[nn.Module] = []
    for before, after in ((1, width), (width, 2 * width)):
        layers.append(nn.Conv2d(before, after, 3, stride=2, padding=1))
        layers += [nn.BatchNorm2d(after)] if norm else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * math.ceil(size / 4) ** 2, classes))


class Attention(nn.Module):
    """Causal self-attention with two heads and a feed-forward layer, each behind a LayerNorm."""

    heads = 2

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.register_buffer("future", torch.full((length, length), -1e9).triu(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, t, width] to the same."""
        size, length, width = x.shape
        shape = (size, length, self.heads, width // self.heads)
        query, key, value = (
            part.reshape(shape).transpose(1, 2) for part in self.mixed(self.before(x)).chunk(3, dim=-1)
        )
        scores = query @ key.transpose(-2, -1) / math.sqrt(width // self.heads) + self.future
        x = x + self.out((scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(size, length, width))
        return x + self.narrow(torch.relu(self.wide(self.between(x))))


class Transformer(nn.Module):
    """Letters [B, t] to the scores of those that follow [B, t, letters]."""

    def __init__(self, letters: int, length: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.letter = nn.Embedding(letters, width)
        self.place = nn.Parameter(0.1 * torch.randn(length, width))
        self.layers = nn.Sequential(*(Attention(width, length) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, letters)

    def forward(self, letters: Tensor) -> Tensor:
        """[B, t] to [B, t, letters]."""
        return self.head(self.norm(self.layers(self.letter(letters) + self.place)))


class GRU(nn.Module):
    """A gated recurrent unit, its step written out, over [B, t, k]; every state [B, t, width]."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.from_input = nn.Linear(inputs, 3 * width)
        self.from_state = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, t, k] to [B, t, width]."""
        given = self.from_input(x)
        state = torch.zeros_like(given[:, 0, : self.width])
        states = []
        for step in range(x.shape[1]):
            own_reset, own_update, own_new = self.from_state(state).chunk(3, dim=-1)
            reset, update, new = given[:, step].chunk(3, dim=-1)
            update = torch.sigmoid(update + own_update)
            new = torch.tanh(new + torch.sigmoid(reset + own_reset) * own_new)
            state = (1 - update) * new + update * state
            states.append(state)
        return torch.stack(states, dim=1)


class LetterGRU(nn.Module):
    """Letters [B, t] to the scores of those that follow [B, t, letters]."""

    def __init__(self, letters: int, width: int) -> None:
        super().__init__()
        self.letter, self.gru = nn.Embedding(letters, width), GRU(width, width)
        self.head = nn.Linear(width, letters)

    def forward(self, letters: Tensor) -> Tensor:
        """[B, t] to [B, t, letters]."""
        return self.head(self.gru(self.letter(letters)))


class LastOfGRU(nn.Module):
    """A series [B, t, k] to what follows it [B, outputs]."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.gru, self.head = GRU(inputs, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, t, k] to [B, outputs]."""
        return self.head(self.gru(x)[:, -1])
