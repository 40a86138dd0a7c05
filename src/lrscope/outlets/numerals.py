"""Numerals: how losses, times and sizes are written for people; for rates see `lrscope.rates`."""

import math


def number_text(value: float | None) -> str:
    """A loss or metric in four digits: '0.01234', '2.303', '1.2e+05'; '-' where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        return f"{value:.4g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def duration_text(seconds: float) -> str:
    """'12.3 s', '4 min 05 s', '2 h 13 min'."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def size_text(size: int) -> str:
    """'812 B', '41 kB', '1.2 MB': thousands, as disks are sold."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit != "MB" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def count_text(count: int, noun: str) -> str:
    """'1 seed', '16 rates', '1,797 steps'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
