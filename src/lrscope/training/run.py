"""Run: a problem made ready to train at many rates, and its training as a stream of steps."""

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from lrscope.training.batches import Batches, validation_batches
from lrscope.training.branch import branch_steps, branched
from lrscope.training.course import Course
from lrscope.training.crew import ALONE, Crew
from lrscope.training.curvature import EXAMPLES_AT_MOST, Hessian
from lrscope.training.dry_run import Findings, dry_run
from lrscope.training.evaluate import Validation
from lrscope.training.footprint import footprint
from lrscope.training.lanes import Lanes, starting_modules
from lrscope.training.layout import SHARE, Layout, fastest, in_threads, layouts, sizes, words, worth_trying
from lrscope.training.memory import LANES_AT_MOST, refuse_too_large, refuse_too_many
from lrscope.training.memory import words as memory_words
from lrscope.training.nudged_lanes import Scratch, descend, from_scratch
from lrscope.training.objective import Objective
from lrscope.training.optimizers import describe, schedule_by_name
from lrscope.training.random_state import Stream
from lrscope.training.repeat import Repeat, repeat_points
from lrscope.training.separate import Separate
from lrscope.training.step import Step
from lrscope.training.together import LANE_BATCH_ELEMENTS, Together
from lrscope.training.train import Gradients, Surviving, train

CURVATURE_FOR_FREE = 200
"""Trained parameters up to which curvature is measured unasked, where all examples make one batch."""


