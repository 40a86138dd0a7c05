"""Memory that passes free and ask for again stays with the process while it trains, and not longer."""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lrscope.training.heap import kept

MIB = 2**20
PASSES, ACTIVATIONS = 20, 5

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the GNU C library is told")


def passes() -> int:
    """Page faults of passes that keep five times 8 MiB each and free them, a little at a time."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(PASSES):
        held = [torch.ones(2 * MIB) for _ in range(ACTIVATIONS)]
        held.clear()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    outside = passes()
    before = resident()
    with kept():
        inside = passes()
    print(outside, inside, resident() - before)


def test_pages_are_cleared_once() -> None:
    told = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True).stdout
    outside, inside, left = map(int, told.split())
    pages = ACTIVATIONS * 8 * MIB // os.sysconf("SC_PAGE_SIZE")
    assert outside > 3 * pages, "left to itself the library has them cleared again and again"
    assert inside < 1.5 * pages
    assert left < 8 * MIB


if __name__ == "__main__":
    main()
