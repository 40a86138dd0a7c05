"""mnist, fashion and fashion-mlp: 28x28 grey images of ten classes, from an IDX folder or from OpenML.

Sources: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits; H. Xiao, K. Rasul and
R. Vollgraf, Fashion-MNIST, arXiv 1708.07747, 2017.
"""

import functools
import http.client
import importlib.util
import socket
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lrscope.errors import ProblemError
from lrscope.language import Text
from lrscope.problems.idx import WANTED, ImageFolder, Images, read_folder
from lrscope.problems.metrics import accuracy
from lrscope.problems.networks import multilayer_perceptron
from lrscope.problems.problem import Problem

CLASSES = 10
BRIGHTEST = 255
OPENML_TRAIN = 60_000
"""Both data sets on OpenML are the 60,000 training images followed by the 10,000 test images."""

PATIENCE_SECONDS = 10.0
"""How long a silent server is waited for."""


def make_mnist(data: Path | None = None) -> Problem:
    """MNIST's handwritten digits and a network of one hidden layer, 784-300-10, ReLU, Adam, batches of 32.

    Args:
        data: an IDX folder; without one the images are fetched from OpenML, once, and kept by scikit-learn.

    Raises:
        ProblemError: the folder does not hold what is wanted, or there is no folder and no network.
    """
    return _problem("mnist", "mnist_784", data, hidden=300, epochs=10)


def make_fashion(data: Path | None = None) -> Problem:
    """Fashion-MNIST's pictures of clothes and the rest as in `make_mnist`."""
    return _problem("fashion", "Fashion-MNIST", data, hidden=300, epochs=10)


def make_fashion_mlp(data: Path | None = None) -> Problem:
    """Fashion-MNIST and a wide network, 784-1000-10, five epochs; the rest as in `make_mnist`."""
    return _problem("fashion-mlp", "Fashion-MNIST", data, hidden=1000, epochs=5)


def _problem(name: str, openml_name: str, data: Path | None, hidden: int, epochs: int) -> Problem:
    train, val, note = _fetch(name, openml_name) if data is None else read_folder(Path(data).expanduser())
    (train_x, train_y), (val_x, val_y) = _tensors(train), _tensors(val)
    return Problem(
        name=name,
        model=functools.partial(multilayer_perceptron, train_x.shape[1], hidden, CLASSES),
        train=(train_x, train_y),
        val=(val_x, val_y),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam,
        batch_size=32,
        epochs=epochs,
        metrics={"accuracy": accuracy},
        notes=(note,),
    )


def _tensors(part: Images) -> tuple[Tensor, Tensor]:
    """Images float32 [n, pixels] in [0, 1] and their classes int64 [n]."""
    largest = int(part.labels.max())
    if largest >= CLASSES:
        where = int(np.argmax(part.labels >= CLASSES))
        raise ProblemError(
            f"label {part.labels[where]} at position {where} is no class; wanted are 0 to {CLASSES - 1}"
        )
    images = np.ascontiguousarray(part.images.reshape(len(part.images), -1), dtype=np.float32) / BRIGHTEST
    return torch.from_numpy(images), torch.from_numpy(part.labels.astype(np.int64))


def _fetch(name: str, openml_name: str) -> ImageFolder:
    """The data set from OpenML, from scikit-learn's copy of it where there is one.

    A silent server must not hold the command for ever, and scikit-learn sets no time limit: hence the default
    time-out of new sockets, for the length of the call.
    """
    from sklearn import datasets  # takes seconds, and only this needs it

    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(PATIENCE_SECONDS)
        with warnings.catch_warnings():  # "retrying", "redownloading": the outcome is told below
            warnings.simplefilter("ignore")
            pixels, labels = datasets.fetch_openml(
                openml_name,
                version=1,
                return_X_y=True,
                as_frame=False,
                n_retries=1,
                delay=0.1,
                # pandas parses ten times faster, where it is installed; lrscope does not need it otherwise.
                parser="pandas" if importlib.util.find_spec("pandas") else "liac-arff",
            )
    except (OSError, ValueError, EOFError, http.client.HTTPException) as error:
        words = " ".join(str(getattr(error, "reason", None) or error or type(error).__name__).split())
        raise ProblemError(
            f"{name} could not be fetched from OpenML ({words[:120]}); "
            f"without a network type --data FOLDER, {WANTED}"
        ) from None
    finally:
        socket.setdefaulttimeout(patience)
    images = np.asarray(pixels).reshape(-1, 28, 28).astype(np.uint8)
    classes = np.asarray(labels).astype(np.uint8)
    train, val = (
        Images(images[part], classes[part]) for part in (slice(OPENML_TRAIN), slice(OPENML_TRAIN, None))
    )
    note = Text(
        "OpenML's {train} training and {val} test images are used",
        "用 OpenML 的 {train} 张训练图和 {val} 张测试图",
    )
    return ImageFolder(train, val, note.format(train=f"{len(train.labels):,}", val=f"{len(val.labels):,}"))
