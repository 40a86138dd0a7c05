"""Course: some lanes on their way, which may pause, lose lanes, and go on."""

from collections.abc import Callable, Collection, Generator, Iterator

from lrscope.plan import LaneKey
from lrscope.training.lanes import Lanes
from lrscope.training.looks import Ahead, Looks
from lrscope.training.step import Step
from lrscope.training.team import Team


class Course:
    """Lanes that began together and are at the same step.

    Several courses of one run may be under way at a time: each seed's starts, batches and random draws are
    the same in all of them, so a lane that began later sees what the others saw.

    Args:
        lanes: the lanes.
        train: trains them, and gives the steps that are looked at.
        looks: what to look at, beside the steps at which it pauses.

    Attributes:
        done: updates done; -1 before the first point.
    """

    def __init__(self, lanes: Lanes | Team, train: Callable[[Looks], Generator[Step]], looks: Looks) -> None:
        self._lanes = lanes
        self._looks = looks
        self._until: int | None = None
        self._steps = train(self._next_look)
        self.done = -1

    def _next_look(self, step: int) -> Ahead:
        wanted = self._looks(step)
        return wanted if self._until is None else wanted.within(self._until)

    @property
    def keys(self) -> tuple[LaneKey, ...]:
        """The lanes that are still there."""
        return self._lanes.keys

    def steps(self, until: int | None = None) -> Iterator[Step]:
        """Train, up to and including the point after `until` updates, or to the end.

        Raises:
            TrainingError: the model raised for no single lane's fault.
        """
        self._until = until
        while until is None or self.done < until:
            step = next(self._steps, None)
            if self._lanes.failure is not None:
                raise self._lanes.failure
            if step is None:
                return
            self.done = step.index
            yield step

    def end(self) -> None:
        """Train no further; processes that train some of the lanes are let go."""
        self._steps.close()

    def leave(self, lanes: Collection[int]) -> None:
        """Let these lanes, by id, train no further; what is left goes on as if they had never been there."""
        self._lanes.leave(lanes)
