"""The loss of the best constant predictor: what a model that has learned nothing can still reach."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lrscope.problems.problem import Problem


def constant_loss(problem: Problem) -> float | None:
    """The training loss of the best constant predictor, where it is known in closed form.

    Cross-entropy on class indices: the entropy of the label frequencies. Mean squared error: the mean
    variance of the targets. None for anything else, weighted or smoothed variants, and data that are not
    held as tensors.
    """
    return _constant_on(problem, problem.train)


def constant_val_loss(problem: Problem) -> float | None:
    """The validation loss of the constant that is best on the training data; None as above."""
    return None if problem.val is None else _constant_on(problem, problem.val)


def _constant_on(problem: Problem, data: Any) -> float | None:
    """The mean loss, on some data, of the constant that is best on the training data."""
    learned, target = _targets(problem.train), _targets(data)
    if learned is None or target is None:
        return None
    loss = problem.loss
    if isinstance(loss, nn.CrossEntropyLoss):
        plain = loss.weight is None and loss.label_smoothing == 0 and loss.reduction == "mean"
    else:
        plain = loss is F.cross_entropy
    if plain:
        if learned.is_floating_point() or target.is_floating_point() or min(learned.min(), target.min()) < 0:
            return None
        classes = int(max(learned.max(), target.max())) + 1
        shares = torch.bincount(learned.flatten(), minlength=classes).double() / learned.numel()
        value = float(-shares[target.flatten()].log().mean())
        return value if math.isfinite(value) else None
    if loss is F.mse_loss or (isinstance(loss, nn.MSELoss) and loss.reduction == "mean"):
        mean = learned.double().reshape(len(learned), -1).mean(dim=0)
        flat = target.double().reshape(len(target), -1)
        return float((flat - mean).square().mean()) if flat.shape[1:] == mean.shape else None
    return None


def _targets(data: Any) -> Tensor | None:
    """The targets of data held as a pair of tensors."""
    data = data.dataset if isinstance(data, DataLoader) else data
    tensors = data.tensors if isinstance(data, TensorDataset) else data
    if not isinstance(tensors, (tuple, list)) or len(tensors) != 2 or not isinstance(tensors[1], Tensor):
        return None
    return tensors[1] if tensors[1].numel() else None
