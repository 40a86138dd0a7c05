"""Heap: memory that the C library keeps after it was freed, and the system could have."""

import contextlib
import ctypes


def give_back() -> None:
    """Give the system what is free; where the C library cannot, nothing is done.

    The GNU C library keeps what is freed below anything that is in use. A trial of a large model would so be
    counted, and kept, until the process ends.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
