"""Together: the losses and gradients of all lanes in one vectorised call.

Letters: L lanes, S seeds, l lanes of a block, B batch size.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap
from torch.utils._pytree import tree_map

from lrscope.training.capture import Call, Captured, Written
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective
from lrscope.training.optimizers import clip_gradients
from lrscope.training.random_state import Stream

LANE_BATCH_ELEMENTS = 2**20
"""Lanes of several seeds share a call while their batches, a copy a lane, have at most that many elements."""


def vectorised(objective: Objective, *, own_batch: bool) -> Callable[..., tuple[dict[str, Tensor], Tensor]]:
    """The function (trained, constants, batch) -> (gradients, losses_L) over stacked tensors.

    Args:
        objective: called functionally; its own parameters are not read.
        own_batch: whether every lane has a batch of its own (leaves [L, B, ...]) or all share one.
    """

    def loss(trained: dict[str, Tensor], constants: dict[str, Tensor], batch: Any) -> Tensor:
        tensors = {Objective.prefix + name: tensor for name, tensor in {**trained, **constants}.items()}
        value: Tensor = functional_call(objective, tensors, (batch,))
        return value

    return vmap(grad_and_value(loss), in_dims=(0, 0, 0 if own_batch else None), randomness="same")


class Together:
    """Gives every lane its gradient by vectorised calls, one for each block of lanes.

    All lanes are one block where they may be, and are asked to: lanes of different seeds see different
    batches and draw different random numbers, so a model that draws, or batches that cannot be stacked, makes
    a block a seed at least.

    Args:
        objective: of a module of its own, which the calls leave as it is.
        lanes: whose weights, buffers and gradients are meant.
        seeds: in the order of the batches; every lane has one of them.
        streams: the random stream of each seed.
        draws: whether the model or loss draws random numbers.
        shared_batch: whether all seeds get the same batch.
        stackable: whether the batches of the seeds are small tensors of one shape, worth a copy a lane.
        capture: whether calls may be captured, because no Python of the model's or loss's keeps state.
        per_block: lanes in a call, at most; None for all that can be.
        tell: given a sentence when capturing is given up.
        written: calls that are written down already, and where those to come are kept.
    """

    def __init__(
        self,
        objective: Objective,
        lanes: Lanes,
        seeds: Sequence[int],
        streams: dict[int, Stream],
        *,
        draws: bool,
        shared_batch: bool,
        stackable: bool,
        capture: bool,
        per_block: int | None = None,
        tell: Callable[[str], None] | None = None,
        written: Written | None = None,
    ) -> None:
        self._lanes = lanes
        self._streams = streams
        self._draws = draws
        self._seeds = list(seeds)
        of_lane = [self._seeds.index(key.seed) for key in lanes.keys]
        present = list(dict.fromkeys(of_lane))
        one_block = len(present) == 1 or (not draws and (shared_batch or stackable))
        together = (
            [range(len(lanes))]
            if one_block
            else [range(of_lane.index(s), len(of_lane) - of_lane[::-1].index(s)) for s in present]
        )
        size = len(lanes) if per_block is None else per_block
        self._blocks = [whole[i : i + size] for whole in together for i in range(0, len(whole), size)]
        self._seed_of_block = [self._seeds[of_lane[block.start]] for block in self._blocks]
        # Every block of a seed draws the same numbers; the last one moves the stream on.
        later = [*self._seed_of_block[1:], None]
        self._last_of_seed = [seed != then for seed, then in zip(self._seed_of_block, later, strict=True)]
        self._own_batch = one_block and len(present) > 1 and not shared_batch
        device = next(iter(lanes.weights.values())).device
        self._seed_of_lane = torch.tensor(of_lane, device=device)
        self._call: Call = vectorised(objective, own_batch=self._own_batch)
        if capture:
            self._call = Captured(self._call, tell, written, self._own_batch)
        self._tensors = [self._views(block) for block in self._blocks]
        self._gradients: list[dict[str, Tensor]] = []

    def _views(self, block: range) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The stacked tensors of a block of lanes: trained, and constant within a step."""
        rows = slice(block.start, block.stop)
        weights, trained = self._lanes.weights, self._lanes.trained
        constants = {name: tensor for name, tensor in weights.items() if name not in trained}
        constants |= self._lanes.buffers
        return (
            {name: weights[name][rows] for name in trained},
            {name: tensor[rows] for name, tensor in constants.items()},
        )

    def __call__(self, batches: Sequence[Any]) -> Tensor:
        """Set the gradients of all lanes and return their losses [L].

        Args:
            batches: one a seed, or a single one that all share.
        """
        made = [
            self._block(position, self._batch(position, batches)) for position in range(len(self._blocks))
        ]
        self._gradients = [gradients for gradients, _ in made]
        for gradients, block in zip(self._gradients, self._blocks, strict=True):
            self._lanes.set_gradients(gradients, block)
        losses = [losses_l for _, losses_l in made]
        return losses[0] if len(losses) == 1 else torch.cat(losses)

    def _block(self, position: int, batch: Any) -> tuple[dict[str, Tensor], Tensor]:
        trained, constants = self._tensors[position]
        if not self._draws:
            return self._call(trained, constants, batch)
        stream = self._streams[self._seed_of_block[position]]
        with stream.entered(keep=self._last_of_seed[position]):
            return self._call(trained, constants, batch)

    def clip(self, max_norm: float) -> None:
        """Clip the gradient of every lane by itself."""
        for gradients, block in zip(self._gradients, self._blocks, strict=True):
            clip_gradients(list(gradients.values()), max_norm)
            self._lanes.set_gradients(gradients, block)

    def _batch(self, position: int, batches: Sequence[Any]) -> Any:
        if len(batches) == 1:
            return batches[0]
        if not self._own_batch:
            return batches[self._seeds.index(self._seed_of_block[position])]
        # A copy a lane: [l, B, ...].
        block = self._blocks[position]
        seeds_l = self._seed_of_lane[block.start : block.stop]
        return tree_map(lambda *leaves: torch.stack(leaves)[seeds_l], batches[0], *batches[1:])
