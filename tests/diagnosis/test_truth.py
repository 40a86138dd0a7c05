"""Every fact that a study's sentences hold agrees with the frames they are about, whatever the study."""

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from lrscope.charts.valley import VALLEY
from lrscope.diagnosis import figures
from lrscope.diagnosis.verdict import UNSOUND
from lrscope.output.json_document import document
from lrscope.study import Study

from .invented import studies

TOKENS = {str(one.name): one.token for one in figures.FIGURES}
"""The column of `lane_figures` for the name of a figure."""

COMPARED = ("too_high", "too_slow", "good.near", "good.best", "beside", "beside.alone", "cannot_tell.between")

many = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Read:
    """A study read once: its frames, and what they say of every lane and rate."""

    def __init__(self, study: Study) -> None:
        self.study, self.plan = study, study.plan
        self.advice = study.recommendation()
        self.verdicts = study._judge()[1]
        frame = study.lanes.join(figures.lane_figures(study), on="lane")
        self.lanes = {row["lane"]: row for row in frame.iter_rows(named=True)}
        self.kinds: dict[float, list[str]] = {}
        for row in study.verdicts().filter(pl.col("verdict") != "invalid").iter_rows(named=True):
            self.kinds.setdefault(row["rate"], []).append(row["verdict"])

    def whole(self, rate: float) -> list[dict]:
        """The lanes of a rate that were trained to the full length."""
        return [
            one
            for one in self.lanes.values()
            if one["rate"] == rate and one["stopped_step"] is None and one["steps"] == self.plan.steps
        ]

    def failed(self, rate: float) -> int:
        """On how many lanes a rate failed."""
        return sum(kind in UNSOUND for kind in self.kinds.get(rate, ()))

    def compared(self) -> list[float]:
        """Rates with a lane as long as the longest, or one that failed."""
        longest = {one["rate"] for one in self.lanes.values() if one["longest"]}
        return sorted(rate for rate in self.kinds if rate in longest or self.failed(rate))

    def figure(self, lane: int, name: str) -> float | None:
        """A figure of a lane by its name in words."""
        return self.lanes[lane][TOKENS[name]]


@given(studies())
@many
def test_the_recommended_rate_was_trained_to_the_full_length_and_failed_nowhere(study):
    read = Read(study)
    advice = read.advice
    assert (advice.rate is None) == (advice.cannot_tell is not None)
    assert advice.highest_tested == max(read.kinds, default=None)
    if advice.rate is None:
        assert (advice.low, advice.high, advice.margin) == (None, None, None)
        return
    assert read.whole(advice.rate)
    assert not read.failed(advice.rate)
    assert advice.low <= advice.rate <= advice.high
    assert advice.preferred_rate is not None
    assert advice.best_rate in advice.near_optimal
    assert advice.rate <= advice.near_optimal[-1]
    for rate in read.kinds:
        if advice.low <= rate <= advice.high:
            assert not read.failed(rate)
            if read.whole(rate) and len(read.compared()) > 1:
                assert rate in advice.near_optimal or rate < advice.near_optimal[0]


@given(studies())
@many
def test_both_thresholds_are_those_of_the_verdicts(study):
    read = Read(study)
    advice = read.advice
    top = advice.near_optimal[-1] if advice.near_optimal else None

    def fails(rate: float, kinds: list[str]) -> bool:
        frozen = 0 if top is None else kinds.count("frozen")
        return 2 * (read.failed(rate) + frozen) > len(kinds)

    rates = [rate for rate, kinds in read.kinds.items() if fails(rate, list(kinds))]
    above = [rate for rate in rates if top is None or rate > top]
    assert advice.first_failing == min(above, default=None)
    told = {(one.rate, one.failed, one.lanes) for one in advice.failures}
    assert told == {
        (rate, read.failed(rate), len(kinds)) for rate, kinds in read.kinds.items() if read.failed(rate)
    }
    if advice.rate is not None:
        margin = None if advice.first_failing is None else advice.first_failing / advice.rate
        assert advice.margin == margin
        assert margin is None or margin > 1
    if top is not None:
        assert advice.worse_from == min((rate for rate in read.compared() if rate > top), default=None)
        assert advice.first_failing is None or advice.worse_from <= advice.first_failing


@given(studies())
@many
def test_the_good_set_holds_the_best_of_the_longest_lanes_and_no_gap(study):
    read = Read(study)
    advice, near = read.advice, read.advice.near_optimal
    assert list(near) == sorted(near)
    between = [rate for rate in read.compared() if near and near[0] <= rate <= near[-1]]
    assert between == list(near)
    for rate in near:
        assert not read.failed(rate)
        assert any(one["longest"] for one in read.lanes.values() if one["rate"] == rate)
    token = TOKENS.get(advice.objective)
    if len(study.plan.seeds) == 1 and near and token is not None:
        ends = {one["rate"]: one[token] for one in read.lanes.values() if one["longest"]}
        came_through = {
            rate: end for rate, end in ends.items() if not read.failed(rate) and rate in read.kinds
        }
        sound = {v.rate for v in read.verdicts if v.kind not in ("frozen", "not_started", "cannot_tell")}
        lowest = min((came_through[rate] for rate in sound & set(came_through)), default=math.inf)
        assert came_through[advice.best_rate] <= lowest


@given(studies())
@many
def test_a_verdict_says_of_its_lane_only_what_the_frames_say(study):
    read = Read(study)
    longest = max((one["steps"] for one in read.lanes.values() if one["longest"]), default=0)
    for verdict in read.verdicts:
        lane = read.lanes[verdict.lane]
        if lane["steps"] < longest and lane["stopped_step"] is None:
            assert verdict.kind not in ("good", "too_high", "too_slow", "not_started")
        if verdict.kind == "good":
            assert not read.failed(verdict.rate)
        for finding in verdict.findings:
            _check(finding.sentence, finding.values, verdict, read, longest)


