"""Problem: everything that is trained, but for the learning rate."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset, IterableDataset

from lrscope.errors import ProblemError

Data: TypeAlias = Sequence[Tensor] | Dataset[Any] | DataLoader[Any]
OptimizerFactory: TypeAlias = Callable[..., torch.optim.Optimizer]
Schedule: TypeAlias = Callable[[torch.optim.Optimizer], LRScheduler]

FULL_BATCH = 0
"""`batch_size=FULL_BATCH` trains on every example in every step, in the order given."""


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """Everything that is trained, but for the learning rate: model, data, loss, optimizer, length of the run.

    Two problems are equal only if they are the same object.

    Args:
        name: name of the problem in tables and files.
        model: function without arguments that makes the model, an `nn.Module`. It is called once for each
            seed, after `torch.manual_seed(seed)`.
        train: training data: tensors with examples along the first dimension, such as (X, y); a map-style
            Dataset; or a DataLoader, whose batches all lanes share.
        val: validation data of one of the same kinds; None for none.
        loss: function `(output, target) -> scalar`. Each batch is then a pair (input, target).
        step: function `(model, batch) -> scalar loss`, in place of `loss`, for any other kind of batch.
        optimizer: called as `optimizer(params, lr=rate)` for each lane, with
            `params = list(model.parameters())`: a class of torch.optim, or a `functools.partial` of one.
        schedule: function `optimizer -> LRScheduler`; its scheduler is stepped after every update. None for a
            constant rate.
        batch_size: examples a step; the last batch of an epoch may be smaller. 0 takes all examples. A
            DataLoader has its own.
        epochs: passes over the training data.
        metrics: name -> function `(output, target) -> scalar`, computed on validation batches and averaged
            over examples.
        clip_norm: largest 2-norm of a lane's gradient; a larger gradient is scaled down to it before the
            update, as `torch.nn.utils.clip_grad_norm_` does. None for no clipping.
        notes: sentences about the data that a user should read ("split 8,000 / 2,000 by seed 0").
        reference: how a command line names the problem, such as "mine.py:problem --batch-size 64"; None for a
            problem made in Python.

    Raises:
        ProblemError: a field is missing or does not fit; the message says what to write.
    """

    name: str
    model: Callable[[], nn.Module]
    train: Data = dataclasses.field(repr=False)
    val: Data | None = dataclasses.field(default=None, repr=False)
    loss: Callable[[Any, Any], Tensor] | None = None
    step: Callable[[nn.Module, Any], Tensor] | None = None
    optimizer: OptimizerFactory = torch.optim.Adam
    schedule: Schedule | None = None
    batch_size: int = 32
    epochs: int = 5
    metrics: Mapping[str, Callable[[Any, Any], Any]] = dataclasses.field(default_factory=dict)
    clip_norm: float | None = None
    notes: tuple[str, ...] = ()
    reference: str | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check everything that can be checked without training."""
        if not isinstance(self.name, str) or not self.name:
            raise ProblemError(f"a problem needs a name, a non-empty string; got {_shown(self.name)}")
        self._check_callables()
        for name, least in (("batch_size", FULL_BATCH), ("epochs", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ProblemError(f"{name}= wants a whole number of at least {least}; got {_shown(value)}")
        norm = self.clip_norm
        if norm is not None and not (isinstance(norm, (int, float)) and math.isfinite(norm) and norm > 0):
            raise ProblemError(f"clip_norm= wants a positive number; got {_shown(norm)}")
        notes: Any = self.notes
        if isinstance(notes, str):
            raise ProblemError(f"notes= wants a tuple of sentences; write notes=({_shown(notes)},)")
        _check_data("train", self.train)
        if self.val is not None:
            _check_data("val", self.val)

    def _check_callables(self) -> None:
        """Raise ProblemError unless each given function is callable and of the wanted kind."""
        if isinstance(self.model, nn.Module):
            raise ProblemError(
                "model= got a module; it wants a factory that makes one, so that every seed starts anew: "
                "model=lambda: Net(...)  (a pretrained one: model=lambda: copy.deepcopy(net))"
            )
        optimizer: Any = self.optimizer
        if isinstance(optimizer, torch.optim.Optimizer):
            name = type(optimizer).__name__
            raise ProblemError(
                f"optimizer= got {name} already made; it wants what makes one for each rate: "
                f"optimizer=torch.optim.{name}, its options bound by functools.partial"
            )
        if isinstance(self.loss, type) and issubclass(self.loss, nn.Module):
            name = self.loss.__name__
            raise ProblemError(f"loss= got the class {name}; it wants a function or an object: loss={name}()")
        if (self.loss is None) == (self.step is None):
            raise ProblemError(
                "a problem wants exactly one of loss=(output, target) -> scalar "
                "and step=(model, batch) -> scalar"
            )
        for field in ("model", "optimizer", "loss", "step", "schedule"):
            value = getattr(self, field)
            optional = field not in ("model", "optimizer")
            if not callable(value) and not (optional and value is None):
                raise ProblemError(f"{field}= wants a callable; got {_shown(value)}")
        if not isinstance(self.metrics, Mapping):
            raise ProblemError(
                f'metrics= wants a dict, {{"name": (output, target) -> scalar}}; got {_shown(self.metrics)}'
            )
        if self.metrics and self.step is not None:
            raise ProblemError(
                "metrics= are functions of (output, target) and need loss=; with step= leave them out"
            )
        for name, metric in self.metrics.items():
            if not isinstance(name, str) or not callable(metric):
                raise ProblemError(
                    f"metrics= wants names and callables; got {_shown(name)}: {_shown(metric)}"
                )


def _check_data(name: str, data: Any) -> None:
    """Raise ProblemError unless `data` is one of the three kinds and holds an example."""
    if isinstance(data, DataLoader):
        if not isinstance(data.dataset, IterableDataset) and len(data) == 0:
            raise ProblemError(f"{name}= is empty: the DataLoader gives no batch")
    elif isinstance(data, IterableDataset):
        raise ProblemError(
            f"{name}= got an IterableDataset; wrap it: {name}=DataLoader(dataset, batch_size=...)"
        )
    elif isinstance(data, Dataset):
        if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
            raise ProblemError(f"{name}= wants a Dataset with a length; wrap it in a DataLoader")
        if len(data) == 0:
            raise ProblemError(f"{name}= is empty: the dataset holds no example")
    elif isinstance(data, (tuple, list)) and data and all(isinstance(part, Tensor) for part in data):
        _check_tensors(name, data)
    else:
        kinds = ", ".join(type(part).__name__ for part in data) if isinstance(data, (tuple, list)) else ""
        raise ProblemError(
            f"{name}= wants tensors (X, y), a Dataset or a DataLoader; "
            f"got {type(data).__name__}{f' of {kinds}' if kinds else ''} (arrays: torch.from_numpy(X))"
        )


def _check_tensors(name: str, tensors: Sequence[Tensor]) -> None:
    """Raise ProblemError unless the tensors hold equally many examples, one at least, of finite values."""
    shapes = ", ".join(str(tuple(part.shape)) for part in tensors)
    if any(part.ndim == 0 for part in tensors):
        raise ProblemError(f"{name}= got a tensor without a first dimension of examples: shapes {shapes}")
    lengths = [len(part) for part in tensors]
    if len(set(lengths)) > 1:
        raise ProblemError(f"{name}= tensors differ in their number of examples: shapes {shapes}")
    if lengths[0] == 0:
        raise ProblemError(f"{name}= is empty: its tensors hold no example")
    for position, part in enumerate(tensors):
        bad = ~torch.isfinite(part) if part.is_floating_point() or part.is_complex() else None
        if bad is not None and bool(bad.any()):
            count = int(bad.sum())
            first = torch.nonzero(bad)[0].tolist()
            raise ProblemError(
                f"{name}[{position}] holds {count} {'value that is' if count == 1 else 'values that are'} "
                f"not finite, the first one {part[tuple(first)].item()} at index {first}; "
                "remove or replace them"
            )


def _shown(value: object) -> str:
    """Return the given value on one line, short enough to read."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
