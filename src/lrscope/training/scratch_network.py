"""A network from scratch: a list of NumPy arrays [W1, b1, W2, b2, ...], its forward pass and its loss.

The three levels of a parameter are the layer, the node of this layer and the feature of the layer before: W
has the shape (nodes of this layer, nodes of the layer before), as `torch.nn.Linear` has it, and b (nodes of
this layer). One layer is W x + b, then its activation.

Letters: L lanes, n samples, i features of the layer before, j nodes of this layer, k outputs. Inside, samples
stand last, x [..., i, n], so that a layer is a plain product of matrices for any number of lanes in front.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrscope.errors import ProblemError

if TYPE_CHECKING:
    from torch import nn

Array: TypeAlias = NDArray[Any]
Parameters: TypeAlias = Sequence[Array]


def _identity(z: Array) -> Array:
    return z


def _relu(z: Array) -> Array:
    result: Array = np.maximum(z, 0.0)
    return result


def _tanh(z: Array) -> Array:
    result: Array = np.tanh(z)
    return result


def _sigmoid(z: Array) -> Array:
    result: Array = 1.0 / (1.0 + np.exp(-z))
    return result


def _mean_squared_error(outputs: Array, targets: Array) -> Array:
    """mean over samples and outputs of (output - target)^2; [..., k, n] and [k, n] -> [...]."""
    squares = np.square(outputs - targets)
    means: Array = squares.reshape(*squares.shape[:-2], -1).mean(axis=-1)
    return means


def _cross_entropy(outputs: Array, classes: Array) -> Array:
    """mean over samples of ln(sum exp(outputs)) - output of the class; [..., k, n] and [n] -> [...]."""
    largest = outputs.max(axis=-2)
    sums = np.exp(outputs - largest[..., None, :]).sum(axis=-2)
    wanted = outputs[..., classes, np.arange(len(classes))]
    means: Array = (np.log(sums) + largest - wanted).mean(axis=-1)
    return means


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": _identity,
    "relu": _relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}
LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    "mean_squared_error": _mean_squared_error,
    "cross_entropy": _cross_entropy,
}


@dataclasses.dataclass(frozen=True)
class Network:
    """What a list of parameters does not say: the activation of each layer, and the loss.

    Args:
        activations: "identity", "relu", "tanh" or "sigmoid" for each layer, the last one too.
        loss: "mean_squared_error", or "cross_entropy" of outputs taken as logits and classes as targets.

    Raises:
        ProblemError: there is no layer, or a name is none of these.
    """

    activations: tuple[str, ...] = ("identity",)
    loss: str = "mean_squared_error"

    def __post_init__(self) -> None:
        """Check the names."""
        if not self.activations:
            raise ProblemError('a network wants an activation for each layer, as ("relu", "identity")')
        for name in self.activations:
            if name not in ACTIVATIONS:
                raise ProblemError(f"activation {name!r} is unknown; there are {', '.join(ACTIVATIONS)}")
        if self.loss not in LOSSES:
            raise ProblemError(f"loss {self.loss!r} is unknown; there are {', '.join(LOSSES)}")

    def layers(self, parameters: Parameters) -> Iterator[tuple[Array, Array, Callable[[Array], Array]]]:
        """W [..., j, i], b [..., j] and the activation of each layer."""
        functions = (ACTIVATIONS[name] for name in self.activations)
        yield from zip(parameters[::2], parameters[1::2], functions, strict=True)

    def losses(self, outputs: Array, targets: Array) -> Array:
        """The loss of outputs [..., k, n], [...]."""
        return LOSSES[self.loss](outputs, targets)


def forward(parameters: Parameters, x: Array, network: Network) -> Array:
    """The outputs [..., k, n] for inputs x [i, n], of parameters with any lanes in front."""
    for weight, bias, activation in network.layers(parameters):
        x = activation(weight @ x + bias[..., None])
    return x


def forward_loss(
    parameters: Parameters, inputs: ArrayLike, targets: ArrayLike, network: Network | None = None
) -> float:
    """Run the samples through the network and return its loss.

    Args:
        parameters: [W1, b1, W2, b2, ...], each W (nodes of this layer, nodes of the layer before).
        inputs: one row a sample, [n, i]. Samples are float64, whatever they came as: products with float32
            parameters are taken in float64, as NumPy does where the samples are integers.
        targets: [n, k]; for cross-entropy the class numbers [n].
        network: activations and loss; identity and mean squared error unless given.

    Raises:
        ProblemError: shapes do not fit; the message names them.
    """
    network = network or linear(parameters)
    x, y = samples(parameters, inputs, targets, network)
    with np.errstate(all="ignore"):  # a diverged loss is infinite: data, and no warning
        return float(network.losses(forward(parameters, x, network), y))


def linear(parameters: Parameters) -> Network:
    """The network of these parameters without activations, and with the mean squared error."""
    return Network(("identity",) * max(1, len(parameters) // 2))


def transposed(parameters: Parameters) -> list[Array]:
    """The other convention, W (nodes of the layer before, nodes of this layer), and back."""
    return [array.T.copy() if place % 2 == 0 else array.copy() for place, array in enumerate(parameters)]


def samples(
    parameters: Parameters, inputs: ArrayLike, targets: ArrayLike, network: Network, stacked: bool = False
) -> tuple[Array, Array]:
    """Check everything against everything, and return the samples as used inside: x [i, n], y [k, n] or [n].

    Args:
        parameters, inputs, targets, network: as in `forward_loss`.
        stacked: whether the parameters have lanes in front.

    Raises:
        ProblemError: shapes, dtypes or classes do not fit.
    """
    arrays = [np.asarray(array) for array in parameters]
    shapes = ", ".join(str(array.shape) for array in arrays)
    if len(arrays) != 2 * len(network.activations):
        raise ProblemError(
            f"{len(network.activations)} layers want a weight and a bias each; got {len(arrays)} arrays"
        )
    if len({array.dtype for array in arrays}) > 1 or arrays[0].dtype not in (np.float32, np.float64):
        kinds = ", ".join(sorted({str(array.dtype) for array in arrays}))
        raise ProblemError(f"parameters want to be all float32 or all float64; got {kinds}")
    x, y = np.asarray(inputs), np.asarray(targets)
    features = x.shape[1] if x.ndim == 2 else -1
    lanes = arrays[0].shape[:1] if stacked else ()
    for weight, bias in zip(arrays[::2], arrays[1::2], strict=True):
        nodes = weight.shape[-2] if weight.ndim >= 2 else -1
        if weight.shape != (*lanes, nodes, features) or bias.shape != (*lanes, nodes):
            raise ProblemError(
                "layers do not fit: weights are (nodes, features), biases (nodes), "
                f"and the first features those of the inputs; got inputs {x.shape}, then {shapes}"
            )
        features = nodes
    if len(x) == 0:
        raise ProblemError("inputs are empty: no sample, no loss")
    if network.loss == "cross_entropy":
        if y.shape != x.shape[:1] or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= features:
            raise ProblemError(
                f"cross-entropy wants {len(x)} class numbers of 0 to {features - 1}; "
                f"got {y.dtype} of shape {y.shape}" + (f" up to {y.max()}" if y.size else "")
            )
        return np.ascontiguousarray(x.T, dtype=np.float64), y
    if y.shape != (len(x), features):
        raise ProblemError(f"targets of shape {(len(x), features)} are wanted; got {y.shape}")
    return np.ascontiguousarray(x.T, dtype=np.float64), np.ascontiguousarray(y.T, dtype=np.float64)


def from_torch(module: "nn.Module", loss: object) -> tuple[list[Array], Network]:
    """Copy a `torch.nn.Sequential` of Linear layers and activations, and a loss, to NumPy.

    The arrays come in the order of `module.named_parameters()`, in its shapes and its dtype.

    Raises:
        ProblemError: there is something in it that this network does not know.
    """
    from torch import nn

    names = {nn.Identity: "identity", nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}
    losses = {nn.MSELoss: "mean_squared_error", nn.CrossEntropyLoss: "cross_entropy"}
    wanted = "wanted is a Sequential of Linear layers with ReLU, Tanh, Sigmoid or Identity after each"
    if not isinstance(module, nn.Sequential):
        raise ProblemError(f"the model is of type {type(module).__name__}; {wanted}")
    parameters: list[Array] = []
    activations: list[str] = []
    free = False  # whether the last layer's activation is still to be had
    for layer in module:
        if type(layer) is nn.Linear and layer.bias is not None:
            parameters += [part.detach().cpu().numpy().copy() for part in (layer.weight, layer.bias)]
            activations.append("identity")
            free = True
        elif type(layer) in names and free:
            activations[-1] = names[type(layer)]
            free = type(layer) is nn.Identity
        else:
            raise ProblemError(f"the model holds {' '.join(repr(layer).split())}; {wanted}")
    plain = type(loss) in losses and vars(loss).get("reduction") == "mean"
    if type(loss) is nn.CrossEntropyLoss:
        plain = plain and loss.weight is None and loss.label_smoothing == 0 and loss.ignore_index < 0
    if not plain:
        raise ProblemError(
            f"the loss is {' '.join(repr(loss).split())[:80]}; wanted is MSELoss() or CrossEntropyLoss()"
        )
    return parameters, Network(tuple(activations), losses[type(loss)])


def to_torch(parameters: Parameters, network: Network | None = None) -> "nn.Sequential":
    """Copy the parameters to a `torch.nn.Sequential` of Linear layers with the network's activations."""
    import torch
    from torch import nn

    names = {"identity": None, "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    network = network or linear(parameters)
    modules: list[nn.Module] = []
    for weight, bias, name in zip(parameters[::2], parameters[1::2], network.activations, strict=True):
        layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")  # no random numbers are drawn
        layer.weight = nn.Parameter(torch.tensor(weight))
        layer.bias = nn.Parameter(torch.tensor(bias))
        modules.append(layer)
        activation = names[name]
        if activation is not None:
            modules.append(activation())
    return nn.Sequential(*modules)
