import numpy as np
import pytest

from seed_scatter import seed_factors
from truth import Truth


def test_the_factors_between_the_best_rates_of_seeds():
    rates = 10.0 ** np.arange(-4, 1)
    best = np.array([1e-3, 1e-2, 1e-2])  # a parabola around each, so that the vertex is exact
    final = 0.1 + (np.log10(rates)[:, None] - np.log10(best)) ** 2 / 100
    found = Truth(rates, np.ones(3), final, final, final, steps=10)
    assert seed_factors(found) == pytest.approx([10.0, 10.0, 1.0])
