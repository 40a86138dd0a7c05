"""What all HTML pages share: templates, styles and scripts of this package, and Vega, which draws charts.

Jinja2 and vl-convert are imported when the first page is made.
"""

import functools
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lrscope import language
from lrscope.outlets import text
from lrscope.rates import format_rate

if TYPE_CHECKING:
    from jinja2 import Environment

_NOWRAP = re.compile(r"(--[a-z-]+(?: [0-9](?:[0-9a-z.,:-]*[0-9])?| [a-z]+-[a-z]+)?|[0-9.]+e-[0-9]+)")
"""An option with its value, or a number with an exponent."""

_UNSAFE = re.compile("[<>&\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What may end a script element or a line, and halves of characters, which cannot be written."""


def render(name: str, **values: Any) -> Markup:
    """Fill a template of the folder templates/.

    Every value is escaped, and its control characters are spelled out, unless it is `Markup`.
    """
    return Markup(_environment().get_template(name).render(values))


@functools.cache
def _environment() -> "Environment":
    import jinja2

    def finalize(value: Any) -> Any:
        return value if isinstance(value, Markup) else text.printable(str(value))

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrscope.outlets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
    )
    environment.filters["nowrap"] = nowrap
    environment.globals.update(
        say=language.say, said=language.said, language_tag=language.TAG, rate_text=format_rate
    )
    for function in (text.count_text, text.duration_text, text.number_text, text.state_text):
        environment.globals[function.__name__] = function
    return environment


def nowrap(string: str) -> Markup:
    """Return a text as HTML in which no line ends inside an option or a number.

    "--rates 1e-3:0.5:12" or "--schedule warmup-cosine" is code, "1e-3" a span that is not wrapped.
    """
    code, span = Markup("<code>{}</code>"), Markup('<span class="nowrap">{}</span>')
    parts = _NOWRAP.split(text.printable(string))
    parts[1::2] = [(code if part[0] == "-" else span).format(part) for part in parts[1::2]]
    return Markup("").join(parts)


@functools.cache
def asset(name: str) -> str:
    """Return the text of a file of this package: "report.css", "live/live.js"."""
    return resources.files("lrscope.outlets").joinpath(*name.split("/")).read_text(encoding="utf-8")


def script(*names: str) -> str:
    """Return scripts as one, in a function of its own, so that no name of theirs is global."""
    return '(() => {\n"use strict";\n' + "\n".join(map(asset, names)) + "\n})();\n"


def script_json(value: Any) -> str:
    """Return strict JSON that is safe inside a <script> element.

    No character in it can end the element or a line; Chinese stands as it is, in half of the bytes.
    """
    content = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", content)


@functools.cache
def vega_bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, which vl-convert makes in a second or two.

    In a function of its own: the bundle names hundreds of its variables with one letter, at the top.
    """
    import vl_convert

    code = "(()=>{" + vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;") + "})();"
    code = re.sub("</(?=script)", r"<\\/", code, flags=re.IGNORECASE).replace("<!--", "<\\!--")
    return code.replace("\r\n", "\n")
