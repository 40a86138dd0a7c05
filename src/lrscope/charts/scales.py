"""What an axis spans and where its ticks stand: so that one wild lane never flattens the others."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RATE_TICK = "replace(format(datum.value, '.0e'), '+', '')"
"""1e-3: what users type, and it needs no superscript glyph, which the fonts of a PNG lack."""

NUMBER_TICK = (
    "datum.value == 0 ? '0' : abs(datum.value) >= 1e4 || abs(datum.value) < 1e-3"
    " ? replace(format(datum.value, '.1~e'), '+', '') : format(datum.value, '~g')"
)

_LOG_ABOVE = 8.0
"""A positive quantity that spans more than this factor is drawn on a log scale."""

_DECADES = 12
"""A log axis shows at most so many decades below its top: a loss of 1e-28 is zero to the eye."""


class Span(NamedTuple):
    """The domain of one axis. `kind` is the Vega scale type, "linear" or "log"."""

    low: float
    high: float
    kind: str

    def clamp(self, value: float) -> float:
        """The value moved to the nearer end where it lies outside."""
        return min(max(value, self.low), self.high)

    def part(self, value: float) -> float:
        """Where a value lies, 0 at `low` and 1 at `high`."""
        low, high, at = (self._line(v) for v in (self.low, self.high, self.clamp(value)))
        return (at - low) / (high - low)

    def at(self, part: float) -> float:
        """The value at a part of the axis: the inverse of `part`."""
        low, high = self._line(self.low), self._line(self.high)
        place = low + part * (high - low)
        return self.clamp(math.exp(place) if self.kind == "log" else place)

    def _line(self, value: float) -> float:
        return math.log(value) if self.kind == "log" else value

    @property
    def ticks(self) -> list[float]:
        """Round values inside the span, some three to eight of them."""
        return _log_ticks(self.low, self.high) if self.kind == "log" else _linear_ticks(self.low, self.high)

    def rounded(self, values: NDArray[np.float64]) -> list[float]:
        """Values as short decimal numbers, finer than a pixel of this axis: they are most of a page's bytes."""
        if self.kind == "log":
            fine = max(0.0, -math.log10(math.log(self.high / self.low) / 4000))
            return [float(f"{value:.{math.ceil(fine)}g}") for value in values]
        decimals = max(0, math.ceil(-math.log10((self.high - self.low) / 4000)))
        return [round(float(value), decimals) for value in values]


def span(
    calm: NDArray[np.float64], every: NDArray[np.float64], *, room: float = 3.0, log: bool | None = None
) -> Span:
    """The span of an axis that shows all of `calm`, and of `every` what lies within `room` times that.

    Args:
        calm: values of the lanes the axis is made for; may be empty.
        every: values of all lanes; what is not finite is passed over.
        room: how far beyond the calm values the axis reaches for the others: a factor upwards on a log axis, a factor of the
            width on a linear one.
        log: True or False to insist; None decides by the calm values.
    """
    every = every[np.isfinite(every)]
    calm = calm[np.isfinite(calm)]
    if not every.size:
        return Span(0.1, 1.0, "log") if log else Span(0.0, 1.0, "linear")
    if not calm.size:
        calm = every[every <= np.quantile(every, 0.5)] if every.size > 1 else every
    if log is None:
        low, high = float(calm.min()), float(calm.max())
        log = float(every.min()) >= 0 and high > 0 and (low <= 0 or high / low > _LOG_ABOVE)
    return _log_span(calm, every, room) if log else _linear_span(calm, every, room)


def rate_span(rates: NDArray[np.float64]) -> Span:
    """The span of a log rate axis: the rates, with half a gap of room on either side."""
    distinct = np.unique(rates)
    if distinct.size < 2:
        centre = float(distinct[0]) if distinct.size else 1e-3
        return Span(centre / 4, centre * 4, "log")
    logs = np.log(distinct)
    margin = max(0.03 * (logs[-1] - logs[0]), 0.5 * float(np.diff(logs).min()))
    margin = min(margin, 0.12 * (logs[-1] - logs[0]))
    return Span(math.exp(logs[0] - margin), math.exp(logs[-1] + margin), "log")


def _log_span(calm: NDArray[np.float64], every: NDArray[np.float64], room: float) -> Span:
    every, calm = every[every > 0], calm[calm > 0]
    if not every.size:
        return Span(0.1, 1.0, "log")
    if not calm.size:
        calm = every
    high = min(float(every.max()), float(calm.max()) * room)
    high = max(high, 1e-300)
    low = max(min(float(every.min()), float(calm.min())), float(calm.min()) / room, high * 10.0**-_DECADES)
    if high / low < 1.02:
        low, high = low / 1.5, high * 1.5
    pad = (high / low) ** 0.04
    return Span(low / pad, high * pad, "log")


def _linear_span(calm: NDArray[np.float64], every: NDArray[np.float64], room: float) -> Span:
    low, high = float(calm.min()), float(calm.max())
    reach = (room - 1) / 2 * (high - low)
    low, high = max(float(every.min()), low - reach), min(float(every.max()), high + reach)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        half = 0.5 * max(abs(high), 1e-3)
        low, high = low - half, high + half
    pad = 0.04 * (high - low)
    return Span(low - pad, high + pad, "linear")


def _log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        stride = math.ceil((last - first + 1) / most)
        return [float(f"1e{power}") for power in range(first, last + 1, stride)]
    for mantissas in ((1, 3), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [float(f"{m}e{power}") for power in range(first - 1, last + 1) for m in mantissas]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return _linear_ticks(low, high)


def _linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    stride = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = math.ceil(low / stride - 1e-9)
    decimals = max(0, 2 - math.floor(math.log10(stride)))
    ticks = (round((first + i) * stride, decimals) for i in range(most + 3))
    return [tick for tick in ticks if tick <= high + 1e-9 * stride]
