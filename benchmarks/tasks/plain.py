"""Tasks: ordinary networks on well-scaled data, in pairs of a kind: one develops, the next is held out."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from lrscope import Problem
from tasks.data import (
    LETTERS,
    brain_waves,
    diabetes,
    digits,
    membrane,
    patches,
    table,
    terrain,
    text,
    to_itself,
)
from tasks.networks import LastOfGRU, LetterGRU, Transformer, cnn, mlp
from tasks.pieces import SGD, Adam, AdamW, RMSprop, letters_loss, momentum, nesterov, problem

PHOTOGRAPHS = ("china.jpg", "flower.jpg")


def digits_mlp_sgd() -> Problem:
    return problem(digits(1024, 512), partial(mlp, 64, 48, 10), F.cross_entropy, SGD, batch=32, epochs=12)


def cancer_mlp_momentum() -> Problem:
    model = partial(mlp, 30, 32, 2, activation=nn.Tanh)
    return problem(table("cancer", 384), model, F.cross_entropy, momentum, batch=16, epochs=15)


def diabetes_mlp_adam() -> Problem:
    return problem(diabetes(320), partial(mlp, 10, 64, 1), F.mse_loss, Adam, batch=32, epochs=40)


def terrain_mlp_rmsprop() -> Problem:
    model = partial(mlp, 23, 32, 16, 1, activation=nn.Tanh)
    return problem(terrain(1024, 512), model, F.mse_loss, RMSprop, batch=32, epochs=12)


def digits_cnn_momentum() -> Problem:
    split = digits(1024, 384, images=True)
    return problem(split, partial(cnn, 8, 10), F.cross_entropy, momentum, batch=32, epochs=10)


def patches_cnn_adam() -> Problem:
    split = patches(PHOTOGRAPHS, 10, 1024, 512)
    return problem(split, partial(cnn, 10, 2), F.cross_entropy, Adam, batch=32, epochs=10)


def patches_batchnorm_nesterov() -> Problem:
    split = patches(PHOTOGRAPHS, 10, 1024, 384)
    return problem(split, partial(cnn, 10, 2, norm=True), F.cross_entropy, nesterov, batch=32, epochs=10)


def digits_batchnorm_adam() -> Problem:
    split = digits(1024, 384, images=True)
    return problem(split, partial(cnn, 8, 10, norm=True), F.cross_entropy, Adam, batch=32, epochs=10)


def wine_layernorm_adamw() -> Problem:
    model = partial(mlp, 13, 32, 32, 3, norm=nn.LayerNorm)
    return problem(table("wine", 112), model, F.cross_entropy, AdamW, batch=16, epochs=45)


def digits_layernorm_sgd() -> Problem:
    model = partial(mlp, 64, 32, 32, 10, norm=nn.LayerNorm)
    return problem(digits(1024, 384), model, F.cross_entropy, SGD, batch=32, epochs=10)


def help_transformer_adamw() -> Problem:
    model = partial(Transformer, len(LETTERS), 12, 16)
    return problem(text(12, 768, 192), model, letters_loss, AdamW, batch=32, epochs=14)


def help_transformer_cosine_adam() -> Problem:
    model = partial(Transformer, len(LETTERS), 8, 16, layers=2)
    split = text(8, 768, 192, second=True)
    return problem(split, model, letters_loss, Adam, batch=32, epochs=12, cosine=True)


def help_gru_adam() -> Problem:
    model = partial(LetterGRU, len(LETTERS), 20)
    return problem(text(8, 768, 192), model, letters_loss, Adam, batch=32, epochs=14)


def brain_gru_rmsprop() -> Problem:
    model = partial(LastOfGRU, 4, 16, 4)
    return problem(brain_waves(8, 480, 160), model, F.mse_loss, RMSprop, batch=32, epochs=20)


def membrane_linear_nesterov() -> Problem:
    split = membrane(16, 1024, 384)
    return problem(split, partial(nn.Linear, 16, 1), F.mse_loss, nesterov, batch=32, epochs=10)


def digits_linear_sgd() -> Problem:
    return problem(digits(1024, 512), partial(nn.Linear, 64, 10), F.cross_entropy, SGD, batch=32, epochs=10)


def china_autoencoder_adam() -> Problem:
    split = to_itself(patches(PHOTOGRAPHS[:1], 8, 1024, 256))
    return problem(split, partial(mlp, 64, 32, 8, 32, 64), F.mse_loss, Adam, batch=32, epochs=10)


def digits_autoencoder_momentum() -> Problem:
    split = to_itself(digits(1024, 256))
    model = partial(mlp, 64, 12, 64, activation=nn.Tanh)
    return problem(split, model, F.mse_loss, momentum, batch=32, epochs=12)
