"""Gradients of models whose backward pass is known to be right, or wrong in a known place."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lrscope
from lrscope.errors import ProblemError
from lrscope.problems.load import load_problem
from lrscope.training.check_gradients import check_gradients
from lrscope.training.slopes import AGREES, NOT_DIFFERENTIABLE, WRONG

X = torch.linspace(-2, 2, 200).reshape(40, 5).sin()
CLASSES = torch.arange(40) % 3


class Scaled(torch.autograd.Function):
    """sin(x), whose derivative is said to be `factor` cos(x)."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x.sin()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return ctx.factor * gradient * x.cos(), None


class OneElement(torch.autograd.Function):
    """x W^T, whose derivative is wrong for a single element of W."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        wrong = gradient.T @ x
        wrong[137, 3] += 0.01
        return gradient @ weight, wrong


class Network(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.first, self.last = nn.Linear(5, 4), nn.Linear(4, 3)
        self.factor = factor

    def forward(self, x):
        return self.last(Scaled.apply(self.first(x), self.factor))


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(200, 5) / 5)
        self.last = nn.Linear(200, 3)

    def forward(self, x):
        return self.last(OneElement.apply(x, self.weight).tanh())


def problem(model, **settings):
    settings = {"train": (X, CLASSES), "loss": nn.CrossEntropyLoss(), **settings}
    return lrscope.Problem("mine", model, **settings)


def outcomes(check):
    return {tensor.tensor: tensor.outcome for tensor in check.tensors}


class TestRight:
    @pytest.mark.parametrize("name", ["line", "digits", "quadratic", "diabetes-mlp"])
    def test_built_in_problems_agree(self, name):
        check = check_gradients(load_problem(name))
        assert check.wrong == ()
        assert set(outcomes(check).values()) == {AGREES}
        assert all(tensor.worst.slope.error < 1e-6 for tensor in check.tensors)

    def test_the_slope_of_the_line_is_the_one_by_hand(self):
        """d/dw mean (w x + b - 3 x)^2 at 0 is -6 mean x^2 = -45, d/db is -6 mean x = -15."""
        weight, bias = check_gradients(load_problem("line")).tensors
        assert weight.found[0].slope.autograd == -45
        assert weight.found[0].slope.difference == pytest.approx(-45, rel=1e-9)
        assert bias.found[0].slope.difference == pytest.approx(-15, rel=1e-9)

    def test_dropout_batch_norm_embedding_and_attention(self):
        def model():
            layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)
            return nn.Sequential(
                nn.Embedding(9, 8), layer, nn.Flatten(), nn.BatchNorm1d(32), nn.Dropout(), nn.Linear(32, 3)
            )

        tokens = torch.arange(160).reshape(40, 4) % 9
        check = check_gradients(problem(model, train=(tokens, CLASSES)), elements=8)
        assert check.wrong == ()
        assert sum(tensor.count(AGREES) for tensor in check.tensors) == sum(
            len(tensor.found) for tensor in check.tensors
        )

    def test_a_gradient_that_is_zero_up_to_rounding(self):
        """A bias before BatchNorm has no effect."""
        check = check_gradients(
            problem(lambda: nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)))
        )
        assert check.wrong == ()
        assert check.tensors[1].worst.slope.error == 0

    def test_a_step_and_a_loss_that_holds_tensors(self):
        weighted = problem(
            lambda: nn.Linear(5, 3), loss=nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))
        )
        assert check_gradients(weighted).wrong == ()
        by_step = problem(
            lambda: nn.Linear(5, 3),
            loss=None,
            step=lambda model, batch: (
                F.cross_entropy(model(batch[0]), batch[1]) + model.weight.square().sum()
            ),
        )
        assert check_gradients(by_step).wrong == ()

    def test_a_model_that_differentiates_itself(self):
        """A force is the slope of an energy: the loss needs autograd at every pass."""

        def step(model, batch):
            x = batch[0].requires_grad_()
            (force,) = torch.autograd.grad(model(x).square().sum(), x, create_graph=True)
            return force.square().mean()

        twice = problem(
            lambda: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)), loss=None, step=step
        )
        check = check_gradients(twice)
        assert check.wrong == ()
        assert outcomes(check)["0.weight"] == AGREES


class TestWrong:
    def test_a_custom_function_with_a_wrong_backward_is_found(self):
        check = check_gradients(problem(lambda: Network(1.001)))
        assert outcomes(check) == {
            "first.weight": WRONG,
            "first.bias": WRONG,
            "last.weight": AGREES,
            "last.bias": AGREES,
        }
        slope = check.tensors[0].worst.slope
        assert slope.autograd == pytest.approx(1.001 * slope.difference, rel=1e-6)
        assert check_gradients(problem(lambda: Network(1))).wrong == ()

    def test_one_wrong_element_of_a_thousand_is_found_though_it_is_not_in_the_sample(self):
        check = check_gradients(problem(Wide), elements=5)
        assert outcomes(check) == {"weight": WRONG, "last.weight": AGREES, "last.bias": AGREES}
        found = check.tensors[0]
        assert found.whole.outcome == WRONG
        assert [element.slope.outcome for element in found.found] == [AGREES] * 5 + [WRONG]
        assert found.worst.place == (137, 3)
        assert found.worst.slope.autograd - found.worst.slope.difference == pytest.approx(0.01, rel=1e-5)

    def test_a_gradient_that_is_not_a_number(self):
        def step(model, batch):
            weight = model.weight[0]
            rooted = torch.where(weight > 0, weight, 1.0) + torch.where(
                weight < -9, weight, 0 * weight.sqrt()
            )
            return torch.where(weight < 0, weight, rooted.nan_to_num()).sum() + model.bias.sum()

        check = check_gradients(problem(lambda: nn.Linear(5, 3), loss=None, step=step))
        assert outcomes(check) == {"weight": WRONG, "bias": AGREES}
        assert check.tensors[0].worst.slope.autograd != check.tensors[0].worst.slope.autograd


class TestKinks:
    def test_a_kink_is_called_so_and_not_wrong(self):
        def model():
            layer = nn.Linear(5, 3)
            with torch.no_grad():
                layer.bias.zero_()
            return layer

        check = check_gradients(
            problem(
                model,
                loss=None,
                step=lambda model, batch: (
                    F.cross_entropy(model(batch[0]), batch[1]) + model.bias.relu().sum()
                ),
            )
        )
        assert outcomes(check) == {"weight": AGREES, "bias": NOT_DIFFERENTIABLE}
        assert check.tensors[1].count(NOT_DIFFERENTIABLE) == 3
        assert check.tensors[1].worst is None
        assert check.wrong == ()

    def test_deep_relu_networks_are_never_called_wrong(self):
        def model():
            layers = [nn.Linear(5, 64), nn.ReLU()]
            for _ in range(3):
                layers += [nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1)]
            return nn.Sequential(*layers, nn.Linear(64, 3))

        for seed in range(3):
            check = check_gradients(problem(model), elements=16, seed=seed)
            assert check.wrong == ()
            assert all(tensor.outcome == AGREES for tensor in check.tensors)


class TestManners:
    def test_nothing_of_the_users_is_touched(self):
        made = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3))
        before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
        data = (X.clone(), CLASSES.clone())
        loss = nn.CrossEntropyLoss(weight=torch.ones(3))
        state, threads = torch.get_rng_state(), torch.get_num_threads()
        check_gradients(problem(lambda: made, train=data, loss=loss))
        assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())
        assert all(parameter.grad is None for parameter in made.parameters())
        assert made[0].weight.dtype == torch.float32 == loss.weight.dtype
        assert torch.equal(data[0], X)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.get_num_threads() == threads

    def test_what_is_sampled_is_said_and_frozen_tensors_are_left_out(self):
        def model():
            made = nn.Sequential(nn.Linear(5, 20), nn.Tanh(), nn.Linear(20, 3))
            made[0].bias.requires_grad_(False)
            return made

        check = check_gradients(problem(model), elements=10)
        assert check.left_out == ("0.bias",)
        assert [(t.tensor, len(t.found), t.size, t.whole is None) for t in check.tensors] == [
            ("0.weight", 10, 100, False),
            ("2.weight", 10, 60, False),
            ("2.bias", 3, 3, True),
        ]
        places = {element.place for element in check.tensors[0].found}
        assert len(places) == 10
        assert check == check_gradients(problem(model), elements=10)
        assert places != {
            e.place for e in check_gradients(problem(model), elements=10, seed=1).tensors[0].found
        }

    def test_the_batch_is_the_problems_or_the_one_asked_for(self):
        assert check_gradients(problem(lambda: nn.Linear(5, 3))).examples == 32
        assert check_gradients(problem(lambda: nn.Linear(5, 3), batch_size=7)).examples == 7
        assert check_gradients(problem(lambda: nn.Linear(5, 3), batch_size=0), batch_size=40).examples == 40


class TestErrors:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"model": lambda: nn.Linear(4, 3)}, "model and train data do not fit together"),
            (
                {
                    "loss": None,
                    "step": lambda model, batch: F.cross_entropy(model(batch[0].float()), batch[1]),
                },
                "needs float64, and there model or loss raised RuntimeError",
            ),
            (
                {"loss": lambda out, target: F.cross_entropy(out, target).float()},
                "needs float64, and there the loss is float32",
            ),
            ({"loss": lambda out, target: out.sum() / 0}, "the loss is -?inf before training"),
        ],
    )
    def test_what_cannot_be_checked_is_said_in_one_line(self, settings, words):
        settings = {"model": lambda: nn.Linear(5, 3), **settings}
        with pytest.raises(ProblemError, match=words) as raised:
            check_gradients(problem(settings.pop("model"), **settings))
        assert "\n" not in str(raised.value)

    def test_a_loss_that_is_never_the_same_twice(self):
        calls = []

        def step(model, batch):
            calls.append(1)
            return F.cross_entropy(model(batch[0]), batch[1]) * len(calls)

        with pytest.raises(ProblemError, match="not the same every time"):
            check_gradients(problem(lambda: nn.Linear(5, 3), loss=None, step=step))
