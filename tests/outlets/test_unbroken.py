"""What is to be typed, and numbers, stay on one line; the rest is text, escaped."""

import pytest

from lrscope.outlets.web_page import nowrap


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "try --rates 1e-3:0.5:12, then more.",
            "try <code>--rates 1e-3:0.5:12</code>, then more.",
        ),
        (
            "try --schedule warmup-cosine or --clip-norm with it",
            "try <code>--schedule warmup-cosine</code> or <code>--clip-norm</code> with it",
        ),
        ("加上 --seeds 6。", "加上 <code>--seeds 6</code>。"),
        ("from 4.64e-3 on", 'from <span class="nowrap">4.64e-3</span> on'),
        ("a < b & --seeds 3", "a &lt; b &amp; <code>--seeds 3</code>"),
        ("", ""),
    ],
)
def test_nowrap(text: str, html: str) -> None:
    assert nowrap(text) == html
