"""Prepare: check that a problem fits, find out how its lanes can run, and write down the plan."""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from lrscope.errors import ProblemError, UsageError
from lrscope.language import Text
from lrscope.plan import GRADIENTS, LaneKey, Plan
from lrscope.problems.constant_loss import constant_loss, constant_val_loss
from lrscope.problems.problem import Problem, Schedule
from lrscope.training.batches import Batches, of_tensors, validation_batches
from lrscope.training.block import Block, Execution, Layout, Limits, Sizes, cut, lay_out
from lrscope.training.capture import Written
from lrscope.training.curvature import EXAMPLES_AT_MOST
from lrscope.training.dry_run import Findings, dry_run
from lrscope.training.finite_difference_lanes import Scratch, from_scratch
from lrscope.training.footprint import Footprint, footprint
from lrscope.training.fork import can_fork
from lrscope.training.initial_models import starting_modules
from lrscope.training.memory import LANES_AT_MOST, lanes_that_fit, refuse_too_large, refuse_too_many
from lrscope.training.memory import words as memory_words
from lrscope.training.objective import Objective
from lrscope.training.optimizers import describe, schedule_by_name, try_schedule
from lrscope.training.random_state import Stream

NOT_COMPILED = Text(
    "lanes run one after another: no step is compiled", "训练线一条接一条：没有可编译的共同步骤"
)

CURVATURE_FOR_FREE = 200
"""Trained parameters up to which curvature is measured unasked, where all examples make one batch."""


