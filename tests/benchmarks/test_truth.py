import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from lrscope import Problem
from truth import FILE, SEEDS, Truth, exhaustive, grid, measured, read_truth, reseeded

NAN = float("nan")


def truth(final, rates=(0.01, 0.1, 1.0), initial=(1.0, 1.0, 1.0)):
    final = np.array(final, dtype=float)
    return Truth(np.array(rates), np.array(initial), final, final, final, steps=10)


def valley(*means, spread=0.0):
    return truth([[mean - spread, mean, mean + spread] for mean in means])


def test_regret_is_0_at_the_best_and_1_at_the_initial_loss():
    found = valley(0.6, 0.2, 1.0)
    assert found.regret(0.1) == 0.0
    assert found.regret(1.0) == 1.0
    assert found.regret(0.01) == pytest.approx(0.5)


def test_regret_is_linear_in_the_logarithm_of_the_rate():
    found = valley(0.6, 0.2, 1.0)
    assert found.regret(10**-1.5) == pytest.approx(0.25)
    assert found.regret(10**-0.75) == pytest.approx(0.25)


@pytest.mark.parametrize("none", [None, 0.0, -1.0, NAN, float("inf")])
def test_no_usable_rate_counts_as_regret_1_and_as_the_initial_loss(none):
    found = valley(0.6, 0.2, 1.0)
    assert found.regret(none) == 1.0
    assert found.excess(none) == pytest.approx(4.0)


def test_a_failed_seed_counts_as_its_initial_loss():
    found = truth([[0.6] * 3, [0.2, 0.2, NAN], [7.0, NAN, 1.0]])
    assert found.curve.tolist() == pytest.approx([0.6, 1.4 / 3, 1.0])
    assert found.regret(1.0) == 1.0


def test_the_optimum_is_the_vertex_of_a_parabola():
    exact = [0.3 + 0.1 * (x + 1.2) ** 2 for x in (-2.0, -1.0, 0.0)]
    assert np.log10(valley(*exact).optimum) == pytest.approx(-1.2)


def test_rates_are_as_good_where_the_seeds_do_not_tell_them_from_the_best():
    apart = truth([[0.21, 0.21, 0.21], [0.2, 0.2, 0.2], [1.0, 1.0, 1.0]])
    assert apart.as_good.tolist() == [0.1]
    mixed = truth([[0.19, 0.21, 0.22], [0.2, 0.2, 0.2], [1.0, 1.0, 1.0]])
    assert mixed.as_good.tolist() == [0.01, 0.1]
    wild = truth([[0.1, 0.1, 1.0], [0.2, 0.2, 0.2], [1.0, 1.0, 1.0]])
    assert wild.as_good.tolist() == [0.1]


def test_a_signal_is_a_gain_beyond_the_noise_of_its_seeds():
    assert valley(0.6, 0.2, 1.0).has_signal
    assert not valley(0.999, 0.99, 1.0).has_signal
    assert not truth([[1.0, 1.0, 0.5], [1.0] * 3, [1.0] * 3]).has_signal


def test_json_and_back():
    found = truth([[0.6, 0.61234567, 0.6], [0.2, 0.2, NAN], [7.0, NAN, 1.0]])
    again = Truth.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again.final[0, 1] == 0.61235
    assert np.isnan(again.final[1, 2])
    assert again.curve == pytest.approx(found.curve, abs=1e-5)


def test_the_grid_holds_both_ends_and_four_a_decade():
    rates = grid(-2, 0)
    assert rates[0] == 0.01
    assert rates[-1] == 1.0
    assert len(rates) == 9
    assert np.diff(np.log10(rates)) == pytest.approx(0.25, abs=1e-4)


def line(train=24, **more):
    x = torch.linspace(-1, 1, train)[:, None]
    return Problem(
        name="line",
        model=lambda: nn.Linear(1, 1),
        train=(x, 3 * x),
        val=(x, 3 * x),
        loss=nn.MSELoss(),
        optimizer=torch.optim.SGD,
        batch_size=8,
        epochs=4,
        **more,
    )


def test_another_seed_is_another_start_and_another_order_of_the_same_data():
    one, same, other = (reseeded(line(), seed) for seed in (1000, 1000, 1001))
    weights = [problem.model().weight.item() for problem in (one, same, other)]
    assert weights[0] == weights[1] != weights[2]
    assert not torch.equal(one.train[0], other.train[0])
    assert torch.equal(one.train[0].sort(dim=0).values, other.train[0].sort(dim=0).values)
    assert torch.equal(3 * other.train[0], other.train[1])


def test_measured_tells_good_rates_from_failed_ones():
    found = measured(line(), [1e-3, 0.3, 1e3])
    assert found.final.shape == (3, len(SEEDS))
    assert found.curve.argmin() == 1
    assert found.lowest < 0.5 * found.start
    assert found.steps == 12
    assert found.regret(1e3) == 1.0
    assert (found.best[1] <= found.final[1]).all()


def test_a_grid_is_widened_until_its_ends_are_bad():
    tiny = dataclasses.replace(
        line(), loss=lambda output, target: 1e6 * nn.functional.mse_loss(output, target)
    )
    found = exhaustive(tiny)
    assert found.rates[0] == pytest.approx(1e-8)
    assert found.regret(found.rates[0]) > 0.5
    assert len(exhaustive(tiny, searched=False).rates) == len(grid(-6, 1))


def test_the_file_has_every_task_of_both_halves_with_its_best_inside():
    from tasks import HALVES

    truths = read_truth()
    for half, tasks in HALVES.items():
        for task in tasks:
            found = truths[task.name]
            assert found.has_signal == task.signal, (half, task.name)
            if task.signal:
                assert 0 < found.curve.argmin() < len(found.rates) - 1, (half, task.name)
    assert sorted(truths) == sorted(task.name for tasks in HALVES.values() for task in tasks)
    assert json.loads(FILE.read_text())["seeds"] == list(SEEDS)
