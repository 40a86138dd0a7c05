"""Runner: a Block being trained.

It can be held at any step, go on, lose lanes, and be opened again from a checkpoint: then it goes on bitwise
as if it had never stopped.

Letters: L lanes.
"""

import contextlib
import copy
import math
import time
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor

from lrscope.errors import TrainingError
from lrscope.plan import LaneKey, Plan
from lrscope.rates import format_rate
from lrscope.record import HistogramRecord, Record
from lrscope.recording.histogram import grids
from lrscope.recording.observer import Observer
from lrscope.recording.schedule import Spent
from lrscope.training.block import Block
from lrscope.training.checkpoint import Checkpoint, CheckpointError
from lrscope.training.curvature import Hessian
from lrscope.training.gradients import Gradients, LoopGradients, VmapGradients
from lrscope.training.lanes import Lanes
from lrscope.training.nudged_lanes import ScratchGradients
from lrscope.training.objective import Objective
from lrscope.training.prepare import Prepared
from lrscope.training.probes import branch_steps, branched, repeated
from lrscope.training.random_state import Stream
from lrscope.training.tolerant import TolerantGradients
from lrscope.training.validation import Validation

CHECK_EVERY = 64
"""Steps from one check whether lanes are still finite to the next, at least: it waits for the device."""

CHECKS = 128
"""Checks of a long run: a lane that is not finite any more computes on for less than a hundredth of it."""

RENEWAL_STEPS = 1_000
"""Steps to be saved for each lane that stays, for a Block to drop dead lanes: its step is captured anew."""

FLUSH_SECONDS = 1.0
"""Records are given about this long after their step. When they are given changes no number."""

FLUSH_STEPS = 2**15
"""Steps whose values wait, at most."""


