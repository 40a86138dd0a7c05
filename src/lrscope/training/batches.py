"""Batches: the training batches of every seed, step after step, and the batches of validation.

All lanes of a seed see the same batch at the same step: the controlled comparison rests on this file.
Letters: n examples, B batch size.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
)

from lrscope.errors import ProblemError
from lrscope.problems.problem import FULL_BATCH, Data
from lrscope.training.random_state import RandomState, Stream

VALIDATION_ELEMENTS = 2**20
"""Input elements, lanes counted, of one validation batch: what bounds its memory (4 MiB of float32)."""


TAKEN_BYTES = 2**19
"""Of the examples that are taken from the data at a time, for the batches of several steps: a copy that stays
in the cache."""

ALIGNED = 64
"""Bytes: a batch begins at a multiple of it, as a tensor of its own does; sums may be made in another order
where it does not."""


def to_device(batch: Any, device: torch.device) -> Any:
    """Return the batch with every tensor in it on `device`; also of objects that have a method `to`."""
    return tree_map(lambda leaf: leaf.to(device) if hasattr(leaf, "to") else leaf, batch)


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """Yield the tensors in a batch: in tuples, lists, mappings of any class and dataclasses."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from tensors_of(value)
    elif isinstance(batch, (tuple, list)):
        for value in batch:
            yield from tensors_of(value)
    elif dataclasses.is_dataclass(batch):
        for field in dataclasses.fields(batch):
            yield from tensors_of(getattr(batch, field.name))


def examples(batch: Any) -> int:
    """Return the length of the first dimension of the first tensor in a batch; 1 where there is none."""
    return next((len(tensor) for tensor in tensors_of(batch) if tensor.ndim), 1)


def of_tensors(data: Data) -> bool:
    """Whether batches are rows of tensors, which another process can take by itself as well."""
    if isinstance(data, DataLoader):
        return data.num_workers == 0 and data.collate_fn is default_collate and of_tensors(data.dataset)
    while isinstance(data, Subset):
        data = data.dataset
    return isinstance(data, (tuple, list, TensorDataset))


