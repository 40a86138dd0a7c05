"""Snapshot: the elements of some lanes' tensors as they were at a point, kept until they are measured.

Between two steps that take all of the cache a few operations cost many times what they cost in a row. So
points are only copied where lanes are trained, and measured together, of several points and all lanes of a
process. Letters: L lanes, M elements of all tensors that are measured.
"""

import dataclasses
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from lrscope.quantities.packing import Packing
from lrscope.training.step import Step


@dataclasses.dataclass
class Snapshot:
    """A point as it was.

    Attributes:
        step: updates done.
        start: [L, M], the weights before training.
        weights: [L, M].
        gradient: [L, M], zeros where there is none; None after the last update.
        rounded: [L, M], 1 where a gradient reads 0 because weight + nudge rounds to the weight, and 0
            elsewhere; None where gradients are exact.
        after: [L, M], the weights after the update that followed, once it has.
        seconds: that it took.
        measured: whether it was, but for the update.
    """

    step: int
    start: Tensor
    weights: Tensor
    gradient: Tensor | None = None
    rounded: Tensor | None = None
    after: Tensor | None = None
    seconds: float = 0.0
    measured: bool = False

    @property
    def complete(self) -> bool:
        """Whether the update that follows has been seen, or none will."""
        return self.gradient is None or self.after is not None


class Snapshots:
    """Those of lanes at whose start it was made: a `Keeper`.

    Args:
        start: the first step.
        packing: where each tensor's elements stand.
        strides: name -> s, of tensors of which every s-th element is measured; of those not named all are.
    """

    def __init__(self, start: Step, packing: Packing, strides: Mapping[str, int]) -> None:
        self._strides = strides
        self._keys = start.keys
        self._packing = packing
        self._weights = self._packing.views(start.weights)
        self._start_LM = self._packing.packed(self._weights)
        self._held: list[Snapshot] = []

    def __call__(self, step: Step, *, due: bool) -> None:
        """Keep the end of the update that followed the point before, and the point itself where it is due."""
        began = settled(step)
        self._narrow(step)
        at = self._held[-1] if self._held else None
        if at is not None and not at.complete:
            at.after = self._packing.packed(self._weights)
        if due:
            at = Snapshot(step.index, self._start_LM, self._packing.packed(self._weights))
            self._held.append(at)
            if step.losses is not None:
                at.gradient = self._copy(step.gradients(self._strides))
                rounded = step.rounded()
                at.rounded = self._copy(rounded) if rounded else None
        if at is not None:
            at.seconds += settled(step) - began

    @property
    def elements(self) -> int:
        """Of weights, held of what is complete."""
        return sum(one.complete for one in self._held) * self._start_LM.numel()

    def taken(self, *, complete: bool) -> list[Snapshot]:
        """All that is held, or only what is complete; a point whose update is to come stays here."""
        here = [one for one in self._held if not one.complete]
        taken = [one for one in self._held if one.complete] if complete else self._held
        self._held = here
        return taken

    def _copy(self, stacks: Mapping[str, Tensor]) -> Tensor:
        return self._packing.packed(self._packing.views(stacks))

    def _narrow(self, step: Step) -> None:
        """Forget the lanes that have left."""
        if step.keys == self._keys:
            return
        stay = torch.tensor([self._keys.index(key) for key in step.keys], device=self._start_LM.device)
        self._keys = step.keys
        self._weights = self._packing.views(step.weights)
        self._start_LM = self._start_LM[stay]
        for one in self._held:
            one.start = self._start_LM
            one.weights = one.weights[stay]
            one.gradient = None if one.gradient is None else one.gradient[stay]
            one.rounded = None if one.rounded is None else one.rounded[stay]


def settled(step: Step) -> float:
    """The time, once the device has done what it was told."""
    device = next(iter(step.weights.values())).device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
