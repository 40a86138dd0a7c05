"""The report: a study as one HTML page that needs nothing else, with the answer, the evidence, the method.

The page runs under a content security policy that lets no request out and no code in but its own two scripts,
known by their hashes. Charts are interpreted, not compiled: Vega's own `ast` mode.
"""

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import vl_convert
from markupsafe import Markup

from lrscope.charts.chart import Readable
from lrscope.charts.looks import look, looks_of
from lrscope.charts.names import rate_labels, shape_label
from lrscope.charts.snapshot import Snapshot
from lrscope.charts.valley import VALLEY
from lrscope.diagnosis.evidence import times_text
from lrscope.diagnosis.figures import FIRST_FAILING, MARGIN, WORSE_FROM
from lrscope.diagnosis.recommendation import CONFIDENCE
from lrscope.diagnosis.verdict import ATTRIBUTES, KINDS
from lrscope.errors import UsageError
from lrscope.language import Text, said
from lrscope.optimizer_facts import facts_named
from lrscope.outlets.figure import save_figure
from lrscope.outlets.json_document import document, lane_rows
from lrscope.outlets.repeat_command import repeat_command
from lrscope.outlets.text import batch_text, count_text, length_text, printable
from lrscope.outlets.web_chart import WebChart, web_charts
from lrscope.outlets.web_page import asset, render, script, script_json, vega_bundle
from lrscope.plan import Plan

SECTIONS: dict[str, tuple[Text, Text]] = {
    "answer": (Text("Answer", "答案"), Text("The answer", "答案")),
    "conclusions": (Text("Conclusions", "结论"), Text("What this study says", "这份研究的结论")),
    "lanes": (Text("Lanes", "训练线"), Text("What became of each rate", "每个学习率的结果")),
    "losses": (Text("Losses", "损失"), Text("Losses", "损失")),
    "weights": (Text("Weights", "权重"), Text("What the rate does to the weights", "学习率对权重做了什么")),
    "method": (Text("Method", "方法"), Text("Method", "方法")),
}
"""By anchor: the word in the contents, and the heading."""

_OF_CHARTS = ("losses", "weights")
"""Sections that hold nothing but charts."""

_LOSS_CHARTS = ("sensitivity", "loss", "validation", "horizon", "overfitting")

_WIDTH = 838
"""Pixels of the plotting area where the page is as wide as it gets; picture.js comes to the same."""

_PADDING = {"left": 2, "right": 6, "top": 4, "bottom": 4}

_DRAWING = re.compile(
    r"width|height|viewBox|d|[xy]2?|d[xy]|transform|opacity|display|text-anchor|fill(-opacity)?|"
    r"stroke(-width|-opacity|-dasharray|-dashoffset|-linecap|-linejoin|-miterlimit)?|"
    r"font-(family|size|weight|style)"
)
"""The SVG attributes that draw. Others repeat what the page says, or are styles, which its policy refuses."""


def report(study: Readable, path: str | os.PathLike[str]) -> None:
    """Write a study, finished or still running, as one page.

    A page that stands there is replaced only when the new one is done.

    Args:
        study: what is read.
        path: of the HTML file.

    Raises:
        UsageError: no file can be written there.
    """
    target = Path(path)
    if target.is_dir():
        raise UsageError(
            f"report {str(target)!r} is a folder; name a file in it: {str(target / 'report.html')!r}"
        )
    if not target.parent.is_dir():
        raise UsageError(
            f"report {str(target)!r}: the folder {str(target.parent)!r} does not exist; make it first"
        )
    save_figure(page(study).encode("utf-8"), target, "report")


def page(study: Readable) -> str:
    """Return the page as text."""
    snapshot = Snapshot(study)
    charts, vega = web_charts(snapshot), vega_bundle()
    style, code = asset("report.css"), script("picture.js", "report.js")
    policy = (
        f"default-src 'none'; script-src {_hash(vega)} {_hash(code)}; style-src {_hash(style)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    specifications = {
        chart.name: {"spec": chart.spec, "dark": chart.dark} for chart in charts if not chart.empty
    }
    content = render(
        "report.html",
        study=snapshot,
        sections=sections(charts),
        policy=policy,
        style=Markup(style),
        body=body(snapshot, charts, Markup() if charts[0].empty else _static_image(charts[0])),
        specifications=Markup(script_json(specifications)),
        bundle=Markup(vega),
        script=Markup(code),
    )
    return str(content)


