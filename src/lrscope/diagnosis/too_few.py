"""Too few: that a search had too small a budget for the length of the run to compare rates at all."""

from collections.abc import Sequence

from lrscope.diagnosis.comparison import horizons
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.evidence import rate_text, steps_text
from lrscope.language import Text
from lrscope.plan import Plan

FEWEST = 3
"""Rates that must be compared side by side: of two, one is the highest and the other the lowest tested."""

_TOO_FEW = Text(
    "too short a run for this budget: of {steps} steps, it paid for {count} rates ({rates}), and "
    "fewer than {least} cannot be compared; give a larger --budget or more --epochs",
    "对这个预算来说训练太短：每次 {steps} 步，预算只够试 {count} 个学习率（{rates}），"
    "少于 {least} 个无法比较；请增大 --budget 或 --epochs",
)


def too_few(curves: Sequence[Curve], plan: Plan) -> Text | None:
    """Return that a search compared too few rates to do better than guess; None where it did not.

    Args:
        curves: of all lanes.
        plan: of the study.
    """
    lengths = horizons(curves)
    if plan.chosen is None or not lengths:
        return None
    reached = [one for one in curves if one.stopped_step is not None or one.steps >= lengths[0]]
    rates = sorted({one.rate for one in reached})
    if len(rates) >= FEWEST:
        return None
    return _TOO_FEW.format(
        steps=steps_text(plan.steps),
        count=len(rates),
        rates=", ".join(rate_text(rate) for rate in rates),
        least=FEWEST,
    )