def _check(sentence, values, verdict, read, longest):
    """The numbers of one finding beside the frames."""
    assert all(math.isfinite(one) for one in values.values() if isinstance(one, float))
    if sentence in COMPARED:
        assert values["value"] == read.figure(verdict.lane, values["objective"])
        if sentence != "good.best":
            assert values["rate"] != verdict.rate
    if sentence in ("too_high", "too_slow", "good.near", "beside"):
        twin = next(
            one for one in read.lanes.values() if (one["rate"], one["seed"]) == (values["rate"], verdict.seed)
        )
        assert values["best"] == read.figure(twin["lane"], values["objective"])
    if sentence in ("too_high", "too_slow"):
        assert values["share"] > 0
        assert values["value"] > values["best"]
    if sentence in ("failed", "missing.seeds", "missing.error"):
        assert values["rate"] != verdict.rate
    if sentence in ("too_slow.steps", "too_slow.start", "good.steps"):
        assert values["fastest"] != verdict.rate
        assert not read.failed(values["fastest"])
    if sentence in ("too_slow.steps", "good.steps"):
        assert values["times"] >= 1
    if sentence == "cannot_tell.short":
        assert (values["steps"], values["longest"]) == (read.lanes[verdict.lane]["steps"], longest)
        assert values["steps"] < longest
    if sentence == "cannot_tell.seeds":
        assert values["failed"] <= values["seeds"] <= len(read.kinds[verdict.rate])
        others = [kind for kind in read.kinds[verdict.rate] if kind != "good"]
        assert 1 <= values["failed"] < len(others)
    if sentence == "cannot_tell.other_seed":
        assert read.failed(verdict.rate)
    if (
        sentence in ("overfitting", "overfitting.far", "overfitting.start")
        and read.lanes[verdict.lane]["longest"]
    ):
        assert values["best"] == read.figure(verdict.lane, "best validation loss")
        assert values["end"] == read.figure(verdict.lane, "final validation loss")
        assert values["step"] == read.lanes[verdict.lane]["best_val_step"]
    if sentence.startswith("failed") and read.lanes[verdict.lane]["longest"]:
        assert values["end"] == pytest.approx(read.figure(verdict.lane, "smoothed training loss at the end"))


@given(studies())
@many
def test_conclusions_count_what_the_verdicts_count(study):
    read = Read(study)
    claims = {claim.token: claim for one in study.conclusions() for claim in one.claims}
    unstable, useless, slow = (claims[token].numbers for token in ("unstable", "useless", "slow"))
    if unstable:
        top = unstable["highest_good_rate"]
        assert not read.failed(top)
        above = Counter(v.kind for v in read.verdicts if v.rate > top and v.kind != "invalid")
        assert unstable["unsteady"] == sum(above[kind] for kind in (*UNSOUND, "frozen"))
        assert unstable["lanes"] <= above.total()
        first = [
            rate for rate in sorted(read.kinds) if rate > top and set(read.kinds[rate]) & {*UNSOUND, "frozen"}
        ]
        assert unstable["first_rate"] == (first[0] if first else None)
        assert claims["unstable"].verdict != "refuted" or not first
    if useless:
        assert useless["verdicts"] == dict(Counter(read.kinds[useless["rate"]]))
    if slow:
        assert all(rate < slow["reference_rate"] for rate in slow["rates"])
        assert all(times >= 0 for times in slow["times_more_steps"])
        told = claims["slow"].verdict
        assert (told == "confirmed") == (min(slow["times_more_steps"]) > 1.05)
        assert (told == "refuted") == (max(slow["times_more_steps"]) <= 1.05)
    medium = claims["medium"].numbers
    if medium:
        advice = read.advice
        assert set(medium["good_rates"]) <= set(advice.near_optimal)
        assert medium["tested_rates"] == len(read.kinds)
        named = ("first_failing", "worse_from", "margin")
        assert [medium[name] for name in named] == [getattr(advice, name) for name in named]
        if advice.rate is not None:
            assert (medium["low"], medium["high"]) == (advice.low, advice.high)


@given(studies())
@many
def test_a_figure_is_the_same_number_wherever_it_is_shown(study):
    read = Read(study)
    valley = VALLEY.frame(study)
    advice = read.advice
    for row in valley.iter_rows(named=True):
        lane = read.lanes[row["lane"]]
        if row["loss"] is not None:
            name = next(name for name in TOKENS if row["axis"].startswith(name))
            assert lane["longest"]
            assert row["loss"] == lane[TOKENS[name]]
        for name in ("low", "high", "worse_from", "first_failing"):
            assert row[name] == getattr(advice, name)
    content = document(study)
    assert content["recommendation"]["worse_from"] == advice.worse_from
    loss = study.scalars("loss")
    for row in content["lanes"]:
        lane = read.lanes[row["lane"]]
        for name in ("final_train_loss", "final_val_loss", "best_val_loss", "best_val_step"):
            assert row[name] == lane[name]
        if lane["longest"]:
            last = loss.filter(pl.col("lane") == row["lane"])["value"].tail(study.plan.steps_per_epoch)
            assert row["final_train_loss"] == pytest.approx(np.mean(last.to_list()))
        elif lane["stopped_step"] is None:
            assert (row["final_train_loss"], row["final_val_loss"], row["best_val_loss"]) == (
                None,
                None,
                None,
            )
