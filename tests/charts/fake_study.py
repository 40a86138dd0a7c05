"""A study for the tests of charts and report: real training in NumPy, many rates in one pass, held in memory.

Networks of Linear layers with ReLU, softmax cross-entropy, Adam or plain gradient descent. Letters: L lanes, n examples.
"""

import dataclasses
import math
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from sklearn.datasets import load_digits

from lrscope.errors import StudyError
from lrscope.plan import Plan
from lrscope.record import Series

STATS = ("weight_mean", "weight_std", "weight_min", "weight_max", "gradient_norm", "update_ratio")
BINS = 40


@dataclasses.dataclass(frozen=True)
class Advised:
    """What a chart reads of a recommendation."""

    rate: float | None = None
    low: float | None = None
    high: float | None = None
    first_failing: float | None = None
    confidence: str = "low"
    cannot_tell: str | None = "no lane has finished"
    next_experiment: str | None = None

    @property
    def margin(self) -> float | None:
        """How far the recommended rate is from the first that fails."""
        return self.first_failing / self.rate if self.rate and self.first_failing else None

    def sentence(self) -> str:
        """All of it."""
        if self.rate is None:
            return f"Cannot tell a learning rate: {self.cannot_tell}."
        cliff = f"; {self.first_failing:.1e} fails, {self.margin:.0f} times higher" if self.margin else ""
        return f"Take {self.rate:.1e}: rates from {self.low:.1e} to {self.high:.1e} end as good{cliff}."


