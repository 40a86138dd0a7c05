"""Pictures: the charts of a study as plain data for a page, once in light, with what is different in dark."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from altair.utils.schemapi import debug_mode

from lrscope.charts import CHARTS, DARK, LIGHT
from lrscope.charts.chart import Chart, Readable
from lrscope.charts.plate import EMPTY
from lrscope.language import BLANK, joined, said


class Picture(NamedTuple):
    """One chart on a page.

    Attributes:
        name: of the chart.
        title, question, note: its words, which the page writes itself.
        about: the picture told to those who cannot see it; where there is nothing to draw, why.
        empty: whether there is nothing to draw.
        spec: its Vega-Lite specification in light, without words.
        dark: what to replace in it for dark: a path of keys and places, and the value there.
    """

    name: str
    title: str
    question: str
    note: str
    about: str
    empty: bool
    spec: dict[str, Any]
    dark: list[tuple[list[str | int], Any]]


def pictures(study: Readable) -> list[Picture]:
    """All charts of a study, in order."""
    return [picture(chart, study) for chart in CHARTS]


def picture(chart: Chart, study: Readable) -> Picture:
    """One chart of a study. The data is gathered once and drawn twice."""
    frame = chart.frame(study)
    # Altair would check every part of a chart against its schema as it is made, which takes longer than
    # all the rest of a report; the tests check the same charts.
    with debug_mode(False):
        light, dark = (chart.draw(frame, theme).to_dict(validate=False) for theme in (LIGHT, DARK))
    words = light.pop("title")
    question, *notes = words["subtitle"]
    # No row depends on the theme: rows are named by a hash of them, and both themes name the same.
    rows = light.pop("datasets")
    del dark["title"], dark["datasets"]
    replaced = list(differences(light, dark))
    about = str(light.get("description", ""))
    spec = {**light, "datasets": rows}
    empty = EMPTY in spec["usermeta"]
    note = said(joined(notes, BLANK))
    return Picture(chart.name, words["text"], question, note, about, empty, spec, replaced)


def differences(
    one: Any, other: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[list[str | int], Any]]:
    """What has to be replaced in `one`, and where, to make it `other`.

    Two themes differ in some colours only: writing those costs a page a tenth of a second specification.
    """
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (mine, its) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, its, (*path, place))
    elif one != other:
        yield list(path), other


def script_json(value: Any) -> str:
    """Strict JSON that is safe inside a <script> element.

    No character in it can end the element or a line; Chinese stands as it is, in half of the bytes.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_UNSAFE = re.compile("[<>&\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What may end an element or a line, and halves of characters, which are not to be written."""
