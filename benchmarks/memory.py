"""The memory a sweep is estimated to take against its measured peak, on a few models.

Each model is swept in a process of its own, after a tiny sweep that loads what torch loads once. Measured is
how far the peak of resident memory (`resource.getrusage`) rises above what the process held before.

    python benchmarks/memory.py [--lanes 24] [--json FILE]
"""

import argparse
import dataclasses
import functools
import itertools
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import lrscope
from lrscope.rates import read_rates
from lrscope.training import prepare as preparing
from lrscope.training.footprint import Need

STEPS = 44
"""More than it takes to be captured."""


class Transformer(nn.Module):
    """Two layers of width 64 over 64 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(96, 64)
        layer = nn.TransformerEncoderLayer(64, 4, 256, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(64, 96)

    def forward(self, tokens: Tensor) -> Tensor:
        output: Tensor = self.out(self.layers(self.tokens(tokens))).flatten(0, 1)
        return output


def mlp(*sizes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inside, outside in itertools.pairwise(sizes):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 28)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 49, 10),
    )


def classified(
    name: str, model: Callable[[], nn.Module], shape: tuple[int, ...], **options: object
) -> lrscope.Problem:
    generator = torch.Generator().manual_seed(0)
    size = int(options.pop("batch_size", 64))
    X = torch.randn(4 * size, *shape, generator=generator)
    y = torch.randint(0, 10, (4 * size,), generator=generator)
    return lrscope.Problem(
        name=name,
        model=model,
        train=(X, y),
        val=(X[:size], y[:size]),
        loss=nn.CrossEntropyLoss(),
        batch_size=size,
        epochs=-(-STEPS // 4),
        **options,
    )


def language(size: int) -> lrscope.Problem:
    tokens = torch.randint(0, 96, (4 * size, 64), generator=torch.Generator().manual_seed(0))
    return lrscope.Problem(
        name="transformer",
        model=Transformer,
        train=(tokens, tokens),
        loss=lambda output, target: nn.functional.cross_entropy(output, target.flatten()),
        optimizer=torch.optim.AdamW,
        batch_size=size,
        epochs=-(-STEPS // 4),
    )


ADAM, SGD = torch.optim.Adam, functools.partial(torch.optim.SGD, momentum=0.9)
SWEEPS: dict[str, tuple[Callable[[], lrscope.Problem], int]] = {
    "784-1000-10, Adam, 16 lanes": (
        lambda: classified("wide", lambda: mlp(784, 1000, 10), (784,), optimizer=ADAM),
        16,
    ),
    "784-1000-1000-10, SGD, 8 lanes": (
        lambda: classified("wide", lambda: mlp(784, 1000, 1000, 10), (784,), optimizer=SGD),
        8,
    ),
    "MLP of 6 x 256, batch 4096, 8 lanes": (
        lambda: classified("deep", lambda: mlp(64, *[256] * 6, 10), (64,), optimizer=ADAM, batch_size=4096),
        8,
    ),
    "CNN 28x28, batch 192, 8 lanes": (
        lambda: classified("cnn", cnn, (28, 28), optimizer=ADAM, batch_size=192),
        8,
    ),
    "transformer, batch 64, 4 lanes": (lambda: language(64), 4),
}


def resident() -> int:
    """Bytes that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(name: str, lanes: int) -> tuple[int, int]:
    """Estimate and peak, in bytes, in this process."""
    torch.set_num_threads(1)
    make, own = SWEEPS[name]
    lanes = lanes or own
    tiny = classified("tiny", lambda: mlp(4, 4, 10), (4,), optimizer=ADAM)
    lrscope.sweep(dataclasses.replace(tiny, epochs=20), (1e-3, 1e-2)).close()
    subject = make()
    estimates: list[Need] = []
    check = preparing.refuse_too_large

    def noted(*arguments: object, **options: object) -> Need:
        estimates.append(check(*arguments, **options))
        return estimates[-1]

    preparing.refuse_too_large = noted
    before = resident()
    lrscope.sweep(subject, read_rates(f"1e-5:1e-2:{lanes}")).close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return estimates[-1].total, peak - before


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--lanes", type=int, default=0, help="of every model, in place of its own number")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only is not None:
        print(json.dumps(measure(options.only, options.lanes)))
        return
    rows = {}
    print(f"{'':38}{'estimate MiB':>14}{'peak MiB':>10}{'ratio':>8}")
    for name in SWEEPS:
        child = subprocess.run(
            [sys.executable, __file__, "--only", name, "--lanes", str(options.lanes)],
            capture_output=True,
            text=True,
            check=True,
        )
        estimate, peak = rows[name] = json.loads(child.stdout.splitlines()[-1])
        print(f"{name:38}{estimate / 2**20:14.0f}{peak / 2**20:10.0f}{estimate / peak:8.2f}", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"bytes": rows, "torch": torch.__version__}, file, indent=1)


if __name__ == "__main__":
    main()
