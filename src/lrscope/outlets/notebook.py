"""Notebook: charts and studies show themselves in a cell without a network, and as a picture without scripts.

A chart stays the Altair chart that it is: it can be layered, changed, saved. Only how it shows itself, and
how it is saved, is its own: Altair's way would fetch Vega from a server.
"""

import base64
from pathlib import Path
from typing import Any, TypeAlias

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

from lrscope.charts import LIGHT
from lrscope.charts.chart import Advice, Chart, Readable
from lrscope.charts.snapshot import Snapshot
from lrscope.charts.theme import Theme
from lrscope.charts.valley import VALLEY
from lrscope.language import say, speaking
from lrscope.outlets.absent import refuse_empty
from lrscope.outlets.conclusion_list import conclusion_list
from lrscope.outlets.figure import Figure, drawn, for_print
from lrscope.outlets.figure_file import FIGURE_FORMATS, figure_bytes
from lrscope.outlets.lane_table import lane_table
from lrscope.outlets.markup import element, join
from lrscope.outlets.page import setting
from lrscope.outlets.standalone import frame
from lrscope.outlets.wording import state_word

Bundle: TypeAlias = dict[str, Any]

_STYLE = """.lrscope { font: 13px/1.45 system-ui, sans-serif; max-width: 960px; }
.lrscope table { border-collapse: collapse; margin: 8px 0; }
.lrscope th, .lrscope td { text-align: left; vertical-align: top; padding: 2px 12px 2px 0; border: 0; }
.lrscope td.number { text-align: right; font-variant-numeric: tabular-nums; }
.lrscope .sentence { font-size: 15px; font-weight: 600; }
.lrscope .attribute { display: block; opacity: 0.7; }
.lrscope .hidden { display: none; }
.lrscope .long { max-height: 480px; overflow: auto; }"""


class _Offline:
    """What a chart does in its own way: showing itself in a notebook, and saving itself."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        return shown_chart(self.to_dict(validate=False))  # type: ignore[attr-defined]

    def save(self, fp: Any, format: str | None = None, **options: Any) -> None:
        """Save the chart as pdf, svg, png, html or json.

        Args:
            fp: a path, or a file to write to.
            format: where the name does not tell it.
            options: of `altair.Chart.save`; with any of them, Altair saves the chart.
        """
        name = str(fp) if isinstance(fp, str | Path) else ""
        to = (format or Path(name).suffix.lstrip(".")).lower()
        if options or to not in FIGURE_FORMATS:
            super().save(fp, format=format, **options)  # type: ignore[misc]
            return
        content = figure_bytes(drawn(for_print(self.to_dict(validate=False))), to)  # type: ignore[attr-defined]
        if name:
            Path(name).write_bytes(content)
            return
        try:
            fp.write(content)
        except TypeError:  # a file of text
            fp.write(content.decode())


class _LayerChart(_Offline, alt.LayerChart):  # type: ignore[misc]
    pass


class _ConcatChart(_Offline, alt.ConcatChart):  # type: ignore[misc]
    pass


class _HConcatChart(_Offline, alt.HConcatChart):  # type: ignore[misc]
    pass


class _VConcatChart(_Offline, alt.VConcatChart):  # type: ignore[misc]
    pass


_OFFLINE: dict[type, Any] = {
    one.__mro__[2]: one for one in (_LayerChart, _ConcatChart, _HConcatChart, _VConcatChart)
}


def asked_chart(chart: Chart, study: Readable, theme: Theme = LIGHT, *, lang: str | None = None) -> Any:
    """Return a chart that was asked for by name; see `offline`.

    Raises:
        UsageError: the study lacks the data of this chart, or there is no such language.
    """
    drawing = offline(chart, study, theme, lang=lang)
    with speaking(lang):
        refuse_empty(chart, drawing, study)
    return drawing


def offline(chart: Chart, study: Readable, theme: Theme = LIGHT, *, lang: str | None = None) -> Any:
    """A chart of a study as an Altair chart that shows and saves itself without a network.

    Raises:
        UsageError: there is no such language.
    """
    with (
        speaking(lang),
        debug_mode(False),
    ):  # the tests check the same charts, part by part, which takes most of the time
        drawing = chart.of(study, theme)
    kind = _OFFLINE[type(drawing)]
    own = kind.__new__(kind)
    # All there is of an Altair chart stands in its dictionary; making a new one would check all of it again.
    vars(own).update(vars(drawing))
    return own


def shown_chart(spec: dict[str, Any]) -> Bundle:
    """A specification for a notebook: interactive, as a picture, and as a sentence."""
    made = drawn(for_print(spec))
    return {
        "text/html": frame(made.spec, made.width, made.height),
        "image/png": _png(made.svg),
        "text/plain": str(spec.get("description", "")),
    }


def shown_study(study: Readable, summary: str) -> Bundle:
    """A study for a notebook: the answer, the valley, the lanes, what it says.

    Args:
        study: what is read.
        summary: the study in a line, where only text is shown.
    """
    snapshot = Snapshot(study)
    made = _valley(snapshot)
    sentence = snapshot.recommendation().sentence()
    head = join(
        element(
            "p",
            element("strong", snapshot.plan.problem),
            f" · {setting(snapshot.plan)} · {state_word(snapshot.state)}",
        ),
        element("p", sentence, class_="sentence"),
    )
    details = join(
        element("details", element("summary", say("Every lane", "每条训练线")), lane_table(snapshot)),
        element(
            "details",
            element("summary", say("What this study says", "这份研究的结论")),
            conclusion_list(snapshot),
        ),
    )
    body = element("div", head, class_="lrscope") + frame(made.spec, made.width, made.height)
    return {
        "text/html": f"<style>{_STYLE}</style>{body}{element('div', details, class_='lrscope')}",
        "image/png": _png(made.svg),
        "text/plain": f"{summary}\n{sentence}",
    }


def shown_answer(advice: Advice, study: Readable) -> Bundle:
    """A recommendation for a notebook: its sentence, and the valley it was read off."""
    made = _valley(Snapshot(study, advice))
    sentence = advice.sentence()
    head = element("div", element("p", sentence, class_="sentence"), class_="lrscope")
    return {
        "text/html": f"<style>{_STYLE}</style>{head}{frame(made.spec, made.width, made.height)}",
        "image/png": _png(made.svg),
        "text/plain": sentence,
    }


def _valley(study: Readable) -> Figure:
    return drawn(for_print(offline(VALLEY, study, LIGHT).to_dict(validate=False)))


def _png(svg: str) -> str:
    """Two dots a pixel: sharp on most screens."""
    return base64.b64encode(vl_convert.svg_to_png(svg, scale=2.0)).decode("ascii")
