"""One forward pass, and by how much its loss changes if any one scalar parameter is nudged.

A nudged scalar moves the sum of one node. That node moves the next layer by one column of its weights, and
only from there on is everything new. A node of the last two layers moves the outputs along one direction, and
then the change of the loss is known without computing them. All scalars of a layer, in all lanes, go through
together, in blocks that stay in the cache.

Letters: L lanes, j nodes of a layer, i features of the layer before, k outputs, n samples, s versions of a
node. A node's versions are the features whose weight is nudged; a bias has one.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lrscope.training.nudged_loss import LOSS_CHANGES, LossChange
from lrscope.training.scratch_network import ACTIVATIONS, Array, Network, Parameters

BLOCK = 1 << 15
"""Numbers in the largest array of a block: 256 KiB, still in the cache when they are read again."""


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
        self.activations = [ACTIVATIONS[name] for name in network.activations]
        self.inputs = [np.broadcast_to(x, (len(parameters[0]), *x.shape))]
        self.products: list[Array] = []
        self.sums: list[Array] = []
        for weight, bias, activation in zip(self.weights, self.biases, self.activations, strict=True):
            self.products.append(weight @ self.inputs[-1])
            self.sums.append(self.products[-1] + bias[..., None])
            self.inputs.append(activation(self.sums[-1]))
        self.losses: NDArray[np.float64] = network.losses(self.inputs[-1], y)
        self.loss_change: LossChange | None = None
        if network.activations[-1] == "identity":
            self.loss_change = LOSS_CHANGES[network.loss](self.inputs[-1], y)

    def changes(self, place: int, array: Array) -> NDArray[np.float64]:
        """By how much the loss changes if each scalar alone of `parameters[place]` is as it is in `array`."""
        layer, is_bias = divmod(place, 2)
        new, old = (a[..., None] if is_bias else a for a in (array, self.parameters[place]))
        is_lone = self._is_lone(layer)
        changes = np.empty(new.shape)
        for block in self._blocks(new.shape, layer):
            lanes, nodes, features = block
            values = new[block][..., None].astype(np.float64)
            if is_bias:
                sums = self.products[layer][lanes, nodes, None] + values
            elif is_lone:  # nothing else in the product: exactly what a whole forward pass computes
                sums = values * self.inputs[layer][lanes, None]
                sums += self.biases[layer][lanes, nodes, None, None]
            else:
                sums = (values - old[block][..., None]) * self.inputs[layer][lanes, None, features]
                sums += self.sums[layer][lanes, nodes, None]
            output = self.activations[layer](sums)
            change = self._along(output, layer, lanes, nodes) if self._goes_along(layer) else None
            changes[block] = self._all_through(output, layer, lanes, nodes) if change is None else change
        return changes.reshape(array.shape)

    def _is_lone(self, layer: int) -> bool:
        """Whether a layer has one feature. Nodes' sums are then right to the last bit, and so is the loss."""
        return bool(self.weights[layer].shape[2] == 1)

    def _goes_along(self, layer: int) -> bool:
        """Whether a nudge in this layer may go the short way."""
        return self.loss_change is not None and layer >= len(self.weights) - 2 and not self._is_lone(layer)

    def _along(self, output: Array, layer: int, lanes: slice, nodes: slice) -> Array | None:
        """The change of the loss [L, j, s] for versions of the nodes' `output` [L, j, s, n], the short way.

        None where it cannot be told so.
        """
        last = len(self.weights) - 1
        assert self.loss_change is not None
        if layer == last:
            unit = np.eye(self.weights[last].shape[1])[None, nodes]
            directions = np.broadcast_to(unit, (output.shape[0], *unit.shape[1:]))
        else:
            directions = self.weights[last][lanes, :, nodes].swapaxes(1, 2)
        return self.loss_change(lanes, directions, output - self.inputs[layer + 1][lanes, nodes, None])

    def _all_through(self, output: Array, layer: int, lanes: slice, nodes: slice) -> Array:
        """The same through all that follows: every activation, and the loss itself."""
        last = len(self.weights) - 1
        if layer == last:  # each version is the whole output with one row replaced
            rows = self.inputs[-1][lanes, None, None]
            x = np.broadcast_to(rows, (*output.shape[:3], *rows.shape[3:])).copy()
            for place, node in enumerate(range(nodes.start, nodes.stop)):
                x[:, place, :, node] = output[:, place]
        else:
            change = output - self.inputs[layer + 1][lanes, nodes, None]
            columns = self.weights[layer + 1][lanes, :, nodes].swapaxes(1, 2)
            x = columns[:, :, None, :, None] * change[:, :, :, None, :]
            x += self.sums[layer + 1][lanes, None, None]
            x = self.activations[layer + 1](x)
        for later in range(layer + 2, last + 1):
            bias = self.biases[later][lanes, None, None, :, None]
            x = self.activations[later](self.weights[later][lanes, None, None] @ x + bias)
        changes: Array = self.network.losses(x, self.targets) - self.losses[lanes, None, None]
        return changes

    def _blocks(self, shape: tuple[int, ...], layer: int) -> Iterator[tuple[slice, slice, slice]]:
        """Slices of lanes, nodes and features that cover [L, j, i], each of about `BLOCK` numbers inside."""
        last = len(self.weights) - 1
        widest = max(sums.shape[1] for sums in self.sums[min(layer + 1, last) :])
        if self._goes_along(layer):
            widest = max(1, widest // 16)  # once in a while a block goes all through: bound that too
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
