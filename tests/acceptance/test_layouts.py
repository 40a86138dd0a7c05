"""One plan, laid out in every way: in one process and in two, in blocks of 1, 2 and all lanes: one answer."""

import math
from typing import Any

import pytest
from user import answer, done

pytestmark = pytest.mark.timeout(1200)

SWEEP = "lrscope sweep digits --rates 1e-4:1:8 --epochs 40 --batch-size 64 --json"
"""Enough work for a second process to be worth its start."""

LAYOUTS = {
    "one process": ("", 1),
    "two processes, one lane at a time": (" --lanes-per-block 1", 2),
    "one process, two lanes at a time": (" --lanes-per-block 2", 1),
}
"""More words of the command line, and the number of processes."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("reader")
    ended = {name: done(SWEEP + more, folder, count) for name, (more, count) in LAYOUTS.items()}
    return {name: {**one.document(), "recommendation": answer(one)} for name, one in ended.items()}


def test_every_layout_gives_every_rate_its_loss_and_a_verdict(documents: dict[str, Any]) -> None:
    for document in documents.values():
        assert document["state"] == "finished"
        assert len(document["lanes"]) == 8
        assert all(lane["verdict"] for lane in document["lanes"])
        assert all(math.isfinite(lane["final_val_loss"]) for lane in document["lanes"])


def test_the_layouts_differ(documents: dict[str, Any]) -> None:
    assert len({document["how"] for document in documents.values()}) == len(documents)
    for name, document in documents.items():
        assert ("2 processes" in document["how"]) == name.startswith("two"), document["how"]


def test_every_layout_gives_the_same_answer(documents: dict[str, Any]) -> None:
    first = documents["one process"]
    for document in documents.values():
        assert document["recommendation"]["rate"] == pytest.approx(first["recommendation"]["rate"], rel=0.2)
        for lane, same in zip(document["lanes"], first["lanes"], strict=True):
            assert lane["rate"] == same["rate"]
            if lane["rate"] < 0.01:  # above, rounding grows along the run
                assert lane["verdict"] == same["verdict"]
                assert lane["final_val_loss"] == pytest.approx(same["final_val_loss"], rel=0.02)
