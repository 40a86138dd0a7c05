"""How far the best rates of two seeds of one task are apart: what a best rate of one seed can tell.

Read from truth.json, the develop half: the best rate of every seed alone at the end of a run, by the parabola
through the lowest point and its neighbours, and of every two seeds the factor between them.

    python benchmarks/seed_scatter.py
"""

import dataclasses
import itertools

import numpy as np

from tasks import HALVES
from truth import Truth, Values, read_truth


def seed_factors(truth: Truth) -> list[float]:
    """The factor, 1 or more, between the best rates of every two seeds of a task."""
    alone = [_of_seed(truth, seed).optimum for seed in range(truth.final.shape[1])]
    return [max(one, other) / min(one, other) for one, other in itertools.combinations(alone, 2)]


def _of_seed(truth: Truth, seed: int) -> Truth:
    def column(values: Values) -> Values:
        return values[..., seed : seed + 1]

    return dataclasses.replace(
        truth,
        initial=column(truth.initial),
        final=column(truth.final),
        best=column(truth.best),
        train=column(truth.train),
    )


def main() -> None:
    truths = read_truth()
    names = [task.name for task in HALVES["develop"] if task.signal]
    factors = np.array([factor for name in names for factor in seed_factors(truths[name])])
    print(f"{len(names)} tasks, {len(factors)} pairs of seeds; the factor between their best rates:")
    for share in (0.5, 0.8, 0.9, 0.95):
        print(f"{share:4.0%} within {np.quantile(factors, share):.2g}")


if __name__ == "__main__":
    main()
