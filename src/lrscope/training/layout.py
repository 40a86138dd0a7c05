"""Layout: how many lanes share a vectorised call.

Where most of a step goes into deciding what to run, all lanes together are fastest; where the weights of all
no longer fit the cache, a few at a time; where arithmetic takes all of it, one after another. Which it is
depends on model, batch and machine, so it is tried.

Letters: K lanes.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch

from lrscope.language import Text

TRIAL_SECONDS = 0.1
"""A layout is tried for that long at most, and at least twice: the first time does not count."""

FEW_STEPS = 8
"""Short steps that must agree before a layout is given up."""

TRIAL_STEPS = 32
"""And for so many steps at most."""

SHARE = 0.02
"""Of the seconds that the run would take, that may be spent on trials."""

TRIALS_SECONDS = 0.3
"""What may be spent on them in any case."""

TINY_SECONDS = 3e-4
"""Of one lane's forward and backward pass: below, deciding what to run takes longer than running it, and all
lanes together are fastest without a trial."""

LONG_SECONDS = 4e-3
"""Of one lane's forward and backward pass: above, one lane a call is the likeliest to be fastest."""

KEPT_BYTES = 2**24
"""What a lane's forward pass keeps, above which no lanes share a call: operations on so much take a thousand
times as long as finding out which to run, and a call holds what its passes keep several times over."""

LONG_LANES = 4
"""Lanes that share a call of such passes at most: what they keep for the backward pass is large, too."""

THREADS_FROM = 2e-3
"""From there on threads within an operation are tried, where lanes cannot be shared out to processes. On a
machine with other work to do they are a risk: one that has to wait makes a short operation hundreds of times
as long."""

WORTH_IT = 1.0
"""Seconds a run must take, lane after lane, for trials to be worth it, and for another process."""

WORTH_CAPTURE = 40.0
"""The same for trials of captured calls, where writing one down takes as long as hundreds of calls."""

STEP_WORK, RUN_WORK = 1e7, 2e10
"""Arithmetic of a step of all lanes, and of a run, in operations on numbers, from which processes pay where
passes are tiny: half of it then takes longer than finding out what to run, and all of it about a second."""

HOPELESS = 1.5
"""A layout that takes so many times as long as the best is given up."""


class Layout(NamedTuple):
    """How the lanes of a step are computed.

    Attributes:
        lanes: in a call, at most.
        threads: that share an operation.
        processes: that take a share of the lanes each.
        calls: of each process, to all of its lanes.
    """

    lanes: int
    threads: int = 1
    processes: int = 1
    calls: int = 1


def tiny(seconds: float) -> bool:
    """Whether all lanes of a process belong in one call, untried: see `TINY_SECONDS`."""
    return seconds < TINY_SECONDS


def enough_work(elements: int, examples: int, lanes: int, steps: int) -> bool:
    """Whether processes pay where passes are tiny: reckoned, not timed, so that it is so every time.

    A multiplication and an addition for each weight and example, forward, and twice as many backward.

    Args:
        elements: trained, of a lane.
        examples: in a batch.
        lanes, steps: how many.
    """
    step = 6.0 * elements * examples * lanes
    return step >= STEP_WORK and step * steps >= RUN_WORK


def sizes(count: int, seconds: float, kept: int = 0) -> Iterator[int]:
    """Lanes in a call that are worth a try, the likely ones first.

    Args:
        count: of lanes in a process.
        seconds: of one lane's forward and backward pass.
        kept: bytes that its forward pass keeps for the backward pass.
    """
    if kept > KEPT_BYTES:
        some = [1]
    elif tiny(seconds):
        some = [count]
    elif seconds > LONG_SECONDS:
        some = [1, LONG_LANES, 2]
    else:
        some = [count, 1, 4, 2, 8, 16, 32]
    yield from dict.fromkeys(size for size in some if size <= count)


def largest(count: int, seconds: float, per_block: int | None, kept: int = 0) -> int:
    """Lanes that share a call at most, whatever trials say: see `sizes`."""
    if per_block is not None:
        return min(per_block, count)
    if kept > KEPT_BYTES:
        return 1
    return min(count, LONG_LANES) if seconds > LONG_SECONDS else count


