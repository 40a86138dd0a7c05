"""`lrscope find` ends with an answer: on every built-in problem, at every budget, with every optimizer."""

from pathlib import Path

import pytest
from snippets import furnish
from user import answer, done

IMAGES = "--data images"

CASES = [
    "digits --budget 4 --epochs 4 --optimizer rmsprop",
    "line --budget 16 --epochs 100 --optimizer adam",
    "quadratic --budget 2 --optimizer sgd --opt momentum=0.9",
    "diabetes-mlp --budget 4 --epochs 20",
    f"mnist {IMAGES} --budget 8 --epochs 20 --optimizer adamw",
    f"fashion {IMAGES} --budget 4 --epochs 15 --optimizer adagrad",
    f"fashion-mlp {IMAGES} --budget 2 --epochs 10 --optimizer nadam",
]
"""Every problem, every budget and every kind of optimizer stands in some case. Every other one
uses two processes."""


@pytest.mark.parametrize(("line", "processes"), [(case, 1 + at % 2) for at, case in enumerate(CASES)])
def test_find_ends_with_an_answer(line: str, processes: int, tmp_path: Path) -> None:
    furnish(tmp_path)
    found = done(f"lrscope find {line} --json", tmp_path, processes)
    told = answer(found)
    # A rate, or in a budget of two runs the reason why there is none: never neither.
    assert told["rate"] is not None or "--budget 2" in line, str(found)
