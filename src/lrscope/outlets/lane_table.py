"""Lane table: what became of every lane, as HTML, and what the verdicts in it mean."""

import math
from collections.abc import Sequence
from typing import Any

from lrscope.charts.chart import Readable
from lrscope.charts.looks import look, looks_of
from lrscope.charts.names import rate_labels
from lrscope.charts.terms import SEED, VERDICT, WHY
from lrscope.diagnosis.verdict import ATTRIBUTES, KINDS
from lrscope.language import SEMICOLON, said, say
from lrscope.outlets.json_document import document
from lrscope.outlets.markup import Html, element, join
from lrscope.outlets.text import number_text

_LONG = 40
"""More lanes than this scroll in a window of their own."""


def lane_table(study: Readable) -> Html:
    """A row a lane, by rate and seed: verdict, losses, metrics, why. The recommended rate stands out."""
    content = document(study)
    rows = sorted(content["lanes"], key=lambda row: (row["rate"], row["seed"]))
    advised = content["recommendation"]["rate"]
    labels = rate_labels(study.plan.rates)
    several = len(study.plan.seeds) > 1
    validated = any(row["best_val_loss"] is not None for row in rows)
    losses = {say("final training loss", "最终训练损失"): "final_train_loss"}
    if validated:
        losses |= {
            say("final val. loss", "最终验证损失"): "final_val_loss",
            say("best val. loss", "最好的验证损失"): "best_val_loss",
        }
    head = [
        _head(say("rate", "学习率")),
        _head(said(SEED), "number") if several else None,
        _head(said(VERDICT)),
    ]
    head += [_head(name, "number") for name in (*losses, *study.plan.metrics)]
    head.append(_head(said(WHY), "why"))
    body = []
    for row in rows:
        first = row["seed"] == rows[0]["seed"]
        tag = (
            element("span", say("recommended", "推荐"), class_="tag")
            if first and row["rate"] == advised
            else None
        )
        cells = [
            element("th", labels[row["rate"]], tag, scope="row"),
            _number(str(row["seed"])) if several else None,
            _verdict(row),
            *(_number(number_text(row[column])) for column in losses.values()),
            *(_number(number_text(row["metrics"].get(name))) for name in study.plan.metrics),
            _why(row["evidence"]),
        ]
        chosen = advised is not None and row["rate"] == _nearest(rows, advised)
        body.append(element("tr", *cells, class_="chosen" if chosen else None))
    table = element(
        "table",
        element(
            "caption",
            say("Every lane: its verdict, its losses, and why", "每条训练线：判定、损失、原因"),
            class_="hidden",
        ),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )
    window = "lanes long" if len(rows) > _LONG else "lanes"
    framed = element(
        "div", table, class_=window, tabindex="0", role="region", aria_label=say("Table of lanes", "训练线表")
    )
    return join(framed, _meanings(rows))


def _nearest(rows: Sequence[dict[str, Any]], advised: float) -> float:
    """The tested rate nearest to the recommended one, which may lie between two."""
    return float(min((row["rate"] for row in rows), key=lambda rate: abs(math.log(rate / advised))))


def _head(text: str, class_: str | None = None) -> Html:
    return element("th", text, scope="col", class_=class_)


def _number(text: str) -> Html:
    return element("td", text, class_="number")


def _verdict(row: dict[str, Any]) -> Html:
    """Sign and word in the colour of the verdict, its attributes beneath."""
    one = look(row["verdict"])
    words = {entry.token: f"{entry.sign} {said(entry.word)}" for entry in ATTRIBUTES}
    sign = element("span", one.sign, class_="sign", aria_hidden="true")
    attributes = (element("span", words.get(name, name), class_="attribute") for name in row["attributes"])
    word = element("span", sign, one.word, class_=f"family-{one.family}")
    return element("td", word, *attributes, class_="verdict")


def _why(evidence: str) -> Html:
    """The clause that is about the verdict; the others on demand, and in print."""
    first, _, rest = evidence.partition(said(SEMICOLON))
    more = element("details", element("summary", say("more", "更多")), rest) if rest else None
    return element("td", first, more, class_="why")


def _meanings(rows: Sequence[dict[str, Any]]) -> Html:
    """What the verdicts and attributes of the table mean, from the best to the worst."""
    kinds = {said(entry.word): entry for entry in KINDS}
    present = [one for one in looks_of(row["verdict"] for row in rows) if one.word in kinds]
    attributes = {name for row in rows for name in row["attributes"]}
    verdicts = [
        (one.word, one.sign, f"family-{one.family}", said(kinds[one.word].sentence)) for one in present
    ]
    beside = [
        (said(entry.word), entry.sign, None, said(entry.sentence))
        for entry in ATTRIBUTES
        if entry.token in attributes
    ]
    items = (
        element("div", element("dt", f"{sign} {word}", class_=family), element("dd", meaning))
        for word, sign, family, meaning in (*verdicts, *beside)
    )
    return element("dl", *items, class_="kinds")
