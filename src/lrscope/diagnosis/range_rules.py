"""The published rules that read a learning rate off a range test, each with its own smoothing and margins.

A rule gets what a ramp measured: the rates of n steps and the losses of one seed, NaN after it broke. Each is
written from the description of its source, with the defaults of that source, and reads this ramp, whatever
ramp its source runs. Every one finds nothing (None) where its source would raise or has too few points, and
valley where nothing falls.

Letters: n steps of the ramp, S seeds.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from lrscope.diagnosis.range_curve import Array, end_of, smoothed, stop_of
from lrscope.language import Text

SKIP_LAST = 5
"""Points at the end that fastai and torch-lr-finder leave out."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """One published way to read a rate off a ramp.

    Attributes:
        name: as tables and charts call it.
        suggest: (rates [n], losses [n]) -> the rate, or None where it finds nothing.
        words: what it takes, in a few words.
        source: where it comes from.
    """

    name: str
    suggest: Callable[[Array, Array], float | None]
    words: Text
    source: str


def _fastai(rates: Array, losses: Array) -> tuple[Array, Array]:
    """The points that fastai's rules see.

    Debiased mean of 0.98, stopped at 4 times the lowest, without the first tenth of the planned steps and the
    last five, and without what is not finite.
    """
    means = smoothed(losses)
    stop = stop_of(means)
    end = len(losses) if stop is None else stop + 1
    seen = slice(len(losses) // 10, max(end - SKIP_LAST, 0))
    finite = np.isfinite(means[seen])
    return rates[seen][finite], means[seen][finite]


def _minimum(rates: Array, losses: Array) -> float | None:
    seen, means = _fastai(rates, losses)
    return float(seen[means.argmin()]) / 10 if len(means) else None


def _steepest(rates: Array, losses: Array) -> float | None:
    seen, means = _fastai(rates, losses)
    if len(means) < 2:
        return None
    return float(seen[(np.diff(means) / np.diff(np.log(seen))).argmin()])


def _valley(rates: Array, losses: Array) -> float | None:
    """Halfway into the longest fall, in thirds of whole points.

    The longest falling subsequence need not be without gaps; the source takes it to begin as many points
    before its end as it is long, and so does this.
    """
    seen, means = _fastai(rates, losses)
    if not len(means):
        return None
    # Length of the longest falling subsequence that ends at each point.
    lengths = np.ones(len(means), dtype=int)
    for i in range(1, len(means)):
        higher = lengths[:i][means[:i] > means[i]]
        lengths[i] = 1 + (higher.max() if len(higher) else 0)
    if lengths.max() == 1:
        return None
    end = int(lengths.argmax())
    start = end - int(lengths[end])
    third = (end - start) / 3
    return float(seen[start + int(third) + int(third / 2)])


def _slide(rates: Array, losses: Array, apart: int = 15, threshold: float = 0.005) -> float | None:
    """From the right, two points `apart` steps slide left while their slopes differ by more than a threshold.

    The slopes are per step, and the threshold is absolute: the rule depends on the unit of the loss.
    """
    seen, means = _fastai(rates, losses)
    if len(means) <= apart:
        return None
    slopes = np.gradient(means)
    right, left = len(means) - 1, len(means) - 1 - apart
    found = seen[left]
    while left >= 0 and abs(slopes[right] - slopes[left]) > threshold:
        found = seen[left]
        right, left = right - 1, left - 1
    return float(found)


def _lightning(rates: Array, losses: Array) -> tuple[Array, Array]:
    """The points that Lightning's rules see.

    A mean of 0.98 whose correction counts one step too many (so the first means read half of the loss and
    rise), stopped at 4 times the lowest, without the first ten and the last.
    """
    means = smoothed(losses, ahead=1)
    # The loss of the first step is never compared: it becomes the lowest.
    stop = stop_of(means)
    end = len(losses) if stop is None else stop + 1
    seen = slice(10, max(end - 1, 0))
    finite = np.isfinite(means[seen])
    return rates[seen][finite], means[seen][finite]


def _lightning_steepest(rates: Array, losses: Array) -> float | None:
    seen, means = _lightning(rates, losses)
    if len(means) < 2:
        return None
    return float(seen[np.gradient(means, seen).argmin()])


def _lightning_older(rates: Array, losses: Array) -> float | None:
    seen, means = _lightning(rates, losses)
    return float(seen[np.gradient(means).argmin()]) if len(means) >= 2 else None


def _torch_lr_finder(
    rates: Array, losses: Array, weight: float = 0.05, multiple: float = 5.0
) -> float | None:
    """The steepest fall a step of a mean that starts at the first loss and takes in 5% of each new one."""
    means = np.empty(len(losses))
    for step, loss in enumerate(losses):
        means[step] = loss if step == 0 else weight * loss + (1 - weight) * means[step - 1]
    stop = stop_of(means, multiple)
    end = len(losses) if stop is None else stop + 1
    seen = slice(10, max(end - SKIP_LAST, 0))
    finite = np.isfinite(means[seen])
    if finite.sum() < 2:
        return None
    return float(rates[seen][finite][np.gradient(means[seen][finite]).argmin()])


def _smith(rates: Array, losses: Array) -> float | None:
    """A third of the rate from which the loss falls no further."""
    seen, means = _fastai(rates, losses)
    return float(seen[means.argmin()]) / 3 if len(means) else None


def _divergence(rates: Array, losses: Array) -> float | None:
    """A tenth of the rate at which the ramp is over; None for a ramp that never diverges."""
    stop = end_of(losses)
    return None if stop == len(losses) else float(rates[stop]) / 10


_FASTAI = "fastai, callback/schedule.py"

RULES: tuple[Rule, ...] = (
    Rule(
        "minimum / 10",
        _minimum,
        Text("a tenth of the rate where the smoothed loss is lowest", "平滑损失最低处学习率的十分之一"),
        f"{_FASTAI}, minimum",
    ),
    Rule(
        "valley", _valley, Text("halfway into the longest fall", "最长一段下降的中间"), f"{_FASTAI}, valley"
    ),
    Rule(
        "slide",
        _slide,
        Text("where the slope settles, seen from the right", "从右往左看，斜率稳定下来的地方"),
        f"{_FASTAI}, slide",
    ),
    Rule(
        "steepest",
        _steepest,
        Text("the steepest fall in log rate", "对学习率的对数下降最陡处"),
        f"{_FASTAI}, steep",
    ),
    Rule(
        "torch-lr-finder",
        _torch_lr_finder,
        Text("the steepest fall a step", "每步下降最陡处"),
        "torch-lr-finder 0.2.2, lr_finder.py, plot",
    ),
    Rule(
        "Lightning < 2.5.3",
        _lightning_older,
        Text("the steepest fall a step", "每步下降最陡处"),
        "Lightning before 2.5.3, tuner/lr_finder.py, suggestion",
    ),
    Rule(
        "Lightning 2.5.3+",
        _lightning_steepest,
        Text("the steepest fall in the rate itself", "对学习率本身下降最陡处"),
        "Lightning from 2.5.3, tuner/lr_finder.py, suggestion",
    ),
    Rule(
        "Smith, max / 3",
        _smith,
        Text("a third of the rate where the loss stops falling", "损失不再下降处学习率的三分之一"),
        "Smith 2017, arXiv 1506.01186, section 3.3 (of accuracy there, over a linear ramp)",
    ),
    Rule(
        "divergence / 10",
        _divergence,
        Text("a tenth of the rate where the loss blows up", "损失炸开处学习率的十分之一"),
        "a rule of thumb; where, as in fastai: the smoothed loss at 4 times its lowest",
    ),
)
"""In the order of tables. The first is the one to compare others with."""


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """The rates that one rule reads off a ramp.

    Attributes:
        rule: the rule, with its `name`, `words` and `source`.
        rates: the rate of each seed; None for a seed in which the rule finds nothing.
    """

    rule: Rule
    rates: tuple[float | None, ...]

    @property
    def found(self) -> tuple[float, ...]:
        """Return the rates of the seeds that have one."""
        return tuple(rate for rate in self.rates if rate is not None)

    @property
    def rate(self) -> float | None:
        """Return the geometric mean over seeds; None if no seed has a rate."""
        return geometric_mean(self.found)

    @property
    def decades(self) -> float | None:
        """Return the decades from the lowest to the highest rate over seeds; None for fewer than two."""
        return math.log10(max(self.found) / min(self.found)) if len(self.found) > 1 else None


def read_rules(rates: Array, losses: Array) -> tuple[Suggestion, ...]:
    """Apply every rule, in the order of `RULES`.

    Args:
        rates: [n], rising.
        losses: [S, n], NaN after a lane broke.
    """
    return tuple(
        Suggestion(rule, tuple(_suggested(rule, rates, losses_n) for losses_n in losses)) for rule in RULES
    )


def _suggested(rule: Rule, rates: Array, losses: Array) -> float | None:
    with np.errstate(all="ignore"):
        rate = rule.suggest(rates, losses)
    return rate if rate is not None and math.isfinite(rate) and rate > 0 else None


def geometric_mean(rates: Sequence[float]) -> float | None:
    """exp of the mean of the logarithms; None where there is no rate."""
    return math.exp(math.fsum(map(math.log, rates)) / len(rates)) if rates else None


def centre(rates: Array, losses: Array) -> float | None:
    """Where to centre a search: the geometric mean over seeds of a tenth of the rate at the lowest loss.

    For a positive loss that falls it is the rule "minimum / 10". Unlike that it also reads losses of any
    sign, and says nothing of a lane whose loss never falls by more than its own noise.

    Args:
        rates: [n], rising.
        losses: [S, n], NaN after a lane broke.

    Returns:
        The rate; None where no seed's loss falls.
    """
    centres = (_centre_of(rates, losses_n) for losses_n in losses)
    return geometric_mean([rate for rate in centres if rate is not None])


def _centre_of(rates: Array, losses: Array) -> float | None:
    skip = len(losses) // 10
    end = end_of(losses)
    # Where the ramp ends, the loss is on its way up: the last points are left out, as in the rule.
    last = min(end + 1, len(losses)) - SKIP_LAST
    if last <= skip + 1:
        return None
    means = smoothed(losses[:end])
    best = skip + int(means[skip:last].argmin())
    # Noise of the plain losses while the rate is still too low to move anything.
    early = losses[: max(skip, 5)]
    noise = float(early.std(ddof=1)) / math.sqrt(len(early))
    fall = float(means[skip] - means[best])
    return float(rates[best]) / 10 if fall > max(2 * noise, 1e-6 * abs(float(means[skip]))) else None
