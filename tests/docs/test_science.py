"""docs/science.md names every threshold, with the value it has."""

import dataclasses
import re
from pathlib import Path

import pytest

from lrscope.diagnosis.thresholds import DEFAULT

PAGE = Path(__file__).parents[2] / "docs" / "science.md"
ROWS = {
    name: (value, source, why)
    for name, value, source, why in re.findall(
        r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    )
}


def written(value):
    return " and ".join(map(written, value)) if isinstance(value, tuple) else f"{value:.3g}"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(DEFAULT)])
def test_a_threshold_stands_on_the_page_with_its_value_and_source(field):
    value, source, why = ROWS[field]
    assert value == written(getattr(DEFAULT, field))
    assert set(source.split(", ")) <= {"exact", "published", "measured", "judgement"}
    assert len(why) > 10


def test_the_page_names_no_threshold_that_is_gone():
    assert set(ROWS) == {field.name for field in dataclasses.fields(DEFAULT)}
