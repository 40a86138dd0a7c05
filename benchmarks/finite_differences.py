"""How much faster the lanes of finite differences are than the loop written out, per lane and epoch.

The loop copies all parameters and runs the whole network once for every scalar. The network is 64-32-10 with
ReLU, 2,410 scalars, in float32 and on real digits; eight learning rates are eight lanes. One thread. The
lanes' time is the least of several runs. The loop is run on a random choice of its scalars, in parts of
`PART`, as many as fit `LOOP_SECONDS`, and the fastest part is scaled up: both see the machine at its best.

    python benchmarks/finite_differences.py
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import itertools
import platform
import time

import numpy as np
from sklearn.datasets import load_digits

from lrscope.training.finite_differences import FORWARD, derivatives_of, train_lanes
from lrscope.training.scratch_network import Network

WIDTHS = (64, 32, 10)
RATES = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
SAMPLES = (4, 32, 1437)
LOOP_SECONDS = 3.0
PART = 100


def start(seed=0):
    generator = np.random.default_rng(seed)
    parameters = []
    for before, after in itertools.pairwise(WIDTHS):
        reach = before**-0.5
        parameters.append(generator.uniform(-reach, reach, (after, before)).astype(np.float32))
        parameters.append(generator.uniform(-reach, reach, after).astype(np.float32))
    return parameters


def loop_loss(parameters, inputs, targets, loss):
    hidden = np.maximum(inputs @ parameters[0].T + parameters[1], 0)
    outputs = hidden @ parameters[2].T + parameters[3]
    if loss == "mean_squared_error":
        return np.mean((outputs - targets) ** 2)
    largest = outputs.max(axis=1, keepdims=True)
    sums = np.log(np.exp(outputs - largest).sum(axis=1)) + largest[:, 0]
    return np.mean(sums - outputs[np.arange(len(outputs)), targets])


def time_loop(parameters, inputs, targets, loss):
    """Seconds an epoch of the loop written out, and its derivatives (NaN where it was not run)."""
    places = [(at, index) for at, array in enumerate(parameters) for index in np.ndindex(array.shape)]
    order = np.random.default_rng(0).permutation(len(places))
    derivatives = [np.full(array.shape, np.nan) for array in parameters]
    base = loop_loss(parameters, inputs, targets, loss)
    best, began = np.inf, time.thread_time()
    for part in np.array_split(order, len(order) // PART):
        lap = time.thread_time()
        for chosen in part:
            at, index = places[chosen]
            nudged = [array.copy() for array in parameters]
            nudged[at][index] += 1e-4
            derivatives[at][index] = (loop_loss(nudged, inputs, targets, loss) - base) / 1e-4
        best = min(best, (time.thread_time() - lap) / len(part) * len(places))
        if time.thread_time() - began > LOOP_SECONDS:
            break
    return best, derivatives


def time_lanes(parameters, inputs, targets, network, seconds=1.0):
    """Seconds a lane-epoch of the lanes, the least of as many runs as fit."""
    best, began = np.inf, time.thread_time()
    while True:
        lap = time.thread_time()
        epochs = 3
        for _ in train_lanes(parameters, RATES, inputs, targets, network, epochs=epochs):
            pass
        best = min(best, (time.thread_time() - lap) / epochs / len(RATES))
        if time.thread_time() - began > seconds:
            return best


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f"{platform.processor() or platform.machine()}, NumPy {np.__version__}, one thread")
    print(
        f"{'loss':20} {'samples':>8} {'loop, ms':>10} {'lanes, ms':>10} {'ratio':>7} {'worst difference':>17}"
    )
    pixels, labels = load_digits(return_X_y=True)
    for loss in ("mean_squared_error", "cross_entropy"):
        for count in SAMPLES:
            inputs = pixels[:count] / 16
            targets = labels[:count] if loss == "cross_entropy" else np.eye(10)[labels[:count]]
            parameters, network = start(), Network(("relu", "identity"), loss)
            loop, reference = time_loop(parameters, inputs, targets, loss)
            lanes = time_lanes(parameters, inputs, targets, network)
            stacked = [array[None] for array in parameters]
            _, derivatives = derivatives_of(stacked, inputs, targets, network, FORWARD)
            worst = max(
                np.nanmax(np.abs(mine[0] - theirs)) / np.nanmax(np.abs(theirs))
                for mine, theirs in zip(derivatives, reference, strict=True)
            )
            times = f"{loop * 1e3:10.2f} {lanes * 1e3:10.3f} {loop / lanes:7.1f}"
            print(f"{loss:20} {count:8} {times} {worst:17.1e}")


if __name__ == "__main__":
    main()
