"""Tasks: what makes a rate hard to find, in pairs of a kind: one develops, the next is held out.

Bad scales, sums, noise, dropout, schedules, weight decay, warm starts, groups of parameters, few data.
"""

import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrscope import Problem
from tasks.data import (
    Split,
    brain_waves,
    diabetes,
    digits,
    membrane,
    patches,
    table,
    times,
    to_itself,
    with_shuffled_targets,
    with_wrong_labels,
)
from tasks.networks import LastOfGRU, from_zero, mlp
from tasks.pieces import (
    SGD,
    Adam,
    AdamW,
    RMSprop,
    deaf_loss,
    grouped,
    momentum,
    nesterov,
    problem,
    scaled,
    summed_over,
)


def wine_linear_unscaled_momentum() -> Problem:
    split = table("wine", 112, scaled=False)
    return problem(split, partial(_linear, 13, 3), F.cross_entropy, momentum, batch=28, epochs=100)


def cancer_linear_unscaled_momentum() -> Problem:
    split = table("cancer", 384, scaled=False)
    return problem(split, partial(_linear, 30, 2), F.cross_entropy, momentum, batch=96, epochs=100)


def digits_sum_momentum() -> Problem:
    loss = summed_over(F.cross_entropy, 32)
    return problem(digits(1024, 512), partial(mlp, 64, 32, 10), loss, momentum, batch=32, epochs=10)


def diabetes_sum_sgd() -> Problem:
    loss = summed_over(F.mse_loss, 32)
    model = partial(mlp, 10, 32, 1, activation=nn.Tanh)
    return problem(diabetes(320), model, loss, SGD, batch=32, epochs=40)


def cancer_inputs_x100_sgd() -> Problem:
    split = times(table("cancer", 384), 100.0)
    return problem(split, partial(mlp, 30, 24, 2), F.cross_entropy, SGD, batch=32, epochs=30)


def digits_inputs_x01_momentum() -> Problem:
    split = times(digits(1024, 512), 0.1)
    return problem(split, partial(mlp, 64, 32, 10), F.cross_entropy, momentum, batch=32, epochs=12)


def digits_wrong_labels_adam() -> Problem:
    split = with_wrong_labels(digits(1024, 512), 0.4, 10)
    return problem(split, partial(mlp, 64, 64, 10), F.cross_entropy, Adam, batch=32, epochs=12)


def cancer_wrong_labels_nesterov() -> Problem:
    split = with_wrong_labels(table("cancer", 384), 0.3, 2)
    return problem(split, partial(mlp, 30, 32, 2), F.cross_entropy, nesterov, batch=32, epochs=30)


def digits_dropout_rmsprop() -> Problem:
    model = partial(mlp, 64, 64, 10, dropout=0.3)
    return problem(digits(1024, 512), model, F.cross_entropy, RMSprop, batch=32, epochs=12)


def wine_dropout_adam() -> Problem:
    model = partial(mlp, 13, 32, 16, 3, dropout=0.2)
    return problem(table("wine", 96), model, F.cross_entropy, Adam, batch=16, epochs=50)


def digits_cosine_nesterov() -> Problem:
    model = partial(mlp, 64, 32, 32, 10)
    return problem(digits(1024, 512), model, F.cross_entropy, nesterov, batch=32, epochs=10, cosine=True)


def cancer_cosine_adamw() -> Problem:
    model = partial(mlp, 30, 32, 2)
    return problem(table("cancer", 384), model, F.cross_entropy, AdamW, batch=32, epochs=30, cosine=True)


def cancer_decay_momentum() -> Problem:
    optimizer = partial(momentum, weight_decay=0.02)
    return problem(
        table("cancer", 384), partial(mlp, 30, 24, 2), F.cross_entropy, optimizer, batch=32, epochs=30
    )


def digits_decay_adamw() -> Problem:
    optimizer = partial(AdamW, weight_decay=0.5)
    return problem(
        digits(1024, 512), partial(mlp, 64, 48, 10), F.cross_entropy, optimizer, batch=32, epochs=12
    )


