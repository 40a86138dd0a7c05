"""Too high: whether rates above the good ones are unstable, spread the weights, and give nothing usable.

Letters: S seeds, k tensors.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from lrscope.diagnosis.beliefs import Claim, phrase
from lrscope.diagnosis.context import Case
from lrscope.diagnosis.curve import Floats
from lrscope.diagnosis.evidence import loss_text, part_text, rate_text, share_text, times_text
from lrscope.diagnosis.features import Facts
from lrscope.diagnosis.progress import regret
from lrscope.diagnosis.verdict import FAILING, kind
from lrscope.language import COMMA, Text, joined

UNSTEADY = (*FAILING, "unstable", "frozen")
"""Verdicts of lanes at high rates that did not train steadily."""


def unstable(case: Case) -> Claim:
    """Whether lanes above the good rates broke or swung."""
    untestable = case.untestable("unstable")
    if untestable is not None:
        return untestable
    rates = sorted({*case.higher_compared, *(rate for rate in case.higher if rate in case.tested.broken)})
    counts = {rate: case.kinds(rate) for rate in rates}
    broken = {rate: sum(kinds[token] for token in UNSTEADY) for rate, kinds in counts.items()}
    lanes, total = sum(map(Counter.total, counts.values())), sum(broken.values())
    where = [rate for rate, count in broken.items() if count]
    highest = rates[-1]
    shown: dict[str, str] = {
        "broken": str(total),
        "lanes": str(lanes),
        "top": rate_text(case.top),
        "highest": rate_text(highest),
        "times": times_text(case.factor()),
        "next": case.upwards(case.top),
        "first": rate_text(where[0]) if where else "",
        "rates": ", ".join(map(rate_text, where)),
        "kinds": _kinds_text(
            Counter({token: n for token, n in case.kinds(*where).items() if token in UNSTEADY})
        ),
    }
    numbers = {
        "lanes": lanes,
        "unsteady": total,
        "first_rate": where[0] if where else None,
        "highest_rate": highest,
        "highest_good_rate": case.top,
        "verdicts": dict(case.kinds(*rates)),
    }
    lanes_short = phrase("lanes.short", shown)
    if broken[highest] or 2 * total >= lanes > 0:
        return Claim("unstable", "confirmed", (phrase("unstable", shown),), lanes_short, numbers)
    if where:
        return Claim("unstable", "cannot_tell", (phrase("unstable.inside", shown),), lanes_short, numbers)
    far = case.far
    said, short = phrase("steady" if far else "steady.near", shown), phrase("highest.short", shown)
    return Claim("unstable", "refuted" if far else "cannot_tell", (said,), short, numbers)


def wide(case: Case) -> Claim:
    """Whether the weights of a rate above the good ones spread far wider than those of a good one."""
    untestable = case.untestable("wide")
    if untestable is not None:
        return untestable
    assert case.reference is not None
    good = _largest(case.lanes(case.reference))
    sizes = {rate: _largest(case.lanes(rate)) for rate in case.higher}
    largest = {rate: size for rate, size in sizes.items() if size is not None}
    if good is None or not good.max() > 0 or not largest:
        unknown = phrase("wide.unknown", {})
        return Claim("wide", "cannot_tell", (unknown,), unknown, {})
    rate = max(largest, key=lambda one: float(largest[one].max()))
    size, times = float(largest[rate].max()), float(largest[rate].max() / good.max())
    tensor = case.lanes(rate)[0].tensor_name(int(largest[rate].argmax()))
    shown: dict[str, str] = {
        "rate": rate_text(rate),
        "reference": rate_text(case.reference),
        "largest": loss_text(size),
        "good": loss_text(float(good.max())),
        "times": times_text(times),
    }
    phrases = [phrase("wide", shown)]
    numbers = {
        "rate": rate,
        "reference_rate": case.reference,
        "largest_weight": size,
        "largest_weight_tensor": tensor,
        "largest_weight_of_reference": float(good.max()),
        "times": times,
    }
    spread = _spread(case.lanes(rate), case.lanes(case.reference))
    if spread is not None:
        name, own, other = spread
        std = {
            "tensor": name,
            "times": times_text(own / other),
            "std": loss_text(own),
            "good": loss_text(other),
        }
        phrases.append(phrase("wide.std", std))
        numbers |= {"std_tensor": name, "std": own, "std_of_reference": other, "std_times": own / other}
    limit = case.comparison.thresholds.wide
    told = times >= limit or case.far
    verdict = ("confirmed" if times >= limit else "refuted") if told else "cannot_tell"
    return Claim("wide", verdict, tuple(phrases), phrase("wide.short", shown), numbers)


def useless(case: Case) -> Claim:
    """Whether the highest tested rate learned anything worth having."""
    untestable = case.untestable("useless")
    if untestable is not None:
        return untestable
    assert case.reference is not None
    highest = case.higher_compared[-1]
    kinds = case.kinds(highest)
    missing = _missing(case, highest)
    failed = bool(kinds) and all(token in FAILING for token in kinds)
    shown: dict[str, str] = {
        "highest": rate_text(highest),
        "reference": rate_text(case.reference),
        "times": times_text(case.factor()),
        "next": case.upwards(case.top),
        "kinds": _kinds_text(kinds),
        "objective": case.comparison.objective.name,
        "share": share_text(missing) if math.isfinite(missing) else "",
        "part": part_text(missing) if math.isfinite(missing) else "",
    }
    numbers = {"rate": highest, "verdicts": dict(kinds), "missing_share": None if failed else missing}
    beside = _measure(case, highest)
    phrases = () if beside is None else (phrase("useless.measure", {**shown, **beside[0]}),)
    numbers |= {} if beside is None else beside[1]
    if failed:
        first = phrase("useless.failed", shown)
        return Claim("useless", "confirmed", (first, *phrases), phrase("kinds.short", shown), numbers)
    short = phrase("missing.short", shown)
    if missing >= 1:
        first, short = phrase("useless.nothing", shown), phrase("nothing.short", shown)
        return Claim("useless", "confirmed", (first, *phrases), short, numbers)
    if missing >= case.comparison.thresholds.useless:
        return Claim("useless", "confirmed", (phrase("useless.missing", shown), *phrases), short, numbers)
    far = case.far
    first = phrase("useless.usable" if far else "useless.near", shown)
    return Claim("useless", "refuted" if far else "cannot_tell", (first, *phrases), short, numbers)


def _kinds_text(counts: Counter[str]) -> Text:
    """'3 diverged, 1 unstable', in every language; a lane alone goes without its number."""
    many = Text("{count} {word}", "{count} 条{word}")
    words = ((count, kind(token).word) for token, count in counts.items())
    alone = counts.total() <= 1
    return joined((word if alone else many.format(count=count, word=word) for count, word in words), COMMA)


def _largest(lanes_S: Sequence[Facts]) -> Floats | None:
    """The largest size that a weight of each tensor had in the run, [k]: the median of the seeds."""
    sizes = []
    for one in lanes_S:
        low, high = one.curve.tensors.get("weight_min"), one.curve.tensors.get("weight_max")
        if low is None or high is None:
            return None
        size = np.maximum(np.abs(low.values), np.abs(high.values))
        size = size[np.isfinite(size).all(axis=1)]
        if len(size):
            sizes.append(size.max(axis=0))
    return np.median(sizes, axis=0) if sizes else None


def _spread(lanes_S: Sequence[Facts], good_S: Sequence[Facts]) -> tuple[str, float, float] | None:
    """The tensor whose standard deviation ends most above the good lanes': its name, and both."""
    own, other = _last_std(lanes_S), _last_std(good_S)
    if own is None or other is None or not (other > 0).any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(other > 0, own / other, 0.0)
    widest = int(np.argmax(ratios))
    return lanes_S[0].tensor_name(widest), float(own[widest]), float(other[widest])