@dataclasses.dataclass
class Run:
    """A prepared training run.

    Attributes:
        plan: the question it answers; `tracked` is filled in by who records.
        how: how the lanes run, in words: "all lanes in one pass", or "lane after lane" and why.
        notes: sentences for the user, also such as arise while it runs.
        memory: what it is estimated to take, in words.
        lane_seconds: how long the forward and backward pass of one lane takes, about.
        crew: takes lanes side by side, where they go one after another.
    """

    plan: Plan
    how: str
    notes: list[str]
    memory: str
    _problem: Problem
    _starts: dict[int, nn.Module]
    _streams: dict[int, Stream]
    _batches: Batches
    _validation: Callable[[], Iterator[Any]] | None
    _findings: Findings
    _device: torch.device
    _scratch: Scratch | None = None
    _per_block: int | None = None
    lane_seconds: float = math.inf
    _threads: int = 1
    crew: Crew = ALONE

    def steps(self) -> Iterator[Step]:
        """Train all lanes. The random state, grad mode and the like are the caller's to guard."""
        return self.course(self.plan.lanes).steps()

    def course(self, keys: Sequence[LaneKey], validate_at: Collection[int] = ()) -> Course:
        """Some lanes, of seeds of the plan, on their way from their starts.

        Args:
            keys: the lanes; those of a seed stand together.
            validate_at: steps at which they are validated, beside the ends of epochs.
        """
        torch.set_num_threads(self._threads)
        problem = self._problem
        untrained = self._findings.unused if self._findings.together else frozenset()
        lanes = Lanes(self._starts, keys, problem.optimizer, problem.schedule, untrained, self.crew)
        return Course(lanes, self._train(lanes, frozenset(validate_at)))

    def _train(self, lanes: Lanes, validate_at: frozenset[int]) -> Iterator[Step]:
        problem, plan, findings = self._problem, self.plan, self._findings
        seeds = list(dict.fromkeys(key.seed for key in lanes.keys))
        streams = {seed: self._streams[seed].copy() for seed in seeds}
        objective = Objective(problem, self._starts[seeds[0]], self._device)
        surviving: Surviving | None = None

        def together(drawn_from: dict[int, Stream], *, capture: bool = False) -> Together:
            return self._together(lanes, seeds, objective, drawn_from, self._per_block, capture=capture)

        def ways() -> Gradients:
            nonlocal surviving
            separate = Separate(
                problem, lanes, seeds, streams, draws=findings.draws, device=self._device, crew=self.crew
            )
            gradients: Gradients = separate
            if findings.together and self._per_block != 1:
                gradients = together(streams, capture=findings.capturable)
            if surviving is None:
                surviving = Surviving(gradients, separate, lanes)
                surviving.notes = self.notes
            else:
                surviving.renew(gradients, separate)
            return surviving

        validate: Callable[[], dict[str, Tensor]] = dict
        if self._validation is not None:
            validate = Validation(
                problem,
                lanes,
                self._validation,
                together=findings.validate_together and self.crew.size == 1,
                crew=self.crew,
                device=self._device,
            )
        hessian = None
        if plan.curvature_examples is not None:
            hessian = Hessian(objective, lanes, self._batches.some(plan.curvature_examples))
        further = branch_steps(plan.steps) if plan.probes and plan.schedule is None else 0
        epochs = plan.epochs + -(-further // plan.steps_per_epoch)
        source = self._batches.steps(seeds, epochs, [streams[seed] for seed in seeds])
        batches = itertools.islice(source, plan.steps)

        def due(step: int) -> bool:
            return step % plan.steps_per_epoch == 0 or step in validate_at

        def branch(gradients: Gradients) -> Tensor:
            clip = None if plan.clip_norm is None else functools.partial(gradients.clip, plan.clip_norm)
            return branched(lanes, gradients, clip, source, further)

        top = None if hessian is None else hessian.top
        if self._scratch is not None:
            yield from descend(
                lanes,
                batches,
                self._scratch,
                validate=validate,
                validate_at=due,
                curvature=top,
            )
            return
        yield from train(
            lanes,
            ways,
            batches,
            steps=plan.steps,
            clip_norm=plan.clip_norm,
            validate=validate,
            validate_at=due,
            curvature=top,
            repeat=Repeat(together, lanes, streams, repeat_points(plan.steps)) if plan.probes else None,
            branch=branch if further else None,
        )

    def _together(
        self,
        lanes: Lanes,
        seeds: Sequence[int],
        objective: Objective,
        streams: dict[int, Stream],
        per_block: int | None,
        *,
        capture: bool,
        crew: Crew | None = None,
    ) -> Together:
        elements = sum(leaf.numel() for leaf in tree_leaves(self._first) if isinstance(leaf, Tensor))
        return Together(
            objective,
            lanes,
            seeds,
            streams,
            draws=self._findings.draws,
            shared_batch=self._batches.shared,
            stackable=self._batches.stackable and elements * len(lanes) <= LANE_BATCH_ELEMENTS,
            capture=capture,
            per_block=per_block,
            tell=self._tell,
            crew=self.crew if crew is None else crew,
        )

    def _tell(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def try_layouts(self, blocks: Iterable[int], threads: int) -> None:
        """Choose how many lanes share a call and how many threads an operation; `how` says it.

        By trials on copies, where they pay.

        Args:
            blocks: lanes in a call, to choose from.
            threads: how many there may be.
        """
        findings, problem, plan = self._findings, self._problem, self.plan
        if not worth_trying(findings.seconds, len(plan.lanes), plan.steps):
            return
        # Side by side, lanes would draw each other's random numbers, and the model's Python would run twice.
        beside = findings.capturable and not findings.draws and len(plan.lanes) > 1
        options = list(layouts(blocks, len(plan.lanes), findings.seconds, threads, beside=beside))
        if len(options) == 1:
            return
        starts = copy.deepcopy(self._starts)
        lanes = Lanes(starts, plan.lanes, problem.optimizer, problem.schedule, findings.unused)
        streams = {seed: stream.copy() for seed, stream in self._streams.items()}
        objective = Objective(problem, starts[plan.seeds[0]], self._device)
        asked = plan.seeds[:1] if self._batches.shared else plan.seeds
        batches = [self._batches.first(seed) for seed in asked]

        crew = Crew(threads)

        def way(layout: Layout) -> Gradients:
            own = crew if layout.crew > 1 else ALONE
            if layout.lanes == 1:
                draws, device = findings.draws, self._device
                return Separate(
                    problem, lanes, list(plan.seeds), streams, draws=draws, device=device, crew=own
                )
            return self._together(
                lanes, plan.seeds, objective, streams, layout.lanes, capture=False, crew=own
            )

        trials = {one: functools.partial(way(one), batches) for one in options}
        best, seconds = fastest(trials, SHARE * findings.seconds * len(plan.lanes) * plan.steps)
        self.lane_seconds = seconds / len(plan.lanes)
        self._threads, self.crew = best.threads, crew if best.crew > 1 else ALONE
        if len({one.lanes for one in options}) > 1:
            self._per_block = best.lanes
            self.how = words(len(plan.lanes), best.lanes)
        self.how = in_threads(self.how, max(best.threads, best.crew))

    def losses_of(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The training loss [G] of stacked weights, name -> [G, ...], in eval mode.

        On at most 2,048 examples, with the buffers of the first seed's start.
        """
        start = self._starts[self.plan.seeds[0]]
        objective = Objective(self._problem, copy.deepcopy(start), self._device).eval()
        buffers = {Objective.prefix + name: buffer for name, buffer in start.named_buffers()}
        examples = self._batches.some(EXAMPLES_AT_MOST)

        def loss(tensors: dict[str, Tensor]) -> Tensor:
            value: Tensor = functional_call(objective, {**tensors, **buffers}, (examples,))
            return value

        with torch.no_grad():
            losses_G: Tensor = vmap(loss, randomness="same")(
                {Objective.prefix + name: tensor.detach() for name, tensor in weights.items()}
            )
        return losses_G

    @property
    def _first(self) -> Any:
        return self._batches.first(self.plan.seeds[0])


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
    threads: int = 1,
    recorded: bool = True,
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
        threads: that an operation may take; they are tried where it is long.
        recorded: whether tensors are going to be measured: that takes memory.

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
    one = footprint(problem, first, batches.first(which[0]), val_batch, where)
    memory = refuse_too_large(
        one, rates, len(which), problem.name, where, together=findings.together, recorded=recorded
    )
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
    count = len(plan.lanes)
    free = findings.together and gradient == "autograd"
    _check_per_block(
        lanes_per_block, "" if free else findings.reason or f"gradient={gradient!r} leaves no choice"
    )
    how = words(count, count if lanes_per_block is None else lanes_per_block)
    if lanes_per_block == 1 and count > 1:
        how = Text("{count} lanes, one after another", "{count} 条训练线一条接一条").format(count=count)
    scratch = None
    if gradient != "autograd":
        scratch = from_scratch(problem, first, batches.first(which[0]), gradient)
        plan = dataclasses.replace(plan, gradient=gradient, nudge=scratch.difference.nudge)
        how = Text("{how}, by {scratch}", "{how}，{scratch}").format(how=how, scratch=scratch.words)
    elif not findings.together:
        why = Text("{count} lanes, one after another: {reason}", "{count} 条训练线一条接一条：{reason}")
        how = why.format(count=count, reason=findings.reason)
    notes = list(problem.notes)
    run = Run(
        plan,
        how,
        notes,
        memory_words(memory),
        problem,
        starts,
        streams,
        batches,
        validation,
        findings,
        where,
        scratch,
        lanes_per_block,
        findings.seconds,
    )
    if gradient == "autograd" and where.type == "cpu":
        # One rate tells nothing of how many lanes to a call: a search makes more of them.
        whole = (count,) if len(rates) == 1 else tuple(sizes(count, findings.seconds, threads))
        run.try_layouts(((lanes_per_block,) if lanes_per_block else whole) if free else (1,), threads)
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
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name}: {reason}; type --device cpu") from error
    return device


def _length(data: Any) -> int:
    if isinstance(data, DataLoader):
        return len(data.dataset) if hasattr(data.dataset, "__len__") else 0
    return len(data[0]) if isinstance(data, (tuple, list)) else len(data)


def _loss_name(problem: Problem) -> str:
    what: Any = problem.loss if problem.loss is not None else problem.step
    return getattr(what, "__name__", type(what).__name__)
