"""Plan: the whole question of a sweep, as plain data that goes to JSON and back."""

import dataclasses
import json
from typing import Any, NamedTuple, Self, TypeAlias

DEFAULT_RATES = "1e-5:1:16"
"""Five decades, a factor of 2.15 apart: from too slow to diverged for nearly every model and optimizer."""

GRADIENTS = ("autograd", "finite-difference", "central-difference")
"""How a sweep can get its gradients: exact, or measured by forward or central differences."""

RECORDS = ("full", "light", "losses")
"""How often the tensors of a run are measured: at about 125 steps, at about 45 steps, never."""

SAMPLED_BELOW = 2**18
"""Training examples that a lane sees in a run, below which large tensors are measured by a sample of their
elements: training then takes too little time for measuring all of them again and again."""

GROUP_RATES = "group_rates"
"""The option that holds what multiples of a lane's rate its parameter groups have, where any is not 1."""


class LaneKey(NamedTuple):
    """A lane's identity. Its key is the id, never the float."""

    lane: int
    rate: float
    seed: int


Tracked: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
"""Scalars of the weights, as (tensor, index)."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is trained, at which rates and seeds, for how long, and what is recorded.

    Attributes:
        problem: the problem's name.
        rates: learning rates, rising.
        seeds: 0..N-1.
        epochs, steps_per_epoch, batch_size: the length of each lane's training.
        train_size: training examples, None where a loader does not tell.
        val_size: validation examples, 0 where a loader does not tell, None where there are none.
        optimizer: its class name, "Adam"; optimizer_options: what differs from its defaults, for people.
        schedule: the schedule's name, None for a constant rate.
        clip_norm: the largest gradient norm of a lane, None for no clipping.
        loss: the loss's name; constant_loss: the loss of the best constant predictor, None where unknown;
            constant_val_loss: its loss on the validation data.
        dtype: of the parameters, "float32"; device: "cpu", "cuda:0".
        tensors, shapes: name and shape of each parameter tensor, in the order of
            `named_parameters`.
        tracked: the scalars whose trajectory is kept, as (tensor, index).
        metrics: the names of the problem's metrics.
        gradient: how gradients were got, one of `GRADIENTS`; nudge: by how much a weight is moved to measure
            its derivative, None for autograd.
        chosen: the lanes as (rate, seed), in the order in which they began, where they are not every rate for
            every seed.
        scouted: updates of a range test that came before the lanes.
        objective: what rates are compared by: "val-loss" (at the end of training), "train-loss" or the name
            of a metric; None for the validation loss where there is one.
        curvature_examples: examples the Hessian of the loss is taken on; None where no curvature is measured.
        probes: whether batches are asked again after their update, and a fifth of the rate tried in the end.
        record: how much is recorded, one of `RECORDS`.
    """

    problem: str
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    epochs: int
    steps_per_epoch: int
    batch_size: int
    train_size: int | None = None
    val_size: int | None = None
    optimizer: str = ""
    optimizer_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule: str | None = None
    clip_norm: float | None = None
    loss: str = ""
    constant_loss: float | None = None
    constant_val_loss: float | None = None
    dtype: str = "float32"
    device: str = "cpu"
    tensors: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    tracked: Tracked = ()
    metrics: tuple[str, ...] = ()
    curvature_examples: int | None = None
    probes: bool = False
    gradient: str = "autograd"
    nudge: float | None = None
    chosen: tuple[tuple[float, int], ...] | None = None
    scouted: int = 0
    objective: str | None = None
    record: str = "full"

    @property
    def steps(self) -> int:
        """Updates of each lane."""
        return self.epochs * self.steps_per_epoch

    @property
    def sampled(self) -> bool:
        """Whether large tensors are measured by a sample of their elements."""
        return self.steps * max(1, self.batch_size) < SAMPLED_BELOW

    @property
    def lanes(self) -> tuple[LaneKey, ...]:
        """The chosen ones, or every rate for every seed, seed by seed."""
        keys = self.chosen
        if keys is None:
            keys = tuple((rate, seed) for seed in self.seeds for rate in self.rates)
        return tuple(LaneKey(lane, rate, seed) for lane, (rate, seed) in enumerate(keys))

    def to_json(self) -> str:
        """Strict JSON; `from_json` gives an equal plan back."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; keys of a later version are left aside."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {key: value for key, value in json.loads(text).items() if key in known}
        for name in ("rates", "seeds", "tensors", "metrics"):
            values[name] = tuple(values[name])
        values["shapes"] = tuple(tuple(shape) for shape in values["shapes"])
        if values.get("chosen") is not None:
            values["chosen"] = tuple((rate, seed) for rate, seed in values["chosen"])
        values["tracked"] = tuple((tensor, tuple(index)) for tensor, index in values["tracked"])
        return cls(**values)