def _last_std(lanes_S: Sequence[Facts]) -> Floats | None:
    """The last finite standard deviation of each tensor, [k]: the median of the seeds."""
    tracks = [one.curve.tensors.get("weight_std") for one in lanes_S]
    finite = [
        one.values[np.isfinite(one.values).all(axis=1)]
        for one in tracks
        if one is not None and len(one.values)
    ]
    rows = [values[-1] for values in finite if len(values)]
    return np.median(rows, axis=0) if rows else None


def _missing(case: Case, rate: float) -> float:
    """Share of what the best rate learned that a rate misses, by the objective: the mean of the seeds."""
    standing = case.comparison.standing(rate)
    if standing is not None:
        return standing.regret
    objective, best = case.comparison.objective, case.comparison.best
    shares = []
    for one in case.lanes(rate):
        twin = case.comparison.at(best.rate, one.curve.seed) if best is not None else None
        if twin is not None:
            value = objective.value(one) if one.curve.stopped_step is None else math.inf
            shares.append(regret(value, objective.value(twin), objective.start(twin)))
    return float(np.mean(shares)) if shares and all(map(math.isfinite, shares)) else math.inf


def _measure(case: Case, rate: float) -> tuple[dict[str, str], dict[str, float | str]] | None:
    """The first metric, or else the objective, at a rate and at the reference: the median of the seeds."""
    assert case.reference is not None
    name: str = next(iter(case.plan.metrics), case.comparison.objective.name)

    def median(of: float) -> float:
        lanes = [one for one in case.lanes(of) if one.curve.stopped_step is None]
        if case.plan.metrics:
            tracks = [one.curve.metrics[name].values for one in lanes if name in one.curve.metrics]
            values = [float(track[-1]) for track in tracks if len(track)]
        else:
            values = [case.comparison.objective.value(one) for one in lanes]
        return float(np.median(values)) if values else math.nan

    value, good = median(rate), median(case.reference)
    if not (math.isfinite(value) and math.isfinite(good)):
        return None
    numbers: dict[str, float | str] = {"measure": str(name), "value": value, "value_of_reference": good}
    return {"measure": name, "value": loss_text(value), "good": loss_text(good)}, numbers
