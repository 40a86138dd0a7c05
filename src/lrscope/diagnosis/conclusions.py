"""Conclusions: what everybody says of learning rates, held against the study at hand, in words with figures.

Three sayings: too high a rate is unstable, spreads the weights far too wide and gives nothing usable; a medium one
is right, but where it is takes experiments to find; too low a one takes longer, and may overfit. The claims they make
are tested one by one in `claims.py`; their words stand here.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lrscope.diagnosis import claims
from lrscope.diagnosis.claims import Claim
from lrscope.diagnosis.comparison import compare
from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.evidence import rate_text
from lrscope.diagnosis.overfitting import fair_test, reference_rate
from lrscope.diagnosis.recommend import Recommendation
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.diagnosis.verdict import Text, Verdict
from lrscope.plan import Plan


class Saying(NamedTuple):
    """A conclusion to be tested: its name, and what it claims."""

    token: str
    title: Text


@dataclasses.dataclass(frozen=True)
class Conclusion:
    """One saying, and what this study says of it.

    Attributes:
        token: too_high, medium or too_low.
        claims: what it claims, each with its own verdict.
    """

    token: str
    claims: tuple[Claim, ...]

    @property
    def verdict(self) -> str:
        """confirmed, refuted or cannot_tell where all claims agree; else partly."""
        verdicts = {claim.verdict for claim in self.claims}
        return verdicts.pop() if len(verdicts) == 1 else "partly"

    @property
    def title(self) -> str:
        """The saying."""
        return _in(TITLES[self.token], "en")

    def sentence(self, language: str = "en") -> str:
        """All of it: 'Confirmed in part. Unstable: confirmed. 10 of 15 lanes ...'."""
        whole = [] if len(self.claims) == 1 else [f"{_in(WORDS[self.verdict], language).capitalize()}."]
        return " ".join([*whole, *(claim_text(claim, language) for claim in self.claims)])

    def headline(self, language: str = "en") -> str:
        """In a line: 'unstable, confirmed (10 of 15 lanes); overfitting, cannot tell (one seed)'."""
        parts = []
        for claim in self.claims:
            figure = f" ({claim.figure.text(language)})" if claim.figure else ""
            parts.append(
                f"{_in(CLAIMS[claim.token], language)}: {_in(WORDS[claim.verdict], language)}{figure}"
            )
        return "; ".join(parts)

    @property
    def numbers(self) -> Mapping[str, Any]:
        """The evidence of all claims, by claim."""
        return {claim.token: claim.numbers for claim in self.claims}


def conclusions(
    curves: Sequence[Curve],
    verdicts: Sequence[Verdict],
    advice: Recommendation,
    plan: Plan,
    thresholds: Thresholds = DEFAULT,
) -> tuple[Conclusion, ...]:
    """What this study says of the three sayings.

    Args:
        curves: of all lanes.
        verdicts: of `judge`, on the same curves and thresholds.
        advice: of `recommend`, on the same.
        plan: of the study.
        thresholds: see `Thresholds`.
    """
    comparison = compare(curves, plan, thresholds)
    reference = reference_rate(comparison, advice.low, advice.high)
    study = claims.Study(comparison, tuple(verdicts), advice, plan, reference)
    return (
        Conclusion("too_high", (claims.unstable(study), claims.wide(study), claims.useless(study))),
        Conclusion("medium", (claims.medium(study),)),
        Conclusion("too_low", (claims.slow(study), claims.overfits(fair_test(comparison, reference), plan))),
    )
