"""The truth of the finder benchmark: every task at every rate of a fine grid, on seeds no finder sees.

A quarter of a decade from 1e-6 to 10, wider where the rates at an edge are still good; three seeds, each with
a start, a batch order and random draws of its own. Written to truth.json after every task; a task that is
there is left as it is.

    python benchmarks/truth.py [--half develop|held-out] [--task NAME] [--again]

The arithmetic of regret stands here too. Letters: r rates, s seeds.
"""

import argparse
import dataclasses
import functools
import json
import math
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

import lrscope
from lrscope import Problem
from tasks import HALVES, TASKS, Task, half_of

FILE = Path(__file__).with_name("truth.json")
PER_DECADE = 4
LOWEST, HIGHEST = -6, 1
"""The grid's ends, in decades; widened by a decade at a time to `LIMITS`."""
LIMITS = (-9, 3)
BAD = 0.5
"""Regret of a rate at the grid's ends, at least: what lies beyond is counted like the end."""

SEEDS = (1000, 1001, 1002)
"""Finders use 0, 1, 2, ..."""
SIGNAL = 0.02
"""A task whose best validation loss is less than this share below the initial one has no signal to find."""

NEAR = 0.05
"""The largest regret of a rate that counts as good as the best."""

Values = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Truth:
    """What became of one task at every rate.

    Attributes:
        rates: [r], rising.
        initial: validation loss before training, [s].
        final: validation loss after the whole run, [r, s]; NaN where it is not finite.
        best: lowest validation loss after any epoch, [r, s]; infinity where there is none.
        train: mean training loss over the last epoch, [r, s]; NaN where it is not finite.
        steps: of one run.
    """

    rates: Values
    initial: Values
    final: Values
    best: Values
    train: Values
    steps: int

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """Read one task of truth.json, where null stands for what is not finite."""
        table = {
            name: np.array(found[name], dtype=np.float64)
            for name in ("rates", "initial", "final", "best", "train")
        }
        return cls(**table, steps=found["steps"])

    def to_json(self) -> dict[str, Any]:
        """Numbers to five digits."""
        names = ("rates", "initial", "final", "best", "train")
        return {name: _plain(getattr(self, name)) for name in names} | {"steps": self.steps}

    @functools.cached_property
    def start(self) -> float:
        """The initial validation loss, mean over seeds."""
        return float(self.initial.mean())

    @functools.cached_property
    def clipped(self) -> Values:
        """The final loss [r, s], a failed or worse one replaced by the initial loss."""
        final = np.where(np.isfinite(self.final), self.final, np.inf)
        return np.minimum(final, self.initial)

    @functools.cached_property
    def curve(self) -> Values:
        """The clipped final loss [r], mean over seeds."""
        mean: Values = self.clipped.mean(axis=1)
        return mean

    @functools.cached_property
    def lowest(self) -> float:
        """The best mean loss of any rate."""
        return float(self.curve.min())

    @property
    def has_signal(self) -> bool:
        """Whether training lowers the validation loss at all, by more than the noise of its seeds."""
        gains = 1.0 - self.clipped[int(self.curve.argmin())] / self.initial
        error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
        return bool(gains.mean() > max(SIGNAL, 2.0 * error))

    def loss(self, rate: float) -> float:
        """The mean clipped loss at a rate, linear in its logarithm; beyond the grid that of its end."""
        return float(np.interp(math.log10(rate), np.log10(self.rates), self.curve))

    def regret(self, rate: float | None) -> float:
        """(loss - lowest) / (initial - lowest): 0 is best, 1 no better than not to train; None counts 1."""
        if rate is None or not math.isfinite(rate) or rate <= 0:
            return 1.0
        return (self.loss(rate) - self.lowest) / (self.start - self.lowest)

    def excess(self, rate: float | None) -> float:
        """loss / lowest - 1; that of the initial loss where there is no rate."""
        unusable = rate is None or not math.isfinite(rate) or rate <= 0
        return (self.start if unusable else self.loss(rate)) / self.lowest - 1.0

    @functools.cached_property
    def optimum(self) -> float:
        """The best rate: the vertex of the parabola through the lowest point and its two neighbours.

        Half a grid step away from the lowest point at most, as any vertex through such three points is.
        """
        x, k = np.log10(self.rates), int(self.curve.argmin())
        if k in (0, len(x) - 1):
            return float(self.rates[k])
        left, low, right = self.curve[k - 1 : k + 2]
        bend = left - 2.0 * low + right
        shift = 0.0 if bend <= 0.0 else 0.5 * (left - right) / bend
        return float(10.0 ** (x[k] + shift * (x[k + 1] - x[k])))

    @functools.cached_property
    def as_good(self) -> Values:
        """The rates that cannot be told from the best.

        Mean difference from it, paired by seed, within 2 errors, and regret at most `NEAR`: three seeds that
        disagree wildly excuse nothing.
        """
        differences = self.clipped - self.clipped[int(self.curve.argmin())]
        error = differences.std(axis=1, ddof=1) / math.sqrt(differences.shape[1])
        near = self.curve - self.lowest <= NEAR * (self.start - self.lowest)
        good: Values = self.rates[near & (differences.mean(axis=1) <= 2.0 * error)]
        return good


