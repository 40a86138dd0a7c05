"""How often the thresholds' signals mislead, on a small CNN and a small transformer, over rates and seeds.

The figures in `docs/science.md` came first from networks of 16 to 64 units. Here they are measured again on a
convolutional network that reads scikit-learn's digits, and a transformer of two layers that predicts the
next character of the texts in Python's own `pydoc_data.topics`. A lane is good whose final training loss, as
a mean of the last 5% of steps, misses at most 2% of what the best rate of its seed learned; high or low
otherwise, above or below the good rates; failed where it learned less than 2%.

    python benchmarks/thresholds.py [--steps 250] [--seeds 3] [--json FILE]

Prints one table in Markdown. About 10 minutes of one core.

Letters: K rates, S seeds, T steps.
"""

import argparse
import functools
import json
import math
import pydoc_data.topics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

import lrscope
from lrscope.diagnosis.curve import Curve, read_curves
from lrscope.diagnosis.progress import running_mean
from lrscope.problems.load import load_problem

Floats = NDArray[np.float64]
GOOD, LEARNED = 0.02, 0.02
CONTEXT, VOCABULARY = 32, 64


class ConvNet(nn.Module):
    """Two convolutions and a linear layer, for digits of 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(24 * 16, 10),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits [B, 10] of pixels [B, 64]."""
        return self.layers(pixels.reshape(-1, 1, 8, 8))


