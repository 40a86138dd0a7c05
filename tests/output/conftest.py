"""The report is tested on the studies that the charts are tested on, each page made once."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "charts"))


@pytest.fixture(scope="session")
def page_of() -> Callable[[str], str]:
    """The page of a study of `studies.STUDIES`."""
    from studies import STUDIES

    from lrscope.output.report import page

    return functools.cache(lambda name: page(STUDIES[name]()))
