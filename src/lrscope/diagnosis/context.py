"""Case: what the claims of the sayings are tested on."""

import dataclasses
from collections import Counter

from lrscope.diagnosis.beliefs import Claim, phrase
from lrscope.diagnosis.comparison import Comparison
from lrscope.diagnosis.evidence import rate_text
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.recommendation import Recommendation
from lrscope.diagnosis.tested import Tested
from lrscope.diagnosis.verdict import FAILING, KINDS, Verdict
from lrscope.plan import Plan


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """What claims are tested on.

    Attributes:
        comparison: the lanes side by side, as verdicts compare them.
        end: the same at the end of training, as the recommendation does.
        verdicts: of all lanes.
        advice: the recommendation.
        plan: of the case.
        reference: the good rate that others are held against; None where there is none.
        tested: every rate, also of lanes too short to be compared.
    """

    comparison: Comparison
    end: Comparison
    verdicts: tuple[Verdict, ...]
    advice: Recommendation
    plan: Plan
    reference: float | None
    tested: Tested

    @property
    def top(self) -> float:
        """The highest rate that is called good."""
        return self.comparison.good_rates[-1]

    @property
    def higher(self) -> tuple[float, ...]:
        """Tested rates above the good ones, also of lanes too short to be compared; rising."""
        good = self.comparison.good_rates
        return tuple(rate for rate in self.tested.rates if good and rate > good[-1])

    @property
    def higher_compared(self) -> tuple[float, ...]:
        """Those of them whose lanes can be compared, or all failed, however short they were."""
        there = {one.curve.rate for one in self.comparison.facts.values()}
        return tuple(rate for rate in self.higher if rate in there or set(self.kinds(rate)) <= set(FAILING))

    def kinds(self, *rates: float) -> Counter[str]:
        """How many lanes of these rates have which verdict, in the catalogue's order."""
        counts = Counter(one.kind for one in self.verdicts if one.rate in rates and one.kind != "invalid")
        return Counter({entry.token: counts[entry.token] for entry in KINDS if counts[entry.token]})

    def lanes(self, rate: float) -> list[Facts]:
        """The lanes of a rate that can be judged, seeds rising."""
        facts = (one for one in self.comparison.facts.values() if one.curve.rate == rate)
        return sorted(facts, key=lambda one: one.curve.seed)

    def untestable(self, token: str) -> Claim | None:
        """That a claim about high rates lacks them, or a good one to hold them against; else None."""
        if self.reference is None:
            return without_reference(token)
        if not self.higher:
            said = phrase("no_higher", {"next": self.upwards(self.top)})
            return Claim(token, "cannot_tell", (said,), phrase("no_higher.short", {}), {})
        if not self.higher_compared:
            said = phrase("no_higher.whole", {"top": rate_text(self.top), "next": self.upwards(self.top)})
            return Claim(token, "cannot_tell", (said,), phrase("no_higher.short", {}), {})
        return None

    def upwards(self, top: float) -> str:
        """Return higher rates to type: above all tested ones, and well above the highest good one, `top`."""
        highest = self.tested.rates[-1]
        until = 3 * max(highest, top * self.comparison.thresholds.far)
        return f"{rate_text(highest)}:{rate_text(float(f'{until:.2g}'))}:4"

    @property
    def far(self) -> bool:
        """Whether the tested rates go far enough above the good ones to show what is there."""
        return self.factor() >= self.comparison.thresholds.far

    def factor(self) -> float:
        """The highest rate that can be compared over the highest good one."""
        return self.higher_compared[-1] / self.top


def without_reference(token: str) -> Claim:
    """That a claim cannot be tested where no rate is good."""
    said, short = phrase("no_reference", {}), phrase("no_reference.short", {})
    return Claim(token, "cannot_tell", (said,), short, {})


def downwards(rate: float) -> str:
    """Lower rates to type: a decade of them."""
    return f"{rate_text(float(f'{rate / 10:.2g}'))}:{rate_text(rate)}:5"
