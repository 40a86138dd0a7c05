"""Page: what a report says beside its pictures: the answer, the sections, the method, as HTML."""

import math
import re
from collections.abc import Sequence

from lrscope.charts.chart import Advice, Readable
from lrscope.charts.names import rate_labels, shape_label
from lrscope.diagnosis.evidence import times_text
from lrscope.diagnosis.limits import DIVIDING
from lrscope.outlets.conclusion_list import conclusion_list
from lrscope.outlets.lane_table import lane_table
from lrscope.outlets.markup import Content, Html, element, join
from lrscope.outlets.numerals import count_text, duration_text
from lrscope.outlets.pictures import Picture
from lrscope.outlets.printable import printable
from lrscope.plan import Plan
from lrscope.rates import format_rate

SECTIONS = (
    ("answer", "Answer", "The answer"),
    ("conclusions", "Conclusions", "What this study says"),
    ("lanes", "Lanes", "What became of each rate"),
    ("losses", "Losses", "Losses"),
    ("weights", "Weights", "What the rate does to the weights"),
    ("method", "Method", "Method"),
)
"""Anchor, word in the contents, heading."""

_LOSSES = ("loss", "validation", "horizon", "overfitting")
_MOST_TENSORS = 12


def title(study: Readable) -> str:
    """The title of the page, as text."""
    return f"{printable(study.plan.problem)}: learning rates compared"


def contents() -> Html:
    """Links to the sections."""
    return join(*(element("a", word, href=f"#{anchor}") for anchor, word, _ in SECTIONS))


def body(study: Readable, pictures: Sequence[Picture]) -> Html:
    """The page from its heading to the end of its last section."""
    figures = {picture.name: _figure(picture) for picture in pictures}
    valley = figures.pop("valley")
    losses = [figures.pop(name) for name in _LOSSES]
    parts: dict[str, Sequence[Content]] = {
        "answer": [answer(study.recommendation()), valley],
        "conclusions": [conclusion_list(study)],
        "lanes": [lane_table(study)],
        "losses": losses,
        "weights": list(figures.values()),
        "method": [method(study)],
    }
    return join(
        element("h1", study.plan.problem),
        element("p", setting(study.plan), class_="setting"),
        standing(study),
        *(_section(anchor, heading, parts[anchor]) for anchor, _, heading in SECTIONS),
    )


def footer(study: Readable) -> Html:
    """Who made the page, and what it holds."""
    version = study.about.get("versions", {}).get("lrscope", "")
    made = f"Made by lrscope {version}. This page is one file and asks the network for nothing. "
    return join(made, "Charts: Vega and Vega-Lite (BSD 3-Clause).")


def _section(anchor: str, heading: str, parts: Sequence[Content]) -> Html:
    """A section. The answer needs no heading on paper, but has one for those who listen."""
    hidden = "hidden" if anchor == "answer" else None
    head = element("h2", heading, id=f"{anchor}-heading", class_=hidden)
    return element("section", head, *parts, id=anchor, aria_labelledby=f"{anchor}-heading")


def _figure(picture: Picture) -> Html:
    """A chart's words, and the place where it is drawn."""
    plot = element(
        "div",
        element("noscript", picture.about),
        class_="plot",
        data_picture=picture.name,
        tabindex="0",
        role="group",
        aria_label=picture.title,
    )
    return element(
        "figure",
        element("h3", picture.title),
        element("p", picture.question, class_="question"),
        element("p", picture.note, class_="note") if picture.note else None,
        plot,
        id=f"chart-{picture.name}",
    )


def setting(plan: Plan) -> str:
    """What was trained, in a line."""
    full = not plan.batch_size or plan.batch_size == plan.train_size
    options = "".join(f", {name}={value}" for name, value in plan.optimizer_options.items())
    parts = [
        plan.optimizer + options,
        plan.schedule or "",
        f"{count_text(plan.epochs, 'epoch')} of {count_text(plan.steps_per_epoch, 'step')}",
        "full batch" if full else f"batch {plan.batch_size}",
        count_text(len(plan.rates), "rate"),
        count_text(len(plan.seeds), "seed"),
    ]
    return " · ".join(part for part in parts if part)


def standing(study: Readable) -> Html | None:
    """A word of warning while the study is not finished."""
    if study.state == "finished":
        return None
    done = max(study.lanes["steps"].to_list(), default=0)
    come = f"at step {done:,} of {study.plan.steps:,}"
    meaning = {
        "running": f"This study is still running, {come}: all that follows is as of now and will change.",
        "interrupted": f"This study was interrupted {come}: what follows is what was recorded by then.",
        "failed": f"This study failed {come}: what follows is what was recorded by then.",
    }
    words = meaning.get(study.state, f"This study is {study.state}, {come}: it may have been cut off.")
    return element("p", words, class_="state", role="status")