def read_truth() -> dict[str, Truth]:
    """Every task that truth.json holds."""
    if not FILE.exists():
        return {}
    return {name: Truth.from_json(found) for name, found in json.loads(FILE.read_text())["tasks"].items()}


def grid(low: int, high: int) -> list[float]:
    """A quarter of a decade from 10^low to 10^high, both included."""
    return [float(f"{10 ** (k / PER_DECADE):.5g}") for k in range(low * PER_DECADE, high * PER_DECADE + 1)]


def reseeded(problem: Problem, seed: int) -> Problem:
    """The problem as another seed has it: start, random draws and, by the order of its data, batches."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(problem.train[0]), generator=generator)
    make: Callable[[], nn.Module] = problem.model

    def model() -> nn.Module:
        torch.manual_seed(seed)
        return make()

    return dataclasses.replace(problem, model=model, train=tuple(data[order] for data in problem.train))


def measured(problem: Problem, rates: list[float]) -> Truth:
    """Train the problem at these rates on every seed of the truth."""
    runs = [_one_seed(reseeded(problem, seed), rates) for seed in SEEDS]
    initial, final, best, train = (np.stack(values, axis=-1) for values in zip(*runs, strict=True))
    steps = problem.epochs * -(-len(problem.train[0]) // (problem.batch_size or len(problem.train[0])))
    return Truth(np.array(rates), initial[0], final, best, train, steps)


def exhaustive(problem: Problem, *, searched: bool = True) -> Truth:
    """The truth of a problem; where `searched`, over a grid whose best is inside and whose ends are bad."""
    truth = measured(problem, grid(LOWEST, HIGHEST))
    low, high = LOWEST, HIGHEST
    while searched:
        best, ends = int(truth.curve.argmin()), [truth.regret(rate) for rate in truth.rates[[0, -1]]]
        if (best < 2 or ends[0] < BAD) and low > LIMITS[0]:
            low, new = low - 1, grid(low - 1, low)[:-1]
        elif (best > len(truth.rates) - 3 or ends[1] < BAD) and high < LIMITS[1]:
            high, new = high + 1, grid(high, high + 1)[1:]
        else:
            break
        truth = _joined(truth, measured(problem, new))
    return truth


def _one_seed(problem: Problem, rates: list[float]) -> tuple[Values, Values, Values, Values]:
    """Initial, final and best validation loss and the last epoch's mean training loss, each [r]."""
    with lrscope.sweep(problem, rates, record="losses") as study:
        val, losses = (_by_step(study.scalars(name), len(rates)) for name in ("val_loss", "loss"))
        train = losses[-study.plan.steps_per_epoch :].mean(axis=0)
    finite = np.where(np.isfinite(val), val, np.inf)
    final = np.where(np.isfinite(val[-1]) & np.isfinite(train), val[-1], np.nan)
    return val[0], final, finite[1:].min(axis=0), np.where(np.isfinite(train), train, np.nan)


def _by_step(scalars: pl.DataFrame, lanes: int) -> Values:
    """Lay a series out as [steps, lanes]; NaN where a lane has no value."""
    values = np.full((scalars["step"].n_unique(), lanes), np.nan)
    steps = np.searchsorted(np.unique(scalars["step"]), scalars["step"])
    values[steps, scalars["lane"]] = scalars["value"].fill_null(np.nan)
    return values


def _joined(one: Truth, other: Truth) -> Truth:
    order = np.argsort(np.concatenate([one.rates, other.rates]))

    def both(name: str) -> Values:
        joined: Values = np.concatenate([getattr(one, name), getattr(other, name)])[order]
        return joined

    return Truth(both("rates"), one.initial, both("final"), both("best"), both("train"), one.steps)


def _plain(values: Values) -> Any:
    if values.ndim:
        return [_plain(value) for value in values]
    return float(f"{values:.5g}") if math.isfinite(values) else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=tuple(HALVES))
    parser.add_argument("--task", choices=tuple(TASKS))
    parser.add_argument("--again", action="store_true", help="also what truth.json has already")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [task for half in HALVES if options.half in (None, half) for task in HALVES[half]]
    for task in wanted:
        if options.task in (None, task.name):
            _add(task, again=options.again)


def _add(task: Task, *, again: bool) -> None:
    """Measure a task unless it is there, and write the file; of the held-out half no result is printed."""
    known: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"tasks": {}}
    if task.name in known["tasks"] and not again:
        return
    truth = exhaustive(task.problem(), searched=task.signal)
    known["versions"] = {"python": platform.python_version(), "torch": torch.__version__}
    known["tasks"][task.name] = {"half": half_of(task.name), **truth.to_json()}
    lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in sorted(known["tasks"].items())]
    head = f'{{"versions": {json.dumps(known["versions"])}, "seeds": {list(SEEDS)}, "tasks": {{\n'
    FILE.write_text(head + ",\n".join(lines) + "\n}}\n")
    if half_of(task.name) == "develop":
        signal = f"{truth.start:.4g} -> {truth.lowest:.4g} at {truth.optimum:.2g}"
        print(task.name, signal if truth.has_signal else "no signal", flush=True)
        if truth.has_signal != task.signal:
            print(f"  but it was meant to have {'a' if task.signal else 'no'} signal", flush=True)
    else:
        print(task.name, "done", flush=True)


if __name__ == "__main__":
    main()
