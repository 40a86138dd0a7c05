"""What does not fit is said in one line before anything is trained."""

import functools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from lrscope.diagnosis.limits import stability_limit
from lrscope.errors import LrscopeError, ProblemError, UsageError
from lrscope.problems.constant_loss import constant_loss
from lrscope.problems.problem import OptimizerFactory, Problem
from lrscope.training.optimizers import describe, optimizer_by_name, schedule_by_name
from lrscope.training.prepare import Prepared, prepare
from lrscope.training.random_state import undisturbed

X = torch.linspace(-1, 1, 60).reshape(20, 3)
Y = torch.arange(20) % 2


def made(
    rates: tuple[float, ...] = (1e-2, 1e-1), seeds: int = 1, device: str = "cpu", **changes: object
) -> Prepared:
    fields: dict[str, object] = {
        "name": "odd",
        "model": lambda: nn.Linear(3, 2),
        "train": (X, Y),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD,
        "batch_size": 5,
        "epochs": 2,
    }
    with undisturbed():
        return prepare(Problem(**{**fields, **changes}), rates, seeds, device=device)  # type: ignore[arg-type]


def no_gradient(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return model(batch[0]).detach().sum()


def closure_optimizer(params: object, lr: float) -> torch.optim.Optimizer:
    return torch.optim.LBFGS(params, lr=lr)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": lambda: nn.Linear(4, 2)}, [r"\(5, 3\)", "do not fit", "mat1 and mat2"]),
        (
            {"model": lambda: nn.Linear(3, 1)},
            [
                "do not fit",
                "IndexError|out of bounds",
                r"output is \(5, 1\) float32, the target \(5,\) int64$",
            ],
        ),
        (
            {"loss": nn.L1Loss(), "train": (X, X[:, :2].repeat(1, 2))},
            ["do not fit", r"output is \(5, 2\) float32, the target \(5, 4\) float32$"],
        ),
        ({"val": (X[:, :2], Y)}, ["val data do not fit", r"\(20, 2\)"]),
        ({"train": (X,)}, ["pairs", "step="]),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, ["scalar", r"\(5,\)"]),
        ({"loss": lambda o, t: 3.0}, ["scalar", "float"]),
        ({"loss": None, "step": no_gradient}, ["does not depend"]),
        ({"model": lambda: 7}, ["nn.Module", "int"]),
        ({"model": lambda: nn.ReLU()}, ["no parameter that requires a gradient"]),
        ({"model": lambda: nn.LazyLinear(2)}, ["lazy"]),
        ({"model": lambda: 1 / 0}, ["ZeroDivisionError"]),
        ({"optimizer": lambda params, lr: None}, ["torch optimizer", "NoneType"]),
        ({"optimizer": lambda params: None}, ["raised TypeError"]),
        ({"optimizer": closure_optimizer}, ["LBFGS"]),
        ({"optimizer": functools.partial(torch.optim.SGD, momentum=-1)}, ["momentum"]),
        ({"schedule": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o)}, ["ReduceLROnPlateau"]),
        ({"schedule": lambda o: 3}, ["LRScheduler", "int"]),
        ({"metrics": {"bad": lambda o, t: "high"}}, None),
    ],
)
def test_what_does_not_fit(changes: dict[str, object], words: list[str] | None) -> None:
    if "metrics" in changes:
        changes, words = {**changes, "val": (X, Y)}, ["metric 'bad'"]
    with pytest.raises(ProblemError) as caught:
        made(**changes)
    message = str(caught.value)
    assert "\n" not in message
    for word in words or []:
        assert __import__("re").search(word, message), message


def test_too_many_lanes_name_the_memory_they_would_take() -> None:
    rates = tuple(1e-5 * 1.001**k for k in range(10_000))
    with pytest.raises(UsageError, match=r"10,000 rates x 1 seeds are 10,000 lanes .* MiB .* at most 1,000"):
        made(rates)


def test_lanes_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrscope.training.memory._free_memory", lambda: 1500.0)
    with pytest.raises(UsageError, match=r"1.46 KiB are free: at most 7 lanes fit"):
        made(tuple(0.01 * k for k in range(1, 12)))