def digits_new_head_adam() -> Problem:
    trained = _trained(digits(512, 256, classes=range(5)), partial(mlp, 64, 48, 32, 5), F.cross_entropy)

    def model() -> nn.Module:
        warm = copy.deepcopy(trained)
        warm[-1] = nn.Linear(32, 5)
        return warm

    split = digits(512, 256, classes=range(5, 10))
    return problem(split, model, F.cross_entropy, Adam, batch=32, epochs=20)


def flower_after_china_momentum() -> Problem:
    china, flower = (to_itself(patches((name,), 8, 768, 256)) for name in ("china.jpg", "flower.jpg"))
    trained = _trained(china, partial(mlp, 64, 24, 64, activation=nn.Tanh), F.mse_loss)
    return problem(flower, lambda: copy.deepcopy(trained), F.mse_loss, momentum, batch=32, epochs=15)


def digits_groups_adam() -> Problem:
    optimizer = grouped(Adam, last=2, ratio=0.1)
    return problem(
        digits(1024, 512), partial(mlp, 64, 48, 10), F.cross_entropy, optimizer, batch=32, epochs=12
    )


def brain_groups_momentum() -> Problem:
    optimizer = grouped(momentum, last=2, ratio=3.0)
    model = partial(LastOfGRU, 4, 12, 4)
    return problem(brain_waves(6, 480, 160), model, F.mse_loss, optimizer, batch=32, epochs=20)


def digits_few_adam() -> Problem:
    return problem(digits(64, 512), partial(mlp, 64, 64, 10), F.cross_entropy, Adam, batch=16, epochs=100)


def iris_few_rmsprop() -> Problem:
    return problem(table("iris", 32), partial(mlp, 4, 32, 3), F.cross_entropy, RMSprop, batch=8, epochs=100)


def digits_loss_x02_sgd() -> Problem:
    loss = scaled(F.cross_entropy, 0.2)
    return problem(digits(1024, 512), partial(mlp, 64, 48, 10), loss, SGD, batch=32, epochs=12)


def membrane_loss_x1000_sgd() -> Problem:
    loss = scaled(F.mse_loss, 1000.0)
    model = partial(mlp, 16, 16, 1, activation=nn.Tanh)
    return problem(membrane(16, 1024, 384), model, loss, SGD, batch=32, epochs=10)


def diabetes_shuffled_adam() -> Problem:
    split = with_shuffled_targets(diabetes(320))
    return problem(split, lambda: from_zero(mlp(10, 32, 1)), F.mse_loss, Adam, batch=32, epochs=30)


def digits_shuffled_momentum() -> Problem:
    split = with_shuffled_targets(digits(1024, 512))
    return problem(split, lambda: from_zero(mlp(64, 32, 10)), F.cross_entropy, momentum, batch=32, epochs=10)


def wine_deaf_loss_sgd() -> Problem:
    return problem(table("wine", 112), partial(mlp, 13, 16, 3), deaf_loss, SGD, batch=16, epochs=40)


def diabetes_deaf_loss_adamw() -> Problem:
    return problem(diabetes(320), partial(mlp, 10, 16, 1), deaf_loss, AdamW, batch=32, epochs=30)


def _linear(features: int, classes: int) -> nn.Sequential:
    return from_zero(nn.Sequential(nn.Linear(features, classes)))


def _trained(split: Split, make: Callable[[], nn.Sequential], loss: Callable[..., Tensor]) -> nn.Sequential:
    """The model after 300 steps of Adam on other data: the same every time, no global random state moved."""
    inputs, targets = split.train
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = make()
        optimizer = Adam(model.parameters(), lr=3e-3)
        for _ in range(300):
            index = torch.randint(len(inputs), (64,))
            optimizer.zero_grad()
            loss(model(inputs[index]), targets[index]).backward()
            optimizer.step()
    model.zero_grad(set_to_none=True)
    return model
