"""Text for people: numbers, durations and sizes in words, and text from outside made safe to show."""

import math
import re
import unicodedata
from typing import NamedTuple

from lrscope.errors import UsageError
from lrscope.language import Text, said, say

_CONTROL_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that a terminal obeys or cannot show: controls, formats, surrogates, separators."""

_JOINERS = "\u200c\u200d"
"""Format characters that spelling needs (Persian, Hindi, emoji) and that move nothing."""

_PER_INCH = {"mm": 25.4, "cm": 2.54, "in": 1.0, "pt": 72.0, "px": 96.0}
"""How many of each unit are an inch; px as CSS has it."""

_LENGTH = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
_LONGEST_INCHES = 100.0
"""A longer figure is a slip of the unit."""

STATES = {
    "running": Text("running", "进行中"),
    "finished": Text("finished", "已完成"),
    "interrupted": Text("interrupted", "被中断"),
    "failed": Text("failed", "失败"),
    "unfinished": Text("unfinished", "未完成"),
}
"""The state of a study in a word."""

_PLURAL = {
    "epoch": Text("{count} epochs", "{count} 轮"),
    "step": Text("{count} steps", "{count} 步"),
    "rate": Text("{count} rates", "{count} 个学习率"),
    "seed": Text("{count} seeds", "{count} 个种子"),
    "lane": Text("{count} lanes", "{count} 条训练线"),
    "tensor": Text("{count} tensors", "{count} 个张量"),
    "example": Text("{count} examples", "{count} 个样本"),
    "file": Text("{count} files", "{count} 个文件"),
}
_SINGULAR = {noun: Text(text.en.removesuffix("s"), text.zh) for noun, text in _PLURAL.items()}


def printable(text: str) -> str:
    r"""Spell out every character that a terminal would obey: ESC becomes the four characters `\x1b`.

    Names of problems, tensors, metrics and files come from other people. An ESC sequence in a name could move
    the cursor, retitle the window or hide a line; a bidirectional override could reorder it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _CONTROL_CATEGORIES and character not in _JOINERS
        else character
        for character in text
    )


def one_line(text: str) -> str:
    """Return `printable(text)` with line breaks, tabs and runs of blanks as one blank."""
    return printable(" ".join(text.split()))


def number_text(value: float | None) -> str:
    """Write a loss or metric in four digits: '0.01234', '2.303', '1.2e+05'; '-' where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        return f"{value:.4g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def duration_text(seconds: float) -> str:
    """Write a duration: '12.3 s', '4 min 05 s', '2 h 13 min'."""
    if seconds < 59.95:
        return say("{seconds} s", "{seconds} 秒", seconds=f"{seconds:.1f}")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return say("{minutes} min {rest} s", "{minutes} 分 {rest} 秒", minutes=minutes, rest=f"{rest:02}")
    hours, minutes = divmod(minutes, 60)
    return say("{hours} h {minutes} min", "{hours} 小时 {minutes} 分", hours=hours, minutes=f"{minutes:02}")


def size_text(size: int) -> str:
    """Write a number of bytes: '812 B', '41 kB', '1.2 MB'. A kB is 1,000 bytes, as on disks."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit != "MB" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def count_text(count: int, noun: str) -> str:
    """Write a count: '1 seed', '16 rates', '1,797 steps'."""
    return said((_SINGULAR if count == 1 else _PLURAL)[noun].format(count=f"{count:,}"))


def length_text(epochs: int, steps: int) -> str:
    """Write how long a training is: '5 epochs of 45 steps'."""
    of_epochs, of_steps = count_text(epochs, "epoch"), count_text(steps, "step")
    return say("{epochs} of {steps}", "{epochs}，每轮 {steps}", epochs=of_epochs, steps=of_steps)


def batch_text(size: int, examples: int | None) -> str:
    """Write a batch size: 'batch 32', or 'full batch' where a batch holds all examples."""
    if not size or size == examples:
        return say("full batch", "全批次")
    return say("batch {size}", "批次 {size}", size=size)


def state_text(state: str) -> str:
    """Return the state of a study in a word."""
    return said(STATES.get(state, state))


class Length(NamedTuple):
    """A length as it was typed: 84 and "mm"."""

    number: float
    unit: str

    @property
    def pixels(self) -> float:
        """Return the length in CSS pixels, 96 an inch."""
        return self.number / _PER_INCH[self.unit] * _PER_INCH["px"]


def read_length(text: str, option: str) -> Length:
    """Read a length.

    Args:
        text: "84mm", "8.4 cm", "3.3in", "240pt" or "900px".
        option: the option it was typed after; begins the error message.

    Raises:
        UsageError: the text has no unit or an unknown one, or is no possible size.
    """
    match = _LENGTH.fullmatch(text)
    unit = match[2].lower() if match else ""
    if match is None or unit not in _PER_INCH:
        number = match[1] if match else "84"
        raise UsageError(
            f"{option} wants a number and a unit, mm, cm, in, pt or px; got {text!r}; type for instance "
            f"{option} {number}mm"
        )
    inches = float(match[1]) / _PER_INCH[unit]
    if not (math.isfinite(inches) and 0 < inches <= _LONGEST_INCHES):
        raise UsageError(f"{option} wants a length of up to {_LONGEST_INCHES:g} inches; got {text!r}")
    return Length(float(match[1]), unit)
