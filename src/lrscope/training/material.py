"""Material: what the lanes of a run are made of."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lrscope.problems.problem import Problem
from lrscope.training.batches import Batches
from lrscope.training.capture import Written
from lrscope.training.dry_run import Findings
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective
from lrscope.training.random_state import Stream
from lrscope.training.together import LANE_BATCH_ELEMENTS, Together


@dataclasses.dataclass(frozen=True)
class Material:
    """What is the same for all lanes, and for each seed.

    Attributes:
        problem: model, loss and optimizer.
        starts: seed -> the module that its lanes begin with.
        streams: seed -> the random numbers that its lanes draw.
        batches: what they are trained on.
        validation: gives the batches they are validated on; None without.
        findings: of the dry run.
        device: where they are.
        written: calls that are captured, for all that make the same ones.
    """

    problem: Problem
    starts: dict[int, nn.Module]
    streams: dict[int, Stream]
    batches: Batches
    validation: Callable[[], Iterator[Any]] | None
    findings: Findings
    device: torch.device
    written: Written

    @property
    def start(self) -> nn.Module:
        """The first seed's."""
        return next(iter(self.starts.values()))

    @property
    def elements(self) -> int:
        """Trained, of a lane."""
        return sum(parameter.numel() for parameter in self.start.parameters() if parameter.requires_grad)

    def together(
        self,
        lanes: Lanes,
        seeds: Sequence[int],
        objective: Objective,
        streams: dict[int, Stream],
        per_block: int | None,
        tell: Callable[[str], None],
        *,
        capture: bool,
    ) -> Together:
        """The gradients of lanes in vectorised calls.

        Args:
            lanes, seeds: which lanes, and their seeds in order.
            objective: model and loss.
            streams: seed -> the random numbers of these lanes.
            per_block: lanes in a call; None for all.
            tell: given a sentence where capturing is given up.
            capture: whether calls are captured.
        """
        first = self.batches.first(seeds[0])
        elements = sum(leaf.numel() for leaf in tree_leaves(first) if isinstance(leaf, Tensor))
        return Together(
            objective,
            lanes,
            seeds,
            streams,
            draws=self.findings.draws,
            shared_batch=self.batches.shared,
            stackable=self.batches.stackable and elements * len(lanes) <= LANE_BATCH_ELEMENTS,
            capture=capture,
            per_block=per_block,
            tell=tell,
            written=self.written,
        )