@dataclasses.dataclass
class FakeStudy:
    """Frames of the exact schema of `lrscope.Study`."""

    plan: Plan
    loss: np.ndarray  # [T, L]
    val_steps: np.ndarray
    val_loss: np.ndarray | None  # [epochs + 1, L]
    accuracy: np.ndarray | None
    stat_steps: np.ndarray
    stats: dict[str, np.ndarray]  # [points, L, tensors]
    tracked: np.ndarray  # [T + 1, L, tracked]
    spreads: list[list[tuple[np.ndarray, np.ndarray]]]  # [epoch][tensor]: edges, counts [L, bins]
    state: str = "finished"
    done: int | None = None

    @cached_property
    def stopped(self) -> list[int | None]:
        """The step of each lane's first loss that is not finite."""
        broken = ~np.isfinite(self.loss)
        return [int(np.argmax(column)) if column.any() else None for column in broken.T]

    @property
    def about(self) -> dict[str, Any]:
        """Versions."""
        return {"created": "2026-01-31T09:30:00Z", "lrscope": "0.1.0", "torch": "2.8.0", "numpy": np.__version__}

    def note(self, key: str) -> Any:
        """Notes of the run."""
        return {"how": "in one pass", "seconds": 12.4, "notes": ["split 1,437 / 360 by seed 0"]}.get(key)

    @property
    def series(self) -> tuple[Series, ...]:
        """What was recorded."""
        if not len(self.loss):
            return ()
        scalars = [Series("loss", "nats", "scalar", "cross-entropy")]
        if self.val_loss is not None:
            scalars += [Series("val_loss", "nats", "scalar", ""), Series("accuracy", "share", "scalar", "")]
        tensors = [Series(name, "", "tensor", "") for name in self.stats]
        return (*scalars, *tensors, Series("trajectory", "", "trajectory", ""))

    @property
    def lanes(self) -> pl.DataFrame:
        """One row a lane."""
        rows = [
            {
                **key._asdict(),
                "state": "stopped" if stop is not None else self.state,
                "steps": len(self.loss) if stop is None else stop,
                "stopped_step": stop,
            }
            for key, stop in zip(self.plan.lanes, self.stopped, strict=True)
        ]
        kinds = {"lane": pl.Int64, "rate": pl.Float64, "seed": pl.Int64, "state": pl.Utf8, "steps": pl.Int64}
        return pl.DataFrame(rows, schema={**kinds, "stopped_step": pl.Int64})

    def _long(self, steps: np.ndarray, values: np.ndarray) -> pl.DataFrame:
        """[n, L] as rows, each lane cut after its first step that is not finite."""
        lanes, rates, seeds = (np.array(column) for column in zip(*self.plan.lanes, strict=True))
        n = len(steps)
        frame = pl.DataFrame(
            {
                "lane": np.repeat(lanes, n),
                "rate": np.repeat(rates, n),
                "seed": np.repeat(seeds, n),
                "step": np.tile(steps.astype(np.int64), len(lanes)),
                "value": values.T.reshape(-1).astype(np.float64),
            }
        )
        stop = pl.Series("stop", [math.inf if s is None else s for s in self.stopped], dtype=pl.Float64)
        frame = frame.filter(pl.col("step") <= stop.gather(frame["lane"]))
        return frame.with_columns(pl.when(pl.col("value").is_finite()).then("value").alias("value"))

    def scalars(self, name: str) -> pl.DataFrame:
        """A scalar series."""
        if name == "loss" and len(self.loss):
            return self._long(np.arange(len(self.loss)), self.loss)
        values = {"val_loss": self.val_loss, "accuracy": self.accuracy}.get(name)
        if values is None:
            raise StudyError(f"no series {name!r}")
        return self._long(self.val_steps, values)

    def tensors(self, name: str) -> pl.DataFrame:
        """A tensor series."""
        if name not in self.stats:
            raise StudyError(f"no series {name!r}")
        values = self.stats[name]
        frames = [
            self._long(self.stat_steps[: len(values)], values[:, :, i]).with_columns(tensor=pl.lit(tensor))
            for i, tensor in enumerate(self.plan.tensors)
        ]
        columns = ["lane", "rate", "seed", "step", "tensor", "value"]
        return pl.concat(frames).select(columns)

    def trajectories(self) -> pl.DataFrame:
        """Tracked scalars at every step."""
        kinds = {"lane": pl.Int64, "rate": pl.Float64, "seed": pl.Int64, "step": pl.Int64, "tensor": pl.Utf8}
        frames = [pl.DataFrame(schema={**kinds, "index": pl.List(pl.Int64), "value": pl.Float64})]
        for i, (tensor, index) in enumerate(self.plan.tracked):
            if not len(self.loss):
                continue
            one = self._long(np.arange(len(self.tracked)), self.tracked[:, :, i])
            where = pl.lit(list(index), dtype=pl.List(pl.Int64))
            frames.append(one.with_columns(tensor=pl.lit(tensor), index=where).select(frames[0].columns))
        return pl.concat(frames)

    def histograms(self) -> pl.DataFrame:
        """Histograms of every epoch."""
        rows = []
        epochs = (self.val_steps // self.plan.steps_per_epoch).tolist()
        for epoch, tensors in zip(epochs, self.spreads, strict=False):
            for tensor, (edges, counts) in zip(self.plan.tensors, tensors, strict=True):
                for key, stop in zip(self.plan.lanes, self.stopped, strict=True):
                    if stop is not None and epoch * self.plan.steps_per_epoch > stop:
                        continue
                    where = {**key._asdict(), "epoch": epoch, "tensor": tensor, "edges": edges.tolist()}
                    rows.append({**where, "counts": counts[key.lane].tolist(), "nonfinite": 0})
        kinds = {"lane": pl.Int64, "rate": pl.Float64, "seed": pl.Int64, "epoch": pl.Int64, "tensor": pl.Utf8}
        lists = {"edges": pl.List(pl.Float64), "counts": pl.List(pl.UInt32), "nonfinite": pl.UInt32}
        return pl.DataFrame(rows, schema={**kinds, **lists})

    @cached_property
    def _objective(self) -> np.ndarray:
        values = self.loss[-self.plan.steps_per_epoch :].mean(0) if self.val_loss is None else self.val_loss[1:].min(0)
        return np.where([s is None for s in self.stopped], values, np.inf)

    def verdicts(self) -> pl.DataFrame:
        """A rough judgement; the rules of diagnosis are tested elsewhere."""
        rows = []
        best = int(np.argmin(self._objective)) if len(self.loss) else -1
        for key, stop in zip(self.plan.lanes, self.stopped, strict=True):
            at, kind, why = None, "cannot_tell", "fewer than 20 steps"
            if best >= 0:
                ends = float(self._objective[key.lane])
                ratio = ends / float(self._objective[best])
                why = f"ends at {ratio:.2f} times the best loss"
                high = key.rate > self.plan.lanes[best].rate
                kind = "good" if ratio < 1.15 else ("too_high" if high else "too_slow")
                if high and ends > 0.8 * self.loss[0, key.lane]:
                    kind = "failed"
                    kind = "diverging" if self.loss[-1, key.lane] > self.loss[0, key.lane] else kind
                if stop is not None:
                    kind, at, why = "diverged", stop, f"loss not finite at step {stop}"
            ring = ["ringing"] if kind == "too_high" else []
            rows.append({**key._asdict(), "verdict": kind, "attributes": ring, "step": at, "evidence": why})
        kinds = {"lane": pl.Int64, "rate": pl.Float64, "seed": pl.Int64, "verdict": pl.Utf8}
        more = {"attributes": pl.List(pl.Utf8), "step": pl.Int64, "evidence": pl.Utf8}
        return pl.DataFrame(rows, schema={**kinds, **more})

    def recommendation(self) -> Advised:
        """The best rate, the good ones, the first that fails."""
        frame = self.verdicts()
        good = frame.filter(pl.col("verdict") == "good")["rate"].unique().sort()
        if not len(good):
            why = "every lane diverged; try lower rates" if len(self.loss) else "no lane has finished"
            return Advised(cannot_tell=why, next_experiment="lrscope sweep digits --rates 1e-7:1e-4:8")
        bad = frame.filter(pl.col("verdict").is_in(["failed", "diverged"]) & (pl.col("rate") > good.max()))
        cliff = bad["rate"].min() if bad.height else None
        best = self.plan.lanes[int(np.argmin(self._objective))].rate
        return Advised(best, float(good.min()), float(good.max()), cliff, "low", None)


def _histograms(parameters: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Edges that the lanes share, linear or sinh-spaced, and the counts of each lane."""
    tensors = []
    for values in parameters:
        lanes = [np.asarray(v, float).ravel() for v in values]
        lanes = [v[np.isfinite(v)] for v in lanes]
        reach = [np.abs(v).max() if v.size else 0.0 for v in lanes]
        low = min((v.min() for v in lanes if v.size), default=-1.0)
        high = max((v.max() for v in lanes if v.size), default=1.0)
        if high <= low:
            low, high = low - 0.5, high + 0.5
        alike = max(reach) < 20 * np.median(reach)
        if alike:
            edges = np.linspace(low, high, BINS + 1)
        else:
            knee = max(float(np.quantile(reach, 0.25)) / 10, 1e-9)
            edges = knee * np.sinh(np.linspace(np.arcsinh(low / knee), np.arcsinh(high / knee), BINS + 1))
        counts = np.stack([np.histogram(v, edges)[0] for v in lanes]).astype(np.uint32)
        tensors.append((edges, counts))
    return tensors


def train_digits(
    rates: np.ndarray,
    *,
    seeds: int = 1,
    epochs: int = 20,
    hidden: tuple[int, ...] = (32,),
    optimizer: str = "Adam",
    val: bool = True,
    names: tuple[str, ...] | None = None,
    problem: str = "digits",
    batch: int = 64,
) -> FakeStudy:
    """A network on scikit-learn's digits, every lane of a seed from one start over the same batches, [L, ...] at once."""
    data = load_digits()
    X, y = data.data / 16.0, data.target
    order = np.random.default_rng(0).permutation(len(X))
    train, held = order[:1437], order[1437:]
    sizes = (64, *hidden, 10)
    lanes = len(rates) * seeds
    lr = np.tile(rates, seeds)
    start: list[list[np.ndarray]] = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        layer: list[np.ndarray] = []
        for a, b in zip(sizes, sizes[1:], strict=False):
            bound = 1 / math.sqrt(a)
            layer += [rng.uniform(-bound, bound, (a, b)), rng.uniform(-bound, bound, (b,))]
        start.append(layer)
    P = [np.repeat(np.stack([s[i] for s in start]), len(rates), axis=0) for i in range(len(start[0]))]
    first = [p.copy() for p in P]
    M, V = [np.zeros_like(p) for p in P], [np.zeros_like(p) for p in P]
    per_epoch = math.ceil(len(train) / batch)
    T = per_epoch * epochs
    every = max(1, T // 80)
    tensors = names or tuple(f"{2 * i}.{kind}" for i in range(len(sizes) - 1) for kind in ("weight", "bias"))
    plan = Plan(
        problem=problem,
        rates=tuple(float(r) for r in rates),
        seeds=tuple(range(seeds)),
        epochs=epochs,
        steps_per_epoch=per_epoch,
        batch_size=batch,
        train_size=len(train),
        val_size=len(held) if val else None,
        optimizer=optimizer,
        loss="cross_entropy",
        constant_loss=math.log(10),
        tensors=tensors,
        shapes=tuple(p.shape[1:] for p in P),
        tracked=tuple((name, (0,) * (p.ndim - 1)) for name, p in zip(tensors, P, strict=True)),
        metrics=("accuracy",) if val else (),
    )
    loss = np.full((T, lanes), np.nan)
    val_loss, accuracy = np.full((epochs + 1, lanes), np.nan), np.full((epochs + 1, lanes), np.nan)
    track = np.full((T + 1, lanes, len(P)), np.nan)
    stat_steps: list[int] = []
    stats: dict[str, list[np.ndarray]] = {name: [] for name in STATS}
    spreads = []

    def forward(inputs: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        acts = [inputs]
        for i in range(0, len(P), 2):
            z = acts[-1] @ P[i] + P[i + 1][:, None]
            acts.append(np.maximum(z, 0) if i < len(P) - 2 else z)
        z = acts[-1] - acts[-1].max(-1, keepdims=True)
        return acts, z - np.log(np.exp(z).sum(-1, keepdims=True))

    def look(epoch: int) -> None:
        logp = forward(np.broadcast_to(X[held], (lanes, *X[held].shape)))[1]
        val_loss[epoch] = -logp[:, np.arange(len(held)), y[held]].mean(-1)
        accuracy[epoch] = (logp.argmax(-1) == y[held]).mean(-1)
        spreads.append(_histograms(P))

    step = 0
    with np.errstate(all="ignore"):
        for epoch in range(epochs):
            look(epoch)
            # One order of batches for all seeds: enough for a picture.
            shuffled = np.random.default_rng(1000 + epoch).permutation(train)
            for k in range(per_epoch):
                rows = shuffled[k * batch : (k + 1) * batch]
                acts, logp = forward(np.broadcast_to(X[rows], (lanes, len(rows), 64)))
                loss[step] = -logp[:, np.arange(len(rows)), y[rows]].mean(-1)
                delta = np.exp(logp)
                delta[:, np.arange(len(rows)), y[rows]] -= 1
                delta /= len(rows)
                G = [np.empty(0)] * len(P)
                for i in range(len(P) - 2, -1, -2):
                    G[i], G[i + 1] = acts[i // 2].swapaxes(1, 2) @ delta, delta.sum(1)
                    if i:
                        delta = (delta @ P[i].swapaxes(1, 2)) * (acts[i // 2] > 0)
                track[step] = np.stack([p.reshape(lanes, -1)[:, 0] for p in P], -1)
                old = [p.copy() for p in P] if step % every == 0 else None
                for i, g in enumerate(G):
                    rate = lr.reshape(-1, *(1,) * (g.ndim - 1))
                    if optimizer == "Adam":
                        M[i] += 0.1 * (g - M[i])
                        V[i] += 0.001 * (g * g - V[i])
                        g = (M[i] / (1 - 0.9 ** (step + 1))) / (np.sqrt(V[i] / (1 - 0.999 ** (step + 1))) + 1e-8)
                    P[i] -= rate * g
                if old is not None:
                    stat_steps.append(step)
                    flat = [p.reshape(lanes, -1) for p in old]
                    stats["weight_mean"].append(np.stack([p.mean(1) for p in flat], -1))
                    stats["weight_std"].append(np.stack([p.std(1) for p in flat], -1))
                    stats["weight_min"].append(np.stack([p.min(1) for p in flat], -1))
                    stats["weight_max"].append(np.stack([p.max(1) for p in flat], -1))
                    norms = [np.linalg.norm(p, axis=1) for p in flat]
                    moved = [np.linalg.norm((p - q).reshape(lanes, -1), axis=1) for p, q in zip(P, old, strict=True)]
                    grads = [np.linalg.norm(g.reshape(lanes, -1), axis=1) for g in G]
                    stats["gradient_norm"].append(np.stack(grads, -1))
                    stats["update_ratio"].append(np.stack([m / n for m, n in zip(moved, norms, strict=True)], -1))
                step += 1
        look(epochs)
        track[step] = np.stack([p.reshape(lanes, -1)[:, 0] for p in P], -1)
    assert all(np.isfinite(f).all() for f in first)
    return FakeStudy(
        plan=plan,
        loss=loss,
        val_steps=np.arange(epochs + 1) * per_epoch,
        val_loss=val_loss if val else None,
        accuracy=accuracy if val else None,
        stat_steps=np.array(stat_steps),
        stats={name: np.array(values) for name, values in stats.items()},
        tracked=track,
        spreads=spreads,
    )


def descend_line(rates: np.ndarray, epochs: int = 1000, record_every: int = 1) -> FakeStudy:
    """Full-batch gradient descent on y = 3 x at x = 1, 2, 3, 4 from zero: stable below 0.11976, ringing just under it."""
    H = 2 * np.array([[7.5, 2.5], [2.5, 1.0]])
    target = np.array([3.0, 0.0])
    lanes = len(rates)
    P = np.zeros((epochs + 1, lanes, 2))
    with np.errstate(all="ignore"):
        for t in range(epochs):
            P[t + 1] = P[t] - rates[:, None] * ((P[t] - target) @ H)
        error = P - target
        loss = np.einsum("tli,ij,tlj->tl", error, H, error) / 2
        gradient = np.abs(error @ H)
    names = ("0.weight", "0.bias")
    per_epoch = 1
    plan = Plan(
        problem="line",
        rates=tuple(float(r) for r in rates),
        seeds=(0,),
        epochs=epochs,
        steps_per_epoch=per_epoch,
        batch_size=4,
        train_size=4,
        optimizer="SGD",
        loss="mse",
        constant_loss=11.25,
        tensors=names,
        shapes=((1, 1), (1,)),
        tracked=(("0.weight", (0, 0)), ("0.bias", (0,))),
    )
    points = np.unique(np.linspace(0, epochs - 1, min(epochs, 80)).astype(int))
    with np.errstate(all="ignore"):
        ratio = rates[None, :, None] * gradient[points] / np.abs(P[points])
    stats = {
        "weight_mean": P[points],
        "weight_std": np.zeros_like(P[points]),
        "weight_min": P[points],
        "weight_max": P[points],
        "gradient_norm": gradient[points],
        "update_ratio": ratio,
    }
    show = np.unique(np.linspace(0, epochs, min(epochs, 20) + 1).astype(int))
    with np.errstate(all="ignore"):
        capped = np.where(np.abs(P) < 1e30, P, np.nan)
    spreads = [_histograms([capped[t, :, i][:, None] for i in range(2)]) for t in show]
    return FakeStudy(plan, loss[:epochs], show, None, None, points, stats, P, spreads)


def empty_study() -> FakeStudy:
    """A run whose first record has not been committed yet."""
    study = descend_line(np.array([0.01, 0.1]), epochs=1)
    nothing = {name: values[:0] for name, values in study.stats.items()}
    return dataclasses.replace(
        study, loss=study.loss[:0], tracked=study.tracked[:0], stats=nothing, spreads=[], state="running"
    )