class Batches:
    """The training data, cut into batches.

    Args:
        data: tensors, a map-style Dataset or a DataLoader.
        batch_size: B; 0 takes all examples in the order given.
        device: where the batches go.

    Attributes:
        size: n, None for a DataLoader over a dataset without a length.
        steps_per_epoch: ceil(n / B), or the length of the loader.
        shared: whether all seeds see the same batches (a DataLoader, or all examples at once).
    """

    def __init__(self, data: Data, batch_size: int, device: torch.device) -> None:
        self._device = device
        self._loader: DataLoader[Any] | None = None
        self._dataset: Dataset[Any] | None = None
        self._tensors: tuple[Tensor, ...] = ()
        if isinstance(data, DataLoader):
            self._loader = data
            self._loader_stream = Stream(RandomState.now(), data)
            try:
                self.steps_per_epoch = len(data)
            except TypeError:
                raise ProblemError(
                    "train= is a DataLoader without a length, in which epochs are counted; "
                    "give its dataset a __len__"
                ) from None
            if self.steps_per_epoch == 0:
                raise ProblemError("train= is empty: the DataLoader gives no batch")
            self.size = len(data.dataset) if hasattr(data.dataset, "__len__") else None
            self.batch_size = data.batch_size or 0
        else:
            if isinstance(data, TensorDataset):
                data = data.tensors
            if isinstance(data, Dataset):
                self._dataset = data
                self.size = len(data)  # type: ignore[arg-type]
            else:
                self._tensors = tuple(tensor.detach().to(device) for tensor in data)
                self.size = len(self._tensors[0])
            self.batch_size = batch_size or self.size
            self.steps_per_epoch = math.ceil(self.size / self.batch_size)
        self._in_order = batch_size == FULL_BATCH
        self._steps_at_once = self._affordable_steps()
        self.shared = self._loader is not None or bool(self._tensors and self._in_order)

    def cursor(self, seed: int, stream: Stream) -> "Cursor":
        """Return the batches of a seed from the start on; items of a Dataset are drawn inside its stream."""
        order = self._loader_stream.copy() if self._loader is not None else None
        return Cursor(self, torch.Generator().manual_seed(seed), stream, order)

    def epoch(
        self, generator: torch.Generator, stream: Stream, loaded: Stream | None, skip: int = 0
    ) -> Iterator[Any]:
        """Yield the batches of the epoch that follows, but for some at its beginning.

        The order is `torch.randperm(n, generator=g)` with one `g` a run; the last, smaller batch is kept.

        Args:
            generator: g, which is moved on.
            stream: the seed's random numbers, in which items of a Dataset are drawn.
            loaded: the random numbers of a DataLoader, which are moved on.
            skip: batches that were given before.
        """
        if self._loader is not None:
            assert loaded is not None
            yield from itertools.islice(self._loaded(loaded), skip, None)
            return
        assert self.size is not None
        if self.shared:
            yield self._tensors
            return
        in_order = torch.arange(self.size) if self._in_order else None
        order = torch.randperm(self.size, generator=generator) if in_order is None else in_order
        yield from self._cut(order, stream, skip)

    def _cut(self, order: Tensor, stream: Stream, skip: int) -> Iterator[Any]:
        """Yield the batches of an epoch, given the order of its examples."""
        if self._tensors:
            order = order.to(self._device)  # once: a step waits for no copy
        pieces = torch.split(order, self.batch_size * self._steps_at_once)
        first, skip = divmod(skip, self._steps_at_once)
        for piece in pieces[first:]:
            taken = self._take(piece, stream)
            if self._steps_at_once == 1:
                yield taken
                continue
            cut = zip(*(torch.split(tensor, self.batch_size) for tensor in taken), strict=True)
            yield from itertools.islice(cut, skip, None)
            skip = 0

    def _affordable_steps(self) -> int:
        """Steps whose batches are taken from the data at a time."""
        bytes_ = [self.batch_size * t[0].numel() * t.element_size() for t in self._tensors if len(t)]
        if not bytes_ or any(size % ALIGNED for size in bytes_) or self._device.type != "cpu":
            return 1
        return max(1, TAKEN_BYTES // sum(bytes_))

    def first(self, seed: int) -> Any:
        """A batch to try the model on, without moving any stream."""
        if self._loader is not None:
            with self._loader_stream.entered(keep=False):
                return to_device(next(_guarded(iter(self._loader), "train")), self._device)
        assert self.size is not None
        index = torch.randperm(self.size, generator=torch.Generator().manual_seed(seed))[: self.batch_size]
        return self._take(index.sort().values if self._in_order else index, Stream.seeded(seed))

    def some(self, most: int) -> Any:
        """At most so many examples, the same every time: all there are, or a fixed random choice.

        The first batch of a DataLoader.
        """
        if self._loader is not None:
            return self.first(0)
        assert self.size is not None
        index = torch.randperm(self.size, generator=torch.Generator().manual_seed(0))[:most].sort().values
        return self._take(index, Stream.seeded(0))

    def _take(self, index: Tensor, stream: Stream) -> Any:
        if self._tensors:
            index = index.to(self._device)
            return tuple(tensor[index] for tensor in self._tensors)
        assert self._dataset is not None
        with stream.entered():
            return to_device(_collate(self._dataset, index.tolist(), "train"), self._device)

    def _loaded(self, stream: Stream) -> Iterator[Any]:
        assert self._loader is not None
        given = 0
        batches = _iterate(self._loader, stream, "train")
        for batch in itertools.islice(batches, self.steps_per_epoch):
            given += 1
            yield to_device(batch, self._device)
        if not isinstance(self._loader.dataset, IterableDataset):
            # A sampler draws once more at its end, as it does in a loop over the loader; a stream has none.
            next(batches, None)
        if given < self.steps_per_epoch:
            raise ProblemError(
                f"train= is a DataLoader of length {self.steps_per_epoch} that gave only {given} batches"
            )


class Cursor:
    """The batches of a seed, one after another, epoch after epoch, without end.

    Args:
        batches: the data.
        generator: gives the order of every epoch.
        stream: the seed's random numbers.
        loaded: the random numbers of a DataLoader; None for other data.
    """

    def __init__(
        self, batches: Batches, generator: torch.Generator, stream: Stream, loaded: Stream | None
    ) -> None:
        self._batches, self._generator, self._stream, self._loaded = batches, generator, stream, loaded
        self._given = 0
        self._begin()

    def _begin(self) -> None:
        """Note where the epoch begins, and begin it."""
        self._order = self._generator.get_state()
        self._loaded_order = None if self._loaded is None else self._loaded.state()
        self._epoch = self._batches.epoch(self._generator, self._stream, self._loaded, self._given)

    def __next__(self) -> Any:
        """Return the next batch."""
        if self._given == self._batches.steps_per_epoch:
            next(self._epoch, None)  # a loader comes to its end
            self._given = 0
            self._begin()
        self._given += 1
        return next(self._epoch)

    def __iter__(self) -> "Cursor":
        return self

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        return {"given": self._given, "order": self._order, "loaded": self._loaded_order}

    def restore(self, state: dict[str, Any]) -> None:
        """Put it where another cursor of the same data and seed stood."""
        self._given = state["given"]
        self._generator.set_state(state["order"])
        if self._loaded is not None:
            self._loaded.restore(state["loaded"])
        self._begin()
        if self._given == self._batches.steps_per_epoch:
            next(self._epoch, None)  # the generators are where the end of the epoch leaves them


def validation_batches(
    data: Data, lanes: int, batch_size: int, device: torch.device
) -> Callable[[], Iterator[Any]]:
    """A function that gives the validation batches, in order, each time it is called.

    A batch is as large as `VALIDATION_ELEMENTS` allows for that many lanes, at least `batch_size` and at most
    1,024 examples; losses and metrics are averaged over examples, so the size does not matter to the values.
    """
    if isinstance(data, DataLoader):
        loader, start = data, Stream(RandomState.now(), data)

        def load() -> Iterator[Any]:
            try:
                length = len(loader)
            except TypeError:
                length = None
            for batch in itertools.islice(_iterate(loader, start.copy(), "val"), length):
                yield to_device(batch, device)

        return load
    if isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, Dataset):
        dataset, size = data, len(data)  # type: ignore[arg-type]
        elements = sum(tensor.numel() for tensor in tensors_of(_collate(dataset, [0], "val")))
    else:
        tensors = tuple(tensor.detach().to(device) for tensor in data)
        size, elements = len(tensors[0]), tensors[0][0].numel()
    rows = max(min(VALIDATION_ELEMENTS // max(1, lanes * elements), 1024), batch_size, 1)

    def collate() -> Iterator[Any]:
        for start in range(0, size, rows):
            indices = list(range(start, min(start + rows, size)))
            yield to_device(_collate(dataset, indices, "val"), device)

    def cut() -> Iterator[Any]:
        for start in range(0, size, rows):
            yield tuple(tensor[start : start + rows] for tensor in tensors)

    return collate if isinstance(data, Dataset) else cut


def _iterate(loader: DataLoader[Any], stream: Stream, name: str) -> Iterator[Any]:
    """Yield the loader's batches, drawn inside `stream`: nothing between two of them is disturbed."""
    with stream.entered():
        batches = _guarded(iter(loader), name)
    while True:
        with stream.entered():
            try:
                batch = next(batches)
            except StopIteration:
                return
        yield batch


def _guarded(batches: Iterator[Any], name: str) -> Iterator[Any]:
    """Yield batches; an exception of the data becomes one line that names the argument."""
    number = 0
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:
            raise ProblemError(f"{name}= raised at batch {number}: {_in_a_line(error)}") from error
        yield batch
        number += 1


def _collate(dataset: Dataset[Any], indices: list[int], name: str) -> Any:
    items = []
    for index in indices:
        try:
            items.append(dataset[index])
        except Exception as error:
            raise ProblemError(f"{name}= raised at item {index}: {_in_a_line(error)}") from error
    try:
        return default_collate(items)
    except Exception as error:
        raise ProblemError(
            f"{name}= has items that do not stack into a batch: {_in_a_line(error)}; "
            f"write {name}=DataLoader(dataset, batch_size=..., collate_fn=...)"
        ) from error


def _in_a_line(error: Exception) -> str:
    """Return an exception's class and the first line of its message, shortened."""
    text = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {text[:160]}"