def body(study: Readable, charts: Sequence[WebChart], image: str = "") -> Markup:
    """Return the page from its heading to the end of its last section.

    Args:
        study: what is read.
        charts: every chart; an empty one is left out.
        image: what stands in place of the first chart until a script draws it.
    """
    return render(
        "body.html",
        parts=parts(study),
        sections=sections(charts),
        charts=[chart for chart in charts if not chart.empty],
        section_of=_section_of,
        image=image,
    )


def sections(charts: Sequence[WebChart]) -> dict[str, tuple[Text, Text]]:
    """Return the part of `SECTIONS` that a page has: without one whose charts are all empty."""
    drawn = {_section_of(chart) for chart in charts if not chart.empty}
    return {
        anchor: words for anchor, words in SECTIONS.items() if anchor not in _OF_CHARTS or anchor in drawn
    }


def _section_of(chart: WebChart) -> str:
    """Return the anchor of the section that shows a chart."""
    if chart.name == VALLEY.name:
        return "answer"
    return "losses" if chart.name in _LOSS_CHARTS else "weights"


def parts(study: Readable) -> dict[str, Markup]:
    """Return what every page on a study is made of: heading, answer, conclusions, lanes, method."""
    plan = study.plan
    rows = lane_rows(document(study))
    tensors = [f"{name} {shape_label(shape)}" for name, shape in zip(plan.tensors, plan.shapes, strict=True)]
    values = {
        "study": study,
        "plan": plan,
        "setting": setting_text(plan),
        "advice": study.recommendation(),
        "conclusions": study.conclusions(),
        "confidence_words": CONFIDENCE,
        "times_text": times_text,
        "figure_names": {figure.token: said(figure.name) for figure in (WORSE_FROM, FIRST_FAILING, MARGIN)},
        "rows": rows,
        "look": look,
        "attributes": {entry.token: f"{entry.sign} {said(entry.word)}" for entry in ATTRIBUTES},
        "meanings": _meanings(rows),
        "rates": rate_labels(plan.rates).values(),
        "tensors": tensors,
        "parameters": sum(math.prod(shape) for shape in plan.shapes),
        "preconditioned": facts_named(plan.optimizer).divisor,
        "repeat": repeat_command(study),
    }
    names = ("heading", "answer", "conclusions", "lanes", "method")
    return {name: render(f"{name}.html", **values) for name in names}


def setting_text(plan: Plan) -> str:
    """Say in a line what was trained."""
    options = "".join(f", {name}={value}" for name, value in plan.optimizer_options.items())
    texts = [
        plan.optimizer + options,
        plan.schedule or "",
        length_text(plan.epochs, plan.steps_per_epoch),
        batch_text(plan.batch_size, plan.train_size),
        count_text(len(plan.rates), "rate"),
        count_text(len(plan.seeds), "seed"),
    ]
    return " · ".join(text for text in texts if text)


def _meanings(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str | None, str]]:
    """Return sign and word, colour and meaning of each verdict in a table, then of each attribute."""
    kinds = {said(entry.word): entry for entry in KINDS}
    present = {name for row in rows for name in row["attributes"]}
    verdicts = [
        (f"{verdict.sign} {verdict.word}", verdict.family, said(kinds[verdict.word].sentence))
        for verdict in looks_of(row["verdict"] for row in rows)
        if verdict.word in kinds
    ]
    attributes = [entry for entry in ATTRIBUTES if entry.token in present]
    return verdicts + [
        (f"{entry.sign} {said(entry.word)}", None, said(entry.sentence)) for entry in attributes
    ]


def _static_image(chart: WebChart) -> Markup:
    """Draw a chart of one plotting area in light, without background, as wide as a wide page has it.

    Vega needs about a second until its first chart stands. Until then, and for a reader without scripts, the
    page shows this image.
    """
    config = {**chart.spec["config"], "background": "transparent", "padding": _PADDING}
    svg = vl_convert.vegalite_to_svg(
        json.dumps({**chart.spec, "config": config, "width": _WIDTH}, allow_nan=False)
    )
    root = ElementTree.fromstring(printable(svg))
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        node.attrib = {name: value for name, value in node.items() if _DRAWING.fullmatch(name)}
    image = ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)
    return Markup('<div class="still" aria-hidden="true">{}</div>').format(Markup(image))


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
