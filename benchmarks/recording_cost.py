"""Where the time that recording takes goes: of the process that records, the median of several sweeps.

Points are copied where lanes are trained and measured at the next look; the rest are histograms, tracked
scalars, curvature and the plane of tiny models, the study, and what cannot be timed by itself: processes that
wait for each other, weights that were driven out of the cache.

    python benchmarks/recording_cost.py [--cases digits,784-1000-10] [--lanes 16] [--seconds 20] [--rounds 5]
"""

import argparse
import collections
import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import lrscope.sweeping
from lrscope.quantities.observe import Observer
from lrscope.quantities.snapshot import Snapshots
from lrscope.quantities.tensor_statistics import TensorStatistics
from lrscope.store.recorder import Recorder
from lrscope.training.tracked import TrackedScalars
from performance import HIGHEST, LOWEST, Setting, faster_threads, recorded, unrecorded, whole_epochs
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=lambda text: text.split(","), default=["digits", "784-1000-10"])
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the loop, where no steps are given")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for case in options.cases:
        threads, a_step = faster_threads(case)
        steps = CASES[case].steps or max(2, int(options.seconds / options.lanes / a_step))
        rates = tuple(np.geomspace(LOWEST, HIGHEST, options.lanes).tolist())
        setting = Setting(case, rates, whole_epochs(case, steps), threads)
        for run in (recorded, unrecorded):
            run(dataclasses.replace(setting, steps=2))
        found: dict[str, list[float]] = collections.defaultdict(list)
        for round_ in range(options.rounds):
            for run in (recorded, unrecorded) if round_ % 2 else (unrecorded, recorded):
                spent: collections.Counter[str] = collections.Counter()
                with watched(spent):
                    wall = run(setting).wall
                if run is recorded:
                    for label, _, _ in PARTS:
                        found[label].append(spent[label])
                found[run.__name__].append(wall)
        medians = {label: statistics.median(times) for label, times in found.items()}
        on, off = medians.pop("recorded"), medians.pop("unrecorded")
        medians["what is left"] = on - off - sum(medians.values())
        told = f"{on:.2f} s, {off:.2f} s when nobody records"
        print(f"{case}, {options.lanes} lanes, {setting.steps} steps: {told}")
        for label, seconds in medians.items():
            print(f"  {label:20}{1000 * seconds:8.1f} ms {100 * seconds / off:6.2f}%")


if __name__ == "__main__":
    main()
