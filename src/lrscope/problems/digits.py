"""digits: the 1,797 real handwritten digits of scikit-learn, 8x8 pixels, and a small network.

Source of the data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998; the copy of scikit-learn, in `digits.npz`. It is split 80 to 20, class by class, by its
`train_test_split(..., test_size=0.2, stratify=labels, random_state=0)`.
"""

import functools
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lrscope.language import Text
from lrscope.problems.metrics import accuracy
from lrscope.problems.networks import multilayer_perceptron
from lrscope.problems.problem import Problem

BRIGHTEST = 16.0
"""Pixels are counts of 0 to 16."""

SPLIT_SEED = 0


def make() -> Problem:
    """The problem: 1,437 digits to train, 360 to validate, 64-100-10 with ReLU, Adam, batches of 32."""
    with np.load(Path(__file__).with_name("digits.npz")) as arrays:
        train_x, train_y = arrays["train_pixels"] / BRIGHTEST, arrays["train_labels"]
        val_x, val_y = arrays["val_pixels"] / BRIGHTEST, arrays["val_labels"]
    return Problem(
        name="digits",
        model=functools.partial(multilayer_perceptron, 64, 100, 10),
        train=_tensors(train_x, train_y),
        val=_tensors(val_x, val_y),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam,
        batch_size=32,
        epochs=20,
        metrics={"accuracy": accuracy},
        notes=(
            Text(
                "the 1,797 digits are split {train} to train and {val} to validate, class by class, "
                "by seed {seed}",
                "1,797 个数字分成 {train} 个训练和 {val} 个验证，逐类划分，种子 {seed}",
            ).format(train=f"{len(train_x):,}", val=f"{len(val_x):,}", seed=SPLIT_SEED),
        ),
    )


def _tensors(pixels: NDArray[np.float64], labels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Images float32 [n, 64] in [0, 1] and their digits int64 [n]."""
    return torch.tensor(pixels, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
