"""Wrong commands: one line on standard error that says what to type, exit code 2, and nothing left behind."""

from pathlib import Path

import pytest
from user import typed

WRONG = [
    "sweep digts",
    "sweep digits --rates 1e-4:1",
    "sweep digits --epochs many",
    "find digts",
    "find digits --budget 0",
    "find digits --epochs many",
    "range digts",
    "range digits --low 1 --high 0.1",
    "range digits --steps few",
    "check-gradients digts",
    "check-gradients digits --elements none",
    "show digits.lrscop",
    "show digits.lrscope --lang fr",
    "report digits.lrscop",
    "report digits.lrscope --out nowhere/page.html",
    "chart digits.lrscope vally",
    "chart digits.lrscope valley --width 84",
    "chart digits.lrscope valley --out figure.gif",
    "export digits.lrscop --to csv",
    "export digits.lrscope --to xls",
    "live digits.lrscop",
    "live digits.lrscope --port door",
    "swep digits",
]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_is_told_in_one_line(line: str, tmp_path: Path) -> None:
    ended = typed(f"lrscope {line}", tmp_path)
    assert ended.code == 2, str(ended)
    assert ended.output == "", str(ended)
    assert ended.errors.startswith("lrscope"), str(ended)
    assert ended.errors.count("\n") == 1, str(ended)
    assert "Traceback" not in ended.errors
    assert list(tmp_path.iterdir()) == []
