"""Learning rates: read them from what a user types or passes, and write them for people."""

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice, pairwise
from typing import SupportsFloat

import numpy as np

from lrscope.errors import RatesError

MOST_RATES = 100_000
"""More rates than this are refused unread; how many a machine can train, far fewer, is the sweep's to say."""

_HINT = "type rates as 0.01,0.1,1 or, spaced evenly in the logarithm, as start:stop:count such as 1e-5:1:16"


def read_rates(rates: str | Iterable[float]) -> tuple[float, ...]:
    """Read learning rates, in any order, and return them rising.

    Args:
        rates: a string of numbers between commas, "0.01,0.1,1", each of which may instead be a range
            start:stop:count, "1e-5:1:16": `count` rates spaced evenly in the logarithm, both ends included
            exactly. Or the numbers themselves: a list, a tuple, an array.

    Raises:
        RatesError: there is no rate, one is not a positive finite number, one stands twice, or there are more
            than `MOST_RATES`. The message names the offender and what to type.
    """
    read = sorted(islice(_numbers(rates), MOST_RATES + 1))
    if not read:
        raise RatesError(f"no learning rate was given; {_HINT}")
    if len(read) > MOST_RATES:
        raise RatesError(
            f"more than {MOST_RATES:,} learning rates were given; 8 to 32 show the whole picture"
        )
    for smaller, larger in pairwise(read):
        if smaller == larger:
            raise RatesError(f"rate {smaller!r} stands twice; every rate is trained once, so name it once")
    return tuple(read)


def format_rate(rate: float, digits: int = 3) -> str:
    """Write a rate as people type it: 0.1, 0.0316, 1e-3, 3.16e-5.

    Plain decimals from 0.01 up to 999, powers of ten beyond; `digits` significant digits, without trailing
    zeros. The text is again a number that `read_rates` takes.
    """
    if not math.isfinite(rate):
        return str(rate)
    mantissa, _, exponent = f"{rate:.{digits - 1}e}".partition("e")
    if -2 <= int(exponent) <= 2:
        return f"{Decimal(f'{mantissa}e{exponent}').normalize():f}"
    return f"{Decimal(mantissa).normalize():f}e{int(exponent)}"


def format_rates(rates: Sequence[float]) -> tuple[str, ...]:
    """Write rates with as few digits, but no fewer than three, as tell them all apart."""
    different = len(set(rates))
    for digits in range(3, 17):
        texts = tuple(format_rate(rate, digits) for rate in rates)
        if len(set(texts)) == different:
            return texts
    return tuple(format_rate(rate, 17) for rate in rates)


def _numbers(rates: str | Iterable[float]) -> Iterator[float]:
    """Every rate in the order given, each checked by itself."""
    if isinstance(rates, str):
        if not rates.strip():
            return
        for piece in rates.split(","):
            if ":" in piece:
                yield from _range(piece)
            else:
                yield _number(piece)
    elif isinstance(rates, Iterable) and not isinstance(rates, bytes) and getattr(rates, "ndim", 1) == 1:
        for rate in rates:
            yield _number(rate)
    else:
        raise RatesError(f"rates= wants a string or a sequence of numbers; got {_shown(rates)}; {_HINT}")


def _number(given: object) -> float:
    """One rate, or RatesError that says what is wrong with it."""
    try:
        rate = float(given.strip() if isinstance(given, str) else _real(given))
    except (TypeError, ValueError):
        raise RatesError(f"rate {_shown(given)} is not a number; {_HINT}") from None
    except OverflowError:
        rate = math.inf
    if math.isnan(rate) or math.isinf(rate) or rate <= 0:
        what = "not a number" if math.isnan(rate) else "infinite" if math.isinf(rate) else "not positive"
        raise RatesError(f"rate {_shown(given)} is {what}; a learning rate is a positive number such as 0.01")
    return rate


def _real(given: object) -> float:
    """The float of a number, NumPy scalar or 0-d tensor; text and truth values stand for none."""
    if isinstance(given, (bool, np.bool_)) or getattr(given, "ndim", 0) != 0:
        raise TypeError
    if not isinstance(given, SupportsFloat):
        raise TypeError
    return float(given)


def _range(piece: str) -> Iterator[float]:
    """The rates of start:stop:count, evenly spaced in the logarithm, both ends exact."""
    parts = piece.split(":")
    shown = _shown(piece.strip())
    if len(parts) != 3:
        raise RatesError(f"{shown} has {len(parts)} parts; wanted is start:stop:count, such as 1e-5:1:16")
    start, stop = _number(parts[0]), _number(parts[1])
    try:
        count = int(parts[2])
    except ValueError:
        raise RatesError(
            f"the count in {shown} is not a whole number; wanted is something like 1e-5:1:16"
        ) from None
    if start >= stop:
        raise RatesError(f"{shown} does not rise; wanted is a start below the stop, such as 1e-5:1:16")
    if count < 2:
        raise RatesError(
            f"{shown} asks for {count} rates; a range has at least 2, its ends; one rate is typed alone"
        )
    if count > MOST_RATES:
        raise RatesError(f"{shown} asks for more than {MOST_RATES:,} rates; 8 to 32 show the whole picture")
    with np.errstate(over="ignore"):  # next to the largest number: refused below
        inner = 10.0 ** np.linspace(math.log10(start), math.log10(stop), count)[1:-1]
    # 15 digits: the computed 0.00099999999999999998 is the 1e-3 that a user would type.
    spaced = [start, *(float(f"{rate:.15g}") for rate in inner), stop]
    if any(smaller >= larger for smaller, larger in pairwise(spaced)):
        raise RatesError(
            f"{shown}: the ends are too close for {count} different rates; ask for fewer or widen it"
        )
    yield from spaced


def _shown(given: object) -> str:
    """What was given, on one line and short enough to read."""
    text = repr(given).replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:57]}..."
