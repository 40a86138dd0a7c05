"""Options: readers of `--opt key=value` and of numbers, whose errors say what is wanted."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import click

from lrscope.errors import UsageError

OptionValue: TypeAlias = "bool | int | float | str | tuple[OptionValue, ...] | None"

_WORDS: dict[str, bool | None] = {"true": True, "false": False, "none": None}


def read_options(texts: Sequence[str], rates_come_from: str | None = None) -> dict[str, OptionValue]:
    """Read `["momentum=0.9", "nesterov=true", "betas=0.9,0.98"]`.

    Args:
        texts: as typed.
        rates_come_from: answer to a learning rate among the options; by default that it belongs to --rates.

    Returns:
        {"momentum": 0.9, "nesterov": True, "betas": (0.9, 0.98)}.

    Raises:
        UsageError: a text is not key=value, comes twice, or sets the learning rate.
    """
    options: dict[str, OptionValue] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        key = key.replace("-", "_")
        if not equals or not key.isidentifier() or not value:
            raise UsageError(f"--opt wants key=value; got {text!r}; type for instance --opt momentum=0.9")
        if key == "lr":
            where = rates_come_from or f"the learning rates come from --rates; type --rates {value}"
            raise UsageError(f"--opt {text}: {where}")
        if key in options:
            raise UsageError(f"--opt {key} came twice: {options[key]!r} and {value!r}; keep one")
        options[key] = _read_value(key, value)
    return options


def _read_value(key: str, text: str) -> OptionValue:
    """Read a word, a number or a comma-separated tuple of these; return any other text as it is."""
    bare = text
    if text[0] + text[-1] in ("()", "[]"):
        bare = text[1:-1]
    if "," in bare:
        return tuple(_read_value(key, part.strip()) for part in bare.split(",") if part.strip())
    if bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    try:
        return int(bare)
    except ValueError:
        pass
    try:
        number = float(bare)
    except ValueError:
        return bare
    if not math.isfinite(number):
        raise UsageError(f"--opt {key} wants a finite number; got {bare!r}")
    return number


Callback: TypeAlias = Callable[[click.Context, click.Parameter, Any], Any]


def count(least: int, most: int | None = None) -> Callback:
    """Return a click callback that reads a whole number from `least` to `most`."""
    wanted = f"of at least {least}" if most is None else f"from {least} to {most}"

    def read(context: click.Context, parameter: click.Parameter, text: Any) -> int | None:
        if text is None:
            return None
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise UsageError(f"{parameter.opts[0]} wants a whole number {wanted}; got {text!r}")
        return number

    return read


Decorated = TypeVar("Decorated", bound="Callable[..., Any] | click.Command")


def counted(
    name: str, least: int, help_text: str, default: int | None = None
) -> Callable[[Decorated], Decorated]:
    """Return an option that takes a whole number of at least `least` and shows its default, if it has one."""
    return click.option(
        name,
        callback=count(least),
        default=None if default is None else str(default),
        show_default=True,
        metavar="N",
        help=help_text,
    )


def positive(example: str) -> Callback:
    """Return a click callback that reads a positive finite number, such as the example."""

    def read(context: click.Context, parameter: click.Parameter, text: Any) -> float | None:
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise UsageError(f"{parameter.opts[0]} wants a positive number, such as {example}; got {text!r}")
        return number

    return read
