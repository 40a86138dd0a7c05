"""Block: some rates of one seed, trained together; and the rule that cuts lanes into Blocks.

A Block needs no other Block: it may be trained anywhere, at any time, and again. The rule reads sizes only,
no clock, so that lanes of one plan are cut alike every time on one machine.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lrscope.language import Text
from lrscope.plan import LaneKey

LARGE_PASS = 2**21
"""Bytes that a forward pass keeps for the backward pass, above which every lane has a pass of its own: its
arithmetic takes far longer than deciding what to run, and a shared call holds those bytes several times."""

CACHE = 2**26
"""Bytes of weights, gradients, optimizer state and activations up to which lanes share a call: more of them
would leave the cache between the forward pass and the update."""

OPERATIONS_A_SECOND = 2e10
"""Multiplications and additions of one core, roughly."""

BYTES_A_SECOND = 1e9
"""Bytes of activations that a forward and backward pass gets through in a second, roughly."""

WORTH_PROCESSES = 0.5
"""Seconds that a second process must save, by the estimate, to be started."""

WORTH_THREADS = 2e-3
"""Seconds of one lane's pass, by the estimate, above which an operation is shared by threads."""


@dataclasses.dataclass(frozen=True)
class Block:
    """Some lanes of one seed: the unit of work, of failure and of going on.

    Attributes:
        keys: its lanes, of one seed.
        lanes_per_call: how many share a vectorised call; 1 trains them one after another.
    """

    keys: tuple[LaneKey, ...]
    lanes_per_call: int

    @property
    def seed(self) -> int:
        """The seed of all its lanes."""
        return self.keys[0].seed


class Sizes(NamedTuple):
    """Sizes of one lane's step, on which the rule rests.

    Attributes:
        elements: trained parameters.
        examples: in a batch.
        activations: bytes that a forward pass keeps for the backward pass.
        lasting: bytes of weights, gradients and optimizer state.
    """

    elements: int
    examples: int
    activations: int
    lasting: int

    @property
    def arithmetic_seconds(self) -> float:
        """A rough estimate of the arithmetic of a forward and backward pass, in seconds of one core.

        A multiplication and an addition for each parameter and example, forward, and twice as many backward;
        or, of models that use a parameter many times (convolutions), what their activations take.
        """
        by_weights = 6.0 * self.elements * self.examples / OPERATIONS_A_SECOND
        by_activations = self.activations / BYTES_A_SECOND if self.activations > LARGE_PASS else 0.0
        return max(by_weights, by_activations)


class Layout(NamedTuple):
    """How the lanes of a run are trained.

    Attributes:
        lanes_per_call: that share a vectorised call.
        lanes_per_block: that share a Block.
        processes: in which Blocks are trained.
        threads: that an operation takes, in each process.
    """

    lanes_per_call: int
    lanes_per_block: int
    processes: int = 1
    threads: int = 1


class Limits(NamedTuple):
    """What a layout has to respect.

    Attributes:
        vectorised: whether lanes may share a call.
        asked: lanes in a call, as the user asked; None where the rule decides.
        processors: processes or threads that may be used.
        separable: whether Blocks may be trained in processes of their own.
        shared_data: whether one Block takes all lanes of a seed, since getting a batch is dear.
        fitting: lanes in a call that the memory of an accelerator holds; None on a CPU.
    """

    vectorised: bool
    asked: int | None = None
    processors: int = 1
    separable: bool = False
    shared_data: bool = False
    fitting: int | None = None


def lay_out(keys: Sequence[LaneKey], steps: int, sizes: Sizes, limits: Limits) -> Layout:
    """Return how lanes are trained, by their sizes.

    Lanes share a call while their weights and activations fit the cache together. Blocks are trained in
    processes where that saves arithmetic worth starting them; otherwise large operations use threads.
    """
    of_seed = max(_per_seed(keys).values())
    per_call = min(of_seed, _lanes_per_call(sizes, limits))
    per_block = of_seed if limits.shared_data else per_call
    processes = min(limits.processors, len(keys)) if limits.separable else 1
    saved = steps * len(keys) * sizes.arithmetic_seconds * (1 - 1 / processes)
    if processes > 1 and saved >= WORTH_PROCESSES:
        per_block = min(per_block, -(-len(keys) // processes))
        return Layout(min(per_call, per_block), per_block, processes)
    threads = limits.processors if sizes.arithmetic_seconds >= WORTH_THREADS else 1
    return Layout(per_call, per_block, 1, threads)


def _lanes_per_call(sizes: Sizes, limits: Limits) -> int:
    if not limits.vectorised:
        return 1
    if limits.asked is not None:
        return limits.asked
    if limits.fitting is not None:
        return limits.fitting
    if sizes.activations > LARGE_PASS:
        return 1
    return max(1, CACHE // max(1, sizes.lasting + sizes.activations))


def cut(keys: Iterable[LaneKey], layout: Layout) -> Iterator[Block]:
    """Cut lanes into Blocks of one seed each, as even in size as can be, in the order of the lanes."""
    of_seed: dict[int, list[LaneKey]] = {}
    for key in keys:
        of_seed.setdefault(key.seed, []).append(key)
    for own in of_seed.values():
        count = -(-len(own) // layout.lanes_per_block)
        ends = [round(len(own) * number / count) for number in range(count + 1)]
        for begin, end in itertools.pairwise(ends):
            yield Block(tuple(own[begin:end]), min(layout.lanes_per_call, end - begin))


def _per_seed(keys: Iterable[LaneKey]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for key in keys:
        counts[key.seed] = counts.get(key.seed, 0) + 1
    return counts


@dataclasses.dataclass(frozen=True)
class Execution:
    """How the lanes of a study are trained, for whoever reads it.

    Attributes:
        lanes: how many there are; 0 where that is not known yet.
        layout: how they are trained.
        seeds: how many there are.
        reason: why lanes share no call, in a sentence; "" where they could.
    """

    lanes: int
    layout: Layout
    seeds: int = 1
    reason: str = ""

    @property
    def words(self) -> Text:
        """Say it: "16 lanes in 2 processes, in blocks of 8"."""
        layout = self.layout
        lanes = Text("lanes", "训练线")
        if self.lanes == 1:
            return Text("1 lane", "1 条训练线")
        if self.lanes:
            lanes = Text("{count} lanes", "{count} 条训练线").format(count=self.lanes)
        if layout.processes > 1:
            shared = Text("{lanes} in {processes} processes", "{lanes}分给 {processes} 个进程")
            lanes = shared.format(lanes=lanes, processes=layout.processes)
        if self.reason:
            said = Text("{lanes}, one after another: {reason}", "{lanes}，一条接一条：{reason}")
            said = said.format(lanes=lanes, reason=self.reason)
        elif layout.lanes_per_call == 1:
            said = Text("{lanes}, one after another", "{lanes}，一条接一条").format(lanes=lanes)
        elif self.lanes and layout.lanes_per_call * self.seeds >= self.lanes and layout.processes == 1:
            said = Text("{lanes} in one pass", "{lanes}一次算完").format(lanes=lanes)
            if self.seeds > 1:
                said = Text("{lanes}, those of a seed in one pass", "{lanes}，每个种子的一次算完").format(
                    lanes=lanes
                )
        else:
            blocks = Text("{lanes} in blocks of {size}", "{lanes}，分块算，每块 {size} 条")
            said = blocks.format(lanes=lanes, size=layout.lanes_per_call)
        if layout.threads > 1:
            said = Text("{how}, in {threads} threads", "{how}，{threads} 个线程").format(
                how=said, threads=layout.threads
            )
        return said
