"""Trials: how the lanes of a run are laid out, found out on copies before training."""

import copy
import functools
from collections.abc import Callable
from typing import NamedTuple

from lrscope.plan import Plan
from lrscope.training.lanes import Lanes
from lrscope.training.layout import (
    SHARE,
    TRIALS_SECONDS,
    WORTH_CAPTURE,
    WORTH_IT,
    Layout,
    enough_work,
    fastest,
    largest,
    layouts,
    tiny,
    words,
)
from lrscope.training.material import Material
from lrscope.training.objective import Objective
from lrscope.training.separate import Separate
from lrscope.training.together import Together


class Chosen(NamedTuple):
    """What was chosen.

    Attributes:
        per_block: lanes that share a call; None for all.
        threads: that share an operation.
        processes: that train some of the lanes each.
        how: that, in words; None where there was no choice.
        lane_seconds: that a step of a lane took; None where none was timed.
    """

    per_block: int | None
    threads: int = 1
    processes: int = 1
    how: str | None = None
    lane_seconds: float | None = None


def chosen(
    material: Material,
    plan: Plan,
    per_block: int | None,
    most: int,
    tell: Callable[[str], None],
    *,
    fork: bool,
    whole: bool,
    kept: int,
) -> Chosen:
    """Choose how many lanes share a call, and how many processes or threads there are.

    By trials, where they pay.

    Args:
        material: of the lanes.
        plan: says which they are, and for how long.
        per_block: lanes that share a call, where that is given.
        most: processes, or threads that an operation takes.
        tell: given a sentence where capturing is given up.
        fork: whether other processes can train some of the lanes.
        whole: whether the plan's lanes are all that are going to be trained.
        kept: bytes that a lane's forward pass keeps for the backward pass.
    """
    findings, count = material.findings, len(plan.lanes)
    expected = findings.seconds * count * plan.steps
    if tiny(findings.seconds) and findings.together:
        if not (fork and enough_work(material.elements, plan.batch_size, count, plan.steps)):
            return Chosen(per_block)
        processes = min(most, count)
        how = words(count, per_block or count, processes, asked=True)
        return Chosen(per_block, processes=processes, how=how)
    if expected < WORTH_IT:
        if per_block is not None or not findings.together:
            return Chosen(per_block)
        per_block = largest(count, findings.seconds, None, kept)
        return Chosen(per_block, how=words(count, per_block, asked=True))
    asked = per_block if findings.together else 1
    options = list(layouts(asked, count, findings.seconds, most, fork=fork, kept=kept))
    best, lane_seconds = options[0], None
    if len(options) > 1:
        trial = _Trial(material, plan, tell, capture=findings.capturable and expected > WORTH_CAPTURE)
        before, material.written.after = material.written.after, 0
        best, seconds = fastest(
            {one: functools.partial(trial, one) for one in options}, max(SHARE * expected, TRIALS_SECONDS)
        )
        material.written.after = before
        lane_seconds = seconds / count
    if asked is None and (whole or best.lanes == 1):
        per_block = best.lanes
    asked_for = len(options) == 1
    how = words(count, best.lanes, best.processes, asked=asked_for, reason=findings.reason)
    return Chosen(per_block, best.threads, best.processes, how, lane_seconds)


class _Trial:
    """Makes the step of a layout, on copies."""

    def __init__(self, material: Material, plan: Plan, tell: Callable[[str], None], *, capture: bool) -> None:
        self._material, self._plan, self._tell, self._capture = material, plan, tell, capture
        self._starts = copy.deepcopy(material.starts)
        self._streams = {seed: stream.copy() for seed, stream in material.streams.items()}
        self._objective = Objective(material.problem, self._starts[plan.seeds[0]], material.device)

    def __call__(self, layout: Layout) -> Callable[[], None]:
        material, problem, findings = self._material, self._material.problem, self._material.findings
        keys = self._plan.lanes[: layout.lanes]
        seeds = list(dict.fromkeys(key.seed for key in keys))
        lanes = Lanes(self._starts, keys, problem.optimizer, problem.schedule, findings.unused)
        each = seeds[:1] if material.batches.shared else seeds
        batches = [material.batches.first(seed) for seed in each]
        gradients: Separate | Together
        if layout.lanes == 1:
            gradients = Separate(
                problem, lanes, seeds, self._streams, draws=findings.draws, device=material.device
            )
        else:
            gradients = material.together(
                lanes, seeds, self._objective, self._streams, layout.lanes, self._tell, capture=self._capture
            )

        def step() -> None:
            gradients(batches)
            lanes.step()

        return step
