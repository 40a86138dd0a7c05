"""What is measured of the gradients, tensor by tensor, before any clipping."""

import torch
from torch import Tensor

from lrscope.quantities.quantity import Quantity
from lrscope.quantities.weights import norm, rows
from lrscope.training.step import Step


def _gradient_norm(step: Step) -> Tensor:
    gradients = step.gradients()
    return torch.stack(
        [
            norm(rows(gradients[name])) if name in gradients else weights.new_zeros(len(weights))
            for name, weights in step.weights.items()
        ],
        dim=1,
    )


GRADIENTS = (
    Quantity("gradient_norm", "", "2-norm of the mini-batch gradient, before clipping", _gradient_norm),
)
