import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from lrscope.errors import ProblemError
from lrscope.problems import diabetes, digits, line, quadratic
from lrscope.problems.built_in import BUILT_IN
from lrscope.problems.metrics import accuracy
from lrscope.problems.problem import FULL_BATCH, Problem

WITHOUT_DATA = [member for member in BUILT_IN if member.data is None]


def descend(problem, rate, steps, seed=0):
    """The losses of plain full-batch gradient descent, and the weights after it."""
    torch.manual_seed(seed)
    model = problem.model()
    inputs, target = problem.train
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses, weights = [], []
    for _ in range(steps + 1):
        loss = problem.loss(model(inputs), target)
        losses.append(loss.item())
        weights.append([parameter.detach().clone() for parameter in model.parameters()])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses, weights


def train(problem, rate, epochs, seed=0):
    """The mean loss of every epoch when trained as a user would, and the trained model."""
    torch.manual_seed(seed)
    model = problem.model()
    optimizer = problem.optimizer(model.parameters(), lr=rate)
    inputs, target = problem.train
    generator = torch.Generator().manual_seed(seed)
    means = []
    for _ in range(epochs):
        losses = []
        for chosen in torch.randperm(len(inputs), generator=generator).split(problem.batch_size):
            loss = problem.loss(model(inputs[chosen]), target[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return means, model


def test_names_are_told_apart_and_summaries_fit_a_line():
    assert [member.name for member in BUILT_IN] == [
        "digits", "line", "quadratic", "diabetes-mlp", "mnist", "fashion", "fashion-mlp",
    ]  # fmt: skip
    assert all(0 < len(member.summary) <= 80 and "\n" not in member.summary for member in BUILT_IN)


def test_listing_them_loads_neither_torch_nor_data():
    code = (
        "import sys, lrscope.problems.built_in, lrscope.problems.load as load\n"
        "try: load.load_problem('digit')\n"
        "except ValueError as error: assert 'digits' in str(error)\n"
        "else: raise SystemExit('found')\n"
        "raise SystemExit(', '.join({'torch', 'sklearn', 'numpy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("member", WITHOUT_DATA, ids=lambda member: member.name)
class TestEveryProblem:
    def test_it_is_a_problem_of_that_name_and_the_same_each_time(self, member):
        one, other = member.make(), member.make()
        assert isinstance(one, Problem)
        assert one.name == member.name
        assert one.notes
        parts = [(one.train, other.train)] + ([(one.val, other.val)] if one.val is not None else [])
        assert all(torch.equal(a, b) for mine, yours in parts for a, b in zip(mine, yours, strict=True))

    def test_the_same_seed_gives_the_same_start(self, member):
        problem = member.make()
        starts = []
        for _ in range(2):
            torch.manual_seed(3)
            starts.append([parameter.detach() for parameter in problem.model().parameters()])
        assert all(torch.equal(one, other) for one, other in zip(*starts, strict=True))

    def test_model_loss_and_metrics_fit_the_data(self, member):
        problem = member.make()
        inputs, target = problem.val or problem.train
        output = problem.model()(inputs)
        loss = problem.loss(output, target)
        assert loss.ndim == 0
        assert bool(loss.isfinite())
        assert all(metric(output, target).ndim == 0 for metric in problem.metrics.values())

    def test_it_can_be_pickled(self, member):
        again = pickle.loads(pickle.dumps(member.make()))
        assert again.name == member.name
        assert [name for name, _ in again.model().named_parameters()]


def test_digits_are_the_real_ones_split_class_by_class():
    problem = digits.make()
    (train_x, train_y), (val_x, val_y) = problem.train, problem.val
    assert (len(train_x), len(val_x)) == (1437, 360)
    assert (train_x.dtype, train_y.dtype) == (torch.float32, torch.int64)
    assert (train_x.min().item(), train_x.max().item()) == (0.0, 1.0)
    every = np.vstack([torch.cat([train_x, val_x]).numpy() * 16])
    source = load_digits().data
    np.testing.assert_array_equal(every[np.lexsort(every.T)], source[np.lexsort(source.T)])
    shares = torch.bincount(val_y) / torch.bincount(torch.cat([train_y, val_y]))
    assert bool(((shares - 0.2).abs() < 0.01).all())


def test_digits_are_learned_at_a_medium_rate_and_neither_far_below_nor_far_above():
    problem = digits.make()
    shapes = {name: tuple(parameter.shape) for name, parameter in problem.model().named_parameters()}
    assert shapes == {"0.weight": (100, 64), "0.bias": (100,), "2.weight": (10, 100), "2.bias": (10,)}
    reached = {}
    for rate in (1e-5, 3e-3, 1.0):
        _, model = train(problem, rate, epochs=4)
        with torch.no_grad():
            reached[rate] = accuracy(model(problem.val[0]), problem.val[1]).item()
    assert reached[3e-3] > 0.93
    assert reached[1e-5] < 0.6
    assert reached[1.0] < 0.9


def test_the_line_is_the_four_samples_from_zero():
    problem = line.make()
    inputs, target = problem.train
    assert inputs.tolist() == [[1], [2], [3], [4]]
    assert target.tolist() == [[3], [6], [9], [12]]
    assert (inputs.dtype, problem.batch_size, problem.epochs) == (torch.float32, FULL_BATCH, 1000)
    assert problem.optimizer is torch.optim.SGD
    model = problem.model()
    assert {name: parameter.tolist() for name, parameter in model.named_parameters()} == {
        "0.weight": [[0.0]],
        "0.bias": [0.0],
    }


def test_the_line_s_curvatures_are_those_of_its_loss():
    problem = line.make()
    inputs, target = (part.double() for part in problem.train)

    def loss(parameters):
        return problem.loss(inputs * parameters[0] + parameters[1], target)

    hessian = torch.autograd.functional.hessian(loss, torch.zeros(2, dtype=torch.float64))
    smallest, largest = torch.linalg.eigvalsh(hessian).tolist()
    assert pytest.approx(largest, rel=1e-12) == line.LARGEST_CURVATURE
    assert pytest.approx(smallest, rel=1e-12) == line.SMALLEST_CURVATURE
    assert pytest.approx(0.119756, rel=1e-5) == line.LIMIT


def test_the_line_goes_as_gradient_descent_must():
    losses, weights = descend(line.make(), 0.01, 1000)
    contraction = np.linalg.matrix_power(np.eye(2) - 0.01 * np.array([[15.0, 5.0], [5.0, 2.0]]), 1000)
    exact = np.array([3.0, 0.0]) - contraction @ [3.0, 0.0]
    assert losses[0] == 67.5
    np.testing.assert_allclose([part.item() for part in weights[1000]], exact, atol=2e-6)
    below, _ = descend(line.make(), 0.98 * line.LIMIT, 1000)
    above, _ = descend(line.make(), 1.02 * line.LIMIT, 200)
    assert below[-1] < 1e-3
    assert above[-1] > 1e3


@pytest.mark.parametrize("rate", [0.01, 0.5, 1.0, 1.9, 2.0, 2.1])
def test_the_quadratic_goes_as_its_closed_form_says(rate):
    spectrum, start = (1.0, 0.3, 0.02), (1.0, -2.0, 0.5)
    losses, weights = descend(quadratic.make(spectrum, start), rate, 60)
    path = np.array([position[0].numpy() for position in weights])
    np.testing.assert_allclose(path, quadratic.positions(spectrum, rate, 60, start), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(losses, quadratic.losses(spectrum, rate, 60, start), rtol=1e-12)


def test_the_quadratic_converges_below_its_limit_and_diverges_above():
    limit = quadratic.limit(quadratic.SPECTRUM)
    assert limit == 2.0
    assert quadratic.losses(quadratic.SPECTRUM, 0.99 * limit, 2000)[-1] < 1e-16
    assert quadratic.losses(quadratic.SPECTRUM, 1.01 * limit, 2000)[-1] > 1e16
    assert quadratic.losses(quadratic.SPECTRUM, 1e300, 20)[-1] == np.inf


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"spectrum": ()}, "at least one finite curvature"),
        ({"spectrum": (1.0, float("nan"))}, "at least one finite curvature"),
        ({"spectrum": (1.0, 2.0), "start": (1.0,)}, "start= wants 2 finite numbers"),
        ({"start": (1.0, 2.0, float("inf"))}, "start= wants 3 finite numbers"),
    ],
)
def test_a_bowl_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(ProblemError, match=words):
        quadratic.make(**arguments)


def test_diabetes_is_standardised_by_its_training_part_and_can_be_overfitted():
    problem = diabetes.make()
    assert [tuple(part.shape) for part in (*problem.train, *problem.val)] == [
        (331, 10), (331, 1), (111, 10), (111, 1),
    ]  # fmt: skip
    for part in problem.train:
        torch.testing.assert_close(part.mean(dim=0), torch.zeros(part.shape[1]), atol=1e-6, rtol=0)
        torch.testing.assert_close(part.std(dim=0, correction=0), torch.ones(part.shape[1]))
    means, model = train(problem, 0.01, epochs=60)
    with torch.no_grad():
        final = problem.loss(model(problem.val[0]), problem.val[1]).item()
    assert means[0] > 0.5 > 0.3 > means[-1]
    assert final > 2 * means[-1]


def test_accuracy_counts_the_largest_output():
    output = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [1.0, 0.0]])
    assert accuracy(output, torch.tensor([1, 0, 0, 0])).item() == 0.75
    assert accuracy(output, torch.eye(2)[[1, 0, 0, 0]]).item() == 0.75
    images = output.reshape(2, 2, 1, 2).movedim(3, 1)
    assert accuracy(images, torch.tensor([[[1], [0]], [[0], [0]]])).item() == 0.75
