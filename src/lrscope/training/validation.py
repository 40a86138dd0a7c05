"""Validation: loss and metrics of every lane over the validation data, averaged over examples."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves, tree_map

from lrscope.errors import TrainingError
from lrscope.problems.problem import Problem
from lrscope.training.batches import examples
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective, pair
from lrscope.training.random_state import RandomState, Stream


class Validation:
    """Evaluates all lanes in eval mode, without gradients.

    The forward passes of the lanes are one call where the model allows it; losses and metrics are then the
    user's own functions on each lane's own output, so they may use `.item()`, NumPy or anything else. Some of
    them raise at what a lane that ran away computes: its values are NaN then, and no other lane's change.

    Args:
        problem: names the loss, the step and the metrics.
        lanes: what is evaluated, at its present weights.
        objectives: lane -> the objective of its own module.
        batches: gives the validation batches.
        seed: of the random numbers that a model draws in eval mode: every lane draws the same ones, at every
            validation.
        together: whether the lanes go through the model in one call.
    """

    def __init__(
        self,
        problem: Problem,
        lanes: Lanes,
        objectives: Mapping[int, Objective],
        batches: Callable[[], Iterator[Any]],
        seed: int,
        *,
        together: bool,
    ) -> None:
        self._metrics = problem.metrics
        self._by_step = problem.step is not None
        self._lanes = lanes
        self._batches = batches
        self._together = together
        self._stream = Stream.seeded(seed)
        self._of_lane = objectives

    @property
    def _objectives(self) -> list[Objective]:
        """Those of the lanes that are there now."""
        return [self._of_lane[key.lane] for key in self._lanes.keys]

    @property
    def _names(self) -> tuple[str, ...]:
        return ("val_loss", *(() if self._by_step else self._metrics))

    def __call__(self) -> dict[str, Tensor]:
        """name -> float64 [L], on the host: "val_loss" and each metric; NaN for lanes that are left alone.

        Where model, loss or a metric raised for no single lane's fault, `Lanes.failure` says so.
        """
        lanes = self._lanes
        if not lanes.healthy:
            return {name: torch.full((len(lanes),), math.nan, dtype=torch.float64) for name in self._names}
        sums: dict[str, Tensor] = {}
        count = 0
        modules = [lane.module for lane in lanes.lanes]
        with torch.no_grad(), evaluating(modules), lanes.lent(), self._stream.entered(keep=False):
            for batch in self._batches():
                size = examples(batch)
                count += size
                for name, values_L in self._batch(batch).items():
                    weighted = torch.as_tensor(values_L, dtype=torch.float64) * size
                    sums[name] = sums[name] + weighted if name in sums else weighted
        return {name: lanes.hidden(total_L / count) for name, total_L in sums.items()}

    def _batch(self, batch: Any) -> dict[str, list[float]]:
        try:
            return self._of_all(batch)
        except Exception as error:
            return self._one_by_one(batch, error)

    def _one_by_one(self, batch: Any, error: Exception) -> dict[str, list[float]]:
        """Each lane's values, NaN for those that raise.

        It is no lane's fault where all do, none of them at weights or an output that is not finite.
        """
        names = self._names
        values: dict[str, list[float]] = {name: [] for name in names}
        excused = False
        for index in range(len(self._lanes)):
            output = None
            own = dict.fromkeys(names, math.nan)
            try:
                if not self._by_step:
                    output = self._lanes.lanes[index].module(pair(batch)[0])
                own = self._of_one(index, batch, output)
            except Exception:
                excused |= output is not None and not _finite(output)
                excused |= not self._lanes.finite(index)
            else:
                excused = True
            for name in names:
                values[name].append(own[name])
        if not excused:
            failure = TrainingError(f"validation raised {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._lanes.failure = failure
        return values

    def _of_one(self, index: int, batch: Any, output: Any) -> dict[str, float]:
        objective = self._objectives[index]
        if self._by_step:
            return {"val_loss": float(objective(batch))}
        target = pair(batch)[1]
        metrics = {name: float(metric(output, target)) for name, metric in self._metrics.items()}
        return {"val_loss": float(objective.loss_of(output, target)), **metrics}

    def _of_all(self, batch: Any) -> dict[str, list[float]]:
        if self._by_step:
            if self._together:
                return {"val_loss": self._call(None, batch).tolist()}
            return {"val_loss": [float(loss) for loss in _drawing_alike(self._objectives, batch)]}
        inputs, target = pair(batch)
        if self._together:
            outputs = self._call(Objective.prefix, inputs)
            each = [tree_map(lambda leaf, k=k: leaf[k], outputs) for k in range(len(self._lanes))]
        else:
            each = _drawing_alike([lane.module for lane in self._lanes.lanes], inputs)
        values = {
            "val_loss": torch.stack(
                [o.loss_of(out, target).detach() for o, out in zip(self._objectives, each, strict=True)]
            ).tolist()
        }
        for name, metric in self._metrics.items():
            values[name] = _floats([metric(output, target) for output in each])
        return values

    def _call(self, model_prefix: str | None, batch: Any) -> Any:
        """All lanes through the model (or, for `step=`, the objective) at once: leaves [L, ...]."""
        if model_prefix is None:
            module: nn.Module = self._objectives[0]
            stacked = {
                Objective.prefix + name: tensor
                for name, tensor in {**self._lanes.weights, **self._lanes.buffers}.items()
            }
        else:
            module = self._lanes.lanes[0].module
            stacked = {**self._lanes.weights, **self._lanes.buffers}
        return torch.func.vmap(
            lambda tensors: functional_call(module, tensors, (batch,)), in_dims=(0,), randomness="same"
        )(stacked)


def _drawing_alike(modules: Sequence[nn.Module], batch: Any) -> list[Any]:
    """Call modules on a batch one after another, all from one random state."""
    start = RandomState.now()
    found = []
    for module in modules:
        start.restore()
        found.append(module(batch))
    return found


def _finite(output: Any) -> bool:
    return all(bool(torch.isfinite(leaf).all()) for leaf in tree_leaves(output) if isinstance(leaf, Tensor))


def _floats(values: Sequence[Any]) -> list[float]:
    if all(isinstance(value, Tensor) for value in values):
        return [
            float(value) for value in torch.stack([value.detach().reshape(()) for value in values]).tolist()
        ]
    return [float(value) for value in values]


class evaluating:  # noqa: N801 - used as a context, like torch.no_grad
    """Put modules into eval mode; on leaving, every submodule has the mode it had."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modules = modules

    def __enter__(self) -> None:
        self._modes: list[Mapping[nn.Module, bool]] = [
            {module: module.training for module in root.modules()} for root in self._modules
        ]
        for root in self._modules:
            root.eval()

    def __exit__(self, *exception: object) -> None:
        for modes in self._modes:
            for module, training in modes.items():
                module.training = training
