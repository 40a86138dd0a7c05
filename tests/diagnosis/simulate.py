"""Lanes trained with NumPy alone, and recorded as a sweep records them: curves whose truth is known.

Letters: L lanes, d parameters, T steps, k tensors.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrscope.diagnosis.curve import Curve, Track
from lrscope.plan import Plan

Array = NDArray[Any]
Batch = Callable[[Array, int], tuple[Array, Array]]
"""(parameters [L, d], step) -> losses [L] and gradients [L, d], in the dtype of the parameters."""

Update = Callable[[Array, Array], Array]


def sgd(momentum: float = 0.0, nesterov: bool = False) -> Callable[[Array], Update]:
    """v <- momentum v + g; the step is rate v, or rate (g + momentum v): torch.optim.SGD."""

    def begin(rates_L: Array) -> Update:
        velocity: list[Array] = []

        def update(gradient: Array, _: Array = rates_L) -> Array:
            new = gradient if not velocity else (velocity[0] * gradient.dtype.type(momentum) + gradient)
            velocity[:] = [new]
            step = gradient + gradient.dtype.type(momentum) * new if nesterov else new
            return rates_L[:, None].astype(gradient.dtype) * step

        return update

    return begin


def adam(beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Callable[[Array], Update]:
    """Kingma & Ba, arXiv 1412.6980, algorithm 1."""

    def begin(rates_L: Array) -> Update:
        state: dict[str, Any] = {"m": 0.0, "v": 0.0, "t": 0}

        def update(gradient: Array, _: Array = rates_L) -> Array:
            state["t"] += 1
            state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
            state["v"] = beta2 * state["v"] + (1 - beta2) * gradient**2
            mean = state["m"] / (1 - beta1 ** state["t"])
            spread = np.sqrt(state["v"] / (1 - beta2 ** state["t"]))
            return (rates_L[:, None] * mean / (spread + epsilon)).astype(gradient.dtype)

        return update

    return begin


def points(steps: int) -> Array:
    """About 120 steps at which tensors are measured, denser at the beginning."""
    even = np.linspace(0, steps, min(90, steps + 1)).round()
    return np.unique(np.concatenate([even, np.geomspace(1, steps, 40).round()]).astype(np.int64))


def train(
    batch: Batch,
    start: Array,
    plan: Plan,
    optimizer: Callable[[Array], Update],
    *,
    seed: int = 0,
    validate: Callable[[Array], Array] | None = None,
) -> tuple[Curve, ...]:
    """Train a lane for each rate of the plan, all from one start.

    Args:
        batch: loss and gradient of the step's batch.
        start: [d]; its dtype is that of the run. `plan.shapes` says how it falls into tensors.
        plan: rates, steps, shapes.
        optimizer: `sgd(...)` or `adam(...)`.
        seed: of the lanes.
        validate: parameters [L, d] -> validation losses [L], asked before training and after every epoch.
    """
    rates = np.array(plan.rates)
    ends = np.cumsum([int(np.prod(shape)) for shape in plan.shapes])
    parts = [slice(end - int(np.prod(shape)), end) for end, shape in zip(ends, plan.shapes, strict=True)]
    weights = np.repeat(start[None], len(rates), axis=0)
    update = optimizer(rates)
    measured = {
        name: [] for name in ("weight_norm", "distance", "gradient_norm", "unchanged_share", "update_ratio")
    }
    losses, tracked, val = [], [], []
    at = points(plan.steps)

    def norms(values: Array) -> Array:
        wide = values.astype(np.float64)
        return np.stack([np.linalg.norm(wide[:, part], axis=1) for part in parts], axis=1)

    with np.errstate(all="ignore"):
        for step in range(plan.steps + 1):
            tracked.append(weights[:, [part.start for part in parts]].astype(np.float64))
            if validate is not None and step % plan.steps_per_epoch == 0:
                val.append(validate(weights))
            if step in at:
                measured["weight_norm"].append(norms(weights))
                measured["distance"].append(norms(weights - start))
            if step == plan.steps:
                break
            loss, gradient = batch(weights, step)
            new = weights - update(gradient, weights)
            losses.append(loss.astype(np.float64))
            if step in at:
                measured["gradient_norm"].append(norms(gradient))
                moving = gradient != 0
                stayed = [
                    ((new == weights) & moving)[:, part].sum(1) / moving[:, part].sum(1).clip(1)
                    for part in parts
                ]
                measured["unchanged_share"].append(np.stack(stayed, axis=1))
                measured["update_ratio"].append(
                    np.nan_to_num(norms(new - weights) / norms(weights), posinf=0.0)
                )
            weights = new
    loss_TL = np.array(losses)
    return tuple(
        _curve(lane + seed * len(rates), lane, rate, seed, loss_TL[:, lane], tracked, measured, val, at, plan)
        for lane, rate in enumerate(plan.rates)
    )


def _curve(
    identity: int,
    lane: int,
    rate: float,
    seed: int,
    loss: Array,
    tracked: Sequence[Array],
    measured: dict[str, list[Array]],
    val: Sequence[Array],
    at: Array,
    plan: Plan,
) -> Curve:
    broken = np.flatnonzero(~np.isfinite(loss))
    until = int(broken[0]) if len(broken) else plan.steps
    tensors = {
        name: Track(at[: len(values)], np.array(values)[:, lane]).until(until)
        for name, values in measured.items()
    }
    epochs = np.arange(len(val)) * plan.steps_per_epoch
    return Curve(
        identity,
        rate,
        seed,
        loss,
        val=Track(epochs, np.array([values[lane] for values in val], dtype=np.float64)).until(until),
        tensors=tensors,
        trajectory=Track(np.arange(plan.steps + 1), np.array(tracked)[:, lane]).until(until),
    )


def plan_for(
    rates: Sequence[float],
    steps: int,
    shapes: Sequence[tuple[int, ...]],
    *,
    steps_per_epoch: int = 1,
    seeds: int = 1,
    **others: Any,
) -> Plan:
    """A plan of plain gradient descent, full batch unless told otherwise."""
    return Plan(
        problem="simulated",
        rates=tuple(rates),
        seeds=tuple(range(seeds)),
        epochs=steps // steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
        batch_size=1,
        optimizer=others.pop("optimizer", "SGD"),
        tensors=tuple(f"tensor{index}" for index in range(len(shapes))),
        shapes=tuple(shapes),
        tracked=tuple((f"tensor{index}", (0,) * len(shape)) for index, shape in enumerate(shapes)),
        **others,
    )


def quadratic(curvatures: Array, rotation: Array) -> Batch:
    """L = 1/2 theta' R diag(curvatures) R' theta, in the dtype of theta."""

    def batch(theta: Array, _: int) -> tuple[Array, Array]:
        hessian = ((rotation * curvatures) @ rotation.T).astype(theta.dtype)
        gradient = theta @ hessian
        return (theta.astype(np.float64) * gradient).sum(1) / 2, gradient

    return batch


LINE_LIMIT = 0.1197566
"""2 over the larger eigenvalue, 16.7006, of the Hessian [[15, 5], [5, 2]] of y = 3x."""


def line(order: Sequence[Sequence[int]] | None = None) -> Batch:
    """Mean squared error of wx + b on y = 3x, x = 1..4; all samples a step, or those that `order` names."""
    inputs = np.array([[1, 1], [2, 1], [3, 1], [4, 1]], dtype=np.float64)
    targets = 3 * inputs[:, 0]

    def batch(weights: Array, step: int) -> tuple[Array, Array]:
        chosen = slice(None) if order is None else list(order[step])
        x, y = inputs[chosen].astype(weights.dtype), targets[chosen].astype(weights.dtype)
        error = weights @ x.T - y
        return (error.astype(np.float64) ** 2).mean(1), 2 * error @ x / weights.dtype.type(len(x))

    return batch


def relu_network(
    inputs: Array, targets: Array, hidden: int, seed: int
) -> tuple[Batch, Array, list[tuple[int, ...]], float]:
    """A network with one hidden layer of ReLUs, mean squared error, full batch.

    Returns:
        Its loss and gradient, its start (float32 [d]), the shapes of its tensors, and the loss of the best
        constant answer.
    """
    rng = np.random.default_rng(seed)
    features, outputs = inputs.shape[1], targets.shape[1]
    shapes = [(hidden, features), (hidden,), (outputs, hidden), (outputs,)]
    bounds = [features**-0.5, features**-0.5, hidden**-0.5, hidden**-0.5]
    start = np.concatenate([rng.uniform(-b, b, int(np.prod(s))) for b, s in zip(bounds, shapes, strict=True)])
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    x, y = inputs.astype(np.float32), targets.astype(np.float32)

    def batch(weights: Array, _: int) -> tuple[Array, Array]:
        lanes = len(weights)
        w1, b1, w2, b2 = (
            weights[:, ends[i] : ends[i + 1]].reshape(lanes, *shape) for i, shape in enumerate(shapes)
        )
        active = x @ w1.transpose(0, 2, 1) + b1[:, None]
        middle = np.maximum(active, 0)
        error = middle @ w2.transpose(0, 2, 1) + b2[:, None] - y
        out = 2 * error / np.float32(error[0].size)
        back = (out @ w2) * (active > 0)
        parts = [back.transpose(0, 2, 1) @ x, back.sum(1), out.transpose(0, 2, 1) @ middle, out.sum(1)]
        gradient = np.concatenate([part.reshape(lanes, -1) for part in parts], axis=1)
        return (error.astype(np.float64) ** 2).mean((1, 2)), gradient

    constant = float(((targets - targets.mean(0)) ** 2).mean())
    return batch, start.astype(np.float32), shapes, constant


def blobs(classes: int, each: int, features: int, seed: int) -> tuple[Array, Array]:
    """Points around one centre a class, and their classes as rows with a single one."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, features))
    kinds = np.repeat(np.arange(classes), each)
    return centres[kinds] + 0.5 * rng.normal(size=(len(kinds), features)), np.eye(classes)[kinds]
