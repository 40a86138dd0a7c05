"""Templates: text from outside is never HTML."""

from markupsafe import Markup

from lrscope.outlets.web_page import render


def rendered(name: str) -> str:
    return str(render("notebook.html", style="", parts={}, sentence=name, frame=Markup("<hr>")))


def test_text_is_escaped_and_html_is_not_escaped_twice() -> None:
    page = rendered('<x> & "y"')
    assert '<p class="sentence">&lt;x&gt; &amp; &#34;y&#34;</p>' in page
    assert "<hr>" in page


def test_control_characters_are_spelled_out() -> None:
    assert "a\\x1b[31m\\u202eb" in rendered("a\x1b[31m\u202eb")
