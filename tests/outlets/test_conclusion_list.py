"""The report's words about too high, medium and too low a rate."""

from lrscope.diagnosis.conclusions import Conclusion
from lrscope.diagnosis.sayings import Claim, phrase
from lrscope.outlets.web_page import render


def test_every_claim_stands_under_its_saying_and_what_comes_from_outside_is_escaped() -> None:
    said = phrase("wide.std", {"tensor": "<b>0.weight", "times": "3", "std": "1", "good": "0.3"})
    claims = tuple(Claim("wide", verdict, (said,), said, {}) for verdict in ("confirmed", "refuted"))
    conclusions = (Conclusion("too_high", claims), Conclusion("medium", claims[:1]))
    page = render("conclusions.html", conclusions=conclusions)
    assert page.count("<h3>") == 2
    assert page.count("<li>") == 3
    assert '<span class="tag">confirmed in part</span>' in page
    assert (
        "<strong>The weights spread far too wide: refuted.</strong> &lt;b&gt;0.weight spreads 3 times" in page
    )
    assert "<b>" not in page
