import copy
import functools
import pickle

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from lrscope.errors import ProblemError
from lrscope.problems.problem import Problem

X, Y = torch.arange(6.0).reshape(3, 2), torch.arange(3.0)


def make_net():
    return nn.Linear(2, 1)


def fields(**changes):
    return {"name": "mine", "model": make_net, "train": (X, Y), "loss": nn.MSELoss(), **changes}


class Stream(IterableDataset):
    def __iter__(self):
        yield X, Y


class Unmeasured(Dataset):
    def __getitem__(self, index):
        return index


def test_defaults_are_those_of_the_contract():
    problem = Problem(**fields())
    assert (problem.batch_size, problem.epochs, problem.optimizer) == (32, 5, torch.optim.Adam)
    assert (problem.val, problem.step, problem.schedule, problem.clip_norm) == (None, None, None, None)
    assert (dict(problem.metrics), problem.notes) == ({}, ())


@pytest.mark.parametrize(
    "train",
    [
        (X, Y),
        [X, Y],
        (X,),
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), batch_size=2),
        DataLoader(Stream()),
        (X.to(torch.complex64), Y),
        (X.long(), Y),
    ],
)
def test_every_kind_of_data_is_taken_as_it_is(train):
    assert Problem(**fields(train=train, val=train)).train is train


def test_problems_can_be_compared_hashed_shown_and_pickled():
    problem = Problem(**fields(optimizer=functools.partial(torch.optim.SGD, momentum=0.9)))
    other = Problem(**fields())
    assert problem != other
    assert len({problem, other, problem}) == 2
    assert "tensor" not in repr(problem)
    again = pickle.loads(pickle.dumps(problem))
    assert torch.equal(again.train[0], X)
    assert again.optimizer.keywords == {"momentum": 0.9}
    assert copy.copy(problem).name == "mine"


nan_at_2 = X.clone()
nan_at_2[2, 1] = float("nan")
two_infinite = X.clone()
two_infinite[0] = float("inf")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": 3}, "needs a name, a non-empty string; got 3"),
        ({"model": make_net()}, "model=lambda: Net(...)"),
        ({"optimizer": "adam"}, "optimizer= wants a callable; got 'adam'"),
        ({"optimizer": torch.optim.SGD(make_net().parameters(), lr=0.1)}, "got SGD already made"),
        ({"schedule": "cosine"}, "schedule= wants a callable; got 'cosine'"),
        ({"loss": None}, "exactly one of loss="),
        ({"step": lambda model, batch: 0}, "exactly one of loss="),
        ({"loss": nn.MSELoss}, "loss=MSELoss()"),
        ({"metrics": [len]}, "metrics= wants a dict"),
        ({"metrics": {"accuracy": 3}}, "metrics= wants names and callables; got 'accuracy': 3"),
        ({"loss": None, "step": len, "metrics": {"accuracy": len}}, "need loss="),
        ({"batch_size": -1}, "batch_size= wants a whole number of at least 0; got -1"),
        ({"epochs": 0}, "epochs= wants a whole number of at least 1; got 0"),
        ({"epochs": True}, "epochs= wants a whole number"),
        ({"clip_norm": 0.0}, "clip_norm= wants a positive number; got 0.0"),
        ({"clip_norm": "1"}, "clip_norm= wants a positive number"),
        ({"notes": "one sentence"}, "notes=('one sentence',)"),
        ({"train": X}, "train= wants tensors (X, y), a Dataset or a DataLoader; got Tensor"),
        ({"train": (X.numpy(), Y.numpy())}, "got tuple of ndarray, ndarray (arrays: torch.from_numpy(X))"),
        ({"train": (X, torch.tensor(1.0))}, "without a first dimension of examples: shapes (3, 2), ()"),
        ({"train": (X, Y[:2])}, "differ in their number of examples: shapes (3, 2), (2,)"),
        ({"train": (X[:0], Y[:0])}, "train= is empty: its tensors hold no example"),
        ({"train": DataLoader(TensorDataset(X[:0]))}, "train= is empty: the DataLoader gives no batch"),
        ({"train": DataLoader(TensorDataset(X), batch_size=4, drop_last=True)}, "gives no batch"),
        ({"train": Stream()}, "train=DataLoader(dataset, batch_size=...)"),
        ({"train": Unmeasured()}, "a Dataset with a length"),
        (
            {"train": (nan_at_2, Y)},
            "train[0] holds 1 value that is not finite, the first one nan at index [2, 1]",
        ),
        ({"train": (X, two_infinite)}, "train[1] holds 2 values that are not finite, the first one inf"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes, words):
    with pytest.raises(ProblemError) as caught:
        Problem(**fields(**changes))
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
