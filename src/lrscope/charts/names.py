"""How rates, tensors and numbers are written on a chart."""

import unicodedata
from collections.abc import Sequence

from lrscope.language import said, say
from lrscope.rates import format_rates

ELLIPSIS = "…"

_NATS = ("CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss", "cross_entropy", "nll_loss")


def rate_labels(rates: Sequence[float]) -> dict[float, str]:
    """A short label for each rate, as everywhere else in the program; no two rates share one."""
    return dict(zip(rates, format_rates(rates), strict=True))


def shown(name: str, longest: int = 34) -> str:
    """A name from outside as one line that can be drawn.

    Control characters made visible, the middle cut when long.
    """
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in name
    )
    if len(clean) <= longest:
        return clean
    head = (longest - 1) * 2 // 5
    return clean[:head] + ELLIPSIS + clean[len(clean) - (longest - 1 - head) :]


def shape_label(shape: Sequence[int]) -> str:
    """The shape of a tensor: 100×64; "scalar" where there is none."""
    return "×".join(str(size) for size in shape) or say("scalar", "标量")


def index_label(index: Sequence[int]) -> str:
    """The place of a scalar inside its tensor: [0, 3]."""
    return "[" + ", ".join(str(i) for i in index) + "]" if index else ""


def unit_label(what: str, unit: str) -> str:
    """An axis title: validation loss (nats)."""
    if unit in ("", "1"):
        return said(what)
    return say("{what} ({unit})", "{what}（{unit}）", what=what, unit=unit)


def loss_unit(recorded: str, loss: str) -> str:
    """The unit of a loss: the recorded one; else nats for the losses that are logarithms of a likelihood.

    Else its name.
    """
    return recorded or ("nats" if loss in _NATS else shown(loss, 24))
