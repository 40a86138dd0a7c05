"""Layout: how many lanes share a vectorised call.

Where most of a step goes into deciding what to run, all lanes together are fastest; where the weights of all
no longer fit the cache, a few at a time; where arithmetic takes all of it, one after another. Which it is
depends on model, batch and machine, so it is tried.

Letters: K lanes.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import torch

from lrscope.language import Text

TRIAL_SECONDS = 0.1
"""A layout is tried for that long, and at least twice."""

SHARE = 0.05
"""Of the seconds that the run would take, that may be spent on trials."""

TINY_SECONDS = 4e-4
"""Of one lane's forward and backward pass: below, deciding what to run takes longer than running it, and all
lanes together are fastest without a trial."""

THREADS_FROM = 1e-3
"""Of one lane's forward and backward pass, in one thread: from there on more threads are tried."""

WORTH_IT = 2.0
"""Seconds a run must take for trials to be worth it."""

HOPELESS = 1.5
"""A layout that takes so many times as long as the best is not tried a second time."""


class Layout(NamedTuple):
    """How the lanes of a step are computed.

    Attributes:
        lanes: in a call, at most.
        threads: that share an operation.
    """

    lanes: int
    threads: int = 1


def sizes(count: int) -> Iterator[int]:
    """Lanes in a call that are worth a try, of K, the likely ones first: all, one, four, ..."""
    likely = (count, 1, 4, 2, 8, 16, 32)
    yield from (size for place, size in enumerate(likely) if size <= count and size not in likely[:place])


def layouts(blocks: Iterable[int], seconds: float, threads: int) -> Iterator[Layout]:
    """What is worth a try, the likely ones first.

    Args:
        blocks: lanes in a call.
        seconds: of one lane's forward and backward pass, in one thread.
        threads: how many there may be.
    """
    counts = (1, threads) if threads > 1 and seconds > THREADS_FROM else (1,)
    yield from (Layout(lanes, count) for lanes in blocks for count in counts)


def worth_trying(seconds: float, lanes: int, steps: int) -> bool:
    """Whether trials can tell anything that pays.

    Args:
        seconds: of one lane's forward and backward pass.
        lanes: K.
        steps: of the run.
    """
    return seconds > TINY_SECONDS and seconds * lanes * steps > WORTH_IT


def fastest(
    trials: Mapping[Layout, Callable[[], object]],
    seconds: float,
    clock: Callable[[], float] | None = None,
) -> Layout:
    """The layout whose step takes least, of the minimum of several.

    Args:
        trials: makes a step of all K lanes; the first is the answer where time is short.
        seconds: that all trials may take together, about: no further one is begun after them.
        clock: gives seconds; by default those of this thread where there is never another, else of the wall.
    """
    if clock is None:
        alone = all(layout.threads == 1 for layout in trials)
        clock = time.thread_time if alone else time.perf_counter
    began = clock()
    best, least = next(iter(trials)), math.inf
    for layout, step in trials.items():
        torch.set_num_threads(layout.threads)
        if least < math.inf and clock() - began > seconds:
            break
        step()  # the first one allocates
        took = _least(step, clock, least * HOPELESS)
        if took < least:
            best, least = layout, took
    torch.set_num_threads(1)
    return best


def _least(step: Callable[[], object], clock: Callable[[], float], hopeless: float) -> float:
    least, rounds, began = math.inf, 0, clock()
    while rounds < 2 or clock() - began < TRIAL_SECONDS:
        start = clock()
        step()
        least = min(least, clock() - start)
        rounds += 1
        if least > hopeless:
            break
    return least


def words(count: int, per_block: int) -> Text:
    """How K lanes run, said in the output."""
    if count == 1:
        return Text("1 lane", "1 条训练线")
    if per_block >= count:
        return Text("{count} lanes in one pass", "{count} 条训练线一次算完").format(count=count)
    if per_block > 1:
        blocks = Text("{count} lanes in blocks of {size}", "{count} 条训练线分块算，每块 {size} 条")
        return blocks.format(count=count, size=per_block)
    alone = Text(
        "{count} lanes, one after another: that is fastest here", "{count} 条训练线一条接一条：这里这样最快"
    )
    return alone.format(count=count)


def in_threads(how: str, threads: int) -> str:
    """`how` lanes run, with the threads where there are several."""
    if threads == 1:
        return how
    return Text("{how}, in {threads} threads", "{how}，{threads} 个线程").format(how=how, threads=threads)
