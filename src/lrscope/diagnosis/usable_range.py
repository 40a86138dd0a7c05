"""Medium: whether some rates do best between others that do worse, and how wide they lie."""

from lrscope.diagnosis.beliefs import Claim, phrase
from lrscope.diagnosis.context import Case
from lrscope.diagnosis.evidence import rate_text, times_text
from lrscope.language import Text


def medium(case: Case) -> Claim:
    """Whether there are rates that do best between others that do worse, and how wide they lie."""
    comparison, advice, rates = case.end, case.advice, case.tested.rates
    near = advice.near_optimal
    if not near or comparison.too_noisy:
        why = phrase("medium.none", {"reason": advice.cannot_tell or ""})
        return Claim("medium", "cannot_tell", (why,), phrase("medium.none.short", {}), {})
    low, high = advice.low or near[0], advice.high or near[-1]
    among = [rate for rate in near if low <= rate <= high] or list(near)
    compared = [rate for rate in rates if rate in comparison.rates]
    shown: dict[str, str] = {
        "count": str(len(among)),
        "tested": str(len(compared)),
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
        "compared_rates": len(compared),
        "worse_from": advice.worse_from,
        "first_failing": advice.first_failing,
        "margin": advice.margin,
    }
    one = "medium.one" if len(among) == 1 else "medium"
    # As wide as the recommendation says: half a lane beyond what was tested.
    short = phrase(
        "medium.short" if low < high else "medium.one.short", {"low": rate_text(low), "high": rate_text(high)}
    )
    below, above = among[0] > compared[0], among[-1] < compared[-1]
    wide = among[-1] / among[0] >= comparison.thresholds.far**2
    if wide and not below and not above and compared == list(rates):
        return Claim("medium", "refuted", (phrase("medium.all", shown),), short, numbers)
    phrases = [phrase(one, shown)]
    if not below:
        lower = float(f"{compared[0] / comparison.thresholds.far:.2g}")
        key = "medium.no_lower" if compared[0] == rates[0] else "medium.no_lower.whole"
        phrases.append(phrase(key, {**shown, "next": f"{rate_text(lower)}:{rate_text(compared[0])}:4"}))
    if not above:
        key = "medium.no_higher" if compared[-1] == rates[-1] else "medium.no_higher.whole"
        phrases.append(phrase(key, {**shown, "next": case.upwards(among[-1])}))
    elif advice.first_failing is not None and advice.margin is not None and advice.rate is not None:
        cliff = {"failing": rate_text(advice.first_failing), "margin": times_text(advice.margin)}
        phrases.append(phrase("medium.margin", {**cliff, "rate": rate_text(advice.rate)}))
    elif advice.first_failing is None:
        phrases.append(_no_cliff(case, among[-1], shown))
    return Claim("medium", "confirmed" if below and above else "cannot_tell", tuple(phrases), short, numbers)


def _no_cliff(case: Case, top: float, shown: dict[str, str]) -> Text:
    """Return that no higher rate fails, or on how many lanes one did."""
    cliff = case.tested.cliff(top)
    if cliff is None:
        return phrase("medium.no_cliff", shown)
    values = {"rate": rate_text(cliff.rate), "failed": str(cliff.failed), "lanes": str(cliff.lanes)}
    return phrase("medium.some_lanes", values)
