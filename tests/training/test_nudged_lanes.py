"""Finite-difference lanes as lanes of an ordinary study."""

import dataclasses
import functools
import math

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lrscope
from lrscope.errors import ProblemError, UsageError
from lrscope.plan import Plan
from lrscope.problems import line
from lrscope.training.finite_differences import train_lanes

X = torch.linspace(-1, 1, 60).reshape(20, 3).sin()
CLASSES = torch.arange(20) % 4


def tanh_network(dtype=torch.float64):
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).to(dtype)


def classifier(dtype=torch.float64, **changes):
    data = (X.to(dtype), CLASSES)
    settings = {
        "model": functools.partial(tanh_network, dtype),
        "train": data,
        "val": (data[0][:7], CLASSES[:7]),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD,
        "batch_size": 8,
        "epochs": 4,
        "metrics": {"accuracy": lambda out, target: (out.argmax(1) == target).float().mean()},
    }
    return lrscope.Problem("classifier", **{**settings, **changes})


def slower(params, lr):
    return torch.optim.SGD([{"params": params, "lr": 0.1 * lr}], lr=lr)


def weights_at(study, step, tensor, rate):
    frame = study.trajectories()
    value = frame.filter(pl.col("step") == step, pl.col("tensor") == tensor, pl.col("rate") == rate)["value"]
    return np.float32(value.item())


class TestTheLine:
    def test_a_study_holds_the_reference_values(self):
        study = lrscope.sweep("line", "0.01,0.1", gradient="finite-difference", record="losses")
        assert weights_at(study, 10, "0.weight", 0.01) == np.float32(2.265477)
        assert weights_at(study, 10, "0.bias", 0.01) == np.float32(0.7404298)
        assert weights_at(study, 1000, "0.weight", 0.01) == np.float32(2.9842885)
        assert study.trajectories().height == 2 * 2 * 1001

    def test_the_lanes_are_those_of_the_network_from_scratch_to_the_last_bit(self):
        rates = [0.01, 0.1, 0.12, 1.0]
        study = lrscope.sweep("line", rates, epochs=50, gradient="finite-difference", record="losses")
        start = [np.zeros((1, 1), np.float32), np.zeros(1, np.float32)]
        inputs = np.array([[1], [2], [3], [4]])
        losses = study.scalars("loss")
        for epoch in train_lanes(start, rates, inputs, 3 * inputs, epochs=50):
            recorded = losses.filter(pl.col("step") == epoch.epoch).sort("rate")["value"]
            assert recorded.to_list() == epoch.losses.tolist()
            for lane, rate in enumerate(rates):
                assert weights_at(study, epoch.epoch, "0.bias", rate) == epoch.parameters[1][lane, 0]

    def test_at_rate_1_it_is_frozen_by_rounding_where_autograd_diverges(self):
        measured = lrscope.sweep("line", "0.01,0.1,1", gradient="finite-difference").verdicts()
        exact = lrscope.sweep("line", "0.01,0.1,1").verdicts()
        assert measured["verdict"].to_list() == ["good", "good", "frozen"]
        assert exact["verdict"].to_list() == ["good", "good", "diverged"]
        assert measured["attributes"].to_list()[1] == exact["attributes"].to_list()[1]
        assert "ringing" in measured["attributes"].to_list()[1]
        evidence = measured["evidence"][2]
        assert "weight + 1e-4 rounds to the weight" in evidence
        assert "every derivative reads 0" in evidence
        assert "at a loss of 1.5e9" in evidence
        assert "not converged" in evidence

    def test_the_plan_says_how_gradients_were_got(self, tmp_path):
        path = tmp_path / "line.lrscope"
        lrscope.sweep("line", "0.01", epochs=3, gradient="finite-difference", path=path).close()
        with lrscope.open(path) as study:
            assert (study.plan.gradient, study.plan.nudge) == ("finite-difference", 1e-4)
            assert "by finite differences" in study.note("how")
        exact = lrscope.sweep("line", "0.01", epochs=3).plan
        assert (exact.gradient, exact.nudge) == ("autograd", None)
        assert Plan.from_json(exact.to_json()) == exact

    def test_a_lane_that_overflows_stops_and_leaves_the_others_alone(self):
        study = lrscope.sweep("line", [0.01, 1e38], epochs=30, gradient="finite-difference")
        alone = lrscope.sweep("line", [0.01], epochs=30, gradient="finite-difference")
        assert study.lanes["stopped_step"].to_list() == [None, 1]
        assert study.verdicts()["verdict"][1] == "diverged"
        assert (
            study.scalars("loss")
            .filter(pl.col("rate") == 0.01)["value"]
            .equals(alone.scalars("loss")["value"])
        )

    def test_curvature_is_that_of_the_line(self):
        study = lrscope.sweep("line", "0.01", epochs=10, gradient="finite-difference", curvature=True)
        sharpness = study.scalars("sharpness")["value"]
        assert sharpness.to_list() == pytest.approx([line.LARGEST_CURVATURE] * len(sharpness), rel=1e-4)


