"""Tensor statistics: what is measured of every tensor of all lanes at a point, and of the update after it.

Letters: L lanes, n elements that are measured.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from lrscope.quantities.gradients import GRADIENTS
from lrscope.quantities.look import Look, Move, rows
from lrscope.quantities.weights import CHANGES, WEIGHTS
from lrscope.training.step import Step

PIECE_ELEMENTS = 2**20
"""Elements measured at a time, of whole lanes: what passes by stays in the cache, and memory is used again
rather than asked for anew, which takes several times as long as the arithmetic."""

POINT = tuple(quantity.name for quantity in (*WEIGHTS, *GRADIENTS))
LAST_POINT = tuple(quantity.name for quantity in WEIGHTS)
CHANGE = tuple(change.name for change in CHANGES)


class TensorStatistics:
    """Measures lanes whose start it was made at.

    Args:
        start: the first point.
        elements: name -> flat indices of what is measured of a tensor; of those not named everything.
    """

    def __init__(self, start: Step, elements: Mapping[str, Tensor]) -> None:
        self.elements = dict(elements)
        self._start = {name: self._rows(name, tensor).clone() for name, tensor in start.weights.items()}
        # Of the point whose update is measured next.
        self._before: dict[str, Tensor] = {}
        self._moving: dict[str, Tensor] = {}
        self._step: int | None = None

    def _rows(self, name: str, stack: Tensor) -> Tensor:
        return rows(stack, self.elements.get(name))

    @property
    def pending(self) -> bool:
        """Whether an update is waiting to be measured."""
        return self._step is not None

    def narrow(self, stay: Tensor) -> None:
        """Forget the lanes that have left.

        Args:
            stay: int64, the places of the others.
        """
        for stacks in (self._start, self._before, self._moving):
            for name, stack in stacks.items():
                stacks[name] = stack[stay.to(stack.device)]

    def point(self, step: Step) -> list[Tensor]:
        """[L] for each of `POINT` (after the last update: of `LAST_POINT`), tensor by tensor.

        What the update that follows is compared with is kept.
        """
        followed = step.losses is not None
        found = step.gradients(self.elements) if followed else {}
        gradients = {name: rows(gradient) for name, gradient in found.items()}
        quantities = (*WEIGHTS, *GRADIENTS) if followed else WEIGHTS
        measured: list[Tensor] = []
        for name, stack in step.weights.items():
            weights_Ln, start_Ln, gradient_Ln = (
                self._rows(name, stack),
                self._start[name],
                gradients.get(name),
            )

            def look(
                lanes: slice,
                weights: Tensor = weights_Ln,
                start: Tensor = start_Ln,
                gradient: Tensor | None = gradient_Ln,
            ) -> list[Tensor]:
                one = Look(weights[lanes], start[lanes], None if gradient is None else gradient[lanes])
                return [quantity.measure(one) for quantity in quantities]

            values = _in_pieces(weights_Ln.shape, look)
            if name in self.elements:
                # What a sample's norm says of that of all.
                factor = math.sqrt(stack[0].numel() / weights_Ln.shape[1])
                values = [
                    value * factor if quantity.length else value
                    for quantity, value in zip(quantities, values, strict=True)
                ]
            measured += values
            if followed:
                _keep(self._before, name, weights_Ln)
        if followed:
            self._keep_moving(gradients, step.rounded())
            self._step = step.index
        return measured

    def _keep_moving(self, gradients: Mapping[str, Tensor], rounded: Mapping[str, Tensor]) -> None:
        """1 where the gradient is not zero, or would not be but for rounding, and 0 elsewhere."""
        for name, gradient_Ln in gradients.items():
            if name not in self._moving or self._moving[name].shape != gradient_Ln.shape:
                self._moving[name] = torch.empty_like(gradient_Ln)
            torch.ne(gradient_Ln, 0, out=self._moving[name])
        for name, stack in rounded.items():
            self._moving[name].logical_or_(self._rows(name, stack))

    def change(self, weights: Mapping[str, Tensor]) -> tuple[int, list[Tensor]]:
        """The point before, and [L] for each of `CHANGE`, tensor by tensor, of the update since.

        Args:
            weights: name -> [L, ...], now.
        """
        measured: list[Tensor] = []
        for name, old_Ln in self._before.items():
            new_Ln, moving_Ln = self._rows(name, weights[name]), self._moving.get(name)

            def move(
                lanes: slice, old: Tensor = old_Ln, moving: Tensor | None = moving_Ln, new: Tensor = new_Ln
            ) -> list[Tensor]:
                one = Move(old[lanes], None if moving is None else moving[lanes], new[lanes])
                return [change.measure(one) for change in CHANGES]

            measured += _in_pieces(old_Ln.shape, move)
        assert self._step is not None
        before, self._step = self._step, None
        return before, measured


def _keep(kept: dict[str, Tensor], name: str, values: Tensor) -> None:
    """A copy, in the memory of the one before."""
    if name in kept and kept[name].shape == values.shape:
        kept[name].copy_(values)
    else:
        kept[name] = values.clone()


def _in_pieces(shape: Sequence[int], measure: Callable[[slice], list[Tensor]]) -> list[Tensor]:
    """Measure a few lanes at a time; each value [L]."""
    lanes, size = shape
    at_once = max(1, PIECE_ELEMENTS // max(1, size))
    if at_once >= lanes:
        return measure(slice(None))
    pieces = [measure(slice(begin, begin + at_once)) for begin in range(0, lanes, at_once)]
    return [torch.cat(values) for values in zip(*pieces, strict=True)]
