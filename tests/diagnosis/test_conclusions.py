"""What a study says of the three sayings, on lanes whose truth is known."""

import dataclasses
import string

import numpy as np
import pytest

from lrscope.diagnosis.beliefs import CLAIMS, SENTENCES, STATEMENTS, TITLES, Claim, phrase
from lrscope.diagnosis.conclusions import Conclusion, conclusions
from lrscope.diagnosis.curve import Curve, Track
from lrscope.diagnosis.judge import judge
from lrscope.diagnosis.recommend import recommend
from lrscope.plan import Plan

from .simulate import LINE_LIMIT, line, plan_for, sgd, train
from .test_overfitting import lanes, slope, valley

STEPS = 1000


def said(curves: list[Curve], plan: Plan) -> dict[str, Conclusion]:
    verdicts = judge(curves, plan)
    made = conclusions(curves, verdicts, recommend(curves, verdicts, plan), plan)
    assert [one.token for one in made] == ["too_high", "medium", "too_low"]
    for one in made:
        assert one.title == TITLES[one.token].en
        for text in (one.sentence(), one.headline()):
            assert "{" not in text
            assert "nan" not in text
    return {one.token: one for one in made}


def claims(conclusion: Conclusion) -> dict[str, Claim]:
    return {claim.token: claim for claim in conclusion.claims}


def of_line(*rates: float) -> tuple[list[Curve], Plan]:
    """Gradient descent on y = 3x from 0, with the range of both tensors: a weight and a bias."""
    plan = plan_for(rates, STEPS, [(1, 1), (1,)])
    return [with_range(one) for one in train(line(), np.zeros(2, np.float32), plan, sgd())], plan


def with_range(curve: Curve) -> Curve:
    track = curve.trajectory
    spread = Track(track.steps, np.zeros_like(track.values))
    ends = {"weight_min": track, "weight_max": track, "weight_std": spread}
    return dataclasses.replace(curve, tensors={**curve.tensors, **ends})


def test_a_line_above_its_limit_is_unstable_wide_and_useless() -> None:
    rates = (0.003, 0.01, 0.03, 0.1, 1.01 * LINE_LIMIT, 0.2)
    curves, plan = of_line(*rates)
    high = said(curves, plan)["too_high"]
    assert high.verdict == "confirmed"
    unstable, wide, useless = high.claims
    assert unstable.numbers["first_rate"] == rates[4]
    assert (unstable.numbers["unsteady"], unstable.numbers["lanes"]) == (2, 2)
    path = curves[-1].tensors["weight_max"].values
    finite = np.abs(path[np.isfinite(path).all(axis=1)])
    assert wide.numbers["largest_weight"] == pytest.approx(finite.max(), rel=1e-6)
    good = next(one for one in curves if one.rate == wide.numbers["reference_rate"])
    assert wide.numbers["largest_weight_of_reference"] == np.abs(good.trajectory.values).max()
    assert useless.numbers["verdicts"] == {"diverged": 1}
    assert "At 0.2 nothing was learned: diverged." in high.sentence()


def test_a_line_tells_where_medium_is_and_how_far_the_cliff() -> None:
    curves, plan = of_line(0.003, 0.01, 0.03, 0.1, 0.2)
    verdicts = judge(curves, plan)
    advice = recommend(curves, verdicts, plan)
    medium = said(curves, plan)["medium"]
    assert medium.verdict == "confirmed"
    numbers = medium.claims[0].numbers
    assert (numbers["low"], numbers["high"]) == (advice.low, advice.high)
    assert numbers["first_failing"] == 0.2
    assert numbers["margin"] == pytest.approx(0.2 / advice.rate)
    assert "The first rate that fails, 0.2," in medium.sentence()


def test_lower_rates_take_the_steps_that_were_counted() -> None:
    curves, plan = lanes(slope, rates=(0.001, 0.01, 0.1), epochs=3000)
    low = said(curves, plan)["too_low"]
    slow = claims(low)["slow"]
    assert slow.verdict == "confirmed"
    times = dict(zip(slow.numbers["rates"], slow.numbers["times_more_steps"], strict=True))
    assert min(times.values()) > 2
    for rate, factor in times.items():
        fastest = max(one.rate for one in curves if one.rate <= 0.1)
        assert factor == pytest.approx(fastest / rate, rel=0.15)


