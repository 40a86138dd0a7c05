"""What is timed: seven models as lrscope problems, on real data that installed packages ship with."""

import dataclasses
import functools
import pydoc_data.topics
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lrscope
from lrscope.problems.load import load_problem
from lrscope.problems.networks import multilayer_perceptron


class Net28(nn.Module):
    """Two 3x3 convolutions with pooling and a linear layer, for images [B, 1, 28, 28]."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.out = nn.Linear(16 * 7 * 7, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.relu(self.first(x)), 2)
        x = F.max_pool2d(torch.relu(self.second(x)), 2)
        return self.out(x.flatten(1))


class Block(nn.Module):
    """Causal attention with four heads and a feed-forward layer, each behind a LayerNorm."""

    heads = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        size, length, width = x.shape
        q, k, v = (
            part.reshape(size, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.mixed(self.before(x)).chunk(3, dim=-1)
        )
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(size, length, width))
        return x + self.narrow(F.gelu(self.wide(self.between(x)), approximate="tanh"))


class Transformer(nn.Module):
    """Two blocks of width 64 over 64 bytes of text."""

    def __init__(self, letters: int, length: int = 64, width: int = 64) -> None:
        super().__init__()
        self.letter = nn.Embedding(letters, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, letters)

    def forward(self, letters: Tensor) -> Tensor:
        x = self.letter(letters) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Rows(nn.Module):
    """A GRU that reads an image [B, 8, 8] row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.gru(x)[0][:, -1])


def scores_of_text(output: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of every next byte."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


@dataclasses.dataclass(frozen=True)
class Case:
    """One model to time.

    Attributes:
        name: also how `jax_rival` knows the model.
        make: steps -> the problem, cut to whole batches, long enough for so many steps.
        steps: how many by default; 0 for as many as the loop takes the seconds asked for.
    """

    name: str
    make: Callable[[int], lrscope.Problem]
    steps: int = 0


def _digits() -> tuple[Tensor, Tensor]:
    images, labels = load_problem("digits").train
    return images, labels


def _enlarged() -> tuple[Tensor, Tensor]:
    """The digits drawn on 28 x 28 pixels: [n, 784]."""
    images, labels = _digits()
    large = F.interpolate(images.view(-1, 1, 8, 8), size=(28, 28), mode="bilinear", align_corners=False)
    return large.flatten(1), labels


def _text() -> tuple[Tensor, Tensor, int]:
    """Windows of 64 bytes of Python's own help, and the bytes that follow; how many bytes there are."""
    content = "".join(pydoc_data.topics.topics.values()).encode()[:65537]
    known = sorted(set(content))
    codes = torch.tensor([known.index(byte) for byte in content])
    return codes[:-1].view(-1, 64), codes[1:].view(-1, 64), len(known)


def _problem(
    name: str,
    model: Callable[[], nn.Module],
    data: tuple[Tensor, Tensor],
    batch: int,
    steps: int,
    **changes: object,
) -> lrscope.Problem:
    whole = len(data[0]) // batch
    return lrscope.Problem(
        name=name,
        model=model,
        train=tuple(tensor[: whole * batch] for tensor in data),
        batch_size=batch,
        epochs=-(-steps // whole),
        **{"loss": nn.CrossEntropyLoss(), **changes},
    )


def _line(steps: int) -> lrscope.Problem:
    return dataclasses.replace(load_problem("line"), epochs=steps)


def _digits_mlp(steps: int) -> lrscope.Problem:
    return _problem("digits", functools.partial(multilayer_perceptron, 64, 100, 10), _digits(), 32, steps)


def _wide(width: int, steps: int) -> lrscope.Problem:
    model = functools.partial(multilayer_perceptron, 784, width, 10)
    return _problem(f"784-{width}-10", model, _enlarged(), 64, steps)


def _cnn(steps: int) -> lrscope.Problem:
    images, labels = _enlarged()
    return _problem("cnn", Net28, (images.view(-1, 1, 28, 28), labels), 64, steps)


def _transformer(steps: int) -> lrscope.Problem:
    before, after, letters = _text()
    model = functools.partial(Transformer, letters)
    return _problem("transformer", model, (before, after), 16, steps, loss=scores_of_text)


def _gru(steps: int) -> lrscope.Problem:
    images, labels = _digits()
    return _problem("gru", Rows, (images.view(-1, 8, 8), labels), 32, steps)


CASES = {
    case.name: case
    for case in (
        Case("line", _line, 30_000),
        Case("digits", _digits_mlp, 2_000),
        Case("digits-long", _digits_mlp, 30_000),
        Case("784-300-10", functools.partial(_wide, 300)),
        Case("784-1000-10", functools.partial(_wide, 1000)),
        Case("cnn", _cnn),
        Case("transformer", _transformer),
        Case("gru", _gru),
    )
}
