"""Run: a problem made ready to train at many rates, and its training as a stream of steps."""

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_leaves

from lrscope.language import Text
from lrscope.plan import LaneKey, Plan
from lrscope.problems.problem import Problem
from lrscope.training.batches import Batches
from lrscope.training.branch import branch_steps, branched
from lrscope.training.capture import Written
from lrscope.training.course import Course
from lrscope.training.curvature import EXAMPLES_AT_MOST, Hessian
from lrscope.training.dry_run import Findings
from lrscope.training.evaluate import Validation
from lrscope.training.gathered import Gathered, Measures, measured
from lrscope.training.lanes import Lanes
from lrscope.training.layout import (
    SHARE,
    TRIALS_SECONDS,
    WORTH_CAPTURE,
    WORTH_IT,
    Layout,
    enough_work,
    fastest,
    in_threads,
    largest,
    layouts,
    tiny,
    words,
)
from lrscope.training.looks import Lookout, Looks, each
from lrscope.training.nudged_lanes import Scratch, descend
from lrscope.training.objective import Objective
from lrscope.training.random_state import Stream
from lrscope.training.repeat import Repeat, repeat_points
from lrscope.training.separate import Separate
from lrscope.training.step import Step
from lrscope.training.team import Team, divided
from lrscope.training.together import LANE_BATCH_ELEMENTS, Together
from lrscope.training.train import Gradients, Surviving, check_every, train

COMPILED = Text("{how}, compiled", "{how}，编译执行")
NOT_COMPILED = Text(
    "lanes run one after another: no step is compiled", "训练线一条接一条：没有可编译的共同步骤"
)


