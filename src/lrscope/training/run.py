"""Run: a problem made ready to train at many rates, and its training as a stream of steps."""

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from lrscope.language import Text
from lrscope.plan import LaneKey, Plan
from lrscope.training.branch import branch_steps, branched
from lrscope.training.course import Course
from lrscope.training.curvature import EXAMPLES_AT_MOST, Hessian
from lrscope.training.evaluate import Validation
from lrscope.training.gathered import Gathered, Measures, measured
from lrscope.training.lanes import Lanes
from lrscope.training.layout import in_threads
from lrscope.training.looks import Lookout, Looks, each
from lrscope.training.material import Material
from lrscope.training.nudged_lanes import Scratch, descend
from lrscope.training.objective import Objective
from lrscope.training.random_state import Stream
from lrscope.training.repeat import Repeat, repeat_points
from lrscope.training.separate import Separate
from lrscope.training.step import Step
from lrscope.training.team import Team, divided
from lrscope.training.together import Together
from lrscope.training.train import Gradients, Surviving, check_every, train
from lrscope.training.trials import Chosen

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
        material: what its lanes are made of.
        lane_seconds: how long the forward and backward pass of one lane takes, about.
        threads: of each process, that share an operation.
        processes: that train some of the lanes each.
        alone: whether the lanes of a call can be trained without the others, for several steps in a row.
    """

    plan: Plan
    how: str
    notes: list[str]
    memory: str
    material: Material
    _scratch: Scratch | None = None
    _per_block: int | None = None
    lane_seconds: float = math.inf
    threads: int = 1
    processes: int = 1
    alone: bool = False

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
        material, problem = self.material, self.material.problem
        untrained = material.findings.unused if material.findings.together else frozenset()

        def make(some: Sequence[LaneKey], memory: Mapping[str, Tensor] | None = None) -> Lanes:
            tracked = self.plan.tracked
            return Lanes(
                material.starts, some, problem.optimizer, problem.schedule, untrained, tracked, memory
            )

        train = functools.partial(self._train, frozenset(validate_at), measures)
        periods = [check_every(self.plan.steps)] if punctual else []
        if material.validation is not None:
            periods.append(self.plan.steps_per_epoch)
        lookout = Lookout(periods, validate_at)
        shares = self._shares(len(keys))
        if shares != [[slice(0, len(keys))]]:
            team = Team(keys, shares, material.starts[keys[0].seed], make, train, measures, self.notes)
            return Course(team, lambda wanted: team.steps(lookout.with_(wanted)), looks)
        lanes = make(keys)

        def measuring(wanted: Looks) -> Generator[Step]:
            for step in train(lanes, lookout.with_(wanted)):
                (stretch,) = measured([step.stretch], measures)
                yield dataclasses.replace(step, stretch=stretch)

        return Course(lanes, measuring, looks)

    def _shares(self, lanes: int) -> list[list[slice]]:
        return divided(lanes, self.processes, self._per_block if self.alone else None)

    @property
    def in_turn(self) -> bool:
        """Whether lanes of a process are trained one after another, each from look to look."""
        return any(len(of_process) > 1 for of_process in self._shares(len(self.plan.lanes)))

    def _train(
        self, validate_at: Collection[int], measures: Measures | None, lanes: Lanes, looks: Looks
    ) -> Generator[Step]:
        plan, material = self.plan, self.material
        problem, findings, device = material.problem, material.findings, material.device
        one_by_one = self._per_block == 1 or not findings.together
        gathered = Gathered(lanes, looks, measures, one_by_one=one_by_one)
        seeds = list(dict.fromkeys(key.seed for key in lanes.keys))
        streams = {seed: material.streams[seed].copy() for seed in seeds}
        objective = Objective(problem, material.starts[seeds[0]], device)
        surviving: Surviving | None = None

        def together(drawn_from: dict[int, Stream], *, capture: bool = False) -> Together:
            per_block = self._per_block
            return material.together(
                lanes, seeds, objective, drawn_from, per_block, self.tell, capture=capture
            )

        def ways() -> Gradients:
            nonlocal surviving
            separate = Separate(problem, lanes, seeds, streams, draws=findings.draws, device=device)
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
        if material.validation is not None:
            validate = Validation(
                problem,
                lanes,
                material.validation,
                together=findings.validate_together,
                device=device,
            )
        hessian = None
        if plan.curvature_examples is not None:
            hessian = Hessian(objective, lanes, material.batches.some(plan.curvature_examples))
        further = branch_steps(plan.steps) if plan.probes and plan.schedule is None else 0
        epochs = plan.epochs + -(-further // plan.steps_per_epoch)
        source = material.batches.steps(seeds, epochs, [streams[seed] for seed in seeds])
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

    def tell(self, sentence: str) -> None:
        """Note a sentence for the user, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def lay_out(self, chosen: Chosen) -> None:
        """Train lanes as was chosen; `how` says it."""
        self._per_block = chosen.per_block
        self.threads, self.processes = chosen.threads, chosen.processes
        if chosen.lane_seconds is not None:
            self.lane_seconds = chosen.lane_seconds
        self.how = in_threads(self.how if chosen.how is None else chosen.how, chosen.threads)

    def say_compiled(self) -> None:
        """Say what is compiled, once it is known how lanes run."""
        if self._per_block == 1:
            self.tell(NOT_COMPILED)
        else:
            self.how = COMPILED.format(how=self.how)

    def losses_of(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The training loss [G] of stacked weights, name -> [G, ...], in eval mode.

        On at most 2,048 examples, with the buffers of the first seed's start.
        """
        material, start = self.material, self.material.start
        objective = Objective(material.problem, copy.deepcopy(start), material.device).eval()
        buffers = {Objective.prefix + name: buffer for name, buffer in start.named_buffers()}
        examples = material.batches.some(EXAMPLES_AT_MOST)

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
        return {name: parameter.detach() for name, parameter in self.material.start.named_parameters()}