def test_a_lower_rate_that_overfits_no_more_is_told_with_its_figures() -> None:
    low = said(*lanes(valley))["too_low"]
    overfits = claims(low)["overfits"]
    assert overfits.verdict == "refuted"
    assert (
        "It overfits: refuted. At equal training loss or early-stopped no lower rate is 5% worse."
        in low.sentence()
    )
    assert "5 paired seeds, 95% intervals" in low.sentence()
    assert overfits.numbers["seeds"] == 5


def test_a_lower_rate_that_overfits_is_told_with_its_figures() -> None:
    def worse(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
        return valley(train, rate, seed) * (1.2 if rate < 0.01 else 1)

    low = said(*lanes(worse, rates=(0.001, 0.003, 0.01, 0.03)))["too_low"]
    overfits = claims(low)["overfits"]
    assert overfits.verdict == "confirmed"
    assert "+20%" in low.headline()
    assert "validation loss +20% (+20% to +20%) at equal training loss" in low.sentence()


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"seeds": 1}, "cannot_tell", "One seed leaves the error unknown: add --seeds 5."),
        ({"validate": None}, "cannot_tell", "Nothing tells without a validation loss"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, object], verdict: str, words: str) -> None:
    options: dict[str, object] = {"validate": valley, **changes}
    low = said(*lanes(**options))["too_low"]  # type: ignore[arg-type]
    assert claims(low)["overfits"].verdict == verdict
    assert words in low.sentence()


def test_without_higher_or_lower_rates_it_says_which_to_try() -> None:
    curves, plan = lanes(valley, rates=(0.02, 0.03))
    made = said(curves, plan)
    assert made["too_high"].verdict == "cannot_tell"
    assert "try --rates 0.03:0.9:4" in made["too_high"].sentence()
    assert made["medium"].verdict == "cannot_tell"
    assert "try --rates" in made["medium"].sentence()


def test_a_study_of_one_rate_or_of_broken_ones_tells_nothing() -> None:
    for rates in ((0.5, 1.0), (0.01,)):
        made = said(*of_line(*rates))
        assert {one.verdict for one in made.values()} == {"cannot_tell"}


def test_no_lanes_at_all_say_nothing() -> None:
    made = said([], plan_for((0.1, 1.0), 10, [(1,)]))
    assert made["too_high"].headline() == "too high: cannot tell (no good rate to compare with)"
    assert {one.verdict for one in made.values()} == {"cannot_tell"}


def test_higher_rates_that_stay_steady_refute_that_they_do_not() -> None:
    def validate(train: np.ndarray, rate: float, seed: int) -> np.ndarray:
        return slope(train, rate, seed) * (1 + (0.5 if rate > 0.05 else 0))

    curves, plan = lanes(validate, rates=(0.003, 0.01, 0.03, 0.1, 0.5))
    high = claims(said(curves, plan)["too_high"])
    assert high["unstable"].verdict == "refuted"
    assert high["wide"].verdict == "cannot_tell"
    assert high["useless"].verdict == "refuted"


def test_a_conclusion_whose_claims_differ_is_partly_confirmed() -> None:
    said = phrase("wide.unknown", {})

    def verdict(*verdicts: str) -> str:
        return Conclusion(
            "too_high", tuple(Claim("wide", one, (said,), said, {}) for one in verdicts)
        ).verdict

    assert verdict("confirmed", "confirmed") == "confirmed"
    assert verdict("confirmed", "refuted") == "partly"
    assert verdict("refuted", "cannot_tell") == "cannot_tell"
    assert verdict("refuted", "refuted") == "refuted"


def test_every_claim_has_words_and_every_sentence_is_plain() -> None:
    assert set(CLAIMS) == set(STATEMENTS)
    for text in SENTENCES.values():
        assert not text.en.endswith(".")
        assert all(name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(text.en))