@pytest.mark.parametrize("device", ["warp", "gpu", "cuda:x", "cuda:99", "vulkan", "hpu", "mtia"])
def test_an_unknown_device_is_named(device: str) -> None:
    with pytest.raises(UsageError, match=f"^--device {device}: .*; type --device cpu") as caught:
        made(device=device)
    assert len(str(caught.value)) < 100


def test_names_of_optimizers_and_schedules() -> None:
    assert optimizer_by_name("adamw", {"weight_decay": 0.1})([torch.zeros(1)], lr=0.5).defaults["lr"] == 0.5
    assert describe(optimizer_by_name("SGD", {"momentum": 0.9})) == ("SGD", {"momentum": 0.9})
    with pytest.raises(ProblemError, match=r"no optimizer 'adm'.*Adam"):
        optimizer_by_name("adm", {})
    with pytest.raises(ProblemError, match=r"SGD has no option 'beta'.*momentum"):
        optimizer_by_name("sgd", {"beta": 1})
    with pytest.raises(ProblemError, match="refuses"):
        optimizer_by_name("adam", {"betas": 3})
    with pytest.raises(ProblemError, match=r"no schedule 'cos'.*cosine"):
        schedule_by_name("cos")


def grouped(*multiples: float) -> OptimizerFactory:
    """SGD with a group for every parameter, each at a multiple of the rate asked for."""

    def make(params: Sequence[Tensor], lr: float) -> torch.optim.Optimizer:
        pairs = zip(params, multiples, strict=False)
        return torch.optim.SGD([{"params": [one], "lr": share * lr} for one, share in pairs], lr=lr)

    return make


def test_groups_with_rates_of_their_own_are_in_the_plan() -> None:
    assert made(optimizer=grouped(1.0, 0.1)).plan.optimizer_options == {"group_rates": [1.0, 0.1]}
    assert made(optimizer=grouped(0.5, 0.5)).plan.optimizer_options == {"group_rates": [0.5, 0.5]}
    assert made(optimizer=grouped(1.0, 1.0)).plan.optimizer_options == {}


def test_without_one_rate_for_all_there_is_no_limit_of_stability() -> None:
    plan = made(optimizer=grouped(1.0, 0.1)).plan
    assert stability_limit(plan.optimizer, plan.optimizer_options, 2.0) is None
    plan = made(optimizer=grouped(1.0, 1.0)).plan
    assert stability_limit(plan.optimizer, plan.optimizer_options, 2.0) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["constant", "cosine", "linear", "warmup-cosine", "onecycle", "step"])
def test_named_schedules_run_their_whole_length(name: str) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = schedule_by_name(name)(30)(optimizer)
    rates = []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) == pytest.approx(0.5, rel=0.02)
    assert min(rates) >= 0
    assert (rates[-1] < 0.1) == (name != "constant")


def test_the_constant_predictors_loss() -> None:
    labels = torch.tensor([0] * 30 + [1] * 10)
    ce = Problem(name="c", model=nn.Module, train=(torch.zeros(40, 1), labels), loss=nn.CrossEntropyLoss())
    assert constant_loss(ce) == pytest.approx(
        -(0.75 * torch.tensor(0.75).log() + 0.25 * torch.tensor(0.25).log())
    )
    targets = torch.tensor([[3.0, 0.0], [6.0, 0.0], [9.0, 4.0], [12.0, 4.0]])
    mse = Problem(name="m", model=nn.Module, train=(torch.zeros(4, 1), targets), loss=nn.MSELoss())
    assert constant_loss(mse) == pytest.approx((11.25 + 4.0) / 2)
    smooth = Problem(
        name="s",
        model=nn.Module,
        train=(torch.zeros(40, 1), labels),
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
    )
    assert constant_loss(smooth) is None


def test_the_way_is_said_and_why() -> None:
    assert made().execution(2) == "2 lanes in one pass"

    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.layer(x)
            return h if h.sum() > 0 else -h

    how = made(model=Looks).execution(2)
    assert how.startswith(
        "2 lanes, one after another: the model cannot be vectorised: it branches on the values"
    )
    assert issubclass(ProblemError, LrscopeError)


def test_curvature_is_measured_unasked_only_where_it_can_be() -> None:
    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.layer(x)
            return h if h.sum() > 0 else -h

    assert made(batch_size=0).plan.curvature_examples == 20
    assert made(batch_size=5).plan.curvature_examples is None
    assert made(batch_size=0, model=Tiny).plan.curvature_examples is None
