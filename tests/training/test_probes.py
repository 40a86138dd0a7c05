"""Probes leave no trace in training, and say what closed forms say."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import lrscope
from lrscope.errors import UsageError
from lrscope.problems.quadratic import make as quadratic

RNG = np.random.default_rng(0)
X = torch.tensor(RNG.normal(size=(60, 6)), dtype=torch.float32)
CLASSES = torch.tensor(np.arange(60) % 3)


def noisy_network():
    """Draws (dropout) and keeps state (BatchNorm): what a second call would disturb."""
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def problem(**changes):
    given = {
        "name": "probed",
        "model": noisy_network,
        "train": (X, CLASSES),
        "val": (X[:20], CLASSES[:20]),
        "loss": nn.CrossEntropyLoss(),
        "batch_size": 16,
        "epochs": 8,
    }
    return lrscope.Problem(**{**given, **changes})


def recorded(subject, **options):
    with lrscope.sweep(subject, (1e-3, 0.05), seeds=2, record="losses", **options) as study:
        return study.scalars("loss"), study.scalars("val_loss"), study.trajectories()


@pytest.mark.parametrize("clip", [None, 0.5])
def test_training_is_bitwise_the_same_with_probes(clip):
    subject = problem(clip_norm=clip)
    for plain, probed in zip(recorded(subject), recorded(subject, probes=True), strict=True):
        assert plain.equals(probed)


def test_probes_are_taken_at_twenty_steps_and_at_the_end():
    with lrscope.sweep(problem(), (1e-3, 0.05), probes=True, record="losses") as study:
        assert study.plan.probes
        cosines = study.scalars("same_batch_cosine")
        assert cosines["step"].n_unique() == 20
        assert cosines["value"].is_finite().all()
        assert cosines["value"].abs().max() <= 1 + 1e-9
        assert study.scalars("branch_loss")["step"].unique().to_list() == [study.plan.steps]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_curvature_along_the_update_of_a_bowl_is_rate_times_curvature(share):
    """One direction: rate times g.H g / g.g is rate times curvature, and above 1 the gradient turns back."""
    subject = dataclasses.replace(quadratic((1.0,)), epochs=40)
    with lrscope.sweep(subject, (2 * share,), probes=True, record="losses") as study:
        bends, cosines = (study.scalars(name)["value"] for name in ("update_curvature", "same_batch_cosine"))
    np.testing.assert_allclose(bends, 2 * share, rtol=1e-9)
    np.testing.assert_allclose(cosines, np.sign(1 - 2 * share), rtol=1e-9)


def test_a_batch_asked_again_draws_the_same_dropout():
    """At a rate of next to nothing a batch answers the same, dropout and all."""
    with lrscope.sweep(problem(), (1e-12,), probes=True, record="losses") as study:
        assert study.scalars("same_batch_cosine")["value"].min() > 1 - 1e-6


def test_a_fifth_of_the_rate_lowers_a_loss_that_its_own_noise_holds_up():
    """Jumps of the minimum by s leave rate s^2 / (2 - rate) of the distance: a fifth of the rate a fifth."""
    jumps = torch.randn(4_000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    class Point(nn.Module):
        def __init__(self):
            super().__init__()
            self.theta = nn.Parameter(3 * torch.ones(4, dtype=torch.float64))

    def height(model, batch):
        return (model.theta - batch[0]).square().sum(dim=-1).mean() / 2

    subject = problem(model=Point, train=(jumps,), val=None, loss=None, step=height, batch_size=4, epochs=1)
    subject = dataclasses.replace(subject, optimizer=torch.optim.SGD)
    with lrscope.sweep(subject, (0.02, 0.1, 1.6), probes=True) as study:
        *_, highest = study.verdicts().iter_rows(named=True)
        ends = study.scalars("branch_loss").sort("lane")["value"].to_list()
    assert highest["verdict"] == "too_high"
    assert "the noise of its own steps" in highest["evidence"]
    # Of a mean of 4 jumps the noise is a quarter; 2 is the loss at the minimum.
    expected = 2 + 2 * 0.32 / 4 / (2 - 0.32)
    assert ends[2] == pytest.approx(expected, rel=0.25)


def test_a_small_batch_at_the_edge_of_its_own_stability_is_said_to_be_there():
    """Of mean squared error on one example of norm 1 the curvature along the update is 2, at every step."""
    angles = torch.linspace(0, 6, 20, dtype=torch.float64)
    inputs = torch.stack([angles.cos(), angles.sin()], dim=1)
    targets = inputs @ torch.ones(2, 1, dtype=torch.float64) + 0.1 * (5 * angles).cos().unsqueeze(1)

    def squared(model, batch):
        return (model(batch[0]) - batch[1]).square().mean()

    subject = problem(
        model=lambda: nn.Linear(2, 1, bias=False).double(),
        train=(inputs, targets),
        val=None,
        loss=None,
        step=squared,
        batch_size=1,
        optimizer=torch.optim.SGD,
    )
    with lrscope.sweep(subject, (0.02, 0.8), probes=True) as study:
        bends = study.scalars("update_curvature")
        assert bends.filter(bends["lane"] == 1)["value"].to_list() == pytest.approx([1.6] * 20)
        low, high = study.verdicts().iter_rows(named=True)
    assert "edge" not in low["attributes"]
    assert "edge" in high["attributes"]
    assert "rate times curvature along a batch's own update" in high["evidence"]


def test_probes_need_lanes_in_one_pass():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            answer = self.layer(x)
            return answer if answer.sum().item() > -1e9 else 2 * answer

    with pytest.raises(UsageError, match="leave out --probes"):
        lrscope.sweep(problem(model=Branching), (0.1,), probes=True)