@dataclasses.dataclass
class Prepared:
    """A problem made ready to train at many rates.

    Attributes:
        problem: model, loss, optimizer and schedule.
        plan: the question; `tracked` is filled in by the caller.
        starts: seed -> the module that its lanes begin with.
        streams: seed -> the random numbers that its lanes draw.
        batches: the training data, cut into batches.
        validation: gives the batches of validation; None without.
        findings: of the dry run.
        device: where everything is.
        layout: how the lanes of the plan are trained.
        sizes, limits: on which that rests.
        scratch: the network from scratch; None where autograd gives gradients.
        written: captured calls, for all Runners of this process.
        notes: sentences for the user.
        memory: what training is estimated to take, in words.
    """

    problem: Problem
    plan: Plan
    starts: dict[int, nn.Module]
    streams: dict[int, Stream]
    batches: Batches
    validation: Callable[[], Iterator[Any]] | None
    findings: Findings
    device: torch.device
    layout: Layout
    sizes: Sizes
    limits: Limits
    scratch: Scratch | None
    written: Written
    notes: list[str]
    memory: str

    @property
    def start(self) -> dict[str, Tensor]:
        """name -> [...], the weights of a lane of the first seed before training."""
        first = next(iter(self.starts.values()))
        return {name: parameter.detach() for name, parameter in first.named_parameters()}

    def execution(self, lanes: int) -> Text:
        """Say how so many lanes are trained; 0 where that is not known yet."""
        execution = Execution(lanes, self.layout, len(self.plan.seeds), self.findings.reason)
        words = execution.words
        if self.scratch is not None:
            words = Text("{how}, by {scratch}", "{how}，{scratch}").format(
                how=words, scratch=self.scratch.words
            )
        if self.written.compiles and self.layout.lanes_per_call > 1:
            words = Text("{how}, compiled", "{how}，编译执行").format(how=words)
        return words

    def blocks(self, keys: Sequence[LaneKey]) -> list[Block]:
        """Cut lanes into Blocks."""
        if self.scratch is not None:  # NumPy takes all lanes of a seed at once
            return list(cut(keys, Layout(len(keys), len(keys))))
        return list(cut(keys, lay_out(keys, self.plan.steps, self.sizes, self.limits)))

    def losses_of(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Return the training loss [G] of stacked weights, name -> [G, ...], in eval mode.

        On at most 2,048 examples, with the buffers of the first seed's start.
        """
        start = next(iter(self.starts.values()))
        objective = Objective(self.problem, copy.deepcopy(start), self.device).eval()
        buffers = {Objective.prefix + name: buffer for name, buffer in start.named_buffers()}
        examples = self.batches.some(EXAMPLES_AT_MOST)

        def loss(tensors: dict[str, Tensor]) -> Tensor:
            value: Tensor = functional_call(objective, {**tensors, **buffers}, (examples,))
            return value

        with torch.no_grad():
            losses_G: Tensor = vmap(loss, randomness="same")(
                {Objective.prefix + name: tensor.detach() for name, tensor in weights.items()}
            )
        return losses_G


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
) -> Prepared:
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
        probes: whether to ask 20 batches again after their update, and to go on a little at a fifth of the
            rate in the end.
        lanes_per_block: how many lanes share a vectorised call; 1 trains lane after lane; None decides by
            their sizes.
        compiles: whether captured steps are compiled; their numbers are the same but for rounding.
        threads: processes that train Blocks, or threads that an operation takes, at most.
        record: how much is recorded, one of `RECORDS`.

    Raises:
        UsageError: too many lanes, or larger than the memory, no such device, or no such gradient.
        ProblemError: model, loss, data, optimizer or schedule do not fit together.
    """
    which = _seeds(seeds)
    if gradient not in GRADIENTS:
        raise UsageError(f"gradient= wants one of {', '.join(GRADIENTS)}; got {gradient!r}")
    where = _device(device)
    batches = Batches(problem.train, problem.batch_size, where)
    # Of a grid that will be refused one model is made, to say what the lanes would take.
    accepted = len(rates) * len(which) <= LANES_AT_MOST
    starts, streams = starting_modules(problem, which if accepted else which[:1], where)
    first = starts[which[0]]
    refuse_too_many(len(rates), len(which), first, problem.name)
    problem, plan = _planned(problem, rates, which, batches, first, schedule, where, record)
    validation, val_batch = _validation(problem, plan, batches, where)
    batch, stream = batches.first(which[0]), streams[which[0]]
    findings = dry_run(problem, first, batch, val_batch, stream, where)
    _check_options(findings, gradient, lanes_per_block, curvature=curvature, probes=probes, compiles=compiles)
    one = footprint(problem, first, batch, val_batch, where)
    limits = _limits(problem, plan, findings, one, where, lanes_per_block, threads, gradient)
    elements = sum(p.numel() for p in first.parameters() if p.requires_grad)
    if curvature is None:
        all_at_once = batches.shared and batches.steps_per_epoch == 1
        curvature = findings.together and all_at_once and elements <= CURVATURE_FOR_FREE
    if curvature:
        examples = min(EXAMPLES_AT_MOST, batches.size or batches.batch_size)
        plan = dataclasses.replace(plan, curvature_examples=examples)
    plan = dataclasses.replace(plan, probes=bool(probes))
    scratch = None
    if gradient != "autograd":
        scratch = from_scratch(problem, first, batch, gradient)
        plan = dataclasses.replace(plan, gradient=gradient, nudge=scratch.difference.nudge)
    sizes = Sizes(elements, _examples(batch), one.activations, one.weights + one.gradients + one.optimizer)
    layout = lay_out(plan.lanes, plan.steps, sizes, limits)
    if scratch is not None:
        layout = Layout(len(plan.rates), len(plan.rates))
    notes = list(problem.notes)
    told = try_schedule(problem, list(first.parameters()), plan.steps)
    notes += [] if told is None else [told]
    if compiles and layout.lanes_per_call == 1:
        notes.append(NOT_COMPILED)
    memory = refuse_too_large(
        one,
        rates,
        len(which),
        problem.name,
        where,
        at_once=lambda lanes: min(lanes, layout.lanes_per_call),
        alive=lambda lanes: min(lanes, layout.processes * layout.lanes_per_block),
        recorded=plan.record != "losses" and not plan.sampled,
    )
    return Prepared(
        problem,
        plan,
        starts,
        streams,
        batches,
        validation,
        findings,
        where,
        layout,
        sizes,
        limits,
        scratch,
        Written(compiles=compiles),
        notes,
        memory_words(memory),
    )


def _seeds(seeds: int | Sequence[int]) -> Sequence[int]:
    """Return which seeds are meant by how many, or by a sequence of them."""
    listed = isinstance(seeds, Sequence) and not isinstance(seeds, str)
    if not listed and (not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1):
        raise UsageError(f"seeds= wants a whole number of at least 1; got {seeds!r}")
    return range(seeds) if isinstance(seeds, int) else tuple(seeds)


def _planned(
    problem: Problem,
    rates: Sequence[float],
    seeds: Sequence[int],
    batches: Batches,
    first: nn.Module,
    schedule: str | None,
    device: torch.device,
    record: str,
) -> tuple[Problem, Plan]:
    """Return the plan, and the problem with the schedule that the plan names."""
    name, options = describe(problem.optimizer, list(first.parameters()))
    schedule_name = getattr(problem.schedule, "__name__", "custom") if problem.schedule is not None else None
    plan = Plan(
        problem=problem.name,
        rates=tuple(rates),
        seeds=tuple(seeds),
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
        device=str(device),
        tensors=tuple(name for name, _ in first.named_parameters()),
        shapes=tuple(tuple(parameter.shape) for _, parameter in first.named_parameters()),
        metrics=tuple(problem.metrics),
        record=record,
    )
    if schedule is not None:
        named: Schedule = schedule_by_name(schedule)(plan.steps)
        problem = dataclasses.replace(problem, schedule=named)
        plan = dataclasses.replace(plan, schedule=schedule)
    return problem, plan


def _validation(
    problem: Problem, plan: Plan, batches: Batches, device: torch.device
) -> tuple[Callable[[], Iterator[Any]] | None, Any]:
    """Return what gives the batches of validation, and the first of them; None for both without."""
    if problem.val is None:
        return None, None
    validation = validation_batches(problem.val, len(plan.rates), batches.batch_size, device)
    first = next(iter(validation()), None)
    if first is None:
        raise ProblemError("val= is empty: it gives no batch")
    return validation, first


def _check_options(
    findings: Findings,
    gradient: str,
    lanes: int | None,
    *,
    curvature: bool | None,
    probes: bool,
    compiles: bool,
) -> None:
    """Raise UsageError for an option that needs what the problem does not allow."""
    exact = gradient == "autograd"
    if lanes is not None:
        if not isinstance(lanes, int) or isinstance(lanes, bool) or lanes < 1:
            raise UsageError(f"lanes_per_block= wants a whole number of at least 1; got {lanes!r}")
        obstacle = findings.reason or ("" if exact else f"gradient={gradient!r} leaves no choice")
        if obstacle and lanes > 1:
            raise UsageError(f"lanes cannot share a call: {obstacle}; leave out --lanes-per-block")
    if curvature and not findings.together:
        raise UsageError(f"curvature needs lanes in one pass; {findings.reason}: leave out --curvature")
    if probes and not (findings.together and exact):
        reason = findings.reason if exact else "they ask autograd for gradients"
        raise UsageError(f"probes need lanes in one pass; {reason}: leave out --probes")
    if compiles and not (findings.capturable and exact):
        why = findings.reason or "model or loss may keep something from one call to the next"
        why = why if exact else f"gradient={gradient!r} is NumPy's"
        raise UsageError(f"no step can be compiled: {why}; leave out --compile")


def _limits(
    problem: Problem,
    plan: Plan,
    findings: Findings,
    one: Footprint,
    device: torch.device,
    asked: int | None,
    processors: int,
    gradient: str,
) -> Limits:
    """Return what the layout has to respect."""
    data = [problem.train] if problem.val is None else [problem.train, problem.val]
    cheap = all(map(of_tensors, data)) and not any(isinstance(own, DataLoader) for own in data)
    on_cpu = device.type == "cpu"
    fitting = None
    if not on_cpu and findings.together:
        recorded = plan.record != "losses" and not plan.sampled
        fitting = lanes_that_fit(one, len(plan.rates), len(plan.seeds), device, recorded=recorded)
    separable = on_cpu and gradient == "autograd" and cheap and findings.capturable and can_fork()
    return Limits(
        vectorised=findings.together,
        asked=asked,
        processors=processors if on_cpu else 1,
        separable=separable,
        shared_data=not cheap,
        fitting=fitting,
    )


def _examples(batch: Any) -> int:
    leaves = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim]
    return len(leaves[0]) if leaves else 1


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
