"""Sayings: what everybody says of learning rates, the claims in it, and the words of a study's answers."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from lrscope.diagnosis.verdict import Text


class Phrase(NamedTuple):
    """A sentence of the catalogue with its gaps filled.

    Attributes:
        sentence: a key of `SENTENCES`.
        values: what stands in the gaps: itself, or a text or phrase that every language has its own of.
    """

    sentence: str
    values: "Mapping[str, Value]"

    def text(self, language: str = "en") -> str:
        """The sentence, without a full stop."""
        values = {name: _written(value, language) for name, value in self.values.items()}
        return in_language(SENTENCES[self.sentence], language).format(**values)


Value: TypeAlias = "str | Text | Phrase"
"""What stands in a gap."""


def _written(value: Value, language: str) -> str:
    return value.text(language) if isinstance(value, Phrase) else in_language(value, language)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


class Claim(NamedTuple):
    """One claim, tested on a study.

    Attributes:
        token: a key of `CLAIMS`.
        verdict: a key of `VERDICTS`, but for "partly".
        phrases: why, in the order in which they are said.
        figure: the one figure or word that says most.
        numbers: the evidence, for programs.
    """

    token: str
    verdict: str
    phrases: tuple[Phrase, ...]
    figure: Phrase
    numbers: Mapping[str, Any]

    def text(self, language: str = "en") -> str:
        """Claim, verdict, and why."""
        return f"{self.finding(language)} {self.reasons(language)}"

    def reasons(self, language: str = "en") -> str:
        """Why: the figures."""
        return " ".join(_sentence(phrase.text(language)) for phrase in self.phrases)

    def finding(self, language: str = "en") -> str:
        """Claim and verdict: 'Training becomes unstable: confirmed.'"""
        verdict = in_language(VERDICTS[self.verdict], language)
        return _sentence(f"{in_language(STATEMENTS[self.token], language)}: {verdict}")

    def headline(self, language: str = "en") -> str:
        """Claim, verdict, and one figure: 'unstable? confirmed (2 of 5 lanes)'."""
        return f"{in_language(CLAIMS[self.token], language)} {self.answer(language)}"

    def answer(self, language: str = "en") -> str:
        """Verdict, and one figure."""
        return f"{in_language(VERDICTS[self.verdict], language)} ({self.figure.text(language)})"


Wording: TypeAlias = Callable[[str], str]
"""Something said in a language."""


def in_language(text: str | Text, language: str) -> str:
    """A text in a language; what is the same in all of them as it is."""
    return text if isinstance(text, str) else str(getattr(text, language))


def in_all_languages(said: Wording) -> Text:
    """The text that something has in every language of the catalogue."""
    return Text(*(said(language) for language in Text._fields))


TITLES: dict[str, Text] = {
    "too_high": Text(
        "Too high a rate is unstable, spreads the weights far too wide and gives nothing usable"
    ),
    "medium": Text("A medium rate is right, but which one that is takes experiments to find"),
    "too_low": Text("Too low a rate needs more steps, and may overfit"),
}

NAMES: dict[str, Text] = {"too_high": Text("too high"), "medium": Text("medium"), "too_low": Text("too low")}

VERDICTS: dict[str, Text] = {
    "confirmed": Text("confirmed"),
    "refuted": Text("refuted"),
    "cannot_tell": Text("cannot tell"),
    "partly": Text("confirmed in part"),
}

STATEMENTS: dict[str, Text] = {
    "unstable": Text("training becomes unstable"),
    "wide": Text("the weights spread far too wide"),
    "useless": Text("nothing usable comes out"),
    "medium": Text("which rate is right has to be found"),
    "slow": Text("it needs more steps"),
    "overfits": Text("it overfits"),
}
"""Every claim, in full."""

CLAIMS: dict[str, Text] = {
    "unstable": Text("unstable?"),
    "wide": Text("wide weights?"),
    "useless": Text("nothing usable?"),
    "medium": Text("a range of its own?"),
    "slow": Text("more steps?"),
    "overfits": Text("overfitting?"),
}

SENTENCES: dict[str, Text] = {
    # what may be missing
    "no_reference": Text("no rate of this study is good enough to compare others with"),
    "no_reference.short": Text("no good rate to compare with"),
    "no_higher": Text("no rate above the good ones was tested: try --rates {next}"),
    "no_higher.short": Text("no higher rate tested"),
    "no_lower": Text("no rate below {reference} was tested: try --rates {next}"),
    "no_lower.short": Text("no lower rate tested"),
    # too high: unstable
    "unstable": Text(
        "{broken} of {lanes} lanes above {top} did not train steadily, the first at {first}: {kinds}"
    ),
    "unstable.inside": Text(
        "{broken} of {lanes} lanes above {top} did not train steadily ({kinds} at {rates}), yet at {highest}"
        " all did"
    ),
    "steady": Text("up to {highest}, {times} times the highest good rate, every lane trained steadily"),
    "steady.near": Text(
        "every lane trained steadily, but the highest rate, {highest}, is only {times} times the highest good"
        " one: try --rates {next}"
    ),
    "lanes.short": Text("{broken} of {lanes} lanes"),
    "highest.short": Text("up to {times} times a good rate"),
    # too high: wide
    "wide": Text(
        "at {rate} the largest weight has size {largest}, at {reference} it has {good}: {times} times as much"
    ),
    "wide.std": Text("{tensor} spreads {times} times as wide (standard deviation {std} and {good})"),
    "wide.unknown": Text("the range of the weights was not recorded"),
    "wide.short": Text("{times} times at {rate}"),
    # too high: useless
    "useless.failed": Text("at {highest} nothing was learned: {kinds}"),
    "useless.nothing": Text("at {highest} the {objective} did not come below its start"),
    "useless.missing": Text("at {highest} {share} of what the best rate learned is missing"),
    "useless.usable": Text(
        "at {highest} {share} of what the best rate learned is missing: worse, but usable"
    ),
    "useless.near": Text(
        "at {highest} {share} of what the best rate learned is missing, but that is only {times} times the"
        " highest good rate: try --rates {next}"
    ),
    "useless.measure": Text("its {measure} is {value} where {reference} has {good}"),
    "kinds.short": Text("{kinds} at {highest}"),
    "nothing.short": Text("nothing learned at {highest}"),
    "missing.short": Text("{share} missing at {highest}"),
    # medium
    "medium": Text(
        "{count} of {tested} tested rates did best and came through on every seed, {low} to {high}, a factor"
        " of {width}"
    ),
    "medium.one": Text("1 of {tested} tested rates did best, {low}, and came through on every seed"),
    "medium.margin": Text("the first rate that fails, {failing}, is {margin} times the recommended {rate}"),
    "medium.no_cliff": Text("no higher rate fails, {highest} is the highest tested"),
    "medium.all": Text("all rates from {low} to {high}, a factor of {width}, did equally well"),
    "medium.no_lower": Text("down to the lowest tested, {lowest}, rates do as well: try --rates {next}"),
    "medium.no_higher": Text("up to the highest tested, {highest}, rates do as well: try --rates {next}"),
    "medium.none": Text("{reason}"),
    "medium.short": Text("{low} to {high}"),
    "medium.one.short": Text("{low}"),
    "medium.none.short": Text("no rate can be recommended"),
    # too low: more steps
    "slow": Text("{rate} took {times} times as many steps as {fastest} to the same training loss"),
    "slow.not": Text("{rate} took no more steps than {fastest} to the same training loss"),
    "slow.start": Text("{rate} was not below its start after {steps} steps"),
    "slow.unknown": Text("the steps of lower rates cannot be compared"),
    "slow.short": Text("{times} times at {rate}"),
    "slow.start.short": Text("{rate} never started"),
    # too low: overfitting
    "overfits": Text("at {rates} the validation loss is higher at equal training loss and early-stopped"),
    "overfits.not": Text("at equal training loss or early-stopped no lower rate is {margin} worse"),
    "overfits.lane": Text(
        "{rate} beside {reference} ({seeds}): validation loss {training} at equal training loss, {best}"
        " early-stopped, {steps} at equal steps"
    ),
    "overfits.lane.regret": Text(
        "{rate} beside {reference} ({seeds}), in shares of what {reference} learned: validation loss"
        " {training} at equal training loss, {best} early-stopped, {steps} at equal steps"
    ),
    "overfits.lane.short": Text(
        "{rate} beside {reference} ({seeds}): validation loss {best} early-stopped, {steps} at equal steps;"
        " as low a training loss is not reachable in {epochs} epochs"
    ),
    "overfits.lane.short.regret": Text(
        "{rate} beside {reference} ({seeds}), in shares of what {reference} learned: validation loss {best}"
        " early-stopped, {steps} at equal steps; as low a training loss is not reachable in {epochs} epochs"
    ),
    "overfits.seeds": Text("{seeds} paired seeds, 95% intervals"),
    "overfits.seeds.one": Text("one seed"),
    "overfits.less_trained": Text("a lower loss at equal steps only means less training ({rates})"),
    "overfits.under_trained": Text("a higher loss at equal steps only means less learned ({rates})"),
    "overfits.still_falling": Text("still falling at the end, and so not at its best yet: {rates}"),
    "overfits.one_seed": Text("one seed leaves the error unknown: add --seeds {more}"),
    "overfits.noise": Text(
        "the seeds differ too much to tell a harm of {margin} from none: add --seeds {more}"
    ),
    "overfits.steps": Text("no lower rate came deep enough to overfit: add --epochs {needed}"),
    "overfits.nearer": Text("no lower rate came deep enough to overfit: try --rates {next}"),
    "overfits.no_validation": Text("nothing tells without a validation loss at the end of every epoch"),
    "overfits.short": Text("{change} at equal training loss, {rate}"),
    "overfits.not.short": Text("no lower rate {margin} worse"),
    "overfits.one_seed.short": Text("one seed: add --seeds {more}"),
    "overfits.noise.short": Text("seeds differ: add --seeds {more}"),
    "overfits.steps.short": Text("too few steps"),
    "overfits.no_validation.short": Text("no validation loss"),
}
