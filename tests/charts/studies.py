"""Studies for the tests of charts and report: real training in NumPy, recorded as a sweep does it.

Networks of Linear layers with ReLU on scikit-learn's digits, or gradient descent on a line. Letters: L lanes.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record, Series
from lrscope.store.recorder import Recorder
from lrscope.study import Study

Array = NDArray[Any]

STATS = ("weight_mean", "weight_std", "weight_min", "weight_max", "gradient_norm", "update_ratio")
BINS = 40
ABOUT = {"versions": {"python": "3.11.7", "lrscope": "0.1.0", "torch": "2.8.0"}, "machine": "x86_64"}


def recorded(
    plan: Plan,
    *,
    loss: Array,
    validated: dict[str, Array],
    stats: tuple[Array, dict[str, Array]],
    path: Array,
    histograms: dict[int, HistogramRecord],
    unit: str,
    curvature: tuple[Array, dict[str, Array]] | None = None,
    interrupt: bool = False,
) -> Study:
    """A study of arrays: loss [T, L].

    By name the values of every epoch [n, L], of tensors [n, L, k] at steps [n], and of curvature [n, L] at
    steps [n].
    """
    lanes = np.arange(len(plan.lanes), dtype=np.int32)
    series = [Series("loss", unit, "scalar", "mini-batch loss")]
    series += [Series(name, unit if name == "val_loss" else "share", "scalar", "") for name in validated]
    measured = curvature[1] if curvature is not None else {}
    series += [Series(name, "", "scalar", "") for name in measured]
    series += [Series(name, "", "tensor", "") for name in STATS] + [
        Series("trajectory", "", "trajectory", "")
    ]
    writer = Recorder(None, plan, series, about=ABOUT)
    try:
        with writer:
            writer.note("how", f"{len(lanes)} lanes in one pass")
            writer.note("notes", ["the digits are split 1,437 to train and 360 to validate by seed 0"])
            writer.note("seconds", 12.4)
            if len(loss):
                writer.write(Record("loss", np.arange(len(loss)), lanes, loss))
                writer.write(Record("trajectory", np.arange(len(path)), lanes, path))
            for name, values in validated.items():
                ends = np.arange(len(values)) * plan.steps_per_epoch
                writer.write(Record(name, ends, lanes, values))
            for name, values in measured.items():
                writer.write(Record(name, curvature[0], lanes, values))
            for name, values in stats[1].items():
                writer.write(Record(name, stats[0][: len(values)], lanes, values))
            for epoch in sorted(histograms):
                writer.write(histograms[epoch])
            if interrupt:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    return Study(writer.study_file())


def count(epoch: int, tensors: Sequence[Array]) -> HistogramRecord:
    """Histograms of tensors [L, ...] over edges that lanes share.

    Linear, or sinh-spaced where some lanes go far.
    """
    edges, counts, nonfinite = [], [], []
    for values in tensors:
        flat = np.asarray(values, np.float64).reshape(len(values), -1)
        finite = np.isfinite(flat) & (np.abs(flat) < 1e30)
        reach = np.where(finite, np.abs(flat), 0).max(1)
        inside = flat[finite]
        low, high = (inside.min(), inside.max()) if inside.size else (0.0, 0.0)
        low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
        knee = max(float(np.quantile(reach, 0.25)) / 10, 1e-9)
        if reach.max() < 20 * np.median(reach):
            between = np.linspace(low, high, BINS + 1)
        else:
            between = knee * np.sinh(np.linspace(np.arcsinh(low / knee), np.arcsinh(high / knee), BINS + 1))
        between[0], between[-1] = low, high
        edges.append(between)
        each = [np.histogram(v[ok], between)[0] for v, ok in zip(flat, finite, strict=True)]
        counts.append(np.array(each, np.uint32))
        nonfinite.append((~finite).sum(1).astype(np.uint32))
    lanes = np.arange(len(tensors[0]), dtype=np.int32)
    return HistogramRecord(epoch, lanes, tuple(edges), tuple(counts), tuple(nonfinite))


def measure(tensors: list[Array], gradients: list[Array], moved: list[Array]) -> dict[str, Array]:
    """The statistics of tensors [L, ...] at one point, each [L, k]."""
    flat, slope, way = ([v.reshape(len(v), -1) for v in one] for one in (tensors, gradients, moved))
    size = [np.linalg.norm(v, axis=1) for v in flat]
    length = [np.linalg.norm(v, axis=1) for v in way]
    columns = {
        "weight_mean": [v.mean(1) for v in flat],
        "weight_std": [v.std(1) for v in flat],
        "weight_min": [v.min(1) for v in flat],
        "weight_max": [v.max(1) for v in flat],
        "gradient_norm": [np.linalg.norm(v, axis=1) for v in slope],
        "update_ratio": [
            np.divide(m, s, out=np.zeros_like(m), where=s > 0) for m, s in zip(length, size, strict=True)
        ],
    }
    return {name: np.stack(values, -1) for name, values in columns.items()}


class Digits:
    """A network for the digits, one copy a lane, and its training data."""

    def __init__(self, rates: Sequence[float], seeds: int, hidden: Sequence[int]) -> None:
        data = load_digits()
        self.X, self.y = data.data / 16.0, data.target
        order = np.random.default_rng(0).permutation(len(self.X))
        self.train, self.held = order[:1437], order[1437:]
        self.rates = np.tile(np.array(rates), seeds)
        sizes = (64, *hidden, 10)
        self.tensors: list[Array] = []
        for a, b in itertools.pairwise(sizes):
            for shape in ((a, b), (b,)):
                each = [
                    np.random.default_rng((s, len(self.tensors))).uniform(-1, 1, shape) for s in range(seeds)
                ]
                self.tensors.append(np.repeat(np.stack(each), len(rates), axis=0) / math.sqrt(a))

    def forward(self, inputs: Array) -> tuple[list[Array], Array]:
        """Activations of every layer, and log probabilities [L, n, 10]."""
        layers = [np.broadcast_to(inputs, (len(self.rates), *inputs.shape))]
        for i in range(0, len(self.tensors), 2):
            z = layers[-1] @ self.tensors[i] + self.tensors[i + 1][:, None]
            layers.append(np.maximum(z, 0) if i < len(self.tensors) - 2 else z)
        z = layers[-1] - layers[-1].max(-1, keepdims=True)
        return layers, z - np.log(np.exp(z).sum(-1, keepdims=True))

    def gradients(self, rows: Array) -> tuple[Array, list[Array]]:
        """Cross-entropy [L] of a batch, and its gradient for every tensor."""
        layers, log_p = self.forward(self.X[rows])
        picked = (slice(None), np.arange(len(rows)), self.y[rows])
        delta = np.exp(log_p)
        delta[picked] -= 1
        delta /= len(rows)
        found: list[Array] = [np.empty(0)] * len(self.tensors)
        for i in range(len(self.tensors) - 2, -1, -2):
            found[i], found[i + 1] = layers[i // 2].swapaxes(1, 2) @ delta, delta.sum(1)
            if i:
                delta = (delta @ self.tensors[i].swapaxes(1, 2)) * (layers[i // 2] > 0)
        return -log_p[picked].mean(-1), found

    def validate(self) -> tuple[Array, Array]:
        """Loss and accuracy [L] on what was held out."""
        log_p = self.forward(self.X[self.held])[1]
        loss = -log_p[:, np.arange(len(self.held)), self.y[self.held]].mean(-1)
        return loss, (log_p.argmax(-1) == self.y[self.held]).mean(-1)


def train_digits(
    rates: Sequence[float] | Array,
    *,
    seeds: int = 1,
    epochs: int = 20,
    hidden: Sequence[int] = (32,),
    adam: bool = True,
    val: bool = True,
    names: Sequence[str] = (),
    problem: str = "digits",
    done: int | None = None,
) -> Study:
    """Every lane of a seed from one start over the same batches of 64; `done` epochs, then interrupted."""
    net = Digits([float(rate) for rate in rates], seeds, hidden)
    tensors, lanes = net.tensors, len(net.rates)
    batch = 64
    per_epoch = math.ceil(len(net.train) / batch)
    every = max(1, per_epoch * epochs // 80)
    named = tuple(names) or tuple(
        f"{i}.{kind}" for i in range(len(tensors) // 2) for kind in ("weight", "bias")
    )
    plan = Plan(
        problem=problem,
        rates=tuple(float(rate) for rate in rates),
        seeds=tuple(range(seeds)),
        epochs=epochs,
        steps_per_epoch=per_epoch,
        batch_size=batch,
        train_size=len(net.train),
        val_size=len(net.held) if val else None,
        optimizer="Adam" if adam else "SGD",
        loss="CrossEntropyLoss",
        constant_loss=math.log(10),
        tensors=named,
        shapes=tuple(p.shape[1:] for p in tensors),
        tracked=tuple((name, (0,) * (p.ndim - 1)) for name, p in zip(named, tensors, strict=True)),
        metrics=("accuracy",) if val else (),
    )
    losses, path, points, stats, validated = [], [], [], [], []
    histograms = {0: count(0, tensors)}
    first, second = [np.zeros_like(p) for p in tensors], [np.zeros_like(p) for p in tensors]
    with np.errstate(all="ignore"):
        validated.append(net.validate())
        for epoch in range(epochs if done is None else done):
            shuffled = np.random.default_rng(1000 + epoch).permutation(net.train)
            for k in range(per_epoch):
                step = epoch * per_epoch + k
                loss, slope = net.gradients(shuffled[k * batch : (k + 1) * batch])
                losses.append(loss)
                path.append(np.stack([p.reshape(lanes, -1)[:, 0] for p in tensors], -1))
                moved = []
                for i, g in enumerate(slope):
                    first[i] += 0.1 * (g - first[i])
                    second[i] += 0.001 * (g * g - second[i])
                    root = np.sqrt(second[i] / (1 - 0.999 ** (step + 1))) + 1e-8
                    way = first[i] / (1 - 0.9 ** (step + 1)) / root if adam else g
                    moved.append(net.rates.reshape(-1, *(1,) * (g.ndim - 1)) * way)
                if step % every == 0:
                    points.append(step)
                    stats.append(measure(tensors, slope, moved))
                for p, m in zip(tensors, moved, strict=True):
                    p -= m
            validated.append(net.validate())
            histograms[epoch + 1] = count(epoch + 1, tensors)
        path.append(np.stack([p.reshape(lanes, -1)[:, 0] for p in tensors], -1))
    scores = {
        "val_loss": np.array([v[0] for v in validated]),
        "accuracy": np.array([v[1] for v in validated]),
    }
    return recorded(
        plan,
        loss=np.array(losses).reshape(len(losses), lanes),
        validated=scores if val else {},
        stats=(
            np.array(points),
            {name: np.array([s[name] for s in stats]) for name in STATS} if stats else {},
        ),
        path=np.array(path),
        histograms=histograms,
        unit="nats",
        interrupt=done is not None,
    )


def descend_line(rates: Sequence[float], epochs: int = 1000) -> Study:
    """Full-batch gradient descent on y = 3 x at x = 1, 2, 3, 4 from zero.

    Stable below 0.11976, ringing just under it.
    """
    hessian, target = 2 * np.array([[7.5, 2.5], [2.5, 1.0]]), np.array([3.0, 0.0])
    path = np.zeros((epochs + 1, len(rates), 2))
    with np.errstate(all="ignore"):
        for t in range(epochs):
            path[t + 1] = path[t] - np.array(rates)[:, None] * ((path[t] - target) @ hessian)
        error = path - target
        loss = np.einsum("tli,ij,tlj->tl", error, hessian, error) / 2
        points = np.unique(np.linspace(0, epochs - 1, min(epochs, 80)).astype(int))
        stats = [
            measure(
                [path[t, :, :1, None], path[t, :, 1:]],
                list(((path[t] - target) @ hessian).T[:, :, None]),
                list((path[t + 1] - path[t]).T[:, :, None]),
            )
            for t in points
        ]
        shown = np.unique(np.linspace(0, epochs, min(epochs, 20) + 1).astype(int))
        histograms = {int(t): count(int(t), [path[t, :, :1], path[t, :, 1:]]) for t in shown}
        # The same everywhere, but not known where a lane is lost.
        known = np.where(np.isfinite(path[shown]).all(axis=2), np.linalg.eigvalsh(hessian)[-1], np.nan)
        top = {"sharpness": known, "sharpness_residual": 0.01 * known, "sharpness_products": 0 * known + 2}
    plan = Plan(
        problem="line",
        rates=tuple(rates),
        seeds=(0,),
        epochs=epochs,
        steps_per_epoch=1,
        batch_size=0,
        train_size=4,
        optimizer="SGD",
        loss="MSELoss",
        constant_loss=11.25,
        tensors=("0.weight", "0.bias"),
        shapes=((1, 1), (1,)),
        tracked=(("0.weight", (0, 0)), ("0.bias", (0,))),
        curvature_examples=4,
    )
    return recorded(
        plan,
        loss=loss[:epochs],
        curvature=(shown, top),
        validated={},
        stats=(points, {name: np.array([s[name] for s in stats]) for name in STATS}),
        path=path,
        histograms=histograms,
        unit="",
    )


def empty_study() -> Study:
    """A run that was stopped before its first record."""
    plan = Plan(problem="empty", rates=(0.01, 0.1), seeds=(0,), epochs=3, steps_per_epoch=4, batch_size=8)
    nothing = np.empty((0, 2))
    return recorded(
        plan,
        loss=nothing,
        validated={},
        stats=(np.empty(0), {}),
        path=nothing,
        histograms={},
        unit="",
        interrupt=True,
    )


HOSTILE = (
    "a.b[0]['x']",
    "</script><img src=x onerror=alert(1)>",
    'néme "q" \\ \n 名\u2028',
    "datum.x; alert(1)",
)
"""Names of tensors as nobody should choose them."""


@functools.cache
def usual() -> Study:
    """16 lanes, 4 tensors, 20 epochs: from too slow to failed."""
    return train_digits(np.geomspace(1e-5, 1, 16))


@functools.cache
def many() -> Study:
    """64 lanes."""
    return train_digits(np.geomspace(1e-5, 10, 64), epochs=3)


@functools.cache
def seeds() -> Study:
    """Three seeds of six rates by plain gradient descent, the highest diverged."""
    return train_digits(np.geomspace(1e-2, 1e3, 6), adam=False, seeds=3, epochs=4)


@functools.cache
def ringing() -> Study:
    """The line below, at and above its limit of stability, 0.11976; no validation data."""
    return descend_line((0.01, 0.1, 0.119, 0.1205, 0.13, 1.0), epochs=400)


@functools.cache
def lost() -> Study:
    """Every lane diverged."""
    return descend_line((1.0, 3.0, 10.0))


@functools.cache
def alone() -> Study:
    """One lane."""
    return train_digits([1e-3], epochs=3)


@functools.cache
def hostile() -> Study:
    """Names as nobody should choose them."""
    problem = "</script><script>document.title='run'</script>\n\x1b[31m & <b>"
    return train_digits([1e-4, 1e-2, 1.0], epochs=2, names=HOSTILE, problem=problem)


@functools.cache
def cut_off() -> Study:
    """Interrupted after 2 of 20 epochs."""
    return train_digits([1e-3, 1e-2, 1e-1], done=2)


STUDIES = {
    "usual": usual,
    "many": many,
    "seeds": seeds,
    "ringing": ringing,
    "lost": lost,
    "alone": alone,
    "hostile": hostile,
    "cut_off": cut_off,
    "empty": functools.cache(empty_study),
}
"""What every chart and the report have to bear."""
