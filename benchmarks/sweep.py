"""A sweep of 16 rates against the loops a user would write: digits MLP 64-100-10, batch 32, Adam, one thread.

Rivals, in the same run and in turn: one ordinary training run a rate, tensors indexed and no DataLoader, with
Adam's default path (a loop over tensors on the CPU), `foreach=True` and `fused=True`; no recording, no
validation. The sweep is timed whole: set-up, dry run, capture, the study in memory; with recording
(everything a sweep records by default) and without. Prints ratios of medians: above 1 the sweep is faster.

    python benchmarks/sweep.py [--steps 2000] [--rounds 5] [--json FILE]
"""

import argparse
import dataclasses
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

import lrscope
from lrscope.problems.load import load_problem
from lrscope.rates import read_rates
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed

RATES = read_rates("1e-5:1:16")


def problem(steps: int) -> lrscope.Problem:
    digits = load_problem("digits")
    per_epoch = -(-len(digits.train[0]) // digits.batch_size)
    return dataclasses.replace(digits, val=None, metrics={}, epochs=-(-steps // per_epoch))


def users_loop(subject: lrscope.Problem, **options: bool) -> None:
    """One training run a rate, as it stands in a thousand notebooks."""
    X, y = subject.train
    loss_of = nn.CrossEntropyLoss()
    for rate in RATES:
        torch.manual_seed(0)
        model = subject.model()
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, **options)
        generator = torch.Generator().manual_seed(0)
        for _ in range(subject.epochs):
            for index in torch.randperm(len(X), generator=generator).split(subject.batch_size):
                optimizer.zero_grad()
                loss = loss_of(model(X[index]), y[index])
                loss.backward()
                optimizer.step()


def recorded(subject: lrscope.Problem) -> None:
    lrscope.sweep(subject, RATES).close()


def unrecorded(subject: lrscope.Problem) -> None:
    with undisturbed():
        for _ in prepare(subject, RATES, 1).steps():
            pass


CONTENDERS: dict[str, Callable[[lrscope.Problem], None]] = {
    "sweep, recording": recorded,
    "sweep, not recording": unrecorded,
    "user's loop": users_loop,
    "user's loop, foreach": lambda subject: users_loop(subject, foreach=True),
    "user's loop, fused": lambda subject: users_loop(subject, fused=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    subject = problem(options.steps)
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    cpu: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for round_ in range(options.rounds + 1):
        for name, run in CONTENDERS.items():
            wall, own = time.perf_counter(), time.process_time()
            run(subject)
            if round_:  # the first one warms up
                seconds[name].append(time.perf_counter() - wall)
                cpu[name].append(time.process_time() - own)
        print(f"round {round_} of {options.rounds}", file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    cpu_medians = {name: statistics.median(values) for name, values in cpu.items()}
    print(
        f"{len(RATES)} rates, {subject.epochs * 45} steps, torch {torch.__version__}, "
        f"{platform.machine()}, 1 thread"
    )
    print(f"{'':24}{'seconds':>9}{'CPU s':>9}{'ratio to the sweep, recording':>32}")
    for name, median in medians.items():
        ratio = median / medians["sweep, recording"]
        print(f"{name:24}{median:9.2f}{cpu_medians[name]:9.2f}{ratio:32.2f}")
    overhead = medians["sweep, recording"] / medians["sweep, not recording"]
    print(f"recording on against off: {overhead:.2f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"seconds": seconds, "cpu": cpu, "torch": torch.__version__}, file, indent=1)


if __name__ == "__main__":
    main()
