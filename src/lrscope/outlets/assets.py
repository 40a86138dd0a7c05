"""Assets: the styles and scripts of pages, and the bundle of Vega that draws their charts."""

import functools
from importlib import resources

import vl_convert


@functools.cache
def asset(name: str) -> str:
    """The text of a file that comes with the package: "report.css", "live/live.js"."""
    return resources.files("lrscope.outlets").joinpath(*name.split("/")).read_text(encoding="utf-8")


def script(*names: str) -> str:
    """Scripts as one, in a function of its own: what they declare is seen by each other and nobody else."""
    return '(() => {\n"use strict";\n' + "\n".join(map(asset, names)) + "\n})();\n"


@functools.cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, made by vl-convert: a second or two of V8.

    In a function of its own: the bundle names hundreds of its variables with one letter, at the top.
    """
    text = "(()=>{" + vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;") + "})();"
    if "</script" in text.lower() or "<!--" in text:
        text = (
            text.replace("</script", "<\\/script").replace("</SCRIPT", "<\\/SCRIPT").replace("<!--", "<\\!--")
        )
    return text.replace("\r\n", "\n")