class BlockRunner:
    """Trains the lanes of a Block in this process.

    Args:
        prepared: model, data and all that the lanes are made of.
        block: the lanes.
        plan: how long they are trained, and what is recorded.
        validate_at: steps at which they are validated, beside the ends of epochs.
        checkpoint_seconds: from one checkpoint among its Records to the next; infinity for none.
        checkpoint: where another Runner of the Block stood; None begins at the start.

    Attributes:
        keys: the lanes that are still trained.
        done: updates done.
        notes: sentences for the user that came up.
        failure: why no lane can go on although one has finite weights: the data may be at fault.
        spent: seconds so far.
    """

    def __init__(
        self,
        prepared: Prepared,
        block: Block,
        plan: Plan,
        validate_at: Collection[int] = (),
        checkpoint: Checkpoint | None = None,
        checkpoint_seconds: float = math.inf,
    ) -> None:
        self._prepared, self._block, self._plan = prepared, block, plan
        self._validate_at = frozenset(validate_at)
        self.notes: list[str] = []
        self.spent = Spent()
        self._checkpoint_seconds = checkpoint_seconds
        self._kept = time.perf_counter()
        self.done = 0
        self._arrived = -1
        self._ended = False
        self._losses_L = torch.empty(0)
        torch.set_num_threads(prepared.layout.threads)
        problem, findings, start = prepared.problem, prepared.findings, prepared.starts[block.seed]
        self._stream = prepared.streams[block.seed].copy()
        self._batches = prepared.batches.cursor(block.seed, self._stream)
        untrained = findings.unused if findings.together else frozenset()
        self._lanes = Lanes(
            start,
            block.keys,
            problem.optimizer,
            problem.schedule,
            untrained,
            plan.tracked,
            fused=findings.together,
        )
        # Of a module of its own: calls of one whose parameters are tied leave traces in it.
        self._objective = Objective(problem, copy.deepcopy(start), prepared.device)
        self._objectives = {
            lane.key.lane: Objective(problem, lane.module, prepared.device) for lane in self._lanes.lanes
        }
        self._validation: Validation | None = None
        if prepared.validation is not None:
            self._validation = Validation(
                problem,
                self._lanes,
                self._objectives,
                prepared.validation,
                together=findings.validate_together,
            )
        self._hessian: Hessian | None = None
        if plan.curvature_examples is not None:
            examples = prepared.batches.some(plan.curvature_examples)
            self._hessian = Hessian(self._objective, self._lanes, examples)
        if checkpoint is not None:
            self._restore(checkpoint)
        self._until = self.done
        loop = self._loop_gradients()
        self._way = self._chosen_gradients(loop)
        self._gradients = TolerantGradients(self._way, loop, self._lanes, self._tell, self.done)
        self._observer = self._make_observer()

    @property
    def keys(self) -> tuple[LaneKey, ...]:
        """The lanes that are still trained."""
        return () if self._ended else self._lanes.keys

    @property
    def failure(self) -> TrainingError | None:
        """Why no lane can go on although one has finite weights: the data may be at fault."""
        return self._lanes.failure

    def _make_observer(self) -> Observer:
        prepared, loops = self._prepared, self._block.lanes_per_call == 1
        start = prepared.starts[self._block.seed]
        observer = Observer(
            self._plan,
            self._lanes,
            {name: tensor.detach() for name, tensor in start.named_parameters()},
            grids(prepared.start),
            self._hessian,
            at_once=loops and prepared.device.type == "cpu",
        )
        if self.done:
            observer.resume(self.done)
        return observer

    def _loop_gradients(self) -> LoopGradients:
        return LoopGradients(
            self._objectives,
            self._lanes,
            self._stream,
            draws=self._prepared.findings.draws,
            clip_norm=self._prepared.problem.clip_norm,
        )

    def _chosen_gradients(self, loop: LoopGradients) -> Gradients:
        if self._prepared.scratch is not None:
            return ScratchGradients(self._lanes, self._prepared.scratch)
        return loop if self._block.lanes_per_call == 1 else self._vmap_gradients(self._stream, capture=True)

    def _vmap_gradients(self, stream: Stream, *, capture: bool) -> VmapGradients:
        findings = self._prepared.findings
        return VmapGradients(
            self._objective,
            self._lanes,
            stream,
            draws=findings.draws,
            per_call=self._block.lanes_per_call,
            clip_norm=self._prepared.problem.clip_norm,
            capture=capture and findings.capturable,
            tell=self._tell,
            written=self._prepared.written,
        )

    def _tell(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def advance(self, until: int) -> Iterator[Record | HistogramRecord | Checkpoint]:
        """Train to `until` updates, or to the end of the run, and give Records on the way.

        A checkpoint that comes among them covers all Records before it. Afterwards everything measured so far
        has been given, and the lanes stand at w_until.

        Raises:
            TrainingError: the model raised for no single lane's fault.
        """
        torch.set_num_threads(self._prepared.layout.threads)
        until = min(until, self._plan.steps)
        began = flushed = time.perf_counter()
        self._until = until
        self._expect()
        try:
            self._arrive()
            while self.done < until and not self._ended:
                self._step()
                self._ended = self.failure is not None
                dead = self._dead()
                if dead:
                    yield from self.drop(dead)
                now = time.perf_counter()
                if self._observer.full or now - flushed > FLUSH_SECONDS or self.done % FLUSH_STEPS == 0:
                    yield from self._observer.flush()
                    yield from self._due_checkpoint()
                    flushed = now
                self._arrive()
            if self.done == self._plan.steps:
                self._end()
        except TrainingError:
            yield from self._observer.flush()  # the numbers before the failure count
            raise
        yield from self._observer.flush()
        training = self.spent.training + time.perf_counter() - began
        self.spent = Spent(training, self._observer.seconds)

    def _expect(self) -> None:
        """Tell the vectorised call how many steps are to come."""
        if isinstance(self._way, VmapGradients):
            self._way.expect(self._until - self.done)

    def _step(self) -> None:
        """Do one update of all lanes."""
        batch = next(self._batches)
        repeats = self.done in self._observer.repeat_points
        stream = self._stream.copy() if repeats else self._stream
        losses_L = self._gradients(batch)
        self._observer.before(self.done, losses_L, self._gradients)
        self._losses_L = losses_L
        self._gradients.update()
        self._observer.after(self.done, lambda: self._repeated(batch, stream))
        self.done += 1

    def _repeated(self, batch: Any, stream: Stream) -> dict[str, Tensor]:
        """Return the gradients of a batch at the present weights, drawing what its first pass drew."""
        return repeated(self._lanes, self._vmap_gradients(stream, capture=False), batch)

    def _arrive(self) -> None:
        """See the lanes at w_done, once: validate them and count histograms where that is due."""
        if self._arrived == self.done or self._ended:
            return
        self._arrived = self.done
        at_epoch = self.done % self._plan.steps_per_epoch == 0
        validation: dict[str, Tensor] = {}
        if self._validation is not None and (at_epoch or self.done in self._validate_at):
            validation = self._validation()
            self._retire_all()
        if at_epoch or validation:
            self._observer.arrive(self.done, validation)

    def _retire_all(self) -> None:
        """Leave all lanes alone if validation raised for none's fault: their next loss reads NaN."""
        if self.failure is None:
            return
        for index in self._lanes.healthy:
            self._lanes.retire(index)
            rate = format_rate(self._lanes.keys[index].rate)
            self._tell(f"rate {rate} stopped at step {self.done}: {str(self.failure).splitlines()[0]}")

    def _dead(self) -> list[int]:
        """Return the lanes, by id, that are to leave: those that are not finite, where that saves enough.

        All of them, if no lane is finite any more. It depends on the numbers and the plan only.
        """
        if self.done % max(CHECK_EVERY, self._plan.steps // CHECKS) and self.done != 1:
            return []
        finite = torch.isfinite(self._losses_L).tolist()
        dead = [key.lane for key, alive in zip(self._lanes.keys, finite, strict=True) if not alive]
        left = len(finite) - len(dead)
        if not left or self._block.lanes_per_call == 1:
            return dead
        worth = len(dead) * (self._plan.steps - self.done) >= RENEWAL_STEPS * left
        return dead if len(dead) >= left and worth else []

    def drop(self, lanes: Collection[int]) -> Iterator[Record | HistogramRecord]:
        """Train some lanes, by id, no further; the others go on as they are.

        Gives the Records that were waiting.
        """
        yield from self._observer.flush()
        stay = [index for index, key in enumerate(self._lanes.keys) if key.lane not in lanes]
        if not stay:
            self._ended = True
        elif len(stay) < len(self._lanes.keys):
            self._lanes.keep(stay)
            loop = self._loop_gradients()
            self._way = self._chosen_gradients(loop)
            self._expect()
            self._gradients.renew(self._way, loop)
            self._observer.narrow(stay)

    def _end(self) -> None:
        """See the lanes at the end of the run, once."""
        if self._ended or self.failure is not None:
            return
        losses = None
        if self._plan.probes and self._plan.schedule is None:
            losses = branched(self._lanes, self._gradients, self._batches, branch_steps(self._plan.steps))
        self._observer.end(self.done, losses)
        self._ended = True

    def checkpoint(self) -> Checkpoint | None:
        """Return where it stands; None if the model keeps a state that is no tensor or plain data."""
        if self._prepared.findings.stateful:
            return None
        state: dict[str, Any] = {
            "lanes": self._lanes.state(),
            "stream": self._stream.state(),
            "batches": self._batches.state(),
            "arrived": self._arrived,
            "hessian": {} if self._hessian is None else self._hessian.state(),
        }
        with contextlib.suppress(CheckpointError):
            return Checkpoint.of(self.done, state)
        return None

    def _due_checkpoint(self) -> Iterator[Checkpoint]:
        """Give a checkpoint where the last one is old enough; no Record may wait."""
        if time.perf_counter() - self._kept <= self._checkpoint_seconds:
            return
        found = self.checkpoint()
        if found is not None:
            yield found
        self._kept = time.perf_counter()

    def _restore(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.state
        self.done, self._arrived = checkpoint.done, state["arrived"]
        self._lanes.restore(state["lanes"])
        self._stream.restore(state["stream"])
        self._batches.restore(state["batches"])
        if self._hessian is not None:
            self._hessian.restore(state["hessian"])

    def weights(self) -> dict[int, dict[str, Tensor]]:
        """Return lane -> name -> a copy of its present weight, of the lanes that were not dropped."""
        return {
            key.lane: {name: stack[row].detach().clone() for name, stack in self._lanes.weights.items()}
            for row, key in enumerate(self._lanes.keys)
        }

    def close(self) -> None:
        """Free what the lanes hold."""
        self._ended = True
