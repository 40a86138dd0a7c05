"""Page: what a report says in words and tables, as HTML. Every text from outside is escaped here."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from lrscope.charts.chart import Advice, Readable
from lrscope.charts.looks import look, looks_of
from lrscope.charts.names import rate_labels, shape_label
from lrscope.diagnosis.evidence import times_text
from lrscope.diagnosis.verdict import ATTRIBUTES, KINDS
from lrscope.outlets.document import document
from lrscope.outlets.numerals import count_text, duration_text, number_text
from lrscope.outlets.pictures import Picture
from lrscope.outlets.printable import printable
from lrscope.plan import Plan
from lrscope.rates import format_rate

CONTENTS = (
    ("answer", "Answer"),
    ("lanes", "Lanes"),
    ("losses", "Losses"),
    ("weights", "Weights"),
    ("method", "Method"),
)
"""The sections: anchor and word."""

_LONG = 40
"""More lanes than this scroll in a window of their own."""

_LOSSES = ("loss", "validation")


def title(study: Readable) -> str:
    """The title of the page."""
    return f"{printable(study.plan.problem)}: learning rates compared"


def body(study: Readable, pictures: Sequence[Picture]) -> str:
    """All sections."""
    by_name = {picture.name: picture for picture in pictures}
    losses = [by_name[name] for name in _LOSSES]
    rest = [picture for picture in pictures if picture.name not in ("valley", *_LOSSES)]
    parts = [
        f"<h1>{_text(study.plan.problem)}</h1>",
        f'<p class="setting">{_text(_setting(study.plan))}</p>',
        _state(study),
        _section("answer", "", [_answer(study.recommendation()), _figure(by_name["valley"])]),
        _section("lanes", "What became of each rate", [_lanes(study)]),
        _section("losses", "Losses", [_figure(picture) for picture in losses]),
        _section("weights", "What the rate does to the weights", [_figure(picture) for picture in rest]),
        _section("method", "Method", [_method(study)]),
    ]
    return "\n".join(part for part in parts if part)


def footer(study: Readable) -> str:
    """Who made the page, and what it holds."""
    version = study.about.get("versions", {}).get("lrscope", "")
    return (
        f"Made by lrscope {_text(str(version))}. This page is one file and asks the network for nothing. "
        "Charts: Vega and Vega-Lite (BSD 3-Clause)."
    )


def _text(text: str) -> str:
    return html.escape(printable(text))


def _section(anchor: str, heading: str, parts: Iterable[str]) -> str:
    head = f'<h2 id="{anchor}-heading">{heading}</h2>' if heading else '<h2 id="answer-heading" class="hidden">Answer</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-heading">{head}{"".join(parts)}</section>'


def _figure(picture: Picture) -> str:
    note = f'<p class="note">{_text(picture.note)}</p>' if picture.note else ""
    return (
        f'<figure id="chart-{picture.name}"><h3>{_text(picture.title)}</h3>'
        f'<p class="question">{_text(picture.question)}</p>{note}'
        f'<div class="plot" data-picture="{picture.name}" tabindex="0" role="group" '
        f'aria-label="{_text(picture.title)}"><noscript>This chart is drawn by a script.</noscript></div></figure>'
    )


def _setting(plan: Plan) -> str:
    """What was trained, in a line."""
    full = not plan.batch_size or plan.batch_size == plan.train_size
    parts = [
        plan.optimizer + "".join(f", {name}={value}" for name, value in plan.optimizer_options.items()),
        plan.schedule or "",
        count_text(plan.epochs, "epoch") + f" of {count_text(plan.steps_per_epoch, 'step')}",
        "full batch" if full else f"batch {plan.batch_size}",
        count_text(len(plan.rates), "rate"),
        count_text(len(plan.seeds), "seed"),
    ]
    return " · ".join(part for part in parts if part)


def _state(study: Readable) -> str:
    """A word of warning while the study is not finished."""
    if study.state == "finished":
        return ""
    done = max(study.lanes["steps"].to_list(), default=0)
    come = f"at step {done:,} of {study.plan.steps:,}"
    meaning = {
        "running": f"This study is still running, {come}: all that follows is as of now and will change.",
        "interrupted": f"This study was interrupted {come}: what follows is what was recorded by then.",
        "failed": f"This study failed {come}: what follows is what was recorded by then.",
    }
    words = meaning.get(study.state, f"This study is {study.state}, {come}: it may have been cut off.")
    return f'<p class="state" role="status">{_text(words)}</p>'


def _answer(advice: Advice) -> str:
    """The recommendation: the rate in large, the figures around it, the sentence."""
    facts: list[tuple[str, str]] = []
    if advice.rate is not None:
        head = f'<p class="rate"><strong>{_text(format_rate(advice.rate))}</strong><span>recommended learning rate</span></p>'
        if advice.low is not None and advice.high is not None and advice.low < advice.high:
            facts.append(("as good", f"{format_rate(advice.low)} – {format_rate(advice.high)}"))
    else:
        head = '<p class="rate unknown"><strong>Cannot tell</strong><span>a learning rate from this study</span></p>'
    if advice.first_failing is not None:
        facts.append(("first to fail", format_rate(advice.first_failing)))
    elif advice.rate is not None:
        facts.append(("first to fail", "none tested"))
    if advice.margin is not None:
        facts.append(("safety margin", f"×{times_text(advice.margin)}"))
    if advice.rate is not None:
        facts.append(("confidence", advice.confidence))
    listed = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts)
    ahead = f'<p class="next">Next: {_text(advice.next_experiment)}</p>' if advice.next_experiment and advice.rate else ""
    return (
        f'<div class="verdict-of-all">{head}<dl class="facts">{listed}</dl></div>'
        f'<p class="sentence">{_text(advice.sentence())}</p>{ahead}'
    )


def _lanes(study: Readable) -> str:
    """The table of lanes: verdict, losses, metrics and why; and what the verdicts in it mean."""
    content = document(study)
    rows = sorted(content["lanes"], key=lambda row: (row["rate"], row["seed"]))
    advised = content["recommendation"]["rate"]
    nearest = min((row["rate"] for row in rows), key=lambda rate: abs(math.log(rate / advised))) if advised else None
    labels = rate_labels(study.plan.rates)
    several = len(study.plan.seeds) > 1
    validated = any(row["best_val_loss"] is not None for row in rows)
    metrics = study.plan.metrics
    head = ["<th scope=col>rate</th>"]
    head += ['<th scope=col class="number">seed</th>'] if several else []
    head += ["<th scope=col>verdict</th>", '<th scope=col class="number">final training loss</th>']
    if validated:
        head += ['<th scope=col class="number">final val. loss</th>', '<th scope=col class="number">best val. loss</th>']
    head += [f'<th scope=col class="number">{_text(name)}</th>' for name in metrics]
    head.append('<th scope=col class="why">why</th>')
    table = []
    for row in rows:
        chosen = row["rate"] == nearest
        tag = ' <span class="tag">recommended</span>' if row["rate"] == advised else ""
        cells = [f"<th scope=row>{_text(labels[row['rate']])}{tag}</th>"]
        cells += [_number(str(row["seed"]))] if several else []
        cells += [_verdict(row), _number(number_text(row["final_train_loss"]))]
        if validated:
            cells += [_number(number_text(row["final_val_loss"])), _number(number_text(row["best_val_loss"]))]
        cells += [_number(number_text(row["metrics"].get(name))) for name in metrics]
        cells.append(_why(row["evidence"]))
        table.append(f"<tr{' class=chosen' if chosen else ''}>{''.join(cells)}</tr>")
    return (
        f'<div class="lanes{" long" if len(rows) > _LONG else ""}" tabindex="0" role="region" aria-label="Table of lanes"><table>'
        '<caption class="hidden">Every lane: its verdict, its losses, and why</caption>'
        f"<thead><tr>{''.join(head)}</tr></thead><tbody>{''.join(table)}</tbody></table></div>"
        + _kinds(rows)
    )


def _number(text: str) -> str:
    return f'<td class="number">{_text(text)}</td>'


def _verdict(row: dict[str, Any]) -> str:
    one = look(row["verdict"])
    words = {entry.token: f"{entry.sign} {entry.word.en}" for entry in ATTRIBUTES}
    attributes = "".join(f'<span class="attribute">{_text(words.get(a, a))}</span>' for a in row["attributes"])
    sign = f'<span class="sign" aria-hidden="true">{_text(one.sign)}</span>'
    return f'<td class="verdict"><span class="family-{one.family}">{sign}{_text(one.word)}</span>{attributes}</td>'


def _why(evidence: str) -> str:
    """The clause that is about the verdict; the others on demand, and in print."""
    first, _, rest = evidence.partition("; ")
    more = f"<details><summary>more</summary>{_text(rest)}</details>" if rest else ""
    return f'<td class="why">{_text(first)}{more}</td>'


def _kinds(rows: Sequence[dict[str, Any]]) -> str:
    """What the verdicts and attributes of the table mean."""
    meaning = {entry.word.en: entry for entry in KINDS}
    present = [(one, meaning[one.word]) for one in looks_of(row["verdict"] for row in rows) if one.word in meaning]
    attributes = {attribute for row in rows for attribute in row["attributes"]}
    items = [
        f'<div><dt class="family-{one.family}">{_text(one.sign)} {_text(one.word)}</dt><dd>{_text(entry.sentence.en)}</dd></div>'
        for one, entry in present
    ]
    items += [
        f"<div><dt>{_text(entry.sign)} {_text(entry.word.en)}</dt><dd>{_text(entry.sentence.en)}</dd></div>"
        for entry in ATTRIBUTES
        if entry.token in attributes
    ]
    return f'<dl class="kinds">{"".join(items)}</dl>'


def _method(study: Readable) -> str:
    """How the study was made: enough to make it again."""
    plan, about = study.plan, study.about
    notes = study.note("notes") or []
    seconds, command = study.note("seconds"), study.note("command")
    examples = [f"{plan.train_size:,} to train" if plan.train_size else "", f"{plan.val_size:,} to validate" if plan.val_size else ""]
    size = sum(math.prod(shape) for shape in plan.shapes)
    tensors = ", ".join(f"{name} {shape_label(shape)}" for name, shape in list(zip(plan.tensors, plan.shapes, strict=True))[:12])
    more = f", and {len(plan.tensors) - 12} more" if len(plan.tensors) > 12 else ""
    versions = about.get("versions", {})
    rows = [
        ("question", "The same model, from the same start, on the same batches in the same order; only the rate differs."),
        ("rates", ", ".join(rate_labels(plan.rates).values())),
        ("seeds", ", ".join(map(str, plan.seeds))),
        ("training", _setting(plan)),
        ("gradient clipping", f"to a 2-norm of {plan.clip_norm:g}" if plan.clip_norm is not None else ""),
        ("loss", plan.loss),
        ("examples", ", ".join(part for part in examples if part)),
        ("parameters", f"{size:,} in {count_text(len(plan.tensors), 'tensor')}: {tensors}{more}" if plan.tensors else ""),
        ("precision, device", f"{plan.dtype}, {plan.device}"),
        ("how lanes were trained", str(study.note("how") or "")),
        ("time", duration_text(float(seconds)) if isinstance(seconds, int | float) else ""),
        ("notes", "; ".join(str(note) for note in notes)),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("machine", ", ".join(f"{name}: {value}" for name, value in about.items() if name != "versions")),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in rows if value)
    if isinstance(command, str):
        listed += f"<dt>command</dt><dd><code>{_text(command)}</code></dd>"
    return f'<dl class="method">{listed}</dl>'
