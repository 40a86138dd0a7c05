"""Threads that take lanes side by side: in order, complete, and with the weather of `undisturbed`."""

import threading
import time

import pytest
import torch

from lrscope.training.crew import ALONE, Crew
from lrscope.training.random_state import denormals_read_zero


@pytest.mark.parametrize("size", [1, 2, 3])
def test_results_are_in_order(size: int) -> None:
    assert Crew(size).map(lambda k: k * k, range(7)) == [k * k for k in range(7)]


def test_one_of_one_thread_is_the_callers() -> None:
    assert ALONE.map(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]


def test_as_many_work_at_a_time_as_there_are() -> None:
    meeting = threading.Barrier(3)
    assert sorted(Crew(3).map(lambda _: meeting.wait(timeout=30), range(3))) == [0, 1, 2]


def test_where_one_raises_the_others_are_waited_for() -> None:
    done = []

    def work(k: int) -> None:
        if k == 0:
            raise ValueError("the first")
        time.sleep(0.05)
        done.append(k)

    crew = Crew(2)
    with pytest.raises(ValueError, match="the first"):
        crew.map(work, range(4))
    assert sorted(done) == [1, 2, 3]
    assert crew.map(str, [1]) == ["1"], "and it goes on"


def test_a_thread_has_one_thread_and_takes_denormals_for_zero() -> None:
    outside = torch.get_num_threads(), denormals_read_zero()
    assert Crew(2).map(lambda _: (torch.get_num_threads(), denormals_read_zero()), [0]) == [(1, True)]
    assert denormals_read_zero() == outside[1]


def test_shares_are_all_and_about_alike() -> None:
    assert [list(share) for share in Crew(2).shares(range(5))] == [[0, 1, 2], [3, 4]]
    assert [list(share) for share in Crew(4).shares(range(2))] == [[0], [1]]
    assert [list(share) for share in ALONE.shares(range(5))] == [[0, 1, 2, 3, 4]]
