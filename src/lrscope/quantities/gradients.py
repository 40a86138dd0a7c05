"""What is measured of the gradients, tensor by tensor, before any clipping."""

from torch import Tensor

from lrscope.quantities.look import Look, norm
from lrscope.quantities.quantity import Quantity


def _gradient_norm(look: Look) -> Tensor:
    assert look.gradient_LkN is not None
    return norm(look.gradient_LkN)


GRADIENTS = (
    Quantity(
        "gradient_norm",
        "",
        "2-norm of the mini-batch gradient, before clipping",
        _gradient_norm,
        length=True,
    ),
)
