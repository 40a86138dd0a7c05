"""Plan: everything that a sweep is asked to do, as plain data that goes to JSON and back."""

import dataclasses
import json
from typing import Any, NamedTuple, Self, TypeAlias

DEFAULT_RATES = "1e-5:1:16"
"""Five decades, a factor of 2.15 apart: from too slow to diverged for nearly every model and optimizer."""

GRADIENTS = ("autograd", "finite-difference", "central-difference")
"""How a sweep computes gradients: exactly, or by forward or central differences."""

RECORDS = ("full", "light", "losses")
"""How often the tensors of a run are measured: at about 125 steps, at about 45 steps, never."""

SAMPLED_BELOW = 2**18
"""Training examples that a lane sees in a run, below which large tensors are measured by a sample of their
elements: training then takes too little time for measuring all of them again and again."""

GROUP_RATES = "group_rates"
"""The optimizer option with each parameter group's multiple of the lane's rate, if any is not 1."""


class LaneKey(NamedTuple):
    """The key of a lane: one training run at one rate with one seed.

    Attributes:
        lane: number of the lane; frames are joined by it, never by the rate.
        rate: learning rate.
        seed: seed.
    """

    lane: int
    rate: float
    seed: int


Tracked: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
"""Tracked weights, as (tensor, index)."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is trained, at which rates and seeds, for how long, and what is recorded.

    Attributes:
        problem: name of the problem.
        rates: learning rates, rising.
        seeds: seeds, 0 to N-1 in a sweep.
        epochs: passes over the training data of a full run.
        steps_per_epoch: updates of one pass.
        batch_size: examples a step.
        train_size: training examples; None if a DataLoader does not say.
        val_size: validation examples; 0 if a DataLoader does not say, None if there are none.
        optimizer: class name of the optimizer, such as "Adam".
        optimizer_options: its options that differ from the defaults.
        schedule: name of the schedule; None for a constant rate.
        clip_norm: largest gradient norm of a lane; None for no clipping.
        loss: name of the loss.
        constant_loss: training loss of the best constant predictor; None if unknown.
        constant_val_loss: validation loss of that predictor; None if unknown.
        dtype: type of the parameters, such as "float32".
        device: device, such as "cpu" or "cuda:0".
        tensors: name of each parameter tensor, in the order of `named_parameters`.
        shapes: shape of each of these tensors.
        tracked: weights kept at every step, as (tensor, index).
        metrics: names of the problem's metrics.
        gradient: how gradients are computed: "autograd", "finite-difference" or "central-difference".
        nudge: by how much a weight is moved to measure its derivative; None for autograd.
        chosen: the lanes as (rate, seed), in the order in which they began; None if every seed trains every
            rate.
        scouted: updates of a range test before the lanes.
        objective: what rates are compared by: "val-loss" (at the end of training), "train-loss" or the name
            of a metric; None for the validation loss if there is one.
        curvature_examples: examples on which the Hessian of the loss is taken; None if curvature is not
            measured.
        probes: whether extra gradients are computed after 20 updates, and training continues briefly at a
            fifth of the rate.
        record: how often tensors are measured: "full", "light" or "losses".
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
        """Return the updates of a full run."""
        return self.epochs * self.steps_per_epoch

    @property
    def sampled(self) -> bool:
        """Return whether a sample of the elements of large tensors is measured."""
        return self.steps * max(1, self.batch_size) < SAMPLED_BELOW

    @property
    def lanes(self) -> tuple[LaneKey, ...]:
        """Return the keys of all lanes: the chosen ones, or every rate for every seed, seed by seed."""
        keys = self.chosen
        if keys is None:
            keys = tuple((rate, seed) for seed in self.seeds for rate in self.rates)
        return tuple(LaneKey(lane, rate, seed) for lane, (rate, seed) in enumerate(keys))

    def to_json(self) -> str:
        """Return the plan as strict JSON; `from_json` gives an equal plan back."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; keys of a later version are ignored."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {key: value for key, value in json.loads(text).items() if key in known}
        for name in ("rates", "seeds", "tensors", "metrics"):
            values[name] = tuple(values[name])
        values["shapes"] = tuple(tuple(shape) for shape in values["shapes"])
        if values.get("chosen") is not None:
            values["chosen"] = tuple((rate, seed) for rate, seed in values["chosen"])
        values["tracked"] = tuple((tensor, tuple(index)) for tensor, index in values["tracked"])
        return cls(**values)
