"""What recording costs, and where that goes.

The sweep as it is, in turn with the same sweep that records losses, validation and trajectories only
(`--record losses`), and with its lanes alone, which nobody looks at and nothing validates. Sweeps that
follow each other are compared; of their ratios the median is told, and the quartiles.

Then, part by part, the seconds of the process that records, the median of its sweeps: points are copied where
lanes are trained and measured at the next look; the rest are histograms, tracked scalars, curvature and the
plane of tiny models, the study, and what cannot be timed by itself: processes that wait for each other,
weights that were driven out of the cache.

    python benchmarks/recording_cost.py [--cases digits,784-1000-10] [--lanes 16] [--steps N | --seconds 20]
        [--rounds 15]
"""

import argparse
import collections
import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

import lrscope.sweeping
from lrscope.quantities.observe import Observer
from lrscope.quantities.snapshot import Snapshots
from lrscope.quantities.tensor_statistics import TensorStatistics
from lrscope.store.recorder import Recorder
from lrscope.training.looks import every
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed
from lrscope.training.tracked import TrackedScalars
from performance import (
    DEFAULT_THREADS,
    HIGHEST,
    LOWEST,
    Setting,
    Spent,
    faster_threads,
    recorded,
    timed,
    whole_epochs,
)
from speed_cases import CASES

PARTS: tuple[tuple[str, Any, str], ...] = (
    ("points copied", Snapshots, "__call__"),
    ("points measured", TensorStatistics, "measured"),
    ("histograms", Observer, "_histogram"),
    ("curvature", Observer, "_bends"),
    ("plane", lrscope.sweeping, "landscape"),
    ("tracked scalars", TrackedScalars, "add"),
    ("study", Recorder, "write"),
)


@contextlib.contextmanager
def watched(spent: collections.Counter[str]) -> Iterator[None]:
    """Inside, the seconds of every part are counted."""

    def timed(label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spent[label] += time.perf_counter() - began

        return call

    before = [(owner, name, getattr(owner, name)) for _, owner, name in PARTS]
    for (label, _, _), (owner, name, function) in zip(PARTS, before, strict=True):
        setattr(owner, name, timed(label, function))
    try:
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def losses_only(setting: Setting) -> Spent:
    """The sweep with as little recorded as can be."""
    return recorded(setting, record="losses")


def unrecorded(setting: Setting) -> Spent:
    """Its lanes alone."""

    def run() -> None:
        with undisturbed() as threads:
            for _ in prepare(setting.problem(), setting.rates, 1, threads=threads).steps(every(1_000)):
                pass

    torch.set_num_threads(DEFAULT_THREADS)
    return timed(run)


class Cost(NamedTuple):
    """Seconds, a number a round.

    Attributes:
        of_runs: of the sweep, of the one that records losses only, and of the lanes alone.
        of_parts: what each part of the first took.
    """

    of_runs: dict[str, list[float]]
    of_parts: dict[str, list[float]]


RUNS: tuple[Callable[..., Spent], ...] = (recorded, losses_only, unrecorded)


def measure(setting: Setting, rounds: int) -> Cost:
    """Run all of them in turn, in another order every round."""
    for run in RUNS:  # warms up
        run(dataclasses.replace(setting, steps=2))
    cost = Cost({run.__name__: [] for run in RUNS}, {label: [] for label, _, _ in PARTS})
    for round_ in range(rounds):
        first = round_ % len(RUNS)
        for run in RUNS[first:] + RUNS[:first]:
            spent: collections.Counter[str] = collections.Counter()
            with watched(spent) if run is recorded else contextlib.nullcontext():
                cost.of_runs[run.__name__].append(run(setting).wall)
            if run is recorded:
                for label, times in cost.of_parts.items():
                    times.append(spent[label])
    return cost


def ratio(cost: Cost, over: str) -> str:
    """The sweep's time over another's, paired by round: the median and the quartiles."""
    pairs = np.array(cost.of_runs["recorded"]) / np.array(cost.of_runs[over])
    low, middle, high = np.quantile(pairs, (0.25, 0.5, 0.75))
    return f"{middle:.3f} ({low:.2f} to {high:.2f})"


def told(cost: Cost) -> list[str]:
    """Lines: the ratios, then every part in milliseconds and of the time when only losses are recorded."""
    medians = {label: statistics.median(times) for label, times in cost.of_parts.items()}
    on, off = (statistics.median(cost.of_runs[name]) for name in ("recorded", "losses_only"))
    medians["what is left"] = on - off - sum(medians.values())
    against = f"{ratio(cost, 'losses_only')} of the sweep of losses only, {ratio(cost, 'unrecorded')}"
    parts = [
        f"  {label:20}{1000 * seconds:8.1f} ms {100 * seconds / off:6.2f}%"
        for label, seconds in medians.items()
    ]
    return [f"  {on:.2f} s: {against} of the lanes alone", *parts]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=lambda text: text.split(","), default=["digits", "784-1000-10"])
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--steps", type=int, default=0, help="for all cases, in place of their own")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the loop, where no steps are given")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    for case in options.cases:
        threads, a_step = faster_threads(case)
        steps = options.steps or CASES[case].steps or max(2, int(options.seconds / options.lanes / a_step))
        rates = tuple(np.geomspace(LOWEST, HIGHEST, options.lanes).tolist())
        setting = Setting(case, rates, whole_epochs(case, steps), threads)
        print(f"{case}, {options.lanes} lanes, {setting.steps} steps")
        for line in told(measure(setting, options.rounds)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
