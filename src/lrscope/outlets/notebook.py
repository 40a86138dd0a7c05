"""Studies, charts and recommendations in a notebook: without a network, and as a picture without scripts.

A chart stays the Altair chart that it is: it can be layered, changed, saved. Only how it shows itself and how
it is saved differs: Altair would fetch Vega from a server. Altair is imported when a chart is made.
"""

import base64
import contextlib
import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lrscope.diagnosis.recommendation import Recommendation
from lrscope.errors import StudyError
from lrscope.language import speaking

if TYPE_CHECKING:
    from lrscope.charts.chart import Advice, Chart, Readable
    from lrscope.charts.theme import Theme
    from lrscope.outlets.figure import Figure


class Answer(Recommendation):
    """A recommendation that shows itself in a notebook with the final-loss chart it was read from.

    The study is no field of it: what is printed, compared and written is the recommendation alone, and a copy
    or a pickle is a plain one. A recommendation changed by `dataclasses.replace` has no study any more.
    """

    _read: "Callable[[], Readable] | None" = None

    @classmethod
    def of(cls, advice: Recommendation, read: "Callable[[], Readable]") -> Self:
        """Return the same recommendation.

        Args:
            advice: the plain one.
            read: returns its study, also after the caller has closed it.
        """
        answer = cls(*_values(advice))
        object.__setattr__(answer, "_read", read)
        return answer

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return the sentence and the chart; the sentence alone where the study is gone."""
        with contextlib.suppress(StudyError):
            if self._read is not None:
                return _shown_answer(self, self._read())
        return super()._repr_mimebundle_(include, exclude)

    def __repr__(self) -> str:
        return repr(Recommendation(*_values(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Recommendation, _values(self)


def _values(advice: Recommendation) -> tuple[Any, ...]:
    return tuple(getattr(advice, field.name) for field in dataclasses.fields(advice))


class _Offline:
    """What a chart does without a network: it shows itself in a notebook, and saves itself."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from lrscope.outlets.web_chart import chart_frame

        spec = self.to_dict(validate=False)  # type: ignore[attr-defined]
        figure = _drawn(spec)
        return {
            "text/html": str(chart_frame(figure.spec, figure.width, figure.height)),
            "image/png": _png(figure.svg),
            "text/plain": str(spec.get("description", "")),
        }

    def save(self, fp: Any, format: str | None = None, **options: Any) -> None:
        """Save the chart as pdf, svg, png, html or json.

        Args:
            fp: a path, or a file to write to.
            format: needed where the name does not end in one.
            options: of `altair.Chart.save`; with any of them, Altair saves the chart.
        """
        from lrscope.outlets.figure import FIGURE_FORMATS, figure_bytes

        name = str(fp) if isinstance(fp, str | Path) else ""
        to = (format or Path(name).suffix.lstrip(".")).lower()
        if options or to not in FIGURE_FORMATS:
            super().save(fp, format=format, **options)  # type: ignore[misc]
            return
        content = figure_bytes(_drawn(self.to_dict(validate=False)), to)  # type: ignore[attr-defined]
        if name:
            Path(name).write_bytes(content)
            return
        try:
            fp.write(content)
        except TypeError:  # a file of text
            fp.write(content.decode())

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_offline, (type(self).__mro__[2], vars(self))


@functools.cache
def _offline_class(kind: type) -> type:
    """Return the subclass of a class of Altair charts that shows and saves itself without a network."""
    return type(kind.__name__, (_Offline, kind), {})


def _as_offline(kind: type, attributes: dict[str, Any]) -> Any:
    # All there is of an Altair chart stands in its dictionary; making a new one would check all of it again.
    offline: Any = object.__new__(_offline_class(kind))
    vars(offline).update(attributes)
    return offline


def asked_chart(
    chart: "Chart", study: "Readable", theme: "Theme | None" = None, *, lang: str | None = None
) -> Any:
    """Return a chart that was asked for by name; see `offline_chart`.

    Raises:
        UsageError: the study lacks the data of this chart, or there is no such language.
    """
    from lrscope.outlets.absent import refuse_empty

    drawing = offline_chart(chart, study, theme, lang=lang)
    with speaking(lang):
        refuse_empty(chart, drawing, study)
    return drawing


def offline_chart(
    chart: "Chart", study: "Readable", theme: "Theme | None" = None, *, lang: str | None = None
) -> Any:
    """Return a chart of a study as an Altair chart that shows and saves itself without a network.

    Args:
        chart, study: what is drawn.
        theme: None for light.
        lang: language of its words; see `lrscope.language.speaking`.

    Raises:
        UsageError: there is no such language.
    """
    from altair.utils.schemapi import debug_mode

    from lrscope.charts import LIGHT

    # Checking every part against its schema takes most of the time; the tests check the same charts.
    with speaking(lang), debug_mode(False):
        drawing = chart.of(study, theme or LIGHT)
    return _as_offline(type(drawing), vars(drawing))


def shown_study(study: "Readable", summary: str) -> dict[str, str]:
    """Return a study for a notebook: the answer, the final-loss chart, the lanes, the conclusions.

    Args:
        study: what is read.
        summary: the study in a line, where only text is shown.
    """
    from lrscope.charts.snapshot import Snapshot
    from lrscope.outlets.report import parts, setting_text

    snapshot = Snapshot(study)
    shown = _shown_answer(
        snapshot.recommendation(), snapshot, setting=setting_text(snapshot.plan), **parts(snapshot)
    )
    return {**shown, "text/plain": f"{summary}\n{shown['text/plain']}"}


def _shown_answer(advice: "Advice", study: "Readable", **parts: str) -> dict[str, str]:
    """Return a recommendation for a notebook: its sentence, and the chart it was read from.

    Args:
        advice: the recommendation.
        study: the study it is of.
        parts: setting, conclusions and lanes of the study, to show it as a whole.
    """
    from markupsafe import Markup

    from lrscope.charts.snapshot import Snapshot
    from lrscope.charts.valley import VALLEY
    from lrscope.outlets.web_chart import chart_frame
    from lrscope.outlets.web_page import asset, render

    snapshot = Snapshot(study, advice)
    figure = _drawn(offline_chart(VALLEY, snapshot).to_dict(validate=False))
    sentence = advice.sentence()
    page = render(
        "notebook.html",
        style=Markup(asset("notebook.css")),
        study=snapshot,
        sentence=sentence,
        frame=chart_frame(figure.spec, figure.width, figure.height),
        parts=parts,
    )
    return {"text/html": str(page), "image/png": _png(figure.svg), "text/plain": sentence}


def _drawn(spec: dict[str, Any]) -> "Figure":
    from lrscope.outlets.figure import drawn, for_print

    return drawn(for_print(spec))


def _png(svg: str) -> str:
    """Return a PNG of two dots a pixel, which is sharp on most screens, in base64."""
    import vl_convert

    return base64.b64encode(vl_convert.svg_to_png(svg, scale=2.0)).decode("ascii")
