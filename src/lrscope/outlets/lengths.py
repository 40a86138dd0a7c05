"""Lengths: "84mm", "3.3in", "900px", as people say how large a figure is."""

import math
import re
from typing import NamedTuple

from lrscope.errors import UsageError

_PER_INCH = {"mm": 25.4, "cm": 2.54, "in": 1.0, "pt": 72.0, "px": 96.0}
"""How many of each are an inch; px as CSS has it."""

_LENGTH = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)

_LONGEST = 100.0
"""Inches: more is a slip of the unit."""


class Length(NamedTuple):
    """A length as it was given: 84 and "mm"."""

    number: float
    unit: str

    @property
    def inches(self) -> float:
        """In inches, a px being 1/96 of one."""
        return self.number / _PER_INCH[self.unit]

    @property
    def pixels(self) -> float:
        """In CSS pixels."""
        return self.inches * _PER_INCH["px"]


def read_length(text: str, option: str) -> Length:
    """Read a length.

    Args:
        text: "84mm", "8.4 cm", "3.3in", "240pt" or "900px".
        option: what it was typed after; begins the message.

    Raises:
        UsageError: it has no unit, another one, or cannot be a size.
    """
    found = _LENGTH.fullmatch(text)
    unit = found[2].lower() if found else ""
    if found is None or unit not in _PER_INCH:
        number = found[1] if found else "84"
        raise UsageError(
            f"{option} wants a number and a unit, mm, cm, in, pt or px; got {text!r}; type for instance "
            f"{option} {number}mm"
        )
    length = Length(float(found[1]), unit)
    if not (math.isfinite(length.inches) and 0 < length.inches <= _LONGEST):
        raise UsageError(f"{option} wants a length of up to {_LONGEST:g} inches; got {text!r}")
    return length
