"""Worker: a forked process that trains some of the lanes.

The problem is there already, whatever it is made of; a lambda needs no name and a script no guard.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from lrscope.errors import LrscopeError, TrainingError
from lrscope.training.share import Shares

GONE = (EOFError, BrokenPipeError, ConnectionResetError)
"""What a pipe raises whose other end is closed."""


def possible() -> bool:
    """Whether this process can be forked and its children can train.

    One that may use an accelerator cannot: torch's backward passes refuse to run in its children. Systems
    other than Linux can be forked, but their libraries do not survive it. A process of a pool may have no
    children.
    """
    forks = sys.platform.startswith("linux") and hasattr(os, "fork")
    allowed = not multiprocessing.current_process().daemon
    return forks and allowed and not torch.accelerator.is_available()


class Worker:
    """Shares that another process trains; it ends when this one does.

    Args:
        make: makes them, in that process.
        others: workers that were made before.

    Raises:
        OSError: there may be no more processes, or no more memory.
    """

    def __init__(self, make: Callable[[], Shares], others: Sequence["Worker"]) -> None:
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        # Held open by another process, a connection would never tell that this one is gone.
        inherited = [*(other._connection for other in others), self._connection]
        self._process = context.Process(target=_serve, args=(theirs, make, inherited), daemon=True)
        try:
            with warnings.catch_warnings():
                # That threads are not there in the child: it starts none, and waits for none.
                warnings.simplefilter("ignore")
                self._process.start()
        except OSError:
            self._connection.close()
            raise
        finally:
            theirs.close()

    def ask(self, method: str, *arguments: Any) -> None:
        """Have its shares do something: a method of `Shares`."""
        with contextlib.suppress(*GONE):  # the answer says it
            self._connection.send((method, tree_map(_sent, arguments)))

    def answer(self) -> Any:
        """What came of it.

        Raises:
            TrainingError: a share could not be trained any further, or its process is gone.
        """
        try:
            answer = self._connection.recv()
        except GONE:
            self._process.join(timeout=1)
            code = self._process.exitcode
            raise TrainingError(f"a process that trained lanes ended, with exit code {code}") from None
        if isinstance(answer, LrscopeError):
            raise answer
        return tree_map(_received, answer)

    def end(self) -> None:
        """Let it go, whatever it does."""
        self._connection.close()
        self._process.kill()
        self._process.join()
        self._process.close()


def _serve(connection: Connection, make: Callable[[], Shares], inherited: Sequence[Connection]) -> None:
    """What a worker's process does, until nobody is there to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is for who asks
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:
        other.close()
    with contextlib.suppress(*GONE):
        try:
            shares = make()
            while True:
                method, arguments = connection.recv()
                answer = getattr(shares, method)(*tree_map(_received, arguments))
                connection.send(tree_map(_sent, answer))
        except GONE:
            raise
        except LrscopeError as error:
            connection.send(error)
        except Exception as error:
            connection.send(TrainingError(f"lanes raised {type(error).__name__}: {error}"))


def _sent(leaf: Any) -> Any:
    """What goes through a pipe by value; torch would send a tensor as a file."""
    if not isinstance(leaf, Tensor):
        return leaf
    return (leaf.float() if leaf.dtype in (torch.float16, torch.bfloat16) else leaf).detach().numpy()


def _received(leaf: Any) -> Any:
    return torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) else leaf
