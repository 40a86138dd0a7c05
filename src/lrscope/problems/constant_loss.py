"""The loss of the best constant predictor: what a model that has learned nothing can still reach."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lrscope.problems.problem import Problem


def constant_loss(problem: Problem) -> float | None:
    """The training loss of the best constant predictor, where it is known in closed form.

    Cross-entropy on class indices: the entropy of the label frequencies. Mean squared error: the mean
    variance of the targets. None for anything else, weighted or smoothed variants, and data that are not
    held as tensors.
    """
    data = problem.train.dataset if isinstance(problem.train, DataLoader) else problem.train
    tensors = data.tensors if isinstance(data, TensorDataset) else data
    if not isinstance(tensors, (tuple, list)) or len(tensors) != 2:
        return None
    target = tensors[1]
    loss = problem.loss
    if isinstance(loss, nn.CrossEntropyLoss):
        plain = loss.weight is None and loss.label_smoothing == 0 and loss.reduction == "mean"
    else:
        plain = loss is F.cross_entropy
    if plain:
        if target.is_floating_point():
            return None
        shares = torch.unique(target, return_counts=True)[1].double() / target.numel()
        return float(-(shares * shares.log()).sum())
    if loss is F.mse_loss or (isinstance(loss, nn.MSELoss) and loss.reduction == "mean"):
        flat = target.double().reshape(len(target), -1)
        return float((flat - flat.mean(dim=0)).square().mean())
    return None