def layouts(
    per_block: int | None, count: int, seconds: float, most: int, *, fork: bool, kept: int = 0
) -> Iterator[Layout]:
    """What is worth a try, the likely ones first.

    Args:
        per_block: lanes in a call, where that is given.
        count: K.
        seconds: of one lane's forward and backward pass, in one thread.
        most: processes or threads there may be.
        fork: whether other processes can train some of the lanes.
        kept: bytes that the forward pass keeps for the backward pass.
    """
    processes = min(most, count) if fork else 1
    share = -(-count // processes)
    for lanes in sizes(share, seconds, kept) if per_block is None else (min(per_block, share),):
        calls = -(-share // lanes)
        if most > 1 and processes == 1 and seconds > THREADS_FROM:
            yield Layout(lanes, most, 1, calls)
        yield Layout(lanes, 1, processes, calls)


def fastest(
    trials: Mapping[Layout, Callable[[], Callable[[], object]]],
    seconds: float,
    clock: Callable[[], float] | None = None,
) -> tuple[Layout, float]:
    """The layout whose step takes least, by the median of several.

    Args:
        trials: gives what makes a step of the lanes of one call, which follow each other; the first is the
            answer where time is short.
        seconds: that all trials may take together, about, but for the first step of each, which makes what
            is used again: no further one is begun after them.
        clock: gives seconds; by default those of this thread where there is never another, else of the wall.

    Returns:
        The layout, and the seconds of a step of all lanes.
    """
    if clock is None:
        alone = all(layout.threads == 1 for layout in trials)
        clock = time.thread_time if alone else time.perf_counter
    best, least = next(iter(trials)), math.inf
    spent = 0.0
    for layout, prepared in trials.items():
        torch.set_num_threads(layout.threads)
        if spent > seconds:
            break
        step = prepared()
        step()
        began = clock()
        took = layout.calls * _median(step, clock, least * HOPELESS / layout.calls)
        spent += clock() - began
        if took < least:
            best, least = layout, took
    torch.set_num_threads(1)
    return best, least


def _median(step: Callable[[], object], clock: Callable[[], float], hopeless: float) -> float:
    # Not the least: where threads wait for a busy machine, one step in a few is many times as long.
    took: list[float] = []
    began = clock()
    while not took or (clock() - began < TRIAL_SECONDS and len(took) < TRIAL_STEPS):
        start = clock()
        step()
        took.append(clock() - start)
        # One step may be long by chance, or because it rehearses something.
        if statistics.median(took) > hopeless and (len(took) >= FEW_STEPS or took[-1] > TRIAL_SECONDS / 2):
            break
    return statistics.median(took)


def words(count: int, per_block: int, processes: int = 1, *, asked: bool = False, reason: str = "") -> Text:
    """How K lanes run, said in the output.

    Args:
        count: K.
        per_block: lanes in a call.
        processes: that share the lanes.
        asked: whether the number of lanes in a call is the user's choice.
        reason: why no lanes can share a call, where they cannot.
    """
    if count == 1:
        return Text("1 lane", "1 条训练线")
    lanes = Text("{count} lanes", "{count} 条训练线").format(count=count)
    if processes > 1:
        shared = Text("{lanes} in {processes} processes", "{lanes}分给 {processes} 个进程")
        lanes = shared.format(lanes=lanes, processes=processes)
    if reason:
        why = Text("{lanes}, one after another: {reason}", "{lanes}，一条接一条：{reason}")
        return why.format(lanes=lanes, reason=reason)
    if per_block >= -(-count // processes):
        whole = Text("{lanes} in one pass", "{lanes}一次算完")
        each = Text("{lanes}, each in one pass", "{lanes}，各自一次算完")
        return (each if processes > 1 else whole).format(lanes=lanes)
    if per_block > 1:
        blocks = Text("{lanes} in blocks of {size}", "{lanes}，分块算，每块 {size} 条")
        return blocks.format(lanes=lanes, size=per_block)
    alone = Text("{lanes}, one after another", "{lanes}，一条接一条")
    if not asked:
        alone = Text("{lanes}, one after another: that is fastest here", "{lanes}，一条接一条：这里这样最快")
    return alone.format(lanes=lanes)


def in_threads(how: str, threads: int) -> str:
    """`how` lanes run, with the threads where there are several."""
    if threads == 1:
        return how
    return Text("{how}, in {threads} threads", "{how}，{threads} 个线程").format(how=how, threads=threads)
