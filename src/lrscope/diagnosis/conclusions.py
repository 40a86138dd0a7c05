"""Conclusions: three common beliefs about learning rates, tested on the study at hand.

The beliefs: a rate that is too high is unstable, spreads the weights too wide and gives a useless model; a
medium rate is right, but takes experiments to find; a rate that is too low needs more steps, and may overfit.
Every claim in them is tested on its own; `sayings.py` holds the words.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lrscope.diagnosis import too_high, too_low
from lrscope.diagnosis import usable_range as medium
from lrscope.diagnosis.beliefs import NAMES, TITLES, VERDICTS, Claim
from lrscope.diagnosis.comparison import compare
from lrscope.diagnosis.context import Case
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.overfitting import fair_test, reference_rate
from lrscope.diagnosis.recommendation import Recommendation
from lrscope.diagnosis.tested import tested_rates
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.diagnosis.verdict import Verdict
from lrscope.language import BLANK, SEMICOLON, Text, joined, said, speaking
from lrscope.plan import Plan


@dataclasses.dataclass(frozen=True)
class Conclusion:
    """One common belief about learning rates, and whether this study confirms it.

    Attributes:
        token: "too_high", "medium" or "too_low".
        claims: the claims of the belief, each with its own verdict and numbers.
    """

    token: str
    claims: tuple[Claim, ...]

    @property
    def verdict(self) -> str:
        """Return "confirmed", "refuted" or "cannot_tell"; "partly" if only some claims are confirmed."""
        verdicts = {claim.verdict for claim in self.claims}
        if len(verdicts) == 1:
            return verdicts.pop()
        return "partly" if "confirmed" in verdicts else "cannot_tell"

    @property
    def title(self) -> str:
        """Return the belief in words."""
        return said(TITLES[self.token])

    @property
    def numbers(self) -> Mapping[str, Any]:
        """Return the numbers of every claim."""
        return {claim.token: claim.numbers for claim in self.claims}

    def verdict_text(self, lang: str | None = None) -> str:
        """Return the verdict in words, such as "confirmed in part".

        Args:
            lang: language, "en" or "zh". By default English, or the language of the command.

        Raises:
            UsageError: there is no such language.
        """
        with speaking(lang):
            return said(VERDICTS[self.verdict])

    def sentence(self, lang: str | None = None) -> str:
        """Return every claim, whether it holds, and why. `lang` is that of `verdict_text`."""
        with speaking(lang):
            return said(joined((claim.text() for claim in self.claims), BLANK))

    def headline(self, lang: str | None = None) -> str:
        """Return every claim, whether it holds, and its most telling number, in a line.

        `lang` is that of `verdict_text`.
        """
        answers = {claim.answer() for claim in self.claims}
        if len(answers) == 1 and len(self.claims) > 1:
            told = answers.pop()
        else:
            told = joined((claim.headline() for claim in self.claims), SEMICOLON)
        with speaking(lang):
            return said(_HEADLINE.format(name=NAMES[self.token], told=told))


_HEADLINE = Text("{name}: {told}", "{name}：{told}")


def conclusions(
    curves: Sequence[Curve],
    verdicts: Sequence[Verdict],
    advice: Recommendation,
    plan: Plan,
    thresholds: Thresholds = DEFAULT,
) -> tuple[Conclusion, ...]:
    """Return the three beliefs, tested on this study.

    Args:
        curves: of all lanes.
        verdicts: of `judge`, on the same curves and thresholds.
        advice: of `recommend`, on the same.
        plan: of the study.
        thresholds: see `Thresholds`.
    """
    tested = tested_rates(curves, verdicts, plan)
    comparison = compare(curves, plan, thresholds, failing=tested.broken)
    reference = reference_rate(comparison, advice.low, advice.high)
    end = compare(curves, plan, thresholds, failing=tested.broken, at_end=True)
    case = Case(comparison, end, tuple(verdicts), advice, plan, reference, tested)
    test = fair_test(comparison, reference)
    return (
        Conclusion("too_high", (too_high.unstable(case), too_high.wide(case), too_high.useless(case))),
        Conclusion("medium", (medium.medium(case),)),
        Conclusion("too_low", (too_low.slow(case), too_low.overfits(test, plan))),
    )
