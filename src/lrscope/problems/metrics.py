"""What a validation batch is measured by, besides its loss."""

from torch import Tensor


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The share of examples whose largest output stands at the target's class, a float32 scalar in [0, 1].

    Args:
        output: scores [n, classes] or [n, classes, ...], as `torch.nn.CrossEntropyLoss` takes them.
        target: class numbers [n] or [n, ...], or class probabilities of the output's shape.

    Works under `torch.func.vmap`. A tie goes to the first of the largest scores, as `torch.argmax` has it.
    """
    predicted = output.argmax(dim=1)
    wanted = target.argmax(dim=1) if target.is_floating_point() else target
    return (predicted == wanted).float().mean()
