"""Studies of all kinds, made up from a formula: sweeps and searches whose lanes fail, tie, or stop early.

Letters: T steps.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from lrscope.plan import LaneKey, Plan
from lrscope.record import Record, Series
from lrscope.store.recorder import Recorder
from lrscope.study import Study

GRID = [float(f"{10 ** (place / 2):.3g}") for place in range(-10, 3)]
"""Rates of half a decade apart."""

START = 2.3
FATES = ("falls", "diverges", "is lost", "swings", "stands still", "rises", "collapses", "overfits")

Array = NDArray[Any]


class World(NamedTuple):
    """What decides how a lane ends.

    Attributes:
        best: the rate that ends lowest.
        lowest: the loss it ends at.
        width: decades around it over which the loss doubles.
        cliff: the rate from which lanes meet the fate below.
        fate: of lanes above the cliff.
        odd: the share of lanes that meet a fate of their own.
        noise: standard deviation of the logarithm of a lane's end, and of its batches.
    """

    best: float
    lowest: float
    width: float
    cliff: float
    fate: str
    odd: float
    noise: float


def losses(fate: str, end: float, steps: int, pace: float) -> Array:
    """Return the training loss of a lane, [T]."""
    t = np.arange(steps) / steps
    fallen = end + (START - end) * np.exp(-pace * t)
    made = {
        "falls": fallen,
        "overfits": fallen,
        "diverges": START * np.exp(6 * t),
        "is lost": np.where(t > 0.4, np.nan, fallen),
        "swings": np.where(t > 0.6, fallen + START, fallen),
        "stands still": np.full(steps, START),
        "rises": START * (1 + t),
        "collapses": np.where(t < 0.1, fallen, START),
    }
    return np.asarray(made[fate], float)


@st.composite
def plans(draw: Any) -> Plan:
    """Draw a plan; of a search, of lanes that are yet to be chosen."""
    count = draw(st.integers(1, 9))
    rates = sorted(draw(st.permutations(GRID))[:count])
    per_epoch = draw(st.sampled_from([1, 10, 20]))
    validated = draw(st.booleans())
    return Plan(
        problem="invented",
        rates=tuple(rates),
        seeds=tuple(range(draw(st.integers(1, 3)))),
        epochs=80 // per_epoch,
        steps_per_epoch=per_epoch,
        batch_size=8,
        val_size=500 if validated else None,
        optimizer="SGD",
        loss="MSELoss",
        constant_loss=draw(st.sampled_from([None, START])),
        tensors=("0.weight",),
        shapes=((4, 1),),
        metrics=("accuracy",) if validated and draw(st.booleans()) else (),
        objective=draw(st.sampled_from([None, None, "train-loss"])),
    )


@st.composite
def worlds(draw: Any) -> World:
    """Draw what decides how lanes end."""
    best = draw(st.sampled_from(GRID))
    return World(
        best=best,
        lowest=draw(st.sampled_from([0.0, 1e-9, 0.2, 1.0, 2.29])),
        width=draw(st.sampled_from([0.3, 1.0, 100.0])),
        cliff=best * draw(st.sampled_from([0.9, 2.0, 5.0, 50.0, 1e9])),
        fate=draw(st.sampled_from(FATES[1:])),
        odd=draw(st.sampled_from([0.0, 0.1, 0.4])),
        noise=draw(st.sampled_from([0.0, 0.02, 0.3])),
    )


@st.composite
def studies(draw: Any) -> Study:
    """Draw a study: a sweep, one that was interrupted, or a search that left lanes early."""
    plan, world = draw(plans()), draw(worlds())
    kind = draw(st.sampled_from(["sweep", "sweep", "interrupted", "search", "search"]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    lengths: dict[LaneKey, int] = {}
    if kind == "search":
        keys = [(key.rate, key.seed) for key in plan.lanes]
        # The first seed is tried everywhere, the others on some rates.
        chosen = tuple(key for key in keys if key[1] == 0 or rng.random() < 0.5)
        plan = Plan(**{**vars_of(plan), "chosen": chosen})
        shares = draw(st.sampled_from([(0.25, 1.0), (0.25, 0.5, 1.0), (0.25, 0.25, 0.25, 1.0), (0.25,)]))
        lengths = {key: int(plan.steps * rng.choice(shares)) for key in plan.lanes}
    elif kind == "interrupted":
        share = draw(st.sampled_from([0.1, 0.5]))
        lengths = {key: int(plan.steps * share) for key in plan.lanes}
    return recorded(plan, world, lengths, rng, points=draw(st.sampled_from([0, 8, 80])))


def vars_of(plan: Plan) -> dict[str, Any]:
    """Return the fields of a plan by name."""
    return {name: getattr(plan, name) for name in plan.__dataclass_fields__}


def recorded(
    plan: Plan, world: World, lengths: dict[LaneKey, int], rng: np.random.Generator, points: int
) -> Study:
    """Record every lane of a plan, tensors at so many points, and return the study."""
    series = [Series("loss", "", "scalar", "")]
    if plan.val_size:
        series += [Series(name, "", "scalar", "") for name in ("val_loss", *plan.metrics)]
    names = ("weight_norm", "distance", "gradient_norm", "unchanged_share") if points else ()
    series += [Series(name, "", "tensor", "") for name in names]
    writer = Recorder(None, plan, series, about={})
    with writer:
        for key in plan.lanes:
            odd = str(rng.choice(FATES)) if rng.random() < world.odd else None
            fate = odd or (world.fate if key.rate >= world.cliff else "falls")
            _record(writer, plan, key, fate, world, lengths.get(key, plan.steps), rng, points)
    return Study(writer.study_file())


def _record(
    writer: Recorder,
    plan: Plan,
    key: LaneKey,
    fate: str,
    world: World,
    length: int,
    rng: np.random.Generator,
    points: int,
) -> None:
    far = abs(np.log10(key.rate / world.best)) / world.width
    end = min(START, world.lowest * 2**far if world.lowest else world.lowest)
    luck = np.exp(world.noise * rng.normal())
    pace = 12 * min(1.0, (key.rate / world.best) ** 0.5)
    whole = losses(fate, float(end * luck), plan.steps, pace)
    whole *= np.exp(world.noise / 4 * np.random.default_rng(key.seed).normal(size=plan.steps))
    lane = np.array([key.lane], np.int32)

    def write(name: str, steps: Array, values: Array) -> None:
        if len(steps):
            writer.write(Record(name, np.asarray(steps, np.int64), lane, values))

    loss = whole[:length]
    lost = np.flatnonzero(~np.isfinite(loss))
    done = int(lost[0]) if len(lost) else length
    write("loss", np.arange(min(done + 1, length)), loss[: done + 1, None])
    at = np.arange(0, done + 1, plan.steps_per_epoch)
    if plan.val_size and len(at):
        val = np.array([START, *whole[np.minimum(at[1:], plan.steps - 1)]])
        if fate == "overfits":
            val = val + np.maximum(at / plan.steps - 0.5, 0) * 3
        write("val_loss", at, val[:, None])
        for name in plan.metrics:
            write(name, at, np.exp(-val)[:, None])
    steps = np.unique(np.linspace(0, plan.steps - 1, points).astype(int)) if points else np.empty(0, int)
    steps = steps[steps < done]
    moved = 10.0 if fate == "collapses" else 0.0 if fate == "stands still" else key.rate / world.best
    tensors = {
        "weight_norm": np.full(len(steps), 1.0),
        "distance": np.full(len(steps), moved) * steps / plan.steps,
        "gradient_norm": np.full(len(steps), 1.0),
        "unchanged_share": np.full(len(steps), 1.0 if fate == "stands still" else 0.0),
    }
    for name, values in tensors.items():
        if points:
            write(name, steps, values[:, None, None])
