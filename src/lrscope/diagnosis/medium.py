"""Medium: whether some rates do best between others that do worse, and how wide they lie."""

from lrscope.diagnosis.case import Case
from lrscope.diagnosis.evidence import rate_text, times_text
from lrscope.diagnosis.sayings import Claim, phrase


def medium(case: Case) -> Claim:
    """Whether there are rates that do best between others that do worse, and how wide they lie."""
    comparison, advice = case.comparison, case.advice
    rates, near = comparison.rates, comparison.near_optimal
    if case.reference is None or comparison.too_noisy:
        why = phrase("medium.none", {"reason": advice.cannot_tell or ""})
        return Claim("medium", "cannot_tell", (why,), phrase("medium.none.short", {}), {})
    low, high = advice.low or near[0], advice.high or near[-1]
    among = [rate for rate in near if low <= rate <= high] or list(near)
    shown: dict[str, str] = {
        "count": str(len(among)),
        "tested": str(len(rates)),
        "low": rate_text(among[0]),
        "high": rate_text(among[-1]),
        "width": times_text(among[-1] / among[0]),
        "highest": rate_text(rates[-1]),
        "lowest": rate_text(rates[0]),
    }
    numbers = {
        "low": low,
        "high": high,
        "width": high / low,
        "good_rates": among,
        "tested_rates": len(rates),
        "first_failing": advice.first_failing,
        "margin": advice.margin,
    }
    one = "medium.one" if len(among) == 1 else "medium"
    # As wide as the recommendation says: half a lane beyond what was tested.
    short = phrase(
        "medium.short" if low < high else "medium.one.short", {"low": rate_text(low), "high": rate_text(high)}
    )
    below, above = among[0] > rates[0], among[-1] < rates[-1]
    if (
        not below
        and not above
        and len(rates) > 1
        and among[-1] / among[0] >= case.comparison.thresholds.far**2
    ):
        return Claim("medium", "refuted", (phrase("medium.all", shown),), short, numbers)
    phrases = [phrase(one, shown)]
    if not below:
        lower = float(f"{rates[0] / case.comparison.thresholds.far:.2g}")
        phrases.append(
            phrase("medium.no_lower", {**shown, "next": f"{rate_text(lower)}:{rate_text(rates[0])}:4"})
        )
    if not above:
        phrases.append(phrase("medium.no_higher", {**shown, "next": case.upwards()}))
    elif advice.first_failing is not None and advice.margin is not None and advice.rate is not None:
        cliff = {"failing": rate_text(advice.first_failing), "margin": times_text(advice.margin)}
        phrases.append(phrase("medium.margin", {**cliff, "rate": rate_text(advice.rate)}))
    elif advice.first_failing is None:
        phrases.append(phrase("medium.no_cliff", shown))
    return Claim("medium", "confirmed" if below and above else "cannot_tell", tuple(phrases), short, numbers)
