"""docs/range.md names every rule of the range test."""

import re
from pathlib import Path

from lrscope.diagnosis.range_rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "range.md"


def test_both_tables_name_every_rule() -> None:
    first = re.findall(r"^\| ([^|]+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert first == ["rule", *(rule.name for rule in RULES)] * 2
