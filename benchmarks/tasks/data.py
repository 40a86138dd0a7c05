"""Real data that installed packages ship with, as tensors: no download, no random data.

From scikit-learn: digits, wine, breast cancer, diabetes, iris, two photographs. From Matplotlib: a surveyed
terrain (Jacksboro fault), an electroencephalogram, a membrane potential. From Python: the text of its help.
Every choice of examples is made by a fixed seed. Letters: n examples, k features, t steps of a sequence.
"""

import functools
import pydoc_data.topics
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib.cbook
import numpy as np
import sklearn.datasets
import torch
from numpy.typing import NDArray
from torch import Tensor

BRIGHTEST_DIGIT = 16.0
LETTERS = "abcdefghijklmnopqrstuvwxyz .,()_'\n"
"""What a text is reduced to; every other character reads as a space."""

TABLES: dict[str, Callable[..., Any]] = {
    "wine": sklearn.datasets.load_wine,
    "cancer": sklearn.datasets.load_breast_cancer,
    "iris": sklearn.datasets.load_iris,
}


class Split(NamedTuple):
    """Training and validation data, each (inputs, targets)."""

    train: tuple[Tensor, Tensor]
    val: tuple[Tensor, Tensor]


def table(name: str, train: int, *, scaled: bool = True) -> Split:
    """A classification table: features float32 [n, k], standardised by the training part or raw."""
    features, labels = TABLES[name](return_X_y=True)
    return _split(features, labels, train, len(features) - train, scaled_inputs=scaled)


def diabetes(train: int) -> Split:
    """Features [n, 10] and the disease's progression [n, 1], both standardised by the training part."""
    features, progression = sklearn.datasets.load_diabetes(return_X_y=True, scaled=False)
    return _split(
        features, progression[:, None], train, len(features) - train, scaled_inputs=True, scaled_targets=True
    )


def digits(train: int, val: int, *, images: bool = False, classes: range = range(10)) -> Split:
    """Handwritten digits in [0, 1]: [n, 64], or [n, 1, 8, 8] as images; classes are counted from 0."""
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    chosen = np.isin(labels, list(classes))
    pixels, labels = pixels[chosen] / BRIGHTEST_DIGIT, labels[chosen] - classes.start
    return _split(pixels.reshape(-1, 1, 8, 8) if images else pixels, labels, train, val)