class Transformer(nn.Module):
    """Two layers of width 32 with two heads, causal."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 32)
        self.places = nn.Parameter(0.02 * torch.randn(CONTEXT, 32))
        layer = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, VOCABULARY)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT))

    def forward(self, characters: Tensor) -> Tensor:
        """Logits [B, VOCABULARY, CONTEXT] of characters [B, CONTEXT]."""
        hidden = self.encoder(self.embedding(characters) + self.places, mask=self.mask)
        return self.head(hidden).transpose(1, 2)


def characters() -> tuple[Tensor, Tensor]:
    """Pieces of Python's own documentation, and the same one character later; the rarest are one class."""
    text = "".join(str(topic) for _, topic in sorted(pydoc_data.topics.topics.items()))[:40_000]
    kinds, counts = np.unique(list(text), return_counts=True)
    common = kinds[np.argsort(-counts, kind="stable")][: VOCABULARY - 1]
    place = {character: index + 1 for index, character in enumerate(common)}
    codes = torch.tensor([place.get(character, 0) for character in text])
    pieces = codes[: (len(codes) - 1) // CONTEXT * CONTEXT + 1]
    return pieces[:-1].reshape(-1, CONTEXT), pieces[1:].reshape(-1, CONTEXT)


class Task(NamedTuple):
    """A problem and the rates it is trained at."""

    problem: lrscope.Problem
    rates: str


def tasks(steps: int) -> dict[str, Task]:
    """The CNN and the transformer, each with SGD with momentum or Adam."""
    images, labels = load_problem("digits").train
    momentum = functools.partial(torch.optim.SGD, momentum=0.9)

    def task(name: str, model: Any, data: Any, optimizer: Any, batch: int, rates: str) -> Task:
        epochs = max(1, round(steps / math.ceil(len(data[0]) / batch)))
        loss = nn.CrossEntropyLoss()
        made = lrscope.Problem(
            name=name,
            model=model,
            train=data,
            loss=loss,
            optimizer=optimizer,
            batch_size=batch,
            epochs=epochs,
        )
        return Task(made, rates)

    digits, text = (images, labels), characters()
    return {
        "CNN, momentum": task(
            "cnn",
            ConvNet,
            digits,
            momentum,
            32,
            "1e-4,1e-3,0.01,0.02,0.03,0.045,0.06,0.08,0.1,0.13,0.17,0.25,0.5,2",
        ),
        "CNN, Adam": task(
            "cnn",
            ConvNet,
            digits,
            torch.optim.Adam,
            32,
            "1e-5,1e-4,1e-3,2e-3,3e-3,4e-3,6e-3,8e-3,0.011,0.015,0.02,0.03,0.1,0.5",
        ),
        "transformer, momentum": task(
            "text", Transformer, text, momentum, 16, "3e-3,0.03,0.1,0.15,0.2,0.27,0.35,0.6,2"
        ),
        "transformer, Adam": task(
            "text", Transformer, text, torch.optim.Adam, 16, "1e-4,3e-3,0.01,0.014,0.018,0.023,0.03,0.05,0.2"
        ),
    }


class Lane(NamedTuple):
    """What is measured of a lane."""

    rate: float
    seed: int
    kind: str
    late_rise: float
    end_rise: float
    highest: float
    displacement: float
    update_ratio: float
    slope: float
    ends: Floats


EARLY = (0.05, 0.17, 0.30, 0.56)
"""Shares of the run at which ranks are compared with those at its end, the last of `Lane.ends`."""


def measured(curves: tuple[Curve, ...]) -> list[Lane]:
    """Every lane, its kind told from the losses alone."""
    lanes = []
    for seed in sorted({curve.seed for curve in curves}):
        row = sorted((curve for curve in curves if curve.seed == seed), key=lambda curve: curve.rate)
        start = float(np.median([curve.loss[0] for curve in row]))
        ends = np.array([_end(curve) for curve in row])
        best = float(np.nanmin(ends))
        regrets = np.where(np.isfinite(ends), (ends - best) / (start - best), math.inf)
        good = np.flatnonzero(regrets <= GOOD)
        for index, curve in enumerate(row):
            if regrets[index] > 1 - LEARNED:
                kind = "not started" if index < good[0] else "failed"
            elif regrets[index] <= GOOD:
                kind = "good"
            else:
                kind = "low" if index < good[0] else "high" if index > good[-1] else "between"
            lanes.append(_lane(curve, kind, start))
    return lanes


def _end(curve: Curve) -> float:
    late = curve.loss[-max(curve.steps // 20, 1) :]
    return math.nan if curve.stopped_step is not None else float(late.mean())


def _lane(curve: Curve, kind: str, start: float) -> Lane:
    steps = curve.steps
    if curve.stopped_step is not None or steps < 40:
        nothing = np.full(len(EARLY) + 1, math.inf)
        return Lane(curve.rate, curve.seed, kind, *(math.nan,) * 6, nothing)
    smooth = running_mean(curve.loss, steps / 50)[steps // 25 :]
    lows = np.minimum.accumulate(smooth)
    late = smooth[steps // 4 :] / lows[steps // 4 :]
    norms, ways = curve.tensors["weight_norm"].values, curve.tensors["distance"].values
    ratios = curve.tensors["update_ratio"].values
    quarter = np.log(np.maximum(curve.loss[-steps // 4 :], 1e-12))
    places = np.arange(len(quarter)) / len(quarter)
    return Lane(
        rate=curve.rate,
        seed=curve.seed,
        kind=kind,
        late_rise=float(late.max()),
        end_rise=float(smooth[-1] / lows[-1]),
        highest=float(smooth[len(smooth) // 10 :].max() / start),
        displacement=float(np.linalg.norm(ways[-1]) / np.linalg.norm(norms[0])),
        update_ratio=float(np.median(ratios[len(ratios) // 4 :])),
        slope=float(np.polyfit(places, quarter, 1)[0]),
        ends=np.array(
            [curve.loss[int(share * steps * 0.9) : int(share * steps) + 1].mean() for share in (*EARLY, 1.0)]
        ),
    )


def figures(lanes: list[Lane]) -> dict[str, str]:
    """Name -> figure, of one task."""

    def share(kinds: tuple[str, ...], holds: Any) -> str:
        of = [lane for lane in lanes if lane.kind in kinds and np.isfinite(lane.late_rise)]
        return f"{sum(map(holds, of))} of {len(of)}"

    best = _best(lanes)
    found = {"lanes: good / low / high / failed / not started": _counts(lanes), "best rate": _span(best)}
    for name, holds in (
        ("late rise > 2", lambda lane: lane.late_rise > 2),
        ("late rise > 4", lambda lane: lane.late_rise > 4),
        ("end rise > 1.5", lambda lane: lane.end_rise > 1.5),
        ("over 10 times the start", lambda lane: lane.highest > 10),
        ("over the start", lambda lane: lane.highest > 1),
        ("slope over the last quarter < -0.1", lambda lane: lane.slope < -0.1),
        ("displacement < 0.01", lambda lane: lane.displacement < 1e-2),
        ("displacement > 1", lambda lane: lane.displacement > 1),
    ):
        kinds = (("good",), ("low",), ("high", "failed"))
        found[name] = " / ".join(share(one, holds) for one in kinds)
    ratios = [lane.update_ratio for lane in best]
    found["update to weight at the best rate"] = f"{min(ratios):.1e} to {max(ratios):.1e}"
    for index, part in enumerate(EARLY):
        found[f"rank correlation of {part:.0%} of T with T"] = f"{_correlation(lanes, index):.2f}"
    return found


def _counts(lanes: list[Lane]) -> str:
    kinds = ("good", "low", "high", "failed", "not started")
    return " / ".join(str(sum(lane.kind == kind for lane in lanes)) for kind in kinds)


def _best(lanes: list[Lane]) -> list[Lane]:
    """The middle good lane of each seed."""
    chosen = []
    for seed in sorted({lane.seed for lane in lanes}):
        good = [lane for lane in lanes if lane.seed == seed and lane.kind == "good"]
        chosen.append(good[len(good) // 2])
    return chosen


def _span(best: list[Lane]) -> str:
    rates = [lane.rate for lane in best]
    return f"{min(rates):.2g} to {max(rates):.2g}" if min(rates) < max(rates) else f"{rates[0]:.2g}"


def _correlation(lanes: list[Lane], index: int) -> float:
    """Spearman's, of ranks early and at the end, the mean over seeds; what failed ranks last."""
    found = []
    for seed in sorted({lane.seed for lane in lanes}):
        row = [lane for lane in lanes if lane.seed == seed and np.isfinite(lane.ends).all()]
        early, last = ([lane.ends[at] for lane in row] for at in (index, -1))
        found.append(float(stats.spearmanr(early, last).statistic))
    return float(np.mean(found))


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    columns = {}
    for name, task in tasks(asked.steps).items():
        began = time.monotonic()
        with lrscope.sweep(task.problem, task.rates, seeds=asked.seeds) as study:
            columns[name] = figures(measured(read_curves(study._file)))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    names = list(next(iter(columns.values())))
    print(f"| signal | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for name in names:
        print(f"| {name} | {' | '.join(column[name] for column in columns.values())} |")
    if asked.json:
        asked.json.write_text(json.dumps(columns, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
