"""How rates, tensors and numbers are written on a chart."""

import math
import unicodedata
from collections.abc import Sequence

ELLIPSIS = "…"


def rate_labels(rates: Sequence[float]) -> dict[float, str]:
    """A short label for each rate, as people type them: 1e-3, 2.2e-3; no two rates share one."""
    distinct = sorted(set(rates))
    for digits in range(1, 17):
        labels = {rate: _scientific(rate, digits) for rate in distinct}
        close = all(math.isclose(float(label), rate, rel_tol=0.03) for rate, label in labels.items())
        if len(set(labels.values())) == len(distinct) and close:
            break
    return labels if distinct else {}


def rate_label(rate: float) -> str:
    """One rate alone: 3.2e-3."""
    return rate_labels([rate])[rate]


def _scientific(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def shown(name: str, longest: int = 34) -> str:
    """A name from outside as one line that can be drawn: control characters made visible, the middle cut when long."""
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in name
    )
    if len(clean) <= longest:
        return clean
    head = (longest - 1) * 2 // 5
    return clean[:head] + ELLIPSIS + clean[len(clean) - (longest - 1 - head) :]


def shape_label(shape: Sequence[int]) -> str:
    """The shape of a tensor: 100×64; "scalar" where there is none."""
    return "×".join(str(size) for size in shape) or "scalar"


def index_label(index: Sequence[int]) -> str:
    """The place of a scalar inside its tensor: [0, 3]."""
    return "[" + ", ".join(str(i) for i in index) + "]" if index else ""


def unit_label(what: str, unit: str) -> str:
    """An axis title: validation loss (nats)."""
    unit = "" if unit in ("", "1") else f" ({unit})"
    return what + unit


def factor(value: float) -> str:
    """A ratio in at most three figures: 3.2, 46, 1,200."""
    if value >= 1e5:
        return _scientific(value, 2)
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.2g}"
