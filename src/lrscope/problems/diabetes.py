"""diabetes-mlp: the 442 real patients of scikit-learn's diabetes data, and a network that overfits them.

Source of the data: B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least Angle Regression, Annals of
Statistics 32 (2004) 407-499; the copy of scikit-learn, unscaled, in `diabetes.npz`. It is split 75 to 25 by
its `train_test_split(..., test_size=0.25, random_state=0)`.
"""

import functools
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lrscope.language import Text
from lrscope.problems.networks import multilayer_perceptron
from lrscope.problems.problem import Problem

SPLIT_SEED = 0


def make() -> Problem:
    """The problem: 10 features, one target, 10-64-1 with ReLU, Adam, mean squared error, batches of 32.

    Features and target are standardised by the training part, so a loss of 1 is that of predicting the mean.
    """
    with np.load(Path(__file__).with_name("diabetes.npz")) as arrays:
        train_x, train_y = arrays["train_features"], arrays["train_progression"]
        val_x, val_y = arrays["val_features"], arrays["val_progression"]
    return Problem(
        name="diabetes-mlp",
        model=functools.partial(multilayer_perceptron, 10, 64, 1),
        train=(_standardised(train_x, train_x), _standardised(train_y, train_y)),
        val=(_standardised(val_x, train_x), _standardised(val_y, train_y)),
        loss=nn.MSELoss(),
        optimizer=torch.optim.Adam,
        batch_size=32,
        epochs=100,
        notes=(
            Text(
                "the 442 patients are split {train} to train and {val} to validate by seed {seed}; "
                "features and "
                "target are standardised by the training part",
                "442 个病人分成 {train} 个训练和 {val} 个验证，种子 {seed}；特征和目标按训练部分标准化",
            ).format(train=len(train_x), val=len(val_x), seed=SPLIT_SEED),
        ),
    )


def _standardised(values: NDArray[np.float64], by: NDArray[np.float64]) -> Tensor:
    """(values - mean) / standard deviation, column by column, both taken from `by`; float32 [n, columns]."""
    return torch.tensor((values - by.mean(axis=0)) / by.std(axis=0), dtype=torch.float32)