@dataclasses.dataclass
class Run:
    """A prepared training run.

    Attributes:
        plan: the question it answers; `tracked` is filled in by who records.
        how: how the lanes run, in words: "all lanes in one pass", or "lane after lane" and why.
        notes: sentences for the user, also such as arise while it runs.
        memory: what it is estimated to take, in words.
        lane_seconds: how long the forward and backward pass of one lane takes, about.
        threads: of each process, that share an operation.
        processes: that train some of the lanes each.
        alone: whether the lanes of a call can be trained without the others, for several steps in a row.
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
    threads: int = 1
    processes: int = 1
    alone: bool = False
    _written: Written = dataclasses.field(default_factory=Written)

    def steps(self, looks: Looks = each, measures: Measures | None = None) -> Iterator[Step]:
        """Train all lanes. The random state, grad mode and the like are the caller's to guard.

        Args:
            looks: given a step that was looked at, what lies ahead; by default a look at every step. Only
                there lanes that are not finite any more are found out.
            measures: what measures lanes at points, wherever they are trained.
        """
        course = self.course(self.plan.lanes, looks=looks, measures=measures, punctual=False)
        try:
            yield from course.steps()
        finally:
            course.end()

    def course(
        self,
        keys: Sequence[LaneKey],
        validate_at: Collection[int] = (),
        looks: Looks = each,
        measures: Measures | None = None,
        *,
        punctual: bool = True,
    ) -> Course:
        """Some lanes, of seeds of the plan, on their way from their starts.

        Args:
            keys: the lanes; those of a seed stand together.
            validate_at: steps at which they are validated, beside the ends of epochs.
            looks, measures: as in `steps`; those that are validated are looked at anyway.
            punctual: whether lanes that are not finite any more are found out at set steps besides, so that
                how far they are trained is the same whatever the looks.
        """
        torch.set_num_threads(self.threads)
        problem = self._problem
        untrained = self._findings.unused if self._findings.together else frozenset()

        def make(some: Sequence[LaneKey], memory: Mapping[str, Tensor] | None = None) -> Lanes:
            return Lanes(
                self._starts, some, problem.optimizer, problem.schedule, untrained, self.plan.tracked, memory
            )

        train = functools.partial(self._train, frozenset(validate_at), measures)
        periods = [check_every(self.plan.steps)] if punctual else []
        if self._validation is not None:
            periods.append(self.plan.steps_per_epoch)
        lookout = Lookout(periods, validate_at)
        shares = divided(len(keys), self.processes, self._per_block if self.alone else None)
        if shares != [[slice(0, len(keys))]]:
            team = Team(keys, shares, self._starts[keys[0].seed], make, train, measures, self.notes)
            return Course(team, lambda wanted: team.steps(lookout.with_(wanted)), looks)
        lanes = make(keys)

        def measuring(wanted: Looks) -> Generator[Step]:
            for step in train(lanes, lookout.with_(wanted)):
                (stretch,) = measured([step.stretch], measures)
                yield dataclasses.replace(step, stretch=stretch)

        return Course(lanes, measuring, looks)

    def _train(
        self, validate_at: Collection[int], measures: Measures | None, lanes: Lanes, looks: Looks
    ) -> Generator[Step]:
        gathered = Gathered(lanes, looks, measures)
        problem, plan, findings = self._problem, self.plan, self._findings
        seeds = list(dict.fromkeys(key.seed for key in lanes.keys))
        streams = {seed: self._streams[seed].copy() for seed in seeds}
        objective = Objective(problem, self._starts[seeds[0]], self._device)
        surviving: Surviving | None = None

        def together(drawn_from: dict[int, Stream], *, capture: bool = False) -> Together:
            return self._together(lanes, seeds, objective, drawn_from, self._per_block, capture=capture)

        def ways() -> Gradients:
            nonlocal surviving
            separate = Separate(problem, lanes, seeds, streams, draws=findings.draws, device=self._device)
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
                together=findings.validate_together,
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

        if self._scratch is not None:
            yield from descend(
                lanes,
                batches,
                self._scratch,
                steps=plan.steps,
                validate=validate,
                validate_at=due,
                gathered=gathered,
                curvature=hessian,
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
            gathered=gathered,
            curvature=hessian,
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
            written=self._written,
        )

    def _tell(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def try_layouts(self, most: int, *, fork: bool, whole: bool, kept: int) -> None:
        """Choose how many lanes share a call, and how many processes or threads there are; `how` says it.

        By trials on copies, where they pay.

        Args:
            most: processes, or threads that an operation takes.
            fork: whether other processes can train some of the lanes.
            whole: whether the plan's lanes are all that are going to be trained.
            kept: bytes that a lane's forward pass keeps for the backward pass.
        """
        findings, problem, plan = self._findings, self._problem, self.plan
        count = len(plan.lanes)
        expected = findings.seconds * count * plan.steps
        if tiny(findings.seconds) and findings.together:
            if fork and enough_work(self._elements, plan.batch_size, count, plan.steps):
                self.processes = min(most, count)
                self.how = words(count, self._per_block or count, self.processes, asked=True)
            return
        if expected < WORTH_IT:
            if self._per_block is None and findings.together:
                self._per_block = largest(count, findings.seconds, None, kept)
                self.how = words(count, self._per_block, asked=True)
            return
        asked = self._per_block if findings.together else 1
        options = list(layouts(asked, count, findings.seconds, most, fork=fork, kept=kept))
        starts = copy.deepcopy(self._starts)
        streams = {seed: stream.copy() for seed, stream in self._streams.items()}
        objective = Objective(problem, starts[plan.seeds[0]], self._device)
        capture = findings.capturable and expected > WORTH_CAPTURE

        def step_of(layout: Layout) -> Callable[[], None]:
            keys = plan.lanes[: layout.lanes]
            seeds = list(dict.fromkeys(key.seed for key in keys))
            lanes = Lanes(starts, keys, problem.optimizer, problem.schedule, findings.unused)
            batches = [self._batches.first(seed) for seed in (seeds[:1] if self._batches.shared else seeds)]
            draws, device = findings.draws, self._device
            gradients: Gradients
            if layout.lanes == 1:
                gradients = Separate(problem, lanes, seeds, streams, draws=draws, device=device)
            else:
                gradients = self._together(lanes, seeds, objective, streams, layout.lanes, capture=capture)

            def step() -> None:
                gradients(batches)
                lanes.step()

            return step

        best = options[0]
        if len(options) > 1:
            before, self._written.after = self._written.after, 0
            best, seconds = fastest(
                {one: functools.partial(step_of, one) for one in options},
                max(SHARE * expected, TRIALS_SECONDS),
            )
            self._written.after = before
            self.lane_seconds = seconds / count
        self.threads, self.processes = best.threads, best.processes
        if asked is None and (whole or best.lanes == 1):
            self._per_block = best.lanes
        if findings.together:
            self.how = words(count, best.lanes, best.processes, asked=len(options) == 1)
        self.how = in_threads(self.how, best.threads)

    def say_compiled(self) -> None:
        """Say what is compiled, once it is known how lanes run."""
        if self._per_block == 1:
            self._tell(NOT_COMPILED)
        else:
            self.how = COMPILED.format(how=self.how)

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
    def start(self) -> dict[str, Tensor]:
        """name -> [...], the weights of a lane before training."""
        start = self._starts[self.plan.seeds[0]]
        return {name: parameter.detach() for name, parameter in start.named_parameters()}

    @property
    def _elements(self) -> int:
        """Trained, of a lane."""
        start = self._starts[self.plan.seeds[0]]
        return sum(parameter.numel() for parameter in start.parameters() if parameter.requires_grad)

    @property
    def _first(self) -> Any:
        return self._batches.first(self.plan.seeds[0])
