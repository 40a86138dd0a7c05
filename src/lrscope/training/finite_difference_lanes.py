"""Lanes trained by finite differences: the network from scratch, in NumPy, as lanes of an ordinary sweep.

The weights are the lanes' own stacked tensors, which NumPy sees without a copy: all that reads lanes
(validation, curvature, whatever is recorded) finds them where it always does.

Letters: L lanes, n samples, i features, k outputs.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from lrscope.errors import ProblemError
from lrscope.language import Text
from lrscope.problems.problem import Problem
from lrscope.training.elements import picked
from lrscope.training.finite_differences import FORWARD, Difference, derivatives_of, moved
from lrscope.training.lanes import Lanes
from lrscope.training.objective import Objective, pair
from lrscope.training.optimizers import describe
from lrscope.training.scratch_network import Array, Network, forward_loss, from_torch

CENTRAL_NUDGES = {torch.float32: 1e-3, torch.float64: 3e-6}
"""Of central differences. In float32 rounding takes up to 6e-5 of it at a weight of 1: a smaller one would be
worse, and a larger one crosses more kinks of ReLU."""

WANTED = "finite differences want"


class Scratch(NamedTuple):
    """A problem as the network from scratch.

    Attributes:
        network: its activations and its loss.
        difference: how derivatives are measured.
    """

    network: Network
    difference: Difference

    @property
    def words(self) -> Text:
        """How derivatives are measured: 'finite differences (forward, weights nudged by 0.0001)'."""
        kind = Text("central", "中心") if self.difference.central else Text("forward", "前向")
        told = Text(
            "finite differences ({kind}, weights nudged by {nudge})", "有限差分（{kind}，权重拨动 {nudge}）"
        )
        return told.format(kind=kind, nudge=f"{self.difference.nudge:g}")


def from_scratch(problem: Problem, start: nn.Module, batch: Any, gradient: str) -> Scratch:
    """Take a problem as the network from scratch, or say what it lacks for that.

    Args:
        problem: what is trained.
        start: one of its models.
        batch: of its training data.
        gradient: "finite-difference" (forward, with the nudge of 1e-4) or "central-difference".

    Raises:
        ProblemError: something in it is more than that network and plain gradient descent know.
    """
    _refuse_more_than_descent(problem, start)
    if not isinstance(problem.train, (tuple, list, TensorDataset)):
        kind = type(problem.train).__name__
        raise ProblemError(f"{WANTED} training data as tensors, train=(X, y); got a {kind}")
    dtypes = {parameter.dtype for parameter in start.parameters()}
    if len(dtypes) > 1 or not dtypes <= set(CENTRAL_NUDGES):
        kinds = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise ProblemError(f"{WANTED} parameters that are all float32 or all float64; got {kinds}")
    if {parameter.device.type for parameter in start.parameters()} != {"cpu"}:
        raise ProblemError(f"{WANTED} the CPU, where NumPy is; type --device cpu")
    frozen = [name for name, parameter in start.named_parameters() if not parameter.requires_grad]
    if frozen:
        raise ProblemError(f"{WANTED} to train every parameter; {frozen[0]} has requires_grad=False")
    try:
        arrays, network = from_torch(start, problem.loss)
    except ProblemError as error:
        raise ProblemError(f"{WANTED} a network they can run in NumPy: {error}") from error
    if len(arrays) != len(list(start.parameters())):
        raise ProblemError(f"{WANTED} layers of their own weights; the model uses a layer twice")
    _refuse_another_loss(problem, start, batch, arrays, network)
    central = gradient == "central-difference"
    nudge = CENTRAL_NUDGES[dtypes.pop()] if central else FORWARD.nudge
    return Scratch(network, Difference(central, nudge))


def _refuse_more_than_descent(problem: Problem, start: nn.Module) -> None:
    """Raise ProblemError unless the update is -rate x gradient, and nothing else."""
    name, options = describe(problem.optimizer, list(start.parameters()))
    if name != "SGD" or options:
        what = ", ".join([name, *(f"{key}={value}" for key, value in options.items())])
        raise ProblemError(
            f"{WANTED} plain gradient descent, optimizer=torch.optim.SGD (type --optimizer sgd); got {what}"
        )
    if problem.schedule is not None:
        raise ProblemError(f"{WANTED} a constant rate; leave out schedule= and --schedule")
    if problem.clip_norm is not None:
        raise ProblemError(f"{WANTED} gradients as they are; leave out clip_norm= and --clip-norm")


def _refuse_another_loss(
    problem: Problem, start: nn.Module, batch: Any, arrays: Sequence[Array], network: Network
) -> None:
    """Raise ProblemError unless PyTorch's loss of a batch is that of the network from scratch."""
    loss = forward_loss(arrays, *as_arrays(batch), network)
    with torch.no_grad():
        expected = float(Objective(problem, start, torch.device("cpu"))(batch))
    if math.isfinite(expected) and not math.isclose(loss, expected, rel_tol=1e-3, abs_tol=1e-6):
        raise ProblemError(
            f"{WANTED} a model that does what its layers say; its loss is {expected:.6g}, theirs is "
            f"{loss:.6g}: a hook or a forward of its own is in the way"
        )


def as_arrays(batch: Any) -> tuple[Array, Array]:
    """A batch (input, target) as NumPy takes it: numbers in float64, class numbers as integers.

    Raises:
        ProblemError: it is no pair.
    """
    inputs, targets = pair(batch)
    return inputs.double().numpy(), (targets.double() if targets.is_floating_point() else targets).numpy()


class ScratchGradients:
    """Measured derivatives of all lanes, and plain gradient descent with them.

    Derivatives and losses are float64, and the moved weights are rounded to their own dtype once.

    Args:
        lanes: their weights are moved; their optimizers are not used.
        scratch: the network, and how derivatives are measured.
    """

    def __init__(self, lanes: Lanes, scratch: Scratch) -> None:
        self._lanes, self._scratch = lanes, scratch
        self._weights = [tensor.numpy() for tensor in lanes.weights.values()]
        self._rates = [key.rate for key in lanes.keys]
        self._derivatives: tuple[Array, ...] = ()

    def __call__(self, batch: Any) -> Tensor:
        """Measure the derivatives of all lanes on a batch and return their losses, float64 [L]."""
        losses, self._derivatives = derivatives_of(self._weights, *as_arrays(batch), *self._scratch)
        return torch.from_numpy(losses)

    def stacked(self, strides: Mapping[str, int]) -> dict[str, Tensor]:
        """Return the derivatives that were measured: float64 [L, ...]."""
        pairs = zip(self._lanes.weights, self._derivatives, strict=True)
        return {name: picked(torch.from_numpy(array), strides.get(name)) for name, array in pairs}

    def rounded(self) -> dict[str, Tensor]:
        """Return name -> bool [L, ...]: where weight + h rounds to the weight."""
        ends = (self._scratch.difference.ends(array) for array in self._weights)
        masks = (torch.from_numpy(below == above) for below, above in ends)
        return dict(zip(self._lanes.weights, masks, strict=True))

    def update(self) -> None:
        """Move every weight against its derivative, times the rate."""
        updated = moved(self._weights, self._derivatives, self._rates)
        for array, new in zip(self._weights, updated, strict=True):
            array[...] = new