def patches(photographs: tuple[str, ...], size: int, train: int, val: int) -> Split:
    """Grey square patches [n, 1, size, size], mean 0, and the number of the photograph each is cut from."""
    rng = np.random.default_rng(0)
    cut, labels = [], []
    for number, photograph in enumerate(photographs):
        grey = _photograph(photograph)
        for _ in range((train + val) // len(photographs)):
            top, left = (rng.integers(0, length - size) for length in grey.shape)
            cut.append(grey[top : top + size, left : left + size])
            labels.append(number)
    pieces = np.stack(cut)[:, None]
    return _split((pieces - pieces.mean()) / pieces.std(), np.array(labels), train, val)


def terrain(train: int, val: int, reach: int = 2) -> Split:
    """Heights around a place, relative to its western neighbour's, and its own height likewise, scaled."""
    with matplotlib.cbook.get_sample_data("jacksboro_fault_dem.npz") as survey:
        height = survey["elevation"].astype(np.float64)
    rng = np.random.default_rng(0)
    width = 2 * reach + 1
    centre = width * reach + reach
    inputs, targets = [], []
    for _ in range(train + val):
        top, left = (rng.integers(0, length - width) for length in height.shape)
        window = height[top : top + width, left : left + width].ravel()
        window = window - window[centre - 1]
        inputs.append(np.delete(window, (centre - 1, centre)))
        targets.append([window[centre]])
    return _split(np.array(inputs), np.array(targets), train, val, scaled_inputs=True, scaled_targets=True)


def brain_waves(length: int, train: int, val: int) -> Split:
    """Four channels of an electroencephalogram [n, t, 4] and their next sample [n, 4], standardised."""
    with matplotlib.cbook.get_sample_data("eeg.dat") as file:
        samples = np.frombuffer(file.read(), dtype=np.float64).reshape(800, 4)
    return _windows((samples - samples.mean(axis=0)) / samples.std(axis=0), length, train, val)


def membrane(length: int, train: int, val: int) -> Split:
    """A membrane's potential [n, t] and its next sample [n, 1], standardised."""
    with matplotlib.cbook.get_sample_data("membrane.dat") as file:
        samples = np.frombuffer(file.read(), dtype=np.float32).astype(np.float64)[::4, None]
    split = _windows((samples - samples.mean()) / samples.std(), length, train, val)
    return Split((split.train[0].flatten(1), split.train[1]), (split.val[0].flatten(1), split.val[1]))


def text(length: int, train: int, val: int, *, second: bool = False) -> Split:
    """Windows of the first or second half of Python's help: letters int64 [n, t] and those that follow."""
    letters = _letters()
    half = len(letters) // 2
    letters = letters[half:] if second else letters[:half]
    starts = np.random.default_rng(0).permutation(len(letters) // (length + 1))[: train + val] * (length + 1)
    windows = torch.from_numpy(np.stack([letters[at : at + length + 1] for at in starts]))
    inputs, targets = windows[:, :-1].contiguous(), windows[:, 1:].contiguous()
    return Split((inputs[:train], targets[:train]), (inputs[train:], targets[train:]))


def times(split: Split, factor: float) -> Split:
    """The same data with inputs scaled."""
    return Split((split.train[0] * factor, split.train[1]), (split.val[0] * factor, split.val[1]))


def with_wrong_labels(split: Split, share: float, classes: int) -> Split:
    """The same data, a share of the labels of both parts replaced by any class."""
    generator = torch.Generator().manual_seed(0)

    def wrong(labels: Tensor) -> Tensor:
        drawn = torch.randint(classes, labels.shape, generator=generator)
        return torch.where(torch.rand(labels.shape, generator=generator) < share, drawn, labels)

    return Split((split.train[0], wrong(split.train[1])), (split.val[0], wrong(split.val[1])))


def with_shuffled_targets(split: Split) -> Split:
    """The same data, targets dealt out anew over each part: nothing is left to learn."""
    generator = torch.Generator().manual_seed(0)

    def shuffled(targets: Tensor) -> Tensor:
        return targets[torch.randperm(len(targets), generator=generator)]

    return Split((split.train[0], shuffled(split.train[1])), (split.val[0], shuffled(split.val[1])))


def to_itself(split: Split) -> Split:
    """The inputs, flat, as their own targets."""
    train, val = split.train[0].flatten(1), split.val[0].flatten(1)
    return Split((train, train), (val, val))


@functools.cache
def _photograph(name: str) -> NDArray[np.float64]:
    grey: NDArray[np.float64] = sklearn.datasets.load_sample_image(name).mean(axis=2) / 255.0
    return grey


@functools.cache
def _letters() -> NDArray[np.int64]:
    topics = pydoc_data.topics.topics
    whole = " ".join("\n".join(topics[name] for name in sorted(topics)).lower().split(" ")).replace("  ", " ")
    number = {letter: index for index, letter in enumerate(LETTERS)}
    return np.array([number.get(letter, number[" "]) for letter in whole], dtype=np.int64)


def _windows(samples: NDArray[np.float64], length: int, train: int, val: int) -> Split:
    """Windows [n, t, k] and the sample after each [n, k]; validation follows training in time."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, length + 1, axis=0).transpose(0, 2, 1)
    edge = round((len(windows) - length) * train / (train + val))
    early = np.linspace(0, edge - 1, train).round().astype(int)
    late = np.linspace(edge + length, len(windows) - 1, val).round().astype(int)
    parts = [torch.tensor(windows[index], dtype=torch.float32) for index in (early, late)]
    (train_x, train_y), (val_x, val_y) = ((part[:, :-1].contiguous(), part[:, -1]) for part in parts)
    return Split((train_x, train_y), (val_x, val_y))


def _split(
    inputs: NDArray[Any],
    targets: NDArray[Any],
    train: int,
    val: int,
    *,
    scaled_inputs: bool = False,
    scaled_targets: bool = False,
) -> Split:
    """Shuffle by seed 0, take so many to train and to validate, and standardise by the training part."""
    order = np.random.default_rng(0).permutation(len(inputs))[: train + val]
    inputs, targets = inputs[order], targets[order]
    if scaled_inputs:
        inputs = (inputs - inputs[:train].mean(axis=0)) / inputs[:train].std(axis=0)
    if scaled_targets:
        targets = (targets - targets[:train].mean(axis=0)) / targets[:train].std(axis=0)
    x = torch.tensor(inputs, dtype=torch.float32)
    kind = torch.int64 if np.issubdtype(targets.dtype, np.integer) else torch.float32
    y = torch.tensor(targets, dtype=kind)
    return Split((x[:train], y[:train]), (x[train:], y[train:]))
