"""One forward pass, and by how much its loss changes if any one scalar parameter is nudged.

A nudged scalar moves the sum of one node. That node moves the next layer by one column of its weights, and
only from there on does all of the network move. Moves are carried on as such, to the loss: nothing that stays
is computed again, and nothing cancels. Two layers before the loss not even the outputs are needed. All
scalars of a layer, in all lanes, go through together, in blocks that stay in the cache.

Letters: L lanes, j nodes of a layer, i features of the layer before, k outputs, n samples, s versions of a
node. A node's versions are the features whose weight is nudged; a bias has one.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrscope.training.scratch_network import ACTIVATIONS, Array, Network, Parameters
from lrscope.training.small_changes import ACTIVATION_CHANGES, LARGEST, LOSS_CHANGES, LossChange, largest

BLOCK = 1 << 15
"""Numbers in the largest array of a block: 256 KiB, still in the cache when they are read again."""


class _Nodes(NamedTuple):
    """Some nodes of a layer, in some lanes."""

    layer: int
    lanes: slice
    nodes: slice


class ForwardPass:
    """One forward pass of all lanes with everything that a nudge can start from, in float64.

    Attributes:
        inputs: of each layer, [L, i, n]; then the outputs of the last one, [L, k, n].
        products: W x of each layer, [L, j, n].
        sums: W x + b of each layer, [L, j, n].
        losses: [L].
    """

    def __init__(self, parameters: Parameters, x: Array, y: Array, network: Network) -> None:
        self.parameters = parameters
        self.targets = y
        self.network = network
        # Widened once: exact, and each product would do it again.
        self.weights = [weight.astype(np.float64) for weight in parameters[::2]]
        self.biases = [bias.astype(np.float64) for bias in parameters[1::2]]
        self.last = len(self.weights) - 1
        self.activations = [ACTIVATIONS[name] for name in network.activations]
        self.activation_changes = [ACTIVATION_CHANGES[name] for name in network.activations]
        self.inputs = [np.broadcast_to(x, (len(parameters[0]), *x.shape))]
        self.products: list[Array] = []
        self.sums: list[Array] = []
        for weight, bias, activation in zip(self.weights, self.biases, self.activations, strict=True):
            self.products.append(weight @ self.inputs[-1])
            self.sums.append(self.products[-1] + bias[..., None])
            self.inputs.append(activation(self.sums[-1]))
        self.losses: NDArray[np.float64] = network.losses(self.inputs[-1], y)
        self.loss_change: LossChange = LOSS_CHANGES[network.loss](self.inputs[-1], y)

    def changes(self, place: int, array: Array, as_written: bool = False) -> NDArray[np.float64]:
        """By how much the loss changes if each scalar alone of `parameters[place]` is as it is in `array`.

        Args:
            place: of the tensor among the parameters.
            array: its nudged scalars, in its shape.
            as_written: in a layer of one feature, run the nudged network and subtract the two losses: to the
                last bit what the loop written out does.
        """
        layer, is_bias = divmod(place, 2)
        new, old = (a[..., None] if is_bias else a for a in (array, self.parameters[place]))
        as_written = as_written and self.weights[layer].shape[2] == 1
        changes = np.empty(new.shape)
        for block in self._blocks(new.shape, layer):
            lanes, nodes, features = block
            here = _Nodes(layer, lanes, nodes)
            value = new[block][..., None].astype(np.float64)
            x = self.inputs[layer][lanes, None, slice(1) if is_bias else features]
            if as_written:
                product = self.products[layer][lanes, nodes, None] if is_bias else value * x
                sums = product + (value if is_bias else self.biases[layer][lanes, nodes, None, None])
                changes[block] = self._subtracted(here, sums)
                continue
            moves = (value - old[block][..., None]) * (np.ones_like(x) if is_bias else x)
            change = self._carried(here, moves)
            if change is None:
                change = self._subtracted(here, self.sums[layer][lanes, nodes, None] + moves)
            changes[block] = change
        return changes.reshape(array.shape)

    def _carried(self, here: _Nodes, moves: Array) -> Array | None:
        """The change of the loss [L, j, s] if the nodes' sums move by [L, j, s, n]; None if that is far."""
        layer, lanes, nodes = here
        if not largest(moves) <= LARGEST:  # NaN too
            return None
        z, y = self.sums[layer][lanes, nodes, None], self.inputs[layer + 1][lanes, nodes, None]
        moves = self.activation_changes[layer](z, y, moves)
        if layer == self.last:
            unit = np.eye(self.weights[layer].shape[1])[None, nodes]
            return self.loss_change.along(lanes, np.repeat(unit, len(moves), axis=0), moves)
        columns = self.weights[layer + 1][lanes, :, nodes].swapaxes(1, 2)
        if layer == self.last - 1 and self.network.activations[-1] == "identity":
            change = self.loss_change.along(lanes, columns, moves)
            if change is not None:
                return change
        moves = columns[:, :, None, :, None] * moves[:, :, :, None, :]
        for later in range(layer + 1, self.last + 1):
            if later > layer + 1:
                moves = self.weights[later][lanes, None, None] @ moves
            if not largest(moves) <= LARGEST:
                return None
            z, y = self.sums[later][lanes, None, None], self.inputs[later + 1][lanes, None, None]
            moves = self.activation_changes[later](z, y, moves)
        return self.loss_change.of(lanes, moves)

    def _subtracted(self, here: _Nodes, sums: Array) -> Array:
        """The loss if the nodes' sums become [L, j, s, n], less the loss before, [L, j, s]."""
        layer, lanes, nodes = here
        x = self.activations[layer](sums)
        if layer == self.last:  # each version is the whole output with one row replaced
            rows = self.inputs[-1][lanes, None, None]
            outputs = np.broadcast_to(rows, (*x.shape[:3], *rows.shape[3:])).copy()
            for place, node in enumerate(range(nodes.start, nodes.stop)):
                outputs[:, place, :, node] = x[:, place]
            x = outputs
        else:
            moves = x - self.inputs[layer + 1][lanes, nodes, None]
            columns = self.weights[layer + 1][lanes, :, nodes].swapaxes(1, 2)
            x = (
                columns[:, :, None, :, None] * moves[:, :, :, None, :]
                + self.sums[layer + 1][lanes, None, None]
            )
            x = self.activations[layer + 1](x)
        for later in range(layer + 2, self.last + 1):
            bias = self.biases[later][lanes, None, None, :, None]
            x = self.activations[later](self.weights[later][lanes, None, None] @ x + bias)
        changes: Array = self.network.losses(x, self.targets) - self.losses[lanes, None, None]
        return changes

    def _blocks(self, shape: tuple[int, ...], layer: int) -> Iterator[tuple[slice, slice, slice]]:
        """Slices of lanes, nodes and features that cover [L, j, i], each of about `BLOCK` numbers inside."""
        widest = max(sums.shape[1] for sums in self.sums[min(layer + 1, self.last) :])
        if layer == self.last or (layer == self.last - 1 and self.network.activations[-1] == "identity"):
            widest = max(1, widest // 16)  # outputs are needed once in a while only: bound that too
        room = max(1, BLOCK // (widest * self.inputs[0].shape[2]))
        sizes = [1, 1, 1]
        for axis in (2, 1, 0):
            sizes[axis] = max(1, min(shape[axis], room))
            room //= sizes[axis]
        lanes, nodes, features = (
            [slice(start, min(start + size, end)) for start in range(0, end, size)]
            for end, size in zip(shape, sizes, strict=True)
        )
        yield from itertools.product(lanes, nodes, features)
