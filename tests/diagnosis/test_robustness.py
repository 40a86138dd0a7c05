"""Whatever the curves, there is a verdict in whole words and a recommendation that keeps its promises."""

import dataclasses
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lrscope.diagnosis.curve import Curve, Track
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.recommend import recommend
from lrscope.diagnosis.verdict import ATTRIBUTES, KINDS

from .simulate import plan_for

STEPS = 60
SHAPES = {
    "falling": lambda t, r: 0.1 + 2.2 * np.exp(-8 * r * t),
    "rising": lambda t, r: 2.3 * np.exp(5 * r * t),
    "flat": lambda t, r: np.full_like(t, 2.3),
    "to zero": lambda t, r: 2.3 * np.maximum(1 - 3 * r * t, 0),
    "below zero": lambda t, r: 2.3 - 8 * r * t,
    "always below": lambda t, r: -50 - 8 * r * t,
    "zero": lambda t, r: np.zeros_like(t),
    "huge": lambda t, r: 2.3 * 10 ** (300 * t),
    "noise": lambda t, r: np.abs(np.sin(1e4 * t * r)) * 4,
    "spike": lambda t, r: np.where((t > 0.6) & (t < 0.7), 50.0, 2.3 * np.exp(-5 * t)),
    "lost": lambda t, r: np.where(t > r, np.nan, 2.3),
    "lost at once": lambda t, r: np.full_like(t, np.inf),
}
KIND_TOKENS = {entry.token for entry in KINDS}
ATTRIBUTE_TOKENS = {entry.token for entry in ATTRIBUTES}


NUMBERS = np.array([0.0, 1e-12, 0.2, 1.0, 2.3, 1e5, np.nan, np.inf, -1.0])


@st.composite
def studies(draw):
    """Random lanes of a random plan; the numbers come from one seed, which is what is drawn."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    among = [1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 0.1, 1.0]
    rates = sorted(rng.choice(among, rng.integers(1, 8), replace=False).tolist())
    per_epoch = int(rng.choice([1, 2, 7, 20]))
    plan = plan_for(
        rates,
        STEPS,
        [(4,), (1,)],
        seeds=int(rng.integers(1, 4)),
        steps_per_epoch=per_epoch,
        constant_loss=[None, 2.3, 0.5, 0.0][rng.integers(4)],
        constant_val_loss=[None, 1.0, 0.5][rng.integers(3)],
        val_size=[None, 50][rng.integers(2)],
    )
    alike, wild = draw(st.sampled_from(sorted(SHAPES))), draw(st.sampled_from([0.0, 0.3, 1.0]))
    curves = []
    for key in plan.lanes:
        shape = str(rng.choice(sorted(SHAPES))) if rng.random() < wild else alike
        length = int(rng.choice([0, 1, 5, 25, 40])) if rng.random() < wild / 3 else STEPS
        t = np.arange(length) / STEPS
        curve = Curve(key.lane, key.rate, key.seed, SHAPES[shape](t, rng.uniform(0.01, 1)))
        curves.append(_measured(curve, per_epoch, rng) if curve.steps else curve)
    return curves, plan


def _measured(curve, per_epoch, rng):
    """The curve with whatever else might have been measured of it."""
    if rng.random() < 0.7:
        at = np.arange(0, curve.steps + 1, per_epoch)
        scatter = rng.random(len(at)) if rng.random() < 0.7 else rng.choice(NUMBERS, len(at))
        curve = dataclasses.replace(curve, val=Track(at, np.linspace(3, 1, len(at)) * scatter))
    if rng.random() < 0.5:
        at = np.unique(np.linspace(0, curve.steps - 1, 10).astype(int))
        names = ("weight_norm", "distance", "gradient_norm", "unchanged_share")
        tensors = {name: Track(at, np.abs(rng.choice(NUMBERS[:-3], (len(at), 2)))) for name in names}
        path = Track(np.arange(curve.steps + 1), rng.choice(NUMBERS, (curve.steps + 1, 1)))
        curve = dataclasses.replace(curve, tensors=tensors, trajectory=path)
    return curve


@given(studies())
@settings(max_examples=150, deadline=None)
def test_every_study_is_judged_in_whole_words(study):
    curves, plan = study
    found = judge(curves, plan)
    assert [(one.lane, one.rate, one.seed) for one in found] == list(plan.lanes)
    for verdict in found:
        assert verdict.kind in KIND_TOKENS
        assert set(verdict.attributes) <= ATTRIBUTE_TOKENS
        assert verdict.evidence
        assert "{" not in verdict.evidence
        assert "\n" not in verdict.evidence
    assert judge(curves, plan) == found


@given(studies())
@settings(max_examples=150, deadline=None)
def test_every_recommendation_keeps_its_promises(study):
    curves, plan = study
    found = judge(curves, plan)
    advised = recommend(curves, found, plan)
    assert (advised.rate is None) == (advised.cannot_tell is not None)
    assert advised.confidence in ("high", "medium", "low")
    assert advised.sentence().endswith(".")
    assert "\n" not in advised.sentence()
    json.dumps(dataclasses.asdict(advised), allow_nan=False)
    complete = all(curve.steps == STEPS or curve.stopped_step is not None for curve in curves)
    # Verdicts are on the best checkpoint where a lane overfits, the rate is by the end.
    alike = complete and not any("overfitting" in one.attributes for one in found)
    good = [one.rate for one in found if one.kind == "good"]
    if advised.rate is None:
        assert (advised.low, advised.high, advised.margin) == (None, None, None)
        assert not (alike and good and "constant answer" in advised.cannot_tell)
        return
    assert plan.rates[0] <= advised.low <= advised.rate <= advised.high <= plan.rates[-1]
    failing = {one.rate for one in found if one.kind in ("diverged", "diverging", "collapsed", "failed")}
    assert advised.rate not in failing
    assert not failing & set(advised.near_optimal)
    # The better one of rates that only reach a constant answer is named, with that caution; none is good.
    if alike and "constant answer" not in (advised.caution or ""):
        assert advised.best_rate in good
    if advised.first_failing is not None:
        assert advised.margin == advised.first_failing / advised.rate > 1
