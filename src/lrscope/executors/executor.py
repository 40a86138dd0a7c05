"""Executor: where Blocks are trained; and Training, a Block that is trained somewhere until its end.

A Runner that is lost (its process was killed) is opened again from its last checkpoint, or from the start. It
then gives the same Records once more, bitwise; those that were passed on before are left out.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from lrscope.errors import TrainingError
from lrscope.plan import LaneKey
from lrscope.record import HistogramRecord, Record
from lrscope.recording.schedule import Spent
from lrscope.training.block import Block
from lrscope.training.checkpoint import Checkpoint

ATTEMPTS = 3
"""Times that a lost Runner is opened again without having come further."""

Message: TypeAlias = Record | HistogramRecord | Checkpoint | None
"""What a Runner gives on its way; None where nothing has come yet."""


class RunnerLostError(Exception):
    """Raised by a Runner whose process is gone; the message says how it ended."""


class Runner(Protocol):
    """A Block being trained.

    Attributes:
        keys: the lanes that are still trained.
        done: updates done.
        notes: sentences for the user.
        failure: why no lane can go on although one has finite weights; None otherwise.
        spent: seconds so far.
    """

    @property
    def keys(self) -> tuple[LaneKey, ...]: ...  # noqa: D102
    @property
    def done(self) -> int: ...  # noqa: D102
    @property
    def notes(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def failure(self) -> TrainingError | None: ...  # noqa: D102
    @property
    def spent(self) -> Spent: ...  # noqa: D102

    def advance(self, until: int) -> Iterator[Message]:
        """Train to `until` updates, or to the end of the run, and give Records on the way."""
        ...

    def drop(self, lanes: Collection[int]) -> Iterator[Message]:
        """Train some lanes, by id, no further; give the Records that were waiting."""
        ...

    def checkpoint(self) -> Checkpoint | None:
        """Return where it stands; None where that cannot be kept."""
        ...

    def close(self) -> None:
        """Train no further, and free everything."""
        ...


class Executor(Protocol):
    """Opens Runners somewhere.

    Attributes:
        slots: Runners that advance at the same time.
    """

    slots: int

    def open(self, block: Block, checkpoint: Checkpoint | None = None) -> Runner:
        """Open a Runner at the start, or where a checkpoint was taken."""
        ...

    def ready(self, runners: Sequence[Runner]) -> Sequence[Runner]:
        """Wait until some of the Runners that advance have a message, and return these."""
        ...


class Training:
    """A Block that is trained by an executor, whatever becomes of its Runners.

    Args:
        executor: opens the Runners.
        block: the lanes.

    Attributes:
        keys: the lanes that are still trained.
        done: updates done.
        notes, failure, spent: of its Runners.
    """

    def __init__(self, executor: Executor, block: Block) -> None:
        self._executor, self.block = executor, block
        self.keys = block.keys
        self.done = 0
        self.notes: list[str] = []
        self.failure: TrainingError | None = None
        self.spent = Spent()
        self.runner: Runner | None = None
        self._checkpoint: Checkpoint | None = None
        self._drops: list[tuple[int, frozenset[int]]] = []
        self._passed: dict[tuple[str, int], int] = {}

    def advance(self, until: int) -> Iterator[Record | HistogramRecord | None]:
        """Train to `until` updates, or to the end of the run; give each Record once, None while waiting.

        Raises:
            TrainingError: the model raised for no single lane's fault, or Runners were lost again and again.
        """
        attempts = 0
        while True:
            try:
                yield from self._advance(until)
                return
            except RunnerLostError as error:
                attempts += 1
                self.runner = None
                if attempts > ATTEMPTS:
                    rates = ", ".join(f"{key.rate:g}" for key in self.block.keys)
                    raise TrainingError(
                        f"the lanes of rates {rates} were lost {attempts} times: {error}"
                    ) from error

    def _advance(self, until: int) -> Iterator[Record | HistogramRecord | None]:
        if self.runner is None:
            yield from self._open()
        runner = self.runner
        assert runner is not None
        yield from self._new(runner.advance(until))
        self._see(runner)

    def _open(self) -> Iterator[Record | HistogramRecord | None]:
        """Open a Runner and take it through everything that came after its checkpoint."""
        self.runner = runner = self._executor.open(self.block, self._checkpoint)
        begun = 0 if self._checkpoint is None else self._checkpoint.done
        for step, lanes in self._drops:
            if step >= begun:
                yield from self._new(runner.advance(step))
                yield from self._new(runner.drop(lanes))

    def _see(self, runner: Runner) -> None:
        self.keys, self.done, self.failure, self.spent = (
            runner.keys,
            runner.done,
            runner.failure,
            runner.spent,
        )
        self.notes += [note for note in runner.notes if note not in self.notes]

    def drop(self, lanes: Collection[int]) -> Iterator[Record | HistogramRecord | None]:
        """Train some lanes, by id, no further; give the Records that were waiting."""
        self._drops.append((self.done, frozenset(lanes)))
        if self.runner is None:
            return
        try:
            yield from self._new(self.runner.drop(lanes))
            self._see(self.runner)
        except RunnerLostError:
            self.runner = None

    def checkpoint(self) -> Checkpoint | None:
        """Return where the Runner stands; None where that is not known."""
        return None if self.runner is None else self.runner.checkpoint()

    def close(self) -> None:
        """Train no further."""
        if self.runner is not None:
            self.runner.close()
        self.runner = None

    def _new(self, messages: Iterable[Message]) -> Iterator[Record | HistogramRecord | None]:
        """Pass on what was not passed on before."""
        for message in messages:
            if isinstance(message, Checkpoint):
                self._checkpoint = message
                yield None
            elif isinstance(message, HistogramRecord):
                yield self._new_histogram(message)
            elif isinstance(message, Record):
                yield self._new_record(message)
            else:
                yield None

    def _new_histogram(self, record: HistogramRecord) -> HistogramRecord | None:
        seen = self._passed.get(("histogram", -1), -1)
        if record.epoch <= seen:
            return None
        self._passed["histogram", -1] = record.epoch
        return record

    def _new_record(self, record: Record) -> Record | None:
        seen = self._passed.get((record.quantity, 0), -1)
        fresh = record.steps > seen
        if not fresh.any():
            return None
        self._passed[record.quantity, 0] = int(record.steps[-1])
        return (
            record if fresh.all() else record._replace(steps=record.steps[fresh], values=record.values[fresh])
        )


def train(
    executor: Executor, trainings: Iterable[tuple[Training, int]]
) -> Iterator[tuple[Training, Record | HistogramRecord | None]]:
    """Train Blocks, each to a step, as many at a time as the executor has slots; give Records as they come.

    A Block that has come to its step is given once more with None.

    Raises:
        TrainingError: as `Training.advance`.
    """
    waiting = deque(trainings)
    active: dict[int, tuple[Training, Iterator[Any]]] = {}
    while waiting or active:
        while waiting and len(active) < executor.slots:
            training, until = waiting.popleft()
            messages = training.advance(until)
            active[id(training)] = training, messages
            yield from _next(active, training)
        runners = [training.runner for training, _ in active.values() if training.runner is not None]
        ready = {id(runner) for runner in (executor.ready(runners) if runners else ())}
        for training, _ in list(active.values()):
            if training.runner is None or id(training.runner) in ready:
                yield from _next(active, training)


def _next(
    active: dict[int, tuple[Training, Iterator[Any]]], training: Training
) -> Iterator[tuple[Training, Record | HistogramRecord | None]]:
    _, messages = active[id(training)]
    try:
        record = next(messages)
    except StopIteration:
        del active[id(training)]
        yield training, None
        return
    if record is not None:
        yield training, record
