"""What an axis spans and where its ticks stand: so that one wild lane never flattens the others."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RATE_TICK = (
    "datum.value >= 0.00995 && datum.value < 999.5"
    " ? format(datum.value, '.3~g') : replace(format(datum.value, '.2~e'), '+', '')"
)
"""0.01 and 1e-3, as `rates.format_rate`: what users type, without superscripts: fonts of a PNG lack them."""

STEP_TICK = "datum.value >= 10000 ? format(datum.value, '~s') : format(datum.value, '~g')"

_NUMBER_TICK = (
    "datum.value == 0 ? '0' : abs(datum.value) >= {large} || abs(datum.value) < {small}"
    " ? replace(format(datum.value, '.1~e'), '+', '') : format(datum.value, '~g')"
)

_LOG_ABOVE = 8.0
"""A positive quantity that spans more than this factor is drawn on a log scale."""

_DECADES = 12
"""A log axis shows at most so many decades below its top: a loss of 1e-28 is zero to the eye."""


_STRIDES = (1, 2, 3, 5, 10, 20, 50, 100, 200)


class Span(NamedTuple):
    """The domain of one axis.

    Attributes:
        low, high: its ends.
        kind: the Vega scale type: "linear", "log", or "symlog" (sign(v) log(1 + |v| / constant)).
        constant: where a symlog axis turns from linear to logarithmic.
    """

    low: float
    high: float
    kind: str
    constant: float = 1.0

    @property
    def scale(self) -> dict[str, Any]:
        """This span as a Vega-Lite scale."""
        extra: dict[str, Any] = {"log": {}, "symlog": {"constant": self.constant}}.get(
            self.kind, {"zero": False}
        )
        kind: Any = self.kind
        return {"type": kind, "domain": [self.low, self.high], "nice": False, **extra}

    def clamp(self, value: float) -> float:
        """The value moved to the nearer end where it lies outside."""
        return min(max(value, self.low), self.high)

    def part(self, value: float) -> float:
        """Where a value lies, 0 at `low` and 1 at `high`."""
        low, high, at = self.straight(np.array([self.low, self.high, self.clamp(value)]))
        return float((at - low) / (high - low))

    def at(self, part: float) -> float:
        """The value at a part of the axis: the inverse of `part`."""
        low, high = self.straight(np.array([self.low, self.high]))
        return self.clamp(float(self.bent(np.array([low + part * (high - low)]))[0]))

    def with_room(self, *, above: float, below: float) -> "Span":
        """The same axis with these parts of its length free at its ends."""
        low, high = self.straight(np.array([self.low, self.high]))
        unit = (high - low) / (1 - above - below)
        ends = self.bent(np.array([low - below * unit, high + above * unit]))
        return self._replace(low=float(ends[0]), high=float(ends[1])) if np.isfinite(ends).all() else self

    def straight(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values as this axis spaces them: what is proportional to pixels."""
        if self.kind == "log":
            return np.log(np.maximum(values, 1e-320))
        if self.kind == "symlog":
            return np.sign(values) * np.log1p(np.abs(values) / self.constant)
        return values

    def bent(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `straight`."""
        if self.kind == "log":
            return np.exp(places)
        if self.kind == "symlog":
            return np.sign(places) * np.expm1(np.abs(places)) * self.constant
        return places

    @property
    def ticks(self) -> list[float]:
        """Round values inside the span, some three to eight of them."""
        return self.ticks_of(7)

    def ticks_of(self, most: int) -> list[float]:
        """Round values inside the span, about `most` at most."""
        if self.kind == "log":
            return _log_ticks(self.low, self.high, most)
        if self.kind == "symlog":
            return _symlog_ticks(self, 1 / most)
        return _linear_ticks(self.low, self.high, most)

    @property
    def tick_text(self) -> str:
        """The Vega expression that writes a tick.

        Powers of ten at the far ends of a log axis, all alike on a linear one.
        """
        if self.kind == "linear":
            return _NUMBER_TICK.format(
                large="1e5", small="1e-5" if max(-self.low, self.high) > 1e-4 else "1e300"
            )
        return _NUMBER_TICK.format(large="1e4", small="1e-3")

    def rounded(self, values: NDArray[np.float64]) -> list[float | None]:
        """Values as short decimal numbers, finer than a pixel of this axis: they are most of a page's bytes.

        NaN, a gap in a line, becomes None: NaN is not JSON.
        """
        if self.kind == "linear":
            decimals = max(0, math.ceil(-math.log10((self.high - self.low) / 2000)))
            short = [round(float(value), decimals) for value in values]
        else:
            low, high = self.straight(np.array([self.low, self.high]))
            fine = math.ceil(max(2.0, -math.log10((high - low) / 4000)))
            short = [float(f"{value:.{fine}g}") for value in values]
        return [None if math.isnan(value) else _plain(value) for value in short]

    def cut(
        self, across: NDArray[np.float64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A line without what lies outside: it runs to the very edge, and a NaN stands in each gap.

        Cut here and not by the renderer: a clipping mask for every line makes a PNG ten times slower.

        Args:
            across: float64 [n], the positions along the other axis.
            values: float64 [n], finite.
        """
        low, high = (float(edge) for edge in self.straight(np.array([self.low, self.high])))
        y = self.straight(values)
        side = np.where(y < low, -1, np.where(y > high, 1, 0))
        if not side.any():
            return across, values
        xs: list[float] = []
        ys: list[float] = []
        for i in range(len(y)):
            if i and side[i] != side[i - 1]:
                # One edge is crossed on the way out or in, both where a segment jumps right across.
                for edge in [low if s < 0 else high for s in (side[i - 1], side[i]) if s]:
                    part = (edge - y[i - 1]) / (y[i] - y[i - 1])
                    xs.append(float(across[i - 1] + part * (across[i] - across[i - 1])))
                    ys.append(edge)
            if side[i] == 0:
                xs.append(float(across[i]))
                ys.append(float(y[i]))
            elif not ys or not math.isnan(ys[-1]):
                xs.append(float(across[i]))
                ys.append(math.nan)
        return np.array(xs), self.bent(np.array(ys))


def span(
    calm: NDArray[np.float64], every: NDArray[np.float64], *, room: float, log: bool | None = None
) -> Span:
    """The span of an axis that shows all of `calm`, and of `every` what lies within `room` times that.

    Where there is nothing calm, everything is shown, on an axis that can take it.

    Args:
        calm: values of the lanes the axis is made for; may be empty.
        every: values of all lanes; what is not finite is passed over.
        room: how far beyond the calm values the axis reaches for the others: a factor upwards on a log axis,
            a factor of the width on a linear one.
        log: True for a log axis, False for a linear one; None decides by the values.
    """
    every = every[np.isfinite(every)]
    calm = calm[np.isfinite(calm)]
    if log or (log is None and _wants_log(calm if calm.size else every, every)):
        return _log_span(calm, every, room)
    if (
        not calm.size
        and every.size
        and float(np.abs(every).max()) > 1e3 * float(np.median(np.abs(every))) > 0
    ):
        reach, constant = float(np.abs(every).max()), float(np.median(np.abs(every)))
        return Span(-reach if every.min() < 0 else 0.0, reach, "symlog", min(constant, 1.0))
    return _linear_span(calm if calm.size else every, every, room)


def _plain(value: float) -> float:
    """A whole number without its ".0", unless it is one that only a float holds exactly."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _wants_log(calm: NDArray[np.float64], every: NDArray[np.float64]) -> bool:
    if not every.size or every.min() < 0 or calm.max() <= 0:
        return False
    low, high = float(calm.min()), float(calm.max())
    return low <= 0 or high > _LOG_ABOVE * low


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
    decades = _DECADES if calm.size else 700
    calm = calm if calm.size else every
    high = min(float(every.max()), float(calm.max()) * room)
    low = max(float(every.min()), float(calm.min()) / room, high * 10.0**-decades, 1e-300)
    if high / low < 1.02:
        low, high = low / 1.5, high * 1.5
    pad = min((high / low) ** 0.03, 10.0)
    return Span(low / pad, min(high * pad, 1e308), "log")


def _linear_span(calm: NDArray[np.float64], every: NDArray[np.float64], room: float) -> Span:
    if not every.size:
        return Span(0.0, 1.0, "linear")
    low, high = float(calm.min()), float(calm.max())
    reach = min((room - 1) / 2 * (high - low), 1e300)
    low, high = max(float(every.min()), low - reach), min(float(every.max()), high + reach)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        half = 0.5 * max(abs(high), 1e-3)
        low, high = low - half, high + half
    pad = 0.04 * (high - low)
    return Span(low - pad, high + pad, "linear")


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 3:
        stride = next(s for s in _STRIDES if (last - first + 1) / s <= most)
        return [float(f"1e{power}") for power in range(math.ceil(first / stride) * stride, last + 1, stride)]
    for mantissas in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3)):
        ticks = [float(f"{m}e{power}") for power in range(first - 1, last + 1) for m in mantissas]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    return ticks if len(ticks) >= 3 else _linear_ticks(low, high, most)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    stride = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = math.ceil(low / stride - 1e-9)
    decimals = max(0, 2 - math.floor(math.log10(stride)))
    ticks = (round((first + i) * stride, decimals) for i in range(most + 3))
    return [tick for tick in ticks if tick <= high + 1e-9 * stride]


def _symlog_ticks(axis: Span, gap: float) -> list[float]:
    """Zero, and powers of ten from the outside in, as long as they stand `gap` of the axis apart."""
    outer = math.floor(math.log10(max(abs(axis.low), abs(axis.high))))
    inner = math.floor(math.log10(axis.constant))
    chosen = [0.0]
    for power in range(outer, min(inner, outer) - 1, -1):
        for tick in (float(f"1e{power}"), float(f"-1e{power}")):
            inside = axis.low <= tick <= axis.high
            if inside and all(abs(axis.part(tick) - axis.part(other)) >= gap for other in chosen):
                chosen.append(tick)
    return sorted(chosen)
