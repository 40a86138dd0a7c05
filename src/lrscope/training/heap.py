"""Heap: memory that the C library keeps after it was freed, and the system could have."""

import contextlib
import ctypes
from collections.abc import Iterator

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What `mallopt` calls them: free bytes at the end of the heap that go back to the system, and how large a piece
is mapped by itself and unmapped when it is freed."""

LARGEST_MMAP = 2**25
"""The largest threshold that the GNU C library takes; one that adapts itself gets as far, and half as far as that
for trimming."""

NEVER = 2**31 - 1


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Inside, the C library keeps what is freed.

    The activations of a pass are freed in its end and asked for again in the next one. Given back to the
    system in between, every page of them is made and cleared anew: a fifth of the time of a convolution.
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
