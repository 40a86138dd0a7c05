"""The top eigenvalue of every lane's Hessian, by Lanczos, against the whole spectrum of the dense Hessian.

Nets of fewer than 2,000 parameters on real data, at their start and after training, measured by the sweep's
own code in the dtype of the weights; the dense Hessian of the same weights is float64, its spectrum from
`torch.linalg.eigvalsh`. Where Adam, AdamW or RMSprop trained them the preconditioned matrix is compared as
well, its P worked out anew from the optimizer's state. Prints a row a net and writes the same as JSON: the
share with an error below 1% and its interval, the worst, whether the residual bounds the distance to the
nearest eigenvalue, and the products used.

    python benchmarks/curvature.py [--seeds 20] [--json FILE]
"""

import argparse
import dataclasses
import functools
import json
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

import lrscope
from lrscope.executors.block_runner import BlockRunner
from lrscope.recording.sharpness import sharpness_points
from lrscope.training.curvature import Hessian
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed
from scores import wilson

Data = tuple[Tensor, Tensor]


def classes(load: Callable[..., Any], examples: int) -> Data:
    features, target = load(return_X_y=True)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:examples]
    X = torch.tensor(features, dtype=torch.float32)
    X = (X - X.mean(0)) / X.std(0).clamp(min=1e-6)
    return X[order], torch.tensor(target)[order]


def images(examples: int) -> Data:
    X, y = load_digits(return_X_y=True)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(0))[:examples]
    return torch.tensor(X / 16, dtype=torch.float32)[order], torch.tensor(y)[order]


def numbers(examples: int) -> Data:
    X, y = classes(load_diabetes, examples)
    y = y.float()
    return X, ((y - y.mean()) / y.std()).unsqueeze(1)


def one_hot(data: Data) -> Data:
    return data[0], nn.functional.one_hot(data[1]).float()


class Attention(nn.Module):
    """The eight rows of an image as eight tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.out = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.block(x.unflatten(1, (8, 8))).mean(1))


def mlp(inputs: int, hidden: Sequence[int], outputs: int, activation: Callable[[], nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(54, 10),
    )


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(13, 20), nn.LayerNorm(20), nn.GELU(), nn.Linear(20, 3))


@dataclasses.dataclass(frozen=True)
class Net:
    """One architecture with its data, loss and way of training."""

    name: str
    model: Callable[[], nn.Module]
    data: Callable[[], Data]
    loss: nn.Module
    optimizer: Callable[..., torch.optim.Optimizer]
    rate: float
    batch_size: int = 0
    steps: int = 120


CROSS_ENTROPY, SQUARED = nn.CrossEntropyLoss(), nn.MSELoss()
HOT = lambda: one_hot(DIGITS())  # noqa: E731
FEW = functools.partial(images, 64)
SGD, MOMENTUM = torch.optim.SGD, functools.partial(torch.optim.SGD, momentum=0.9)
ADAM, ADAMW = torch.optim.Adam, functools.partial(torch.optim.AdamW, weight_decay=0.1)
DIGITS = functools.partial(images, 256)

NETS = (
    Net(
        "tanh, CE, SGD",
        lambda: mlp(13, (24, 24), 3, nn.Tanh),
        lambda: classes(load_wine, 178),
        CROSS_ENTROPY,
        SGD,
        0.1,
    ),
    Net("relu, CE, momentum", lambda: mlp(64, (24,), 10, nn.ReLU), DIGITS, CROSS_ENTROPY, MOMENTUM, 0.05),
    Net("tanh, MSE, SGD", lambda: mlp(10, (20, 20), 1, nn.Tanh), lambda: numbers(256), SQUARED, SGD, 0.1),
    Net("relu, MSE, Adam", lambda: mlp(10, (32, 16), 1, nn.ReLU), lambda: numbers(256), SQUARED, ADAM, 3e-3),
    Net("tanh, MSE, Adam", lambda: mlp(64, (18,), 10, nn.Tanh), HOT, SQUARED, ADAM, 1e-2),
    Net("LayerNorm, CE, AdamW", normalised, lambda: classes(load_wine, 178), CROSS_ENTROPY, ADAMW, 1e-2),
    Net("CNN, CE, Adam", cnn, FEW, CROSS_ENTROPY, ADAM, 3e-3, 16),
    Net("CNN, MSE, RMSprop", cnn, lambda: one_hot(FEW()), SQUARED, torch.optim.RMSprop, 1e-3),
    Net("attention, CE, Adam", Attention, FEW, CROSS_ENTROPY, ADAM, 1e-2),
    Net(
        "linear, CE, SGD in batches of 16",
        lambda: nn.Linear(30, 2),
        lambda: classes(load_breast_cancer, 400),
        CROSS_ENTROPY,
        SGD,
        0.3,
        16,
    ),
)  # fmt: skip


def dense(net: Net, model: nn.Module, weights: dict[str, Tensor], data: Data) -> Tensor:
    """The whole Hessian [N, N] of one lane, by autograd twice in float64: not how the sweep does it."""
    module = model.double().eval()
    X, y = (part.double() if part.is_floating_point() else part for part in data)
    flat = torch.cat([tensor.double().flatten() for tensor in weights.values()]).requires_grad_()
    parts = torch.split(flat, [tensor.numel() for tensor in weights.values()])
    named = {name: part.reshape(weights[name].shape) for name, part in zip(weights, parts, strict=True)}
    with sdpa_kernel(SDPBackend.MATH):
        loss = net.loss(functional_call(module, named, (X,)), y)
        (slope,) = torch.autograd.grad(loss, flat, create_graph=True)
        rows = [
            torch.autograd.grad(slope, flat, some, retain_graph=True, is_grads_batched=True)[0]
            for some in torch.eye(len(flat), dtype=torch.float64).split(64)
        ]
    hessian = torch.cat(rows)
    return (hessian + hessian.T) / 2


def divisor(optimizer: torch.optim.Optimizer) -> Tensor:
    """P [N], from the state of a lane's optimizer, by the book."""
    parts = []
    (group,) = optimizer.param_groups
    for parameter in group["params"]:
        state = optimizer.state[parameter]
        if "square_avg" in state:
            parts.append(state["square_avg"].double().sqrt() + group["eps"])
            continue
        t, (beta1, beta2) = float(state["step"]), group["betas"]
        root = (state["exp_avg_sq"].double() / (1 - beta2**t)).sqrt() + group["eps"]
        parts.append((1 - beta1**t) * root)
    return torch.cat([part.flatten() for part in parts])


