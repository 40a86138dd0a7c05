"""In-process executor: Blocks are trained in this process, one after another."""

from collections.abc import Collection, Sequence

from lrscope.executors.block_runner import BlockRunner
from lrscope.executors.executor import Runner
from lrscope.plan import Plan
from lrscope.training.block import Block
from lrscope.training.checkpoint import Checkpoint
from lrscope.training.prepare import Prepared


class InProcess:
    """Trains Blocks in this process.

    Args:
        prepared: the problem made ready.
        plan: how long lanes are trained, and what is recorded.
        validate_at: steps at which they are validated, beside the ends of epochs.
    """

    slots = 1

    def __init__(self, prepared: Prepared, plan: Plan, validate_at: Collection[int] = ()) -> None:
        self._prepared, self._plan, self._validate_at = prepared, plan, validate_at

    def open(self, block: Block, checkpoint: Checkpoint | None = None) -> Runner:
        """Open a Runner at the start, or where a checkpoint was taken."""
        return BlockRunner(self._prepared, block, self._plan, self._validate_at, checkpoint)

    def ready(self, runners: Sequence[Runner]) -> Sequence[Runner]:
        """Return the Runners: each works when it is asked."""
        return runners

    def close(self) -> None:
        """Do nothing: no Runner outlives this process."""
