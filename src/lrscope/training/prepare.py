"""Prepare: check that a problem fits, find out how its lanes can run, and write down the plan."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from lrscope.errors import ProblemError, UsageError
from lrscope.language import Text
from lrscope.plan import GRADIENTS, Plan
from lrscope.problems.constant_loss import constant_loss, constant_val_loss
from lrscope.problems.problem import Problem, Schedule
from lrscope.training.batches import Batches, of_tensors, validation_batches
from lrscope.training.capture import Written
from lrscope.training.curvature import EXAMPLES_AT_MOST
from lrscope.training.dry_run import dry_run
from lrscope.training.footprint import footprint
from lrscope.training.heap import give_back
from lrscope.training.layout import largest, words
from lrscope.training.material import Material
from lrscope.training.memory import LANES_AT_MOST, lanes_that_fit, refuse_too_large, refuse_too_many
from lrscope.training.memory import words as memory_words
from lrscope.training.nudged_lanes import from_scratch
from lrscope.training.optimizers import describe, schedule_by_name
from lrscope.training.run import Run
from lrscope.training.starts import starting_modules
from lrscope.training.trials import chosen
from lrscope.training.worker import possible

CURVATURE_FOR_FREE = 200
"""Trained parameters up to which curvature is measured unasked, where all examples make one batch."""


def prepare(
    problem: Problem,
    rates: Sequence[float],
    seeds: int | Sequence[int],
    *,
    schedule: str | None = None,
    device: str = "cpu",
    curvature: bool | None = None,
    gradient: str = "autograd",
    probes: bool = False,
    lanes_per_block: int | None = None,
    compiles: bool = False,
    threads: int = 1,
    record: str = "full",
) -> Run:
    """Check that everything fits, find out how lanes can run, and write down the plan.

    Args:
        problem: what is trained.
        rates: rising.
        seeds: which; or how many: 0..seeds-1.
        schedule: the name of a schedule in place of the problem's own.
        device: a torch device.
        curvature: whether to measure the top of every lane's Hessian along the way; None measures it where it
            costs next to nothing: a tiny model trained on all examples at once.
        gradient: one of `GRADIENTS`.
        probes: whether to ask about 20 batches again after their update, and to go on a little at a fifth of
            the rate in the end.
        lanes_per_block: how many lanes share a vectorised call; 1 trains lane after lane; None finds out what
            is fastest.
        compiles: whether captured steps are compiled; their numbers are the same but for rounding.
        threads: that an operation may take, or processes that train a share of the lanes each; they are tried
            where that pays.
        record: how much is recorded, one of `RECORDS`.

    Raises:
        UsageError: too many lanes, or larger than the memory, no such device, or no such gradient.
        ProblemError: model, loss, data, optimizer or schedule do not fit together.
    """
    listed = isinstance(seeds, Sequence) and not isinstance(seeds, str)
    if not listed and (not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1):
        raise UsageError(f"seeds= wants a whole number of at least 1; got {seeds!r}")
    which = range(seeds) if isinstance(seeds, int) else tuple(seeds)
    if gradient not in GRADIENTS:
        raise UsageError(f"gradient= wants one of {', '.join(GRADIENTS)}; got {gradient!r}")
    where = _device(device)
    batches = Batches(problem.train, problem.batch_size, where)
    # Of a grid that will be refused one model is made, to say what the lanes would take.
    accepted = len(rates) * len(which) <= LANES_AT_MOST
    starts, streams = starting_modules(problem, which if accepted else which[:1], where)
    first = starts[which[0]]
    refuse_too_many(len(rates), len(which), first, problem.name)
    name, options = describe(problem.optimizer, list(first.parameters()))
    schedule_name = getattr(problem.schedule, "__name__", "custom") if problem.schedule is not None else None
    plan = Plan(
        problem=problem.name,
        rates=tuple(rates),
        seeds=tuple(which),
        epochs=problem.epochs,
        steps_per_epoch=batches.steps_per_epoch,
        batch_size=batches.batch_size,
        train_size=batches.size,
        val_size=None if problem.val is None else _length(problem.val),
        optimizer=name,
        optimizer_options=options,
        schedule=schedule_name,
        clip_norm=problem.clip_norm,
        loss=_loss_name(problem),
        constant_loss=constant_loss(problem),
        constant_val_loss=constant_val_loss(problem),
        dtype=str(next(first.parameters()).dtype).removeprefix("torch."),
        device=str(where),
        tensors=tuple(name for name, _ in first.named_parameters()),
        shapes=tuple(tuple(parameter.shape) for _, parameter in first.named_parameters()),
        metrics=tuple(problem.metrics),
        record=record,
    )
    if schedule is not None:
        named: Schedule = schedule_by_name(schedule)(plan.steps)
        problem = dataclasses.replace(problem, schedule=named)
        plan = dataclasses.replace(plan, schedule=schedule)
    validation = None
    val_batch = None
    if problem.val is not None:
        validation = validation_batches(problem.val, len(plan.lanes), batches.batch_size, where)
        val_batch = next(iter(validation()), None)
        if val_batch is None:
            raise ProblemError("val= is empty: it gives no batch")
    findings = dry_run(problem, first, batches.first(which[0]), val_batch, streams[which[0]], where)
    free = findings.together and gradient == "autograd"
    _check_per_block(
        lanes_per_block, "" if free else findings.reason or f"gradient={gradient!r} leaves no choice"
    )
    one = footprint(problem, first, batches.first(which[0]), val_batch, where)
    give_back()
    copies = record != "losses" and not plan.sampled
    per_block = lanes_per_block
    if per_block is None and findings.together and where.type != "cpu":
        fitting = lanes_that_fit(one, len(plan.lanes), len(which), where, recorded=copies)
        per_block = None if fitting == len(plan.lanes) else fitting

    def at_once(lanes: int) -> int:
        if not findings.together:
            return 1
        if where.type != "cpu":
            return min(lanes, per_block or lanes)
        return largest(lanes, findings.seconds, per_block, one.activations)

    memory = refuse_too_large(one, rates, len(which), problem.name, where, at_once=at_once, recorded=copies)
    if curvature is None:
        size = sum(p.numel() for p in first.parameters() if p.requires_grad)
        all_at_once = batches.shared and batches.steps_per_epoch == 1
        curvature = findings.together and all_at_once and size <= CURVATURE_FOR_FREE
    if curvature and not findings.together:
        raise UsageError(f"curvature needs lanes in one pass; {findings.reason}: leave out --curvature")
    if curvature:
        plan = dataclasses.replace(
            plan, curvature_examples=min(EXAMPLES_AT_MOST, batches.size or batches.batch_size)
        )
    if probes and not (findings.together and gradient == "autograd"):
        reason = findings.reason if gradient == "autograd" else "they ask autograd for gradients"
        raise UsageError(f"probes need lanes in one pass; {reason}: leave out --probes")
    plan = dataclasses.replace(plan, probes=bool(probes))
    if compiles and not (findings.capturable and gradient == "autograd"):
        why = findings.reason or "model or loss may keep something from one call to the next"
        why = why if gradient == "autograd" else f"gradient={gradient!r} is NumPy's"
        raise UsageError(f"no step can be compiled: {why}; leave out --compile")
    count = len(plan.lanes)
    how: str = words(count, per_block or count, asked=per_block is not None)
    scratch = None
    if gradient != "autograd":
        scratch = from_scratch(problem, first, batches.first(which[0]), gradient)
        plan = dataclasses.replace(plan, gradient=gradient, nudge=scratch.difference.nudge)
        how = Text("{how}, by {scratch}", "{how}，{scratch}").format(how=how, scratch=scratch.words)
    elif not findings.together:
        how = words(count, 1, reason=findings.reason)
    notes = list(problem.notes)
    run = Run(
        plan,
        how,
        notes,
        memory_words(memory),
        Material(problem, starts, streams, batches, validation, findings, where, Written(compiles=compiles)),
        scratch,
        per_block,
        findings.seconds,
    )
    if gradient == "autograd" and where.type == "cpu":
        data = [problem.train] if problem.val is None else [problem.train, problem.val]
        # What is measured beside training is measured of all lanes at once.
        aside = curvature or probes
        free_of_others = findings.capturable and not aside
        cheap = all(map(of_tensors, data))
        # Every share takes its batches by itself: what collates examples one by one is asked once for all.
        run.alone = free_of_others and cheap and not any(isinstance(one, DataLoader) for one in data)
        fork = possible() and free_of_others and cheap
        # One rate tells nothing of how many lanes there will be: a search makes more of them.
        whole, kept = len(rates) > 1, one.activations
        run.lay_out(
            chosen(run.material, plan, per_block, threads, run.tell, fork=fork, whole=whole, kept=kept)
        )
    if compiles:
        run.say_compiled()
    give_back()
    return run


def _check_per_block(lanes: int | None, obstacle: str) -> None:
    if lanes is None:
        return
    if not isinstance(lanes, int) or isinstance(lanes, bool) or lanes < 1:
        raise UsageError(f"lanes_per_block= wants a whole number of at least 1; got {lanes!r}")
    if obstacle and lanes > 1:
        raise UsageError(f"lanes cannot share a call: {obstacle}; leave out --lanes-per-block")


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        # torch's own words list every device it has ever heard of.
        raise UsageError(
            f"--device {name}: wanted is a device of torch; type --device cpu, cuda, cuda:0 or mps"
        ) from error
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        if isinstance(error, NotImplementedError | ImportError):
            reason = "torch cannot use it here"
        raise UsageError(f"--device {name}: {reason}; type --device cpu") from error
    return device


def _length(data: Any) -> int:
    if isinstance(data, DataLoader):
        return len(data.dataset) if hasattr(data.dataset, "__len__") else 0
    return len(data[0]) if isinstance(data, (tuple, list)) else len(data)


def _loss_name(problem: Problem) -> str:
    what: Any = problem.loss if problem.loss is not None else problem.step
    return getattr(what, "__name__", type(what).__name__)
