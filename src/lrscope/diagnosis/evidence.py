"""Evidence: the sentences in which verdicts give their numbers, and how a number is written in them."""

import math
from typing import NamedTuple

from lrscope.diagnosis.verdict import Text
from lrscope.rates import format_rate


class Finding(NamedTuple):
    """Why a rule matched: the sentence, what stands in its gaps, and the step it happened at.

    Attributes:
        sentence: a key of `SENTENCES`.
        values: what stands in the sentence's gaps, already written for people.
        step: of the event, None where there is no one step.
    """

    sentence: str
    values: dict[str, str]
    step: int | None = None

    def text(self, language: str = "en") -> str:
        """The sentence, without a full stop, so that another part can follow."""
        return str(getattr(SENTENCES[self.sentence], language)).format(**self.values)


SENTENCES: dict[str, Text] = {
    "invalid.empty": Text("no step has been recorded"),
    "invalid.short": Text("{steps} steps are too few to judge; {least} are needed"),
    "invalid.start": Text(
        "its first loss is {loss} where its seed's other lanes begin at {start}: they do not start alike"
    ),
    "invalid.not_finite": Text("the loss is not finite before the first update: the rate has no part in it"),
    "frozen": Text(
        "late in the run {share} of the weights came out of an update bitwise unchanged ({dtype}), from "
        "step {step} on: the update is lost in rounding; the loss went from {start} to {end}"
    ),
    "frozen.needed": Text(
        "late in the run {share} of the weights came out of an update bitwise unchanged ({dtype}), from "
        "step {step} on: updates of {ratio} of the weights are lost where numbers are {eps} apart; it takes "
        "a rate of about {needed} to move them; the loss went from {start} to {end}"
    ),
    "rounded": Text(
        "late in the run {share} of the weights came out of an update bitwise unchanged ({dtype}): part of "
        "every step is lost in rounding"
    ),
    "frozen.nudge": Text(
        "frozen by rounding, not converged: weight + {nudge} rounds to the weight for {share} of the weights "
        "({dtype}), so every derivative reads 0 and nothing moves from step {step} on, at a loss of {end} "
        "({start} at the start)"
    ),
    "diverged.loss": Text("the loss was not finite at step {step} of {steps}"),
    "diverged.validation": Text("the validation loss was not finite at step {step} of {steps}"),
    "diverged.lost": Text("{tensor} held values that are not finite at step {step}"),
    "diverged.rise": Text(
        "the loss rose from {start} to {end}, {times} times its start, and passed {limit} times at step "
        "{step}"
    ),
    "diverged.scale": Text(
        "the loss rose from {start} to {end}, by {times} times the scale of its changes ({scale}); it "
        "passed {limit} times at step {step}"
    ),
    "diverged.weights": Text(
        "{tensor} grew to {times} times its first size while the loss rose from {start} to {end}"
    ),
    "diverging": Text(
        "the weights swing with period 2, each swing {growth} times the one before, and the loss has "
        "risen to {end}"
    ),
    "diverging.soon": Text(
        "the weights swing with period 2, each swing {growth} times the one before, and the loss has "
        "risen to {end}; at this pace it is {limit} times its start within {steps} more steps"
    ),
    "collapsed": Text(
        "the loss ended at {end}, that of a constant answer ({constant}), where the best lane reached {best}"
    ),
    "collapsed.displacement": Text("the weights moved {times} times the norm they had"),
    "collapsed.spread": Text("{tensor} ended at {times} times its first size"),
    "collapsed.gradient": Text("the gradient ended at {share} of its first norm"),
    "not_started": Text(
        "the loss went from {start} to {end} and the weights moved by {share} of their norm; a rate about"
        " {times} times higher would move them"
    ),
    "failed": Text(
        "the loss ended at {end} after {start} at the start: nothing was learned; the best lane ({rate}) "
        "reached {best}"
    ),
    "failed.all": Text(
        "the loss ended at {end} after {start} at the start: nothing was learned, at no rate of this study"
    ),
    "unstable.rise": Text(
        "the smoothed loss rose {times} times, from {low} at step {low_step} to {high} at step {high_step}"
    ),
    "unstable.end": Text(
        "the smoothed loss ended at {high}, {times} times its lowest, {low} at step {low_step}"
    ),
    "unstable.seeds": Text("{failed} of {seeds} seeds did not come through at this rate"),
    "good.best": Text("the best rate: {objective} {value}"),
    "good.near": Text(
        "{objective} {value}, the best rate's being {best} ({rate}): {share} of what it learned is missing"
    ),
    "good.error": Text(
        "{objective} {value}, the best rate's being {best} ({rate}): {share} ± {error} of what it learned"
        " is missing"
    ),
    "good.steps": Text(
        "it took {times} times as many steps as the fastest lane ({fastest}) to a training loss of "
        "{target}: {own} and {steps}"
    ),
    "good.alone": Text(
        "the only rate, and its {objective} fell to {value}, {share} of its start: no rate can gain more "
        "than that"
    ),
    "too_high": Text(
        "{objective} {value} where the best rate ({rate}) has {best}: {share} of what that learned is missing"
    ),
    "too_high.noise": Text(
        "the loss is level at {end}, and a fifth of the rate lowered it by {share} at once, to {loss}: what "
        "holds it up is the noise of its own steps"
    ),
    "too_high.level": Text(
        "the loss is level at {end}, and a fifth of the rate did not lower it at once ({loss}): it is not "
        "the noise of its steps that holds it up"
    ),
    "too_slow": Text(
        "{objective} {value} where the best rate ({rate}) has {best}: {share} of what that learned is missing"
    ),
    "too_slow.steps": Text(
        "the fastest lane ({fastest}) first reached this lane's end loss, {end}, after {reached} of "
        "{steps} steps: about {times} times more steps are needed"
    ),
    "too_slow.start": Text("after {steps} steps the loss, {end}, is not below its start yet"),
    "cannot_tell.between": Text(
        "{objective} {value}: {share} of what the best rate ({rate}) learned is missing, though rates on "
        "both sides are good"
    ),
    "cannot_tell.one_rate": Text(
        "the only rate: there is none to compare it with; {objective} went from {start} to {value}"
    ),
    "cannot_tell.broken": Text(
        "no rate of this study came through on every seed, so there is none to compare with"
    ),
    "cannot_tell.nothing": Text("no rate of this study lowered the {objective} below its start, {start}"),
    "cannot_tell.constant": Text(
        "no rate of this study did better than a constant answer ({constant}); this one ended at {end}"
    ),
    "cannot_tell.noise": Text(
        "{objective} {value}, {share} ± {error} of what the best rate ({rate}) learned missing: the seeds"
        " differ too much to tell"
    ),
    "overfitting": Text(
        "validation was best at step {step} ({best}) and ended {percent} above that, at {end}, while the "
        "training loss fell"
    ),
    "edge": Text(
        "rate times sharpness is {product}{known}: at the edge of stability, where full-batch training hovers"
    ),
    "edge.cosine": Text(
        "asked again after its update, a batch's gradient points back (cosine {value}): at the edge of "
        "stability, where full-batch training hovers"
    ),
    "edge.batch": Text(
        "rate times curvature along a batch's own update is {value} (at 2 the update raises its own batch's "
        "loss): at the edge of stability for batches so small"
    ),
    "edge.preconditioned": Text(
        "rate times preconditioned sharpness is {product} of {limit}{known}: at the edge of stability, where "
        "such an optimizer sits at good rates and at too high ones"
    ),
    "limit": Text("at {ratio} of the limit {limit} that its sharpness {sharpness} sets"),
    "limit.above": Text("{ratio} times the limit {limit} that its sharpness {sharpness} sets"),
    "limit.early": Text(
        "at {ratio} of the limit {limit} that its sharpness at step {step}, {sharpness}, set"
    ),
    "limit.above.early": Text(
        "{ratio} times the limit {limit} that its sharpness at step {step}, {sharpness}, set"
    ),
    "ringing.product": Text("rate times sharpness is {product}: every step overshoots, with period 2"),
    "ringing": Text("{scalar} rings with period 2 from step {first} to {last}"),
}


def loss_text(loss: float) -> str:
    """A loss in four digits: 0.1234, 2.303, 1.2e-7."""
    if loss == 0 or 1e-3 <= abs(loss) < 1e5 or not math.isfinite(loss):
        return f"{loss:.4g}"
    mantissa, _, exponent = f"{loss:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def times_text(factor: float) -> str:
    """A factor in two digits, or as a whole number: 1.2, 8.3, 31, 1,250, 4e7."""
    if factor >= 1e6 or not math.isfinite(factor):
        return format_rate(factor, 2)
    if factor >= 9.95:
        return f"{factor:,.0f}"
    return f"{factor:.1f}" if factor >= 0.95 else f"{factor:.2g}"


def share_text(share: float) -> str:
    """A share in percent: 97%, 0.4%, 1e-5%."""
    percent = 100 * share
    if percent == 0 or abs(percent) >= 9.95:
        return f"{percent:.0f}%"
    if abs(percent) >= 0.01:
        return f"{percent:.2g}%"
    return f"{percent:.0e}".replace("e-0", "e-") + "%"


def rate_text(rate: float) -> str:
    """A rate as people type it."""
    return format_rate(rate)
