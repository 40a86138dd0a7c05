"""Standalone: a chart as an HTML page of its own, or as a frame in another page; neither asks the network.

A page has Vega inside as it is; a frame, of which a notebook has one in every cell, has it compressed, a
third of the bytes.
"""

import base64
import functools
import gzip
import html
from typing import Any

from lrscope.language import TAG, said
from lrscope.outlets.assets import bundle
from lrscope.outlets.pictures import script_json

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
body {{ margin: 0; padding: {margin}; background: {background}; color: {text}; font: 12px sans-serif; }}
{style}
</style>
</head>
<body>
<div id="chart" role="img" aria-label="{about}"></div>
<script type="application/json" id="spec">{spec}</script>
{scripts}
</body>
</html>
"""

_STYLE = """.vega-embed { position: relative; display: block; }
.vega-embed .vega-actions { position: absolute; top: 0; right: 0; display: flex; gap: 12px; opacity: 0; }
.vega-embed:hover .vega-actions, .vega-embed .vega-actions:focus-within { opacity: 0.7; }
.vega-embed .vega-actions a { color: inherit; text-decoration: none; }
.vega-embed .vega-bind { display: flex; gap: 8px; align-items: center; margin: 6px 0; }
#vg-tooltip-element { visibility: hidden; position: fixed; z-index: 9; padding: 6px 8px; max-width: 320px;
  color: #1c1c1e; background: #fff; border: 1px solid #ccc; border-radius: 3px; pointer-events: none; }
#vg-tooltip-element.visible { visibility: visible; }
#vg-tooltip-element td { padding: 1px 4px; vertical-align: top; }
#vg-tooltip-element td.key { color: #5f6368; text-align: right; }"""

_DRAW = """const spec = JSON.parse(document.getElementById("spec").textContent);
  const actions = { export: true, source: false, compiled: false, editor: false };
  const options = {
    ast: true, renderer: "canvas", defaultStyle: false, tooltip: { disableDefaultStyle: true }, actions,
  };
  window.vegaEmbed("#chart", spec, options).then(() => {
    document.documentElement.dataset.drawn = "yes";
  });"""

_UNPACK = """<script>(async () => {
  const packed = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const vega = document.createElement("script");
  vega.textContent = await new Response(stream).text();
  document.head.append(vega);
  %s
})();</script>"""


def page(spec: dict[str, Any]) -> str:
    """A specification as a page that needs nothing else."""
    scripts = f"<script>{bundle()}</script>\n<script>(() => {{\n  {_DRAW}\n}})();</script>"
    return _filled(spec, scripts, "16px")


def frame(spec: dict[str, Any], width: float, height: float) -> str:
    """A specification as an <iframe>, shut off from the page around it.

    Args:
        spec: in Vega-Lite.
        width, height: of the chart, in CSS pixels.
    """
    sliders = sum("bind" in one for one in spec.get("params", []))
    document = html.escape(_filled(spec, _UNPACK % (_packed(), _DRAW), "0"))
    # Whatever is wider than the cell scrolls inside of the frame.
    size = f"width:100%;max-width:{round(width + 24)}px;height:{round(height + 34 * sliders + 24)}px"
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(_title(spec))}" '
        f'style="border:0;{size}" srcdoc="{document}"></iframe>'
    )


def _filled(spec: dict[str, Any], scripts: str, margin: str) -> str:
    config = spec.get("config", {})
    return _PAGE.format(
        language=said(TAG),
        title=html.escape(_title(spec)),
        about=html.escape(str(spec.get("description", ""))),
        margin=margin,
        background=config.get("background", "#ffffff"),
        text=config.get("text", {}).get("color", "#1c1c1e"),
        style=_STYLE,
        spec=script_json(spec),
        scripts=scripts,
    )


def _title(spec: dict[str, Any]) -> str:
    title = spec.get("title", {})
    words = title.get("text", "") if isinstance(title, dict) else title
    return " ".join(words) if isinstance(words, list) else str(words)


@functools.cache
def _packed() -> str:
    return base64.b64encode(gzip.compress(bundle().encode("utf-8"), mtime=0)).decode("ascii")
