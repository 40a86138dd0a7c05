"""CONTRIBUTING.md names files that are there, on walks that the code takes."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_file_named_is_there() -> None:
    named = set(re.findall(r"`((?:[\w.]+/)*\w+\.(?:py|md|txt))`", PAGE))
    assert len(named) > 20
    assert [
        one
        for one in sorted(named)
        if not any((root / one).exists() for root in (ROOT, ROOT / "src" / "lrscope"))
    ] == []


def test_every_link_leads_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)\)", PAGE) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_constant_named_is_in_a_file_of_its_section() -> None:
    for section in PAGE.split("\n## "):
        files = [
            root / name
            for name in re.findall(r"`((?:[\w.]+/)*\w+\.py)`", section)
            for root in (ROOT, ROOT / "src" / "lrscope")
            if (root / name).exists()
        ]
        text = "\n".join(path.read_text(encoding="utf-8") for path in files)
        for constant in re.findall(r"`([A-Z]{3,})`", section):
            assert re.search(rf"^{constant}\b", text, re.MULTILINE), (
                f"{constant} in {section.splitlines()[0]}"
            )
