"""Facts: what a comparison of two studies sets side by side."""

import math

from lrscope.charts.chart import Advice, Readable
from lrscope.charts.names import rate_labels
from lrscope.charts.valley import VALLEY
from lrscope.diagnosis.evidence import times_text
from lrscope.diagnosis.recommendation import CONFIDENCE
from lrscope.language import said
from lrscope.outlets.live.words import Words
from lrscope.outlets.numerals import number_text
from lrscope.rates import format_rate


def facts(study: Readable, words: Words) -> dict[str, list[list[str]]]:
    """What came out, and what was asked: pairs of name and value, the same names for every study."""
    return {"results": _results(study, words), "settings": _settings(study, words)}


def _results(study: Readable, words: Words) -> list[list[str]]:
    advice = study.recommendation()
    lowest = VALLEY.frame(study)["loss"].drop_nulls()
    rate = advice.rate
    return [
        [words["recommended"], words["cannot tell"] if rate is None else format_rate(rate)],
        [words["as good"], _interval(advice)],
        [words["fails from"], "" if advice.first_failing is None else format_rate(advice.first_failing)],
        [words["margin"], "" if advice.margin is None else f"×{times_text(advice.margin)}"],
        [words["confidence"], "" if rate is None else said(CONFIDENCE[advice.confidence])],
        [words["compared by"], said(advice.objective)],
        [words["lowest"], number_text(float(lowest.min())) if len(lowest) else ""],  # type: ignore[arg-type]
        [words["state"], words[f"state {study.state}"]],
    ]


def _interval(advice: Advice) -> str:
    if advice.rate is None or advice.low is None or advice.high is None:
        return ""
    return f"{format_rate(advice.low)} – {format_rate(advice.high)}"


def _settings(study: Readable, words: Words) -> list[list[str]]:
    plan = study.plan
    options = "".join(f", {name}={value}" for name, value in plan.optimizer_options.items())
    labels = list(rate_labels(plan.rates).values())
    full = not plan.batch_size or plan.batch_size == plan.train_size
    return [
        [words["problem"], plan.problem],
        [words["optimizer"], plan.optimizer + options],
        [words["schedule"], plan.schedule or words["none"]],
        [words["epochs"], f"{plan.epochs:,}"],
        [words["steps"], f"{plan.steps:,}"],
        [words["batch"], words["full batch"] if full else f"{plan.batch_size:,}"],
        [words["clipping"], words["none"] if plan.clip_norm is None else f"{plan.clip_norm:g}"],
        [words["rates"], labels[0] if len(labels) == 1 else f"{len(labels)}: {labels[0]} – {labels[-1]}"],
        [words["seeds"], f"{len(plan.seeds):,}"],
        [words["parameters"], f"{sum(math.prod(shape) for shape in plan.shapes):,}"],
        [words["gradient"], plan.gradient],
        [words["precision"], f"{plan.dtype}, {plan.device}"],
    ]
