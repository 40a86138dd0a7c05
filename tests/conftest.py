"""One thread: two of them wait for each other on a busy machine, and small tensors gain nothing from them.

And the browser that pages are opened in.
"""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")  # not of the session: its event loop would be in the way of the other tests'
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="NO BROWSER TEST WAS RUN: playwright is not installed"
    )
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("NO BROWSER TEST WAS RUN: there is no Chromium on the PATH")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()
