"""Tested: which rates a study tried, which of them to the full length, and on how many lanes each failed."""

from collections.abc import Sequence
from typing import NamedTuple

from lrscope.diagnosis.curve import Curve
from lrscope.diagnosis.verdict import UNSOUND, Verdict
from lrscope.plan import Plan


class Failure(NamedTuple):
    """A rate at which a lane of any length failed.

    Attributes:
        rate: the rate.
        failed: number of its lanes that are failed, diverged, diverging, collapsed or unstable.
        lanes: number of its lanes that can be judged.
    """

    rate: float
    failed: int
    lanes: int

    @property
    def mostly(self) -> bool:
        """Whether most lanes failed: then the rate fails."""
        return 2 * self.failed > self.lanes


class Tested(NamedTuple):
    """The rates of a study.

    Attributes:
        rates: every rate that has a lane which can be judged, of whatever length; rising.
        whole: those of them with a lane that was trained to the full length; rising.
        failures: the rates at which a lane failed; rising.
        failing_or_frozen: the rates at which most lanes failed or are frozen; rising.
    """

    rates: tuple[float, ...]
    whole: tuple[float, ...]
    failures: tuple[Failure, ...]
    failing_or_frozen: tuple[float, ...] = ()

    @property
    def failing(self) -> tuple[float, ...]:
        """The rates that fail, rising."""
        return tuple(one.rate for one in self.failures if one.mostly)

    @property
    def broken(self) -> tuple[float, ...]:
        """The rates at which any lane failed: none of them came through on every seed. Rising."""
        return tuple(one.rate for one in self.failures)

    def fails_from(self, top: float | None) -> float | None:
        """Return the lowest rate above `top` that fails; of all rates where `top` is None.

        A lane that is frozen at a rate above the good ones was thrown so far out that no step moves it any
        more: that is a failure. Below the good ones its steps are too small.
        """
        if top is None:
            return next(iter(self.failing), None)
        return next((rate for rate in self.failing_or_frozen if rate > top), None)

    def cliff(self, top: float) -> Failure | None:
        """Return the lowest rate above `top` at which any lane failed."""
        return next((one for one in self.failures if one.rate > top), None)


def tested_rates(curves: Sequence[Curve], verdicts: Sequence[Verdict], plan: Plan) -> Tested:
    """Return what became of the rates of a study.

    Args:
        curves: of all lanes.
        verdicts: of `judge`, of the same lanes.
        plan: of the study.
    """
    judged = [verdict for verdict in verdicts if verdict.kind != "invalid"]
    rates = sorted({verdict.rate for verdict in judged})
    lanes = {verdict.lane for verdict in judged}
    whole = {curve.rate for curve in curves if curve.lane in lanes and is_whole(curve, plan)}
    failures, frozen = [], []
    for rate in rates:
        kinds = [verdict.kind for verdict in judged if verdict.rate == rate]
        failed = sum(kind in UNSOUND for kind in kinds)
        if failed:
            failures.append(Failure(rate, failed, len(kinds)))
        if 2 * (failed + kinds.count("frozen")) > len(kinds):
            frozen.append(rate)
    return Tested(tuple(rates), tuple(sorted(whole)), tuple(failures), tuple(frozen))


def is_whole(curve: Curve, plan: Plan) -> bool:
    """Return whether a lane was trained to the full length of the plan."""
    return curve.stopped_step is None and curve.steps >= plan.steps
