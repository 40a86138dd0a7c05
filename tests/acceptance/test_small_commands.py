"""The commands that need no study: the built-in problems, the range test, gradients beside differences."""

from pathlib import Path

import pytest
from user import done

PROBLEMS = ("digits", "line", "quadratic", "diabetes-mlp", "mnist", "fashion", "fashion-mlp")


def test_the_built_in_problems_are_listed(tmp_path: Path) -> None:
    listed = done("lrscope problems", tmp_path).output.splitlines()
    assert tuple(row.split()[0] for row in listed[: len(PROBLEMS)]) == PROBLEMS


@pytest.mark.parametrize("problem", ["diabetes-mlp"])
def test_the_range_test_has_a_rate_by_every_rule(problem: str, tmp_path: Path) -> None:
    document = done(f"lrscope range {problem} --seeds 2 --json", tmp_path, processes=2).document()
    assert len(document["rules"]) > 3
    assert all(1e-7 <= rule["rate"] <= 10 for rule in document["rules"])


@pytest.mark.parametrize("problem", ["diabetes-mlp"])
def test_gradients_agree_with_finite_differences(problem: str, tmp_path: Path) -> None:
    document = done(f"lrscope check-gradients {problem} --json", tmp_path).document()
    assert document["agrees"] is True
    assert document["tensors"]
