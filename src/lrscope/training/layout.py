"""Layout: how many lanes share a vectorised call.

Where most of a step goes into deciding what to run, all lanes together are fastest; where the weights of all
no longer fit the cache, a few at a time; where arithmetic takes all of it, one after another. Which it is
depends on model, batch and machine, so it is tried.

Letters: K lanes.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import torch

from lrscope.language import Text

TRIAL_SECONDS = 0.1
"""A layout is tried for that long, and at least twice: the first time does not count."""

SHARE = 0.03
"""Of the seconds that the run would take, that may be spent on trials."""

TINY_SECONDS = 4e-4
"""Of one lane's forward and backward pass: below, deciding what to run takes longer than running it, and all
lanes together are fastest without a trial."""

LONG_SECONDS = 4e-3
"""Of one lane's forward and backward pass: above, one lane a call is the likeliest to be fastest."""

CREW_FROM = 5e-4
"""Of one lane's forward and backward pass: from there on calls side by side are tried."""

THREADS_FROM = 2e-3
"""From there on threads within an operation are, where calls cannot be made side by side. On a machine with
other work to do they are a risk: one that has to wait makes a short operation hundreds of times as long."""

WORTH_IT = 2.0
"""Seconds a run must take for trials to be worth it."""

HOPELESS = 1.5
"""A layout that takes so many times as long as the best is given up."""


class Layout(NamedTuple):
    """How the lanes of a step are computed.

    Attributes:
        lanes: in a call, at most.
        threads: that share an operation.
        crew: Python threads that take calls side by side.
    """

    lanes: int
    threads: int = 1
    crew: int = 1


def sizes(count: int, seconds: float, threads: int = 1) -> Iterator[int]:
    """Lanes in a call that are worth a try, the likely ones first.

    Args:
        count: K.
        seconds: of one lane's forward and backward pass.
        threads: how many there may be.
    """
    share = -(-count // threads)
    likely = (1, 4, share, count) if seconds > LONG_SECONDS else (count, share, 1, 4)
    yield from dict.fromkeys(size for size in (*likely, 2, 8, 16, 32) if size <= count)


def layouts(
    blocks: Iterable[int], count: int, seconds: float, threads: int, *, beside: bool
) -> Iterator[Layout]:
    """What is worth a try, in the order of the blocks.

    Args:
        blocks: lanes in a call.
        count: K.
        seconds: of one lane's forward and backward pass, in one thread.
        threads: how many there may be.
        beside: whether calls may be made side by side.
    """
    for lanes in blocks:
        if threads > 1 and beside and lanes < count and seconds > CREW_FROM:
            yield Layout(lanes, 1, threads)
            continue
        if threads > 1 and (count == 1 or not beside) and seconds > THREADS_FROM:
            yield Layout(lanes, threads)
        yield Layout(lanes)


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
) -> tuple[Layout, float]:
    """The layout whose step takes least, by the median of several.

    Args:
        trials: makes a step of all K lanes; the first is the answer where time is short.
        seconds: that all trials may take together, about: no further one is begun after them.
        clock: gives seconds; by default those of this thread where there is never another, else of the wall.

    Returns:
        The layout, and the seconds.
    """
    if clock is None:
        alone = all(layout.threads == layout.crew == 1 for layout in trials)
        clock = time.thread_time if alone else time.perf_counter
    began = clock()
    best, least = next(iter(trials)), math.inf
    for layout, step in trials.items():
        torch.set_num_threads(layout.threads)
        if least < math.inf and clock() - began > seconds:
            break
        took = _median(step, clock, least * HOPELESS)
        if took < least:
            best, least = layout, took
    torch.set_num_threads(1)
    return best, least


def _median(step: Callable[[], object], clock: Callable[[], float], hopeless: float) -> float:
    # Not the least: where threads wait for a busy machine, one step in a few is many times as long.
    took: list[float] = []
    began = clock()
    while len(took) < 2 or clock() - began < TRIAL_SECONDS:
        start = clock()
        step()
        took.append(clock() - start)
        if took[-1] > hopeless:
            break
    return statistics.median(took[1:] or took)  # the first one allocates


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
