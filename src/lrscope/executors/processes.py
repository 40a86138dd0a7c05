"""Process executor: every Block is trained in a forked process of its own.

The problem is there already, whatever it is made of; a lambda needs no name and a script no guard.
"""

import contextlib
import multiprocessing
import signal
import warnings
from collections.abc import Collection, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from lrscope.errors import LrscopeError, TrainingError
from lrscope.executors.block_runner import BlockRunner
from lrscope.executors.executor import Message, Runner, RunnerLostError
from lrscope.language import Text
from lrscope.plan import LaneKey, Plan
from lrscope.recording.schedule import Spent
from lrscope.training.block import Block
from lrscope.training.checkpoint import Checkpoint
from lrscope.training.prepare import Prepared

CHECKPOINT_SECONDS = 60.0
"""From one checkpoint of a Runner to the next, while it advances. When they are taken changes no number."""

NO_PROCESS = Text(
    "no process could be started ({why}): these lanes are trained in this one",
    "不能再开进程（{why}）：这些训练线在本进程里训练",
)

GONE = (EOFError, BrokenPipeError, ConnectionResetError)
"""Raised by a pipe whose other end is closed."""


class Processes:
    """Trains Blocks in processes.

    Args:
        prepared: the problem made ready.
        plan: how long lanes are trained, and what is recorded.
        slots: processes that train at the same time.
        validate_at: steps at which lanes are validated, beside the ends of epochs.
        checkpoint_seconds: from one checkpoint to the next.
    """

    def __init__(
        self,
        prepared: Prepared,
        plan: Plan,
        slots: int,
        validate_at: Collection[int] = (),
        checkpoint_seconds: float | None = None,
    ) -> None:
        self._prepared, self._plan, self._validate_at = prepared, plan, validate_at
        self._checkpoint_seconds = CHECKPOINT_SECONDS if checkpoint_seconds is None else checkpoint_seconds
        self.slots = slots
        self._open: list[ProcessRunner] = []

    def open(self, block: Block, checkpoint: Checkpoint | None = None) -> Runner:
        """Open a Runner at the start, or where a checkpoint was taken.

        Where the system allows no more processes the Runner trains in this one.
        """
        self._open = [runner for runner in self._open if not runner.closed]
        data = None if checkpoint is None else checkpoint.to_bytes()
        try:
            runner = ProcessRunner(self, block, data, self._open)
        except OSError as error:
            here = BlockRunner(self._prepared, block, self._plan, self._validate_at, checkpoint)
            here.notes.append(NO_PROCESS.format(why=error.strerror or str(error)))
            return here
        self._open.append(runner)
        return runner

    def ready(self, runners: Sequence[Runner]) -> Sequence[Runner]:
        """Wait until some Runners have a message, and return these."""
        of_connection = {
            one.connection: one for one in runners if isinstance(one, ProcessRunner) and not one.closed
        }
        if len(of_connection) < len(runners):  # some train in this process, or are gone
            return [one for one in runners if not isinstance(one, ProcessRunner) or one.closed]
        found: list[Any] = wait(list(of_connection))
        return [of_connection[connection] for connection in found]

    def close(self) -> None:
        """End all processes."""
        for runner in self._open:
            runner.close()
        self._open = []

    def serve(self, connection: Connection, block: Block, checkpoint: bytes | None) -> None:
        """Train a Block as this process's only work, as the other end of the connection orders."""
        from_bytes = None if checkpoint is None else Checkpoint.from_bytes(checkpoint)
        runner = BlockRunner(
            self._prepared, block, self._plan, self._validate_at, from_bytes, self._checkpoint_seconds
        )
        while True:
            order, argument = connection.recv()
            if order == "checkpoint":
                found = runner.checkpoint()
                connection.send(("checkpoint", None if found is None else found.to_bytes()))
                continue
            messages: Iterator[Message] = (
                runner.advance(argument) if order == "advance" else runner.drop(argument)
            )
            for message in messages:
                if isinstance(message, Checkpoint):
                    connection.send(("checkpoint", message.to_bytes()))
                else:
                    connection.send(("record", message))
            failure = None if runner.failure is None else str(runner.failure)
            connection.send(("done", (runner.keys, runner.done, runner.notes, failure, runner.spent)))


