"""Updates with less Python are bitwise torch's own, or are not used."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook

from lrscope.optimizer_facts import facts_of
from lrscope.plan import LaneKey
from lrscope.training import kernels
from lrscope.training.descent import Descent
from lrscope.training.kernels import Fused
from lrscope.training.lanes import Lanes

RATES = (1e-4, 1e-2, 1.0)
STEPS = 6

OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], type | None]] = {
    "sgd": (SGD, Descent),
    "sgd-fused": (functools.partial(SGD, fused=True), Descent),
    "momentum": (functools.partial(SGD, momentum=0.9), Fused),
    "nesterov": (functools.partial(SGD, momentum=0.9, nesterov=True, weight_decay=0.1), Fused),
    "decay": (functools.partial(SGD, weight_decay=0.1), Fused),
    "maximize": (functools.partial(SGD, maximize=True), Fused),
    "adam": (Adam, Fused),
    "amsgrad": (functools.partial(Adam, amsgrad=True, weight_decay=0.1), Fused),
    "adamw": (AdamW, Fused),
    "foreach": (functools.partial(Adam, foreach=True), None),
    "rmsprop": (torch.optim.RMSprop, None),
}


def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3))


def make(optimizer: Callable[..., Optimizer], schedule: object = None) -> Lanes:
    keys = [LaneKey(index, rate, 0) for index, rate in enumerate(RATES)]
    return Lanes(model(), keys, optimizer, schedule)  # type: ignore[arg-type]


def gradients(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {name: torch.randn(3, *p.shape, generator=generator) for name, p in model().named_parameters()}


def stepped(lanes: Lanes, steps: int = STEPS) -> None:
    for step in range(steps):
        lanes.set_gradients(gradients(step), range(len(RATES)))
        lanes.step()


def own(optimizer: Callable[..., Optimizer], schedule: object = None) -> list[tuple[nn.Module, Optimizer]]:
    """The same by ordinary optimizers with the kernel that lanes choose."""
    made = []
    for lane, rate in enumerate(RATES):
        module = model()
        alone = optimizer(module.parameters(), lr=rate)
        group = alone.param_groups[0]
        if not group["foreach"] and facts_of(type(alone)).fused_state:
            group["fused"] = True
        scheduler = schedule(alone) if schedule is not None else None  # type: ignore[operator]
        for step in range(STEPS):
            for name, parameter in module.named_parameters():
                parameter.grad = gradients(step)[name][lane].clone()
            alone.step()
            if scheduler is not None:
                scheduler.step()
        made.append((module, alone))
    return made


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("scheduled", [False, True])
def test_weights_and_state_are_bitwise_those_of_ordinary_optimizers(name: str, scheduled: bool) -> None:
    optimizer, kind = OPTIMIZERS[name]
    schedule = functools.partial(lr_scheduler.ExponentialLR, gamma=0.9) if scheduled else None
    lanes = make(optimizer, schedule)
    stepped(lanes)
    used = lanes._optimizers._update
    assert used is None if kind is None else type(used) is kind
    for lane, (module, alone) in zip(lanes.lanes, own(optimizer, schedule), strict=True):
        for mine, theirs in zip(lane.module.parameters(), module.parameters(), strict=True):
            assert torch.equal(mine, theirs)
            for key, value in alone.state[theirs].items():
                held = lane.optimizer.state[mine][key]
                assert torch.equal(held, value) if isinstance(value, Tensor) else held == value


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_a_lane_without_gradients_is_left_alone(name: str) -> None:
    lanes = make(OPTIMIZERS[name][0])
    stepped(lanes)
    assert lanes._optimizers._update is not None
    before = {key: stack.clone() for key, stack in lanes.weights.items()}
    lanes.set_gradients(gradients(0), range(len(RATES)))
    lanes.drop_gradients(1)
    lanes.step()
    for key, stack in lanes.weights.items():
        assert torch.equal(stack[1], before[key][1])
        assert not torch.equal(stack[2], before[key][2])


def test_a_parameter_that_gets_gradients_only_later_is_trained_from_then_on() -> None:
    lanes = make(Adam)
    late = [dict(lane.module.named_parameters())["1.bias"] for lane in lanes.lanes]
    for step in range(STEPS):
        lanes.set_gradients(gradients(step), range(len(RATES)))
        for parameter in late:
            parameter.grad = None if step < 4 else torch.ones_like(parameter)
        before = lanes.weights["1.bias"].clone()
        lanes.step()
        assert torch.equal(lanes.weights["1.bias"], before) == (step < 4)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_an_update_that_differs_is_not_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Descent, Fused):
        original = kind.__call__

        def wrong(self: object, original: Callable[[object], bool] = original) -> bool:
            done = original(self)
            tensors = getattr(self, "_stacks", None)
            some = next(iter(tensors.values())).weights if tensors else self._groups[0].params[0]  # type: ignore[attr-defined]
            with torch.no_grad():
                some.add_(1e-3)
            return done

        monkeypatch.setattr(kind, "__call__", wrong)
    optimizer = OPTIMIZERS[name][0]
    lanes = make(optimizer)
    stepped(lanes)
    assert lanes._optimizers._update is None
    for lane, (module, _) in zip(lanes.lanes, own(optimizer), strict=True):
        assert all(map(torch.equal, lane.module.parameters(), module.parameters()))


def test_an_unknown_version_of_torch_steps_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "NEWEST", (2, 0))
    lanes = make(Adam)
    stepped(lanes)
    assert lanes._optimizers._update is None


def test_hooks_are_called_at_every_step() -> None:
    calls: list[Optimizer] = []

    def hooked(params: list[Tensor], lr: float) -> Optimizer:
        made = Adam(params, lr=lr)
        made.register_step_post_hook(lambda optimizer, *_: calls.append(optimizer))
        return made

    stepped(make(hooked))
    assert len(calls) == STEPS * len(RATES)


def test_hooks_on_all_optimizers_are_called_too() -> None:
    calls: list[Optimizer] = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: calls.append(optimizer))
    try:
        stepped(make(SGD))
    finally:
        handle.remove()
    assert len(calls) == STEPS * len(RATES)


def test_clipped_gradients_are_those_that_are_used() -> None:
    lanes = make(SGD)
    stepped(lanes)
    assert lanes._optimizers.from_stacks
    mine = gradients(0)
    lanes.set_gradients(mine, range(len(RATES)))
    before = lanes.weights["0.weight"].clone()
    mine["0.weight"].zero_()
    lanes.set_gradients(mine, range(len(RATES)))
    assert torch.equal(lanes.gradients()["0.weight"], mine["0.weight"])
    lanes.step()
    assert torch.equal(lanes.weights["0.weight"], before)
