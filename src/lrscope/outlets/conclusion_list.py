"""Conclusion list: what a study says of too high, medium and too low a rate, as HTML."""

from lrscope.charts.chart import Readable
from lrscope.diagnosis.conclusions import Conclusion
from lrscope.diagnosis.sayings import Claim
from lrscope.language import BLANK, said
from lrscope.outlets.markup import Html, element, join
from lrscope.outlets.unbroken import unbroken


def conclusion_list(study: Readable) -> Html:
    """Every saying with its verdict; under it every claim, whether it holds here, and the figures."""
    return join(*(_conclusion(one) for one in study.conclusions()))


def _conclusion(one: Conclusion) -> Html:
    heading = element("h3", one.title, element("span", one.verdict_text(), class_="tag"))
    return element("div", heading, element("ul", *map(_claim, one.claims)), class_="conclusion")


def _claim(claim: Claim) -> Html:
    return element(
        "li", element("strong", said(claim.finding())), said(BLANK), unbroken(said(claim.reasons()))
    )
