"""Experiment: what to run next, and what to type for it."""

import math
from collections.abc import Sequence

from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.evidence import rate_text
from lrscope.diagnosis.verdict import Verdict

_PER_DECADE = 4


def to_tell(comparison: Comparison, verdicts: Sequence[Verdict], failing: Sequence[float]) -> str:
    """What to run where no rate can be recommended."""
    rates, best = comparison.rates, comparison.best
    kinds = {verdict.kind for verdict in verdicts}
    if not rates or kinds <= {"invalid"}:
        return "train for at least 20 steps: --epochs"
    if kinds <= {"diverged", "diverging", "invalid"}:
        return f"lower rates: {_rates(rates[0] / 1000, rates[0] / 2)}"
    if len(rates) == 1:
        return f"rates on both sides: {_rates(rates[0] / 30, rates[0] * 30)}"
    if best is not None and comparison.too_noisy:
        seeds = max(2 * comparison.depth, 4)
        return (
            f"more seeds: {_rates(comparison.near_optimal[0], comparison.near_optimal[-1])} --seeds {seeds}"
        )
    if best is not None and comparison.leader == rates[-1]:
        return f"widen to higher rates: {_rates(rates[-2], rates[-1] * 10)}"
    if best is not None:
        return f"widen to lower rates: {_rates(rates[0] / 10, rates[1])}"
    if comparison.hindrance == "broken":
        return f"lower rates: {_rates(rates[0] / 100, rates[0])}"
    return _to_learn(comparison, failing)


def _to_learn(comparison: Comparison, failing: Sequence[float]) -> str:
    """What to run where nothing was learned: the weights tell in which direction."""
    rates, limits = comparison.rates, comparison.thresholds
    moved = {one.curve.rate: one.displacement for one in comparison.facts.values()}
    lowest, highest = moved.get(rates[0]), moved.get(rates[-1])
    if highest is not None and highest < limits.well_moved:
        return f"higher rates: {_rates(rates[-1], rates[-1] * 1000)}"
    if lowest is not None and lowest > limits.redrawn:
        return f"lower rates: {_rates(rates[0] / 1000, rates[0])}"
    return f"a wider range or more epochs: {_rates(rates[0] / 10, rates[-1] * 10)}"


def to_know_more(
    rate: float,
    interval: Sequence[float],
    cliff: float | None,
    comparison: Comparison,
    failing: Sequence[float],
) -> str:
    """What to run where a rate is recommended.

    Args:
        rate: the one recommended.
        interval: tested rates as good as the best.
        cliff: the first failing rate, if it is close above the interval.
        comparison: the lanes side by side.
        failing: rates that fail.
    """
    around = _rates(min(interval[0], rate) / 2, interval[-1] * 2)
    if cliff is not None:
        return (
            "the best rate stands next to one that fails: before a lower rate, try --schedule warmup-cosine "
            f"or --clip-norm with {_rates(min(interval[0], rate), cliff * 2)} --seeds 3"
        )
    if not [one for one in failing if one > interval[-1]]:
        return f"to see where it breaks: {_rates(interval[-1], comparison.rates[-1] * 30)}"
    if comparison.depth < 3:
        return f"three seeds tell the error: {around} --seeds 3"
    return f"nothing is open; a finer look: {around} --seeds {comparison.depth}"


def _rates(low: float, high: float) -> str:
    """What to type for rates between two ends, evenly spaced in the logarithm."""
    count = max(4, round(math.log10(high / low) * _PER_DECADE) + 1)
    return f"--rates {rate_text(low)}:{rate_text(high)}:{count}"