def answer(advice: Advice) -> Html:
    """The recommendation: the rate in large, the figures around it, the sentence."""
    known = advice.rate is not None
    large = format_rate(advice.rate) if advice.rate is not None else "Cannot tell"
    small = "recommended learning rate" if known else "a learning rate from this study"
    facts = []
    if known and advice.low is not None and advice.high is not None and advice.low < advice.high:
        facts.append(("as good", f"{format_rate(advice.low)} – {format_rate(advice.high)}"))
    if advice.first_failing is not None:
        facts.append(("first to fail", format_rate(advice.first_failing)))
    elif known:
        facts.append(("first to fail", "none tested"))
    if advice.margin is not None:
        facts.append(("safety margin", f"×{times_text(advice.margin)}"))
    if known:
        facts.append(("confidence", advice.confidence))
    head = element(
        "p", element("strong", large), element("span", small), class_="rate" if known else "rate unknown"
    )
    listed = (element("div", element("dt", name), element("dd", value)) for name, value in facts)
    # Where it cannot be told, the sentence says itself what to try.
    ahead = f"Next: {advice.next_experiment}" if known and advice.next_experiment else None
    return join(
        element("div", head, element("dl", *listed, class_="facts"), class_="verdict-of-all"),
        element("p", _options(advice.sentence()), class_="sentence"),
        element("p", _options(ahead), class_="next") if ahead else None,
    )


def _options(text: str) -> Html:
    """Text in which every option to type, "--rates 1e-3:0.5:12", is code that no line breaks."""
    parts = re.split(r"(--[a-z-]+(?: [0-9](?:[0-9a-z.,:-]*[0-9])?)?)", text)
    return join(*(element("code", part) if i % 2 else part for i, part in enumerate(parts)))


def method(study: Readable) -> Html:
    """How the study was made: enough to make it again."""
    plan, about = study.plan, study.about
    seconds, command = study.note("seconds"), study.note("command")
    examples = ((plan.train_size, "to train"), (plan.val_size, "to validate"))
    rows: list[tuple[str, Content]] = [
        (
            "question",
            "The same model, the same start, the same batches in the same order; only the rate differs.",
        ),
        ("rates", ", ".join(rate_labels(plan.rates).values())),
        ("seeds", ", ".join(map(str, plan.seeds))),
        ("training", setting(plan)),
        ("gradient clipping", f"to a 2-norm of {plan.clip_norm:g}" if plan.clip_norm is not None else ""),
        ("loss", plan.loss),
        ("examples", ", ".join(f"{size:,} {use}" for size, use in examples if size)),
        ("curvature", _curvature(plan)),
        ("parameters", _parameters(plan)),
        ("precision, device", f"{plan.dtype}, {plan.device}"),
        ("how lanes were trained", str(study.note("how") or "")),
        ("time", duration_text(float(seconds)) if isinstance(seconds, int | float) else ""),
        ("notes", "; ".join(str(note) for note in study.note("notes") or [])),
        ("versions", ", ".join(f"{name} {value}" for name, value in about.get("versions", {}).items())),
        ("machine", ", ".join(f"{name}: {value}" for name, value in about.items() if name != "versions")),
        ("command", element("code", command) if isinstance(command, str) else ""),
    ]
    listed = (join(element("dt", name), element("dd", value)) for name, value in rows if value)
    return element("dl", *listed, class_="method")


def _curvature(plan: Plan) -> str:
    """On what the Hessian was taken, and how its top was found."""
    if plan.curvature_examples is None:
        return ""
    kinds = "of the Hessian of the loss, in eval mode" + (
        ", and of the preconditioned one" if plan.optimizer in DIVIDING else ""
    )
    return f"largest eigenvalue {kinds}, by Lanczos on {plan.curvature_examples:,} examples, 21 times at most"


def _parameters(plan: Plan) -> str:
    """How many, and the first tensors by name and shape."""
    if not plan.tensors:
        return ""
    size = sum(math.prod(shape) for shape in plan.shapes)
    every = [f"{name} {shape_label(shape)}" for name, shape in zip(plan.tensors, plan.shapes, strict=True)]
    more = f", and {len(every) - _MOST_TENSORS} more" if len(every) > _MOST_TENSORS else ""
    return f"{size:,} in {count_text(len(every), 'tensor')}: {', '.join(every[:_MOST_TENSORS])}{more}"
