"""Lanes: K ordinary modules whose parameters and buffers are views of stacked tensors.

Letters: L lanes.
"""

import contextlib
import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrscope.errors import TrainingError
from lrscope.plan import LaneKey, Tracked
from lrscope.problems.problem import OptimizerFactory, Schedule
from lrscope.training.checkpoint import optimizer_state, restore_optimizer
from lrscope.training.elements import picked
from lrscope.training.optimizers import LaneOptimizers, make_optimizer, make_scheduler, use_fused_kernel
from lrscope.training.tracked import TrackedScalars


@dataclasses.dataclass
class Lane:
    """One rate and one seed: an ordinary module, optimizer and scheduler, as in separate training."""

    key: LaneKey
    module: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler | None


class Lanes:
    """The lanes of a Block.

    Args:
        start: the starting module of their seed.
        keys: the lanes.
        optimizer, schedule: the user's factories.
        untrained: names of parameters that get no gradient (frozen, or not used by the loss).
        tracked: (name, index) of scalars that are kept at every step.
        fused: whether optimizers may use their fused kernel, which expects every gradient at every step.

    Attributes:
        weights: name -> [L, ...], every parameter, in the order of `named_parameters`.
        buffers: name -> [L, ...].
        trained: the names of the weights that get gradients.
        lanes: the lanes, whose modules alias the stacks.
        tracked: the scalars, as they were step after step.
        retired: lanes that are left alone: they get no gradients any more.
        failure: why none of them can go on, where that need not be their own fault.
    """

    def __init__(
        self,
        start: nn.Module,
        keys: Sequence[LaneKey],
        optimizer: OptimizerFactory,
        schedule: Schedule | None,
        untrained: frozenset[str] = frozenset(),
        tracked: Tracked = (),
        *,
        fused: bool = True,
    ) -> None:
        self._tracked, self._fused = tracked, fused
        self.keys = tuple(keys)
        count = len(keys)
        with torch.no_grad():
            self.weights = {
                name: torch.stack([parameter.detach()] * count).contiguous()
                for name, parameter in start.named_parameters()
            }
            self.buffers = {
                name: torch.stack([buffer] * count).contiguous() for name, buffer in start.named_buffers()
            }
        self.trained = tuple(
            name
            for name, parameter in start.named_parameters()
            if parameter.requires_grad and name not in untrained
        )
        self.lanes = [self._lane(index, key, start, optimizer, schedule) for index, key in enumerate(keys)]
        self._params = {
            name: [dict(lane.module.named_parameters())[name] for lane in self.lanes] for name in self.trained
        }
        self.retired: set[int] = set()
        self.failure: TrainingError | None = None
        self._stacked: dict[str, Tensor] | None = None
        self._handed_out = True
        self._optimizers = self._lane_optimizers()
        self.tracked = self._followed()

    def _followed(self) -> TrackedScalars:
        return TrackedScalars(self._tracked, self.weights, len(self))

    def _lane_optimizers(self) -> LaneOptimizers:
        return LaneOptimizers(
            [lane.optimizer for lane in self.lanes],
            [lane.scheduler for lane in self.lanes],
            {name: (self.weights[name], params) for name, params in self._params.items()},
            lambda: self._stacked,
        )

    def _lane(
        self,
        index: int,
        key: LaneKey,
        start: nn.Module,
        optimizer: OptimizerFactory,
        schedule: Schedule | None,
    ) -> Lane:
        module = copy.deepcopy(start)
        self._alias(module, index)
        made = make_optimizer(optimizer, list(module.parameters()), key.rate)
        if self._fused:
            use_fused_kernel(made)
        return Lane(key, module, made, make_scheduler(schedule, made))

    def _alias(self, module: nn.Module, index: int) -> None:
        """Make the parameters and buffers of a lane's module views of its rows of the stacks."""
        for name, parameter in module.named_parameters():
            parameter.data = self.weights[name][index]
        for name, _ in list(module.named_buffers()):
            owner, _, leaf = name.rpartition(".")
            module.get_submodule(owner)._buffers[leaf] = self.buffers[name][index]

    def __len__(self) -> int:
        return len(self.keys)

    def step(self) -> None:
        """Update every lane that has gradients, then step the schedulers.

        The weights of a lane that is left alone read NaN afterwards, as those of any lane that ran away.
        """
        self._optimizers.step(self._hand_out)
        if self._stacked is None:
            # Those of a lane that is trained by itself would stay until it is its turn again.
            for params in self._params.values():
                for param in params:
                    param.grad = None
        if not self.retired:
            return
        with torch.no_grad():
            for tensor in self.weights.values():
                if tensor.is_floating_point():
                    tensor[sorted(self.retired)] = math.nan

    def keep(self, stay: Sequence[int]) -> None:
        """Take out all lanes but some, given by their places.

        What stays keeps its modules, optimizers and schedulers; weights move, as they are, to the beginning
        of their stacks, and buffers into smaller ones, so everything that holds a view is to be made again.
        """
        self._hand_out()
        self._stacked = None
        rows = torch.tensor(stay)
        self.keys = tuple(self.keys[index] for index in stay)
        self.lanes = [self.lanes[index] for index in stay]
        with torch.no_grad():
            for name, stack in self.weights.items():
                self.weights[name] = stack[: len(stay)].copy_(stack[rows.to(stack.device)])
            for name in self.buffers:
                # As the modules have them: a model may have put a tensor of its own in place of a view.
                own = [lane.module.get_buffer(name) for lane in self.lanes]
                self.buffers[name] = torch.stack(own).contiguous()
        for index, lane in enumerate(self.lanes):
            self._alias(lane.module, index)
        self._params = {name: [params[index] for index in stay] for name, params in self._params.items()}
        self.retired = {stay.index(index) for index in self.retired if index in stay}
        self._optimizers = self._lane_optimizers()
        self.tracked = self._followed()

    def set_gradients(self, gradients: dict[str, Tensor], lanes: Sequence[int]) -> None:
        """Hand every lane its slice of the stacked gradients, name -> [l, ...], for the lanes given.

        Strides are made those of the parameter: fused CPU kernels walk raw memory and would otherwise write
        silently into the wrong places.
        """
        own = {
            name: gradient if gradient.is_contiguous() else gradient.contiguous()
            for name, gradient in gradients.items()
        }
        if len(lanes) == len(self) and own.keys() == self._params.keys():
            self._stacked, self._handed_out = own, False
            if not self._optimizers.from_stacks:
                self._hand_out()
            return
        self._hand_out()
        self._stacked = None
        for name, gradient in own.items():
            params = self._params[name]
            for lane, piece in zip(lanes, gradient.unbind(0), strict=True):
                params[lane].grad = piece

    def _hand_out(self) -> None:
        """Give every lane's parameters their slices, where so far there are only the stacked gradients."""
        if self._handed_out or self._stacked is None:
            return
        self._handed_out = True
        for name, gradient in self._stacked.items():
            for parameter, piece in zip(self._params[name], gradient.unbind(0), strict=True):
                parameter.grad = piece

    def drop_gradients(self, lane: int) -> None:
        """Leave a lane without gradients, so that its optimizer leaves it alone."""
        self._hand_out()
        self._stacked = None
        for params in self._params.values():
            params[lane].grad = None

    def rates(self) -> list[float]:
        """The current learning rate of each lane."""
        return self._optimizers.rates()

    def retire(self, lane: int) -> None:
        """Leave a lane alone from now on."""
        self.retired.add(lane)
        self.drop_gradients(lane)

    @property
    def healthy(self) -> list[int]:
        """The lanes that are not left alone."""
        return [index for index in range(len(self)) if index not in self.retired]

    def finite(self, lane: int) -> bool:
        """Whether all weights of a lane are."""
        return all(bool(torch.isfinite(tensor[lane]).all()) for tensor in self.weights.values())

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Inside, lanes that are left alone have a healthy one's weights and buffers to compute on."""
        if not self.retired or not self.healthy:
            yield
            return
        rows, healthy = sorted(self.retired), self.healthy[0]
        with torch.no_grad():
            own = [(tensor, tensor[rows]) for tensor in (*self.weights.values(), *self.buffers.values())]
            for tensor, _ in own:
                tensor[rows] = tensor[healthy].clone()
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, kept in own:
                    tensor[rows] = kept

    def hidden(self, values: Tensor) -> Tensor:
        """Values [L, ...] with NaN for lanes that are left alone: what was computed there is not theirs."""
        if not self.retired:
            return values
        return values.index_fill(0, torch.tensor(sorted(self.retired), device=values.device), math.nan)

    def gradients(self, strides: Mapping[str, int] | None = None) -> dict[str, Tensor]:
        """The gradients of this step, stacked: name -> [L, ...]; NaN for a lane that is left alone.

        Borrowed: clipping changes them in place.

        Args:
            strides: name -> s, of tensors of which only every s-th element is needed: those may be [L, n].
        """
        if self._stacked is not None:
            return dict(self._stacked)
        some = strides or {}

        def stacked(name: str, params: Sequence[nn.Parameter]) -> Tensor:
            own = (torch.zeros_like(p) if p.grad is None else p.grad for p in params)
            found = torch.cat([picked(gradient.unsqueeze(0), some.get(name)) for gradient in own])
            return self.hidden(found)

        return {name: stacked(name, params) for name, params in self._params.items()}

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint holds of the lanes."""
        self._hand_out()
        return {
            "lanes": [key.lane for key in self.keys],
            "weights": dict(self.weights),
            "buffers": {
                name: torch.stack([lane.module.get_buffer(name) for lane in self.lanes])
                for name in self.buffers
            },
            "optimizers": [optimizer_state(lane.optimizer) for lane in self.lanes],
            "schedulers": [
                None if lane.scheduler is None else lane.scheduler.state_dict() for lane in self.lanes
            ],
            "retired": sorted(self.retired),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put lanes that are at their start where others of the same keys stood."""
        stay = [index for index, key in enumerate(self.keys) if key.lane in set(state["lanes"])]
        if len(stay) < len(self.keys):
            self.keep(stay)
        with torch.no_grad():
            for name, tensor in state["weights"].items():
                self.weights[name].copy_(tensor)
            for name, tensor in state["buffers"].items():
                self.buffers[name].copy_(tensor)
        for lane, own, scheduler in zip(self.lanes, state["optimizers"], state["schedulers"], strict=True):
            restore_optimizer(lane.optimizer, own)
            if lane.scheduler is not None:
                lane.scheduler.load_state_dict(scheduler)
        self.retired = set(state["retired"])
