"""Heap: memory that the C library keeps after it was freed, and the system could have."""

import contextlib
import ctypes
from collections.abc import Iterator

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""As `mallopt` knows them: how many bytes that are free at the heap's end go back to the system, and how many
in one piece are mapped by themselves, and unmapped when they are freed."""

LARGEST_MMAP = 2**25
"""As high as the GNU C library lets the latter be. Thresholds that adapt themselves get as far, and twice as
far for the former."""

NEVER = 2**31 - 1


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Inside, the C library keeps what is freed.

    The activations of a pass are freed in its end and asked for again in the next one. Given back to the
    system in between, every page of them is cleared anew.
    """
    _set(NEVER)
    try:
        yield
    finally:
        _set(2 * LARGEST_MMAP)
        give_back()


def give_back() -> None:
    """Give the system what is free; where the C library cannot, nothing is done.

    The GNU C library keeps what is freed below anything that is in use. A trial of a large model would so be
    counted, and kept, until the process ends.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _set(trim: int) -> None:
    """Set the threshold of trimming, and that of mapping as high as it goes; see `mallopt(3)`."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST_MMAP)
        library.mallopt(TRIM_THRESHOLD, trim)
