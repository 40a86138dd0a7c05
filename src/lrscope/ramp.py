"""Ramp: ordinary training whose rate rises exponentially from step to step, on several seeds at once.

The learning-rate range test (Smith 2017, arXiv 1506.01186, section 3.3; with the exponential rise that fastai
made common). Letters: S seeds, n steps.
"""

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lrscope.errors import RatesError, TrainingError, UsageError
from lrscope.executors import executor_for
from lrscope.executors.executor import Executor, Training
from lrscope.problems.problem import Problem
from lrscope.rates import format_rate
from lrscope.record import Record
from lrscope.training.batches import Batches
from lrscope.training.prepare import prepare
from lrscope.training.random_state import undisturbed

FEWEST_STEPS = 20
"""Steps of a ramp, at least: the rules that read one leave up to 15 out."""

MOST_STEPS = 100_000


@dataclasses.dataclass(frozen=True, eq=False)
class Ramp:
    """What a ramp measured.

    Attributes:
        rates: float64 [n], rising; that of step t, the update from w_t to w_{t+1}.
        losses: float64 [S, n], the mini-batch loss at w_t, before that update; NaN from a lane's first loss
            that is not finite on.
        seeds: of the rows of `losses`.
        full_run: steps of one training run of the problem; `losses.size / full_run` is the cost of the ramp.
        how: how the lanes ran, in words.
        notes: sentences for the user.
        seconds: how long it took, preparation included.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    seeds: tuple[int, ...]
    full_run: int
    how: str
    notes: tuple[str, ...]
    seconds: float


def ramp_rates(low: float, high: float, steps: int) -> NDArray[np.float64]:
    """low (high / low)^(t / (n - 1)) for t = 0..n-1: float64 [n], both ends exact.

    Raises:
        RatesError: the ends are no rates, or do not rise.
        UsageError: too few or too many steps.
    """
    for name, rate in (("low", low), ("high", high)):
        real = isinstance(rate, (int, float, np.integer, np.floating)) and not isinstance(rate, bool)
        if not real or not math.isfinite(rate) or rate <= 0:
            raise RatesError(f"{name}= wants a positive number, such as 1e-7; got {rate!r}")
    if not low < high:
        raise RatesError(f"the ramp does not rise: low {low:g}, high {high:g}; wanted is low below high")
    whole = isinstance(steps, (int, np.integer)) and not isinstance(steps, bool)
    if not whole or not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise UsageError(
            f"steps= wants a whole number from {FEWEST_STEPS} to {MOST_STEPS:,}, such as 100; got {steps!r}"
        )
    rates = low * np.exp(np.linspace(0.0, 1.0, int(steps)) * math.log(high / low))
    rates[0], rates[-1] = low, high
    return rates


def ramp(
    problem: Problem,
    seeds: int | Sequence[int] = 2,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    device: str = "cpu",
) -> Ramp:
    """Train from the start of every seed while the rate rises from `low` to `high`.

    Everything but the rate is as in a sweep: the optimizer, its parameter groups (whose rates keep their
    ratios), clipping, dropout, the batches of each seed. The problem's own schedule gives way to the ramp,
    and nothing is validated. The random state, the model and the data are as before afterwards.

    Args:
        problem: what is trained.
        seeds: which; or how many: 0..seeds-1.
        low, high: the rates of the first and of the last step.
        steps: n; where an epoch is shorter, the ramp goes on in the next.
        device: a torch device.

    Raises:
        UsageError: rates, steps, seeds or device cannot be used as they are; nothing was trained.
        ProblemError: model, loss, data and optimizer do not fit together.
        TrainingError: the model raised for no lane's fault before a rule has anything to read.
    """
    began = time.monotonic()
    rates = ramp_rates(low, high, steps)
    factors = rates / rates[0]

    def rising(optimizer: Optimizer) -> LambdaLR:
        return LambdaLR(optimizer, lambda step: float(factors[min(step, len(factors) - 1)]))

    with undisturbed(problem.train, problem.val) as threads:
        per_epoch = Batches(problem.train, problem.batch_size, torch.device("cpu")).steps_per_epoch
        ramped = dataclasses.replace(
            problem, schedule=rising, epochs=math.ceil(len(rates) / per_epoch), val=None, metrics={}
        )
        prepared = prepare(
            ramped,
            (float(rates[0]),),
            seeds,
            device=device,
            curvature=False,
            threads=threads,
            record="losses",
        )
        plan = prepared.plan
        executor = executor_for(prepared, plan)
        trainings = [Training(executor, block) for block in prepared.blocks(plan.lanes)]
        losses = np.full((len(plan.seeds), len(rates)), np.nan)
        failures: dict[int, str] = {}
        try:
            for training in trainings:
                failures |= _trained(executor, training, losses)
        finally:
            executor.close()
    losses[np.logical_or.accumulate(~np.isfinite(losses), axis=1)] = np.nan
    notes = list(problem.notes)
    if problem.schedule is not None:
        notes.append("the problem's own schedule is left out: the ramp takes its place")
    ended = int(np.isfinite(losses).any(axis=0).sum())
    # At the top of a ramp every seed may raise at once (an assertion on NaN, a Cholesky): data.
    if ended < len(rates) and ended in failures:
        if ended < FEWEST_STEPS:
            raise TrainingError(failures[ended])
        notes.append(f"the ramp ended at rate {format_rate(rates[ended])}: {failures[ended]}")
    return Ramp(
        rates=rates,
        losses=losses,
        seeds=plan.seeds,
        full_run=problem.epochs * per_epoch,
        how=prepared.execution(len(plan.seeds)),
        notes=tuple(notes),
        seconds=time.monotonic() - began,
    )


def _trained(executor: Executor, training: Training, losses: NDArray[np.float64]) -> dict[int, str]:
    """Train a Block of a ramp and keep its losses [S, n]; return the step at which it failed, and why."""
    steps = losses.shape[1]
    done = 0
    try:
        for record in training.advance(steps):
            if isinstance(record, Record) and record.quantity == "loss":
                losses[np.ix_(record.lanes, record.steps)] = record.values.T
                done = int(record.steps[-1]) + 1
    except TrainingError as error:
        return {done: str(error)}
    finally:
        training.close()
    # The loss of the step that failed is recorded too, as NaN.
    known = int(np.isfinite(losses[[key.lane for key in training.block.keys]]).any(axis=0).sum())
    if training.failure is not None:
        return {known: str(training.failure)}
    stopped = [note.partition(": ")[2] for note in training.notes if " stopped at step " in note]
    return {known: stopped[-1]} if stopped else {}
