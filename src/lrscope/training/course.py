"""Course: some lanes on their way, which may pause, lose lanes, and go on."""

from collections.abc import Collection, Iterator

from lrscope.plan import LaneKey
from lrscope.training.lanes import Lanes
from lrscope.training.step import Step


class Course:
    """Lanes that began together and are at the same step.

    Several courses of one run may be under way at a time: each seed's starts, batches and random draws are
    the same in all of them, so a lane that began later sees what the others saw.

    Args:
        lanes: the lanes.
        steps: trains them.

    Attributes:
        done: updates done; -1 before the first point.
    """

    def __init__(self, lanes: Lanes, steps: Iterator[Step]) -> None:
        self._lanes = lanes
        self._steps = steps
        self.done = -1

    @property
    def keys(self) -> tuple[LaneKey, ...]:
        """The lanes that are still there."""
        return self._lanes.keys

    def steps(self, until: int | None = None) -> Iterator[Step]:
        """Train, up to and including the point after `until` updates, or to the end."""
        while until is None or self.done < until:
            step = next(self._steps, None)
            if step is None:
                return
            self.done = step.index
            yield step

    def leave(self, lanes: Collection[int]) -> None:
        """Let these lanes, by id, train no further; what is left goes on as if they had never been there."""
        self._lanes.leave(lanes)
