"""Numerals: how losses, times and sizes are written for people; for rates see `lrscope.rates`."""

import math

from lrscope.language import Text, said, say


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
        return say("{seconds} s", "{seconds} 秒", seconds=f"{seconds:.1f}")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return say("{minutes} min {rest} s", "{minutes} 分 {rest} 秒", minutes=minutes, rest=f"{rest:02}")
    hours, minutes = divmod(minutes, 60)
    return say("{hours} h {minutes} min", "{hours} 小时 {minutes} 分", hours=hours, minutes=f"{minutes:02}")


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
    return said((_ONE if count == 1 else _MANY)[noun].format(count=f"{count:,}"))


_MANY = {
    "epoch": Text("{count} epochs", "{count} 轮"),
    "step": Text("{count} steps", "{count} 步"),
    "rate": Text("{count} rates", "{count} 个学习率"),
    "seed": Text("{count} seeds", "{count} 个种子"),
    "lane": Text("{count} lanes", "{count} 条训练线"),
    "tensor": Text("{count} tensors", "{count} 个张量"),
    "example": Text("{count} examples", "{count} 个样本"),
    "file": Text("{count} files", "{count} 个文件"),
}
_ONE = {noun: Text(text.en.removesuffix("s"), text.zh) for noun, text in _MANY.items()}
