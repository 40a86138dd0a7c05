"""The same training in JAX: `vmap` over the rates of a `scan` over the steps, with optax.

The models are those of `speed_cases`, written as functions of their parameters; they start from torch's own.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn

Params = dict[str, Any]


def line(p: Params, x: Any) -> Any:
    return dense(p, x, "0")


def dense(p: Params, x: Any, name: str) -> Any:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def mlp(p: Params, x: Any) -> Any:
    return dense(p, nn.relu(dense(p, x, "0")), "2")


def cnn(p: Params, x: Any) -> Any:
    for name in ("first", "second"):
        x = lax.conv_general_dilated(x, p[f"{name}.weight"], (1, 1), "SAME")
        x = nn.relu(x + p[f"{name}.bias"][None, :, None, None])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    return dense(p, x.reshape(len(x), -1), "out")


def normed(p: Params, x: Any, name: str) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    scale = lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5)
    return centred * scale * p[f"{name}.weight"] + p[f"{name}.bias"]


def transformer(p: Params, letters: Any) -> Any:
    x = p["letter.weight"][letters] + p["place"]
    size, length, width = x.shape
    future = jnp.triu(jnp.full((length, length), -jnp.inf), 1)
    for block in ("blocks.0", "blocks.1"):
        mixed = jnp.split(dense(p, normed(p, x, f"{block}.before"), f"{block}.mixed"), 3, axis=-1)
        q, k, v = (part.reshape(size, length, 4, width // 4).swapaxes(1, 2) for part in mixed)
        weight = nn.softmax(q @ k.swapaxes(-1, -2) / np.sqrt(width // 4) + future)
        seen = (weight @ v).swapaxes(1, 2).reshape(size, length, width)
        x = x + dense(p, seen, f"{block}.out")
        wide = nn.gelu(dense(p, normed(p, x, f"{block}.between"), f"{block}.wide"), approximate=True)
        x = x + dense(p, wide, f"{block}.narrow")
    return dense(p, normed(p, x, "norm"), "head")


def gru(p: Params, x: Any) -> Any:
    def step(state: Any, given: Any) -> Any:
        reset, update, new = jnp.split(given, 3, axis=-1)
        own = state @ p["gru.weight_hh_l0"].T + p["gru.bias_hh_l0"]
        own_reset, own_update, own_new = jnp.split(own, 3, axis=-1)
        update = nn.sigmoid(update + own_update)
        new = jnp.tanh(new + nn.sigmoid(reset + own_reset) * own_new)
        return (1 - update) * new + update * state, None

    given = x @ p["gru.weight_ih_l0"].T + p["gru.bias_ih_l0"]
    start = jnp.zeros((len(x), p["gru.weight_hh_l0"].shape[1]))
    return dense(p, lax.scan(step, start, given.swapaxes(0, 1))[0], "out")


def cross_entropy(scores: Any, labels: Any) -> Any:
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()


def squares(output: Any, target: Any) -> Any:
    return jnp.square(output - target).mean()


MODELS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "line": (line, squares, optax.sgd),
    "digits": (mlp, cross_entropy, optax.adam),
    "digits-long": (mlp, cross_entropy, optax.adam),
    "784-300-10": (mlp, cross_entropy, optax.adam),
    "784-1000-10": (mlp, cross_entropy, optax.adam),
    "cnn": (cnn, cross_entropy, optax.adam),
    "transformer": (transformer, cross_entropy, optax.adam),
    "gru": (gru, cross_entropy, optax.adam),
}


def losses(
    name: str,
    start: dict[str, np.ndarray],
    data: tuple[np.ndarray, np.ndarray],
    orders: np.ndarray,
    rates: tuple[float, ...],
) -> np.ndarray:
    """Train every rate and give the losses [lanes, steps].

    Args:
        name: of the case.
        start: the parameters, by torch's names.
        data: inputs and targets.
        orders: the examples of every step, [steps, B].
        rates: one a lane.
    """
    model, loss_of, optimizer = MODELS[name]
    inputs, targets = (jnp.asarray(part) for part in data)

    def loss(p: Params, index: Any) -> Any:
        return loss_of(model(p, inputs[index]), targets[index])

    def lane(rate: Any) -> Any:
        updates = optimizer(rate)
        p = {key: jnp.asarray(value) for key, value in start.items()}

        def step(carry: Any, index: Any) -> Any:
            p, state = carry
            value, gradient = jax.value_and_grad(loss)(p, index)
            change, state = updates.update(gradient, state)
            return (optax.apply_updates(p, change), state), value

        return lax.scan(step, (p, updates.init(p)), jnp.asarray(orders))[1]

    jax.clear_caches()  # compiling is part of the price, every time
    return np.asarray(jax.jit(jax.vmap(lane))(jnp.asarray(rates, dtype=jnp.float32)))