class TestMiniBatches:
    @pytest.mark.parametrize("batch_size", [8, 0])
    def test_central_differences_in_float64_train_as_autograd_does(self, batch_size):
        problem = classifier(batch_size=batch_size)
        exact = lrscope.sweep(problem, "0.01,0.3", seeds=2)
        measured = lrscope.sweep(problem, "0.01,0.3", seeds=2, gradient="central-difference")
        assert measured.lanes.select("lane", "rate", "seed").equals(
            exact.lanes.select("lane", "rate", "seed")
        )
        for name in ("loss", "val_loss", "accuracy"):
            one, other = exact.scalars(name), measured.scalars(name)
            assert one.select("lane", "step").equals(other.select("lane", "step"))
            np.testing.assert_allclose(other["value"], one["value"], rtol=0, atol=1e-9)
        one, other = exact.trajectories(), measured.trajectories()
        assert one.select("lane", "step", "tensor").equals(other.select("lane", "step", "tensor"))
        np.testing.assert_allclose(other["value"], one["value"], rtol=0, atol=1e-9)
        for name in ("gradient_norm", "update_ratio", "distance"):
            np.testing.assert_allclose(
                measured.tensors(name)["value"], exact.tensors(name)["value"], rtol=1e-6, atol=1e-9
            )

    @pytest.mark.parametrize("gradient", ["finite-difference", "central-difference"])
    def test_in_float32_they_train_alike_to_the_accuracy_of_the_nudge(self, gradient):
        problem = classifier(torch.float32)
        exact = lrscope.sweep(problem, "0.3", record="losses").scalars("loss")["value"]
        measured = lrscope.sweep(problem, "0.3", gradient=gradient, record="losses").scalars("loss")["value"]
        np.testing.assert_allclose(measured, exact, rtol=3e-4)
        assert not np.array_equal(measured, exact)

    def test_a_regression_with_relu_and_a_dataset_of_tensors(self):
        def network():
            return nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2), nn.Sigmoid()).double()

        problem = lrscope.Problem(
            "regression",
            network,
            TensorDataset(X.double(), X.double()[:, :2].abs()),
            loss=nn.MSELoss(),
            optimizer=torch.optim.SGD,
            batch_size=7,
            epochs=5,
        )
        exact = lrscope.sweep(problem, "0.5", record="losses").scalars("loss")["value"]
        measured = lrscope.sweep(problem, "0.5", gradient="central-difference").scalars("loss")["value"]
        np.testing.assert_allclose(measured, exact, atol=1e-7)


def sequential(*layers):
    return lambda: nn.Sequential(*layers)


class Doubled(nn.Sequential):
    """Layers that do not say what it does."""

    def forward(self, x):
        return 2 * super().forward(x)


