"""Markup: text from outside is never HTML."""

from lrscope.outlets.markup import Html, element, join


def test_text_is_escaped_and_html_is_not_escaped_twice() -> None:
    inner = element("b", "<x> & y")
    assert inner == "<b>&lt;x&gt; &amp; y</b>"
    assert element("p", "a < ", inner) == "<p>a &lt; <b>&lt;x&gt; &amp; y</b></p>"
    assert isinstance(inner, Html)
    assert join("a", None, inner, "") == "a<b>&lt;x&gt; &amp; y</b>"


def test_attributes_are_escaped_named_as_in_html_and_left_out() -> None:
    made = element("td", "1", class_='"><script>', aria_label="a", id=None)
    assert made == '<td class="&quot;&gt;&lt;script&gt;" aria-label="a">1</td>'
    assert element("br") == "<br>"


def test_control_characters_are_spelled_out() -> None:
    assert element("p", "a\x1b[31m\u202eb") == "<p>a\\x1b[31m\\u202eb</p>"
