"""What recording costs: sweeps that record fully, lightly, and losses only, in turn.

Sweeps that follow each other are compared; of their ratios the median is printed, and the quartiles.

    python benchmarks/recording_cost.py [--cases digits,784-1000-10] [--lanes 16] [--steps N | --seconds 20]
        [--rounds 15]
"""

import argparse
import dataclasses
import statistics

import numpy as np

from lrscope.plan import RECORDS
from performance import HIGHEST, LOWEST, Setting, faster_threads, recorded, whole_epochs
from speed_cases import CASES


def measure(setting: Setting, rounds: int) -> dict[str, list[float]]:
    """Run a sweep by every recording schedule in turn, in another order every round; seconds of each."""
    for record in RECORDS:  # warms up
        recorded(dataclasses.replace(setting, steps=2), record=record)
    seconds: dict[str, list[float]] = {record: [] for record in RECORDS}
    for round_ in range(rounds):
        first = round_ % len(RECORDS)
        for record in RECORDS[first:] + RECORDS[:first]:
            seconds[record].append(recorded(setting, record=record).wall)
    return seconds


def ratio(seconds: dict[str, list[float]], record: str) -> str:
    """A schedule's time over that of losses only, paired by round: the median and the quartiles."""
    pairs = np.array(seconds[record]) / np.array(seconds["losses"])
    low, middle, high = np.quantile(pairs, (0.25, 0.5, 0.75))
    return f"{middle:.3f} ({low:.2f} to {high:.2f})"


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
        seconds = measure(setting, options.rounds)
        whole = statistics.median(seconds["full"])
        print(
            f"{case}, {options.lanes} lanes, {setting.steps} steps, {whole:.1f} s: "
            f"full {ratio(seconds, 'full')}, light {ratio(seconds, 'light')} of losses only",
            flush=True,
        )


if __name__ == "__main__":
    main()