def frozen():
    model = tanh_network()
    model[0].bias.requires_grad_(False)
    return model


def shared():
    layer = nn.Linear(3, 3).double()
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(3, 4).double())


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"optimizer": torch.optim.Adam}, "plain gradient descent.*got Adam"),
            ({"optimizer": slower}, r"plain gradient descent.*got SGD, group_rates=\[0.1\]"),
            ({"optimizer": functools.partial(torch.optim.SGD, momentum=0.9)}, "got SGD, momentum=0.9"),
            ({"clip_norm": 1.0}, "leave out clip_norm="),
            (
                {"schedule": lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer)},
                "a constant rate",
            ),
            ({"train": DataLoader(TensorDataset(X.double(), CLASSES), 5)}, "as tensors.*got a DataLoader"),
            (
                {"model": lambda: tanh_network(torch.bfloat16), "train": (X.bfloat16(), CLASSES)},
                "got bfloat16",
            ),
            ({"model": sequential(nn.Linear(3, 4).double(), nn.GELU())}, "GELU"),
            ({"model": sequential(nn.Linear(3, 4, bias=False).double())}, "bias=False"),
            ({"model": lambda: nn.Linear(3, 4).double()}, "the model is of type Linear"),
            ({"model": lambda: Doubled(nn.Linear(3, 4).double())}, "does what its layers say"),
            ({"model": frozen}, "0.bias has requires_grad=False"),
            ({"model": shared}, "uses a layer twice"),
            ({"loss": nn.CrossEntropyLoss(label_smoothing=0.1)}, "wanted is MSELoss"),
            ({"loss": nn.functional.cross_entropy}, "wanted is MSELoss"),
        ],
    )
    def test_it_is_said_in_one_line_what_is_wanted(self, changes, words):
        changes = {"val": None, "metrics": {}, **changes}
        with pytest.raises(ProblemError, match=words) as raised:
            lrscope.sweep(classifier(**changes), "0.1", gradient="finite-difference")
        assert "\n" not in str(raised.value)
        assert "want" in str(raised.value)

    def test_a_gradient_that_is_none_is_named(self):
        with pytest.raises(UsageError, match=r"autograd, finite-difference, central-difference; got 'exact'"):
            lrscope.sweep("line", "0.1", gradient="exact")

    def test_targets_that_do_not_fit_the_outputs(self):
        problem = dataclasses.replace(line.make(), train=(torch.ones(4, 1), torch.ones(4, 3)))
        with pytest.raises(ProblemError, match=r"targets of shape \(4, 1\) are wanted; got \(4, 3\)"):
            lrscope.sweep(problem, "0.1", gradient="finite-difference")


def test_a_lane_of_huge_float32_weights_counts_as_frozen_only_where_the_nudge_is_lost():
    """Half the weights huge: their derivatives read 0, the others move."""

    def network():
        layer = nn.Linear(2, 1)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[1e5, 0.5]]))
            layer.bias.zero_()
        return nn.Sequential(layer)

    inputs = torch.tensor([[0.0, 1.0], [0.0, 2.0], [1e-9, 3.0]])
    problem = lrscope.Problem(
        "half", network, (inputs, inputs[:, 1:]), loss=nn.MSELoss(), optimizer=torch.optim.SGD, epochs=30,
        batch_size=0,
    )  # fmt: skip
    study = lrscope.sweep(problem, "1e-4,1e-3", gradient="finite-difference")
    shares = study.tensors("unchanged_share").filter(pl.col("step") == 0)
    assert shares.filter(pl.col("tensor") == "0.weight")["value"].to_list() == [0.5, 0.5]
    assert shares.filter(pl.col("tensor") == "0.bias")["value"].to_list() == [0.0, 0.0]
    assert "frozen" not in study.verdicts()["verdict"].to_list()
    assert all(math.isfinite(value) for value in study.scalars("loss")["value"])