class ProcessRunner:
    """A Block that another process trains; the process ends when this one does.

    Args:
        executor: says how Blocks are trained.
        block: the lanes.
        checkpoint: where to begin; None for the start.
        others: Runners that were opened before and are not closed.

    Raises:
        OSError: there may be no more processes, or there is no more memory.
    """

    def __init__(
        self,
        executor: Processes,
        block: Block,
        checkpoint: bytes | None,
        others: Sequence["ProcessRunner"],
    ) -> None:
        self.keys: tuple[LaneKey, ...] = block.keys
        self.done = 0
        self.notes: list[str] = []
        self.failure: TrainingError | None = None
        self.spent = Spent()
        self.closed = False
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        # Held open by another process, a connection would never tell that this one is gone.
        inherited = [*(other.connection for other in others), self.connection]
        self._process = context.Process(
            target=_work, args=(theirs, executor, block, checkpoint, inherited), daemon=True
        )
        try:
            with warnings.catch_warnings():
                # Threads are not there in the child: it starts none, and waits for none.
                warnings.simplefilter("ignore")
                self._process.start()
        except OSError:
            self.connection.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int | None:
        """The id of its process."""
        return self._process.pid

    def advance(self, until: int) -> Iterator[Message]:
        """Train to `until` updates, or to the end of the run, and give Records on the way."""
        yield from self._ordered("advance", until)

    def drop(self, lanes: Collection[int]) -> Iterator[Message]:
        """Train some lanes, by id, no further; give the Records that were waiting."""
        yield from self._ordered("drop", frozenset(lanes))

    def checkpoint(self) -> Checkpoint | None:
        """Return where it stands; None where that cannot be kept."""
        self._send("checkpoint", None)
        _, data = self._receive()
        return None if data is None else Checkpoint.from_bytes(data)

    def _ordered(self, order: str, argument: Any) -> Iterator[Message]:
        self._send(order, argument)
        yield None
        while True:
            kind, value = self._receive()
            if kind == "done":
                self.keys, self.done, notes, failure, self.spent = value
                self.notes += [note for note in notes if note not in self.notes]
                self.failure = None if failure is None else TrainingError(failure)
                return
            yield Checkpoint.from_bytes(value) if kind == "checkpoint" else value

    def _send(self, order: str, argument: Any) -> None:
        with contextlib.suppress(*GONE):  # the answer tells it
            self.connection.send((order, argument))

    def _receive(self) -> tuple[str, Any]:
        """Return the next message.

        Raises:
            RunnerLostError: the process is gone.
            LrscopeError: training raised it there.
        """
        try:
            kind, value = self.connection.recv()
        except (*GONE, OSError) as error:
            self._process.join(timeout=1)
            code = self._process.exitcode
            self.close()
            raise RunnerLostError(f"a process that trained lanes ended, with exit code {code}") from error
        if isinstance(value, LrscopeError):
            raise value
        return kind, value

    def close(self) -> None:
        """End the process, whatever it does."""
        if self.closed:
            return
        self.closed = True
        self.connection.close()
        self._process.kill()
        self._process.join()
        self._process.close()


def _work(
    connection: Connection,
    executor: Processes,
    block: Block,
    checkpoint: bytes | None,
    inherited: Sequence[Connection],
) -> None:
    """Serve as the process of a Runner until nobody is there to order anything."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is for the parent
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:
        other.close()
    with contextlib.suppress(*GONE):
        try:
            executor.serve(connection, block, checkpoint)
        except GONE:
            raise
        except LrscopeError as error:
            connection.send(("error", error))
        except Exception as error:
            connection.send(("error", TrainingError(f"lanes raised {type(error).__name__}: {error}")))