@dataclasses.dataclass(frozen=True)
class Case:
    """One lane at one point of its training, measured both ways."""

    net: str
    kind: str
    seed: int
    step: int
    parameters: int
    exact: float
    found: float
    residual: float
    distance: float
    products: int

    @property
    def error(self) -> float:
        return abs(self.found - self.exact) / abs(self.exact)


def measure(net: Net, seeds: int) -> list[Case]:
    """Every seed of a net as a lane: at its start, and at its end."""
    made: list[torch.optim.Optimizer] = []

    def optimizer(params: Any, lr: float) -> torch.optim.Optimizer:
        made.append(net.optimizer(params, lr=lr))
        return made[-1]

    data = net.data()
    per_epoch = 1 if net.batch_size == 0 else -(-len(data[0]) // net.batch_size)
    problem = lrscope.Problem(
        name=net.name,
        model=net.model,
        train=data,
        loss=net.loss,
        optimizer=optimizer,
        batch_size=net.batch_size,
        epochs=max(1, net.steps // per_epoch),
    )
    cases = []
    with undisturbed():
        prepared = prepare(problem, (net.rate,), seeds, curvature=True, record="losses")
        plan = prepared.plan
        # Every fifth point: each starts from a vector further off than a sweep's.
        measured = sorted(sharpness_points(plan.steps))[::5]
        for lane, block in enumerate(prepared.blocks(plan.lanes)):
            runner = BlockRunner(prepared, block, dataclasses.replace(plan, curvature_examples=None))
            one = made[-1]
            lanes = runner._lanes
            examples = prepared.batches.some(plan.curvature_examples or 1)
            hessian_of = Hessian(runner._objective, lanes, examples)
            for step in measured:
                for _ in runner.advance(step):
                    pass
                curvature = hessian_of.top()
                if step not in (0, plan.steps):
                    continue
                weights = {name: tensor[0] for name, tensor in lanes.weights.items()}
                hessian = dense(net, net.model(), weights, data)
                kinds = [("plain", curvature.plain, hessian)]
                if curvature.preconditioned is not None:
                    root = divisor(one).rsqrt()
                    scaled = root.unsqueeze(1) * hessian * root
                    kinds.append(("preconditioned", curvature.preconditioned, scaled))
                for kind, top, matrix in kinds:
                    spectrum = torch.linalg.eigvalsh(matrix)
                    value = float(top.value[0])
                    cases.append(
                        Case(
                            net.name,
                            kind,
                            lane,
                            step,
                            len(hessian),
                            float(spectrum[-1]),
                            value,
                            float(top.residual[0]),
                            float((spectrum - value).abs().min()),
                            top.products,
                        )
                    )
    return cases


def summary(cases: Sequence[Case]) -> dict[str, Any]:
    """What is told of some cases."""
    hits = sum(case.error < 0.01 for case in cases)
    # Rounding of float32 weights and products stands beside the residual.
    bounded = sum(case.distance <= case.residual + 1e-4 * abs(case.exact) for case in cases)
    products = sorted(case.products for case in cases)
    return {
        "cases": len(cases),
        "within 1%": hits / len(cases),
        "interval": wilson(hits, len(cases)),
        "worst error": max(case.error for case in cases),
        "median error": sorted(case.error for case in cases)[len(cases) // 2],
        "residual bounds": bounded / len(cases),
        "median products": products[len(products) // 2],
        "most products": products[-1],
    }


def row(name: str, told: dict[str, Any]) -> str:
    low, high = told["interval"]
    return (
        f"{name:50}{told['cases']:6}{told['within 1%']:8.1%} [{low:.1%}, {high:.1%}]"
        f"{told['worst error']:10.2%}{told['median error']:11.1e}{told['residual bounds']:9.1%}"
        f"{told['median products']:9}{told['most products']:6}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", metavar="FILE", default=str(Path(__file__).with_suffix(".json")))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases: list[Case] = []
    for net in NETS:
        cases += measure(net, options.seeds)
        print(f"{net.name}: {cases[-1].parameters} parameters", file=sys.stderr)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        when = "start" if case.step == 0 else "trained"
        groups.setdefault(f"{case.net}, {case.kind}, {when}", []).append(case)
    for kind, when in (("plain", "start"), ("plain", "trained"), ("preconditioned", "trained")):
        groups[f"ALL {kind}, {when}"] = [
            case for case in cases if case.kind == kind and (case.step == 0) == (when == "start")
        ]
    told = {name: summary(some) for name, some in groups.items()}
    print(f"torch {torch.__version__}, {platform.machine()}, 1 thread, {options.seeds} seeds a net")
    heads = f"{'worst':>10}{'median':>11}{'bounds':>9}{'products':>9}{'most':>6}"
    print(f"{'':50}{'cases':>6}{'<1%':>8} {'95% interval':15}{heads}")
    for name, one in told.items():
        print(row(name, one))
    with open(options.json, "w") as file:
        json.dump({"torch": torch.__version__, "seeds": options.seeds, "groups": told}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
