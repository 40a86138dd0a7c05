"""Edition: one study as of one commit, and what has been made of it; Editions: the current one of each study.

Making charts costs more than anything else here, on a machine that may be training at the same time. So all
tabs see the same edition, everything in it is made once and when it is asked for, and the next one waits for
several times as long as this one took.
"""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrscope.charts import CHARTS
from lrscope.charts.chart import Readable
from lrscope.charts.snapshot import Snapshot
from lrscope.language import said, speaking
from lrscope.outlets.conclusion_list import conclusion_list
from lrscope.outlets.lane_table import lane_table
from lrscope.outlets.live.facts import facts
from lrscope.outlets.live.shelf import Shelf, etag
from lrscope.outlets.live.words import words
from lrscope.outlets.markup import Html, element, join
from lrscope.outlets.page import SECTIONS, answer, method, setting, standing
from lrscope.outlets.pictures import picture
from lrscope.store.still import Still
from lrscope.store.study_file import StudyFile

Read = Callable[[StudyFile], Readable]
"""How a study file becomes a study: `lrscope.Study`."""

LEAST_SECONDS = 0.5
"""Between two editions: a recorder does not commit more often."""

REST = 4.0
"""For every second spent on an edition so many pass before the next: at most a fifth of a core is taken."""

LOOK_SECONDS = 0.2
"""Between two looks into a file, whatever the number of tabs."""

_MOST = 6
"""Editions that are kept in memory."""


class Edition:
    """A study as of one commit.

    Args:
        tag: what tells it from all others; the ETag of everything in it.
        study: its data, which do not change.
        language: of the page.
    """

    def __init__(self, tag: str, study: Readable, language: str) -> None:
        self.tag = tag
        self.seconds = 0.0
        self._study = Snapshot(study)
        self._language = language
        self._made: dict[str, bytes] = {}

    def text(self) -> bytes:
        """All but the charts, as JSON."""
        return self._once("", self._text)

    def chart(self, name: str) -> bytes:
        """A chart of `CHARTS` by name, as JSON."""
        [chart] = [one for one in CHARTS if one.name == name]
        return self._once(name, lambda: picture(chart, self._study)._asdict())

    def _once(self, name: str, make: Callable[[], dict[str, Any]]) -> bytes:
        if name not in self._made:
            began = time.monotonic()
            try:
                with speaking(self._language):
                    self._made[name] = as_json(make())
            finally:
                self.seconds += time.monotonic() - began
        return self._made[name]

    def _text(self) -> dict[str, Any]:
        study, plan = self._study, self._study.plan
        headings = {anchor: said(heading) for anchor, _, heading in SECTIONS}
        sections = (
            ("lanes", lane_table(study)),
            ("conclusions", conclusion_list(study)),
            ("method", method(study)),
        )
        return {
            "title": plan.problem,
            "state": study.state,
            "step": max(study.lanes["steps"].to_list(), default=0),
            "steps": plan.steps,
            "head": self._head(),
            "answer": answer(study.recommendation()),
            "sections": [{"name": name, "heading": headings[name], "html": html} for name, html in sections],
            **facts(study, words()),
        }

    def _head(self) -> Html:
        plan = self._study.plan
        return join(
            element("h1", plan.problem), element("p", setting(plan), class_="setting"), standing(self._study)
        )


class Editions:
    """The current edition of every study that is looked at.

    Args:
        shelf: where studies are found.
        read: how a study file becomes a study.
        language: of the page.
    """

    def __init__(self, shelf: Shelf, read: Read, language: str) -> None:
        self.shelf = shelf
        self._read = read
        self._language = language
        self._kept: dict[str, tuple[Edition, float, float]] = {}

    def current(self, name: str, path: Path) -> Edition:
        """The edition to show: the one there is, or a new one where there was a commit and it is time.

        Raises:
            StudyError: the file is no readable study.
            OSError: it went away while it was opened.
        """
        now = time.monotonic()
        if name in self._kept:
            edition, made, looked = self._kept[name]
            busy = max(LEAST_SECONDS, REST * edition.seconds)
            if now - looked < LOOK_SECONDS or now - made < busy:
                return edition
            with contextlib.closing(self.shelf.open(path)) as file:
                tag = etag(name, path, file)
            if tag == edition.tag:
                self._keep(name, edition, made, now)
                return edition
        still = self.shelf.open(path, Still)
        edition = Edition(etag(name, path, still), self._read(still), self._language)
        self._keep(name, edition, now, now)
        return edition

    def _keep(self, name: str, edition: Edition, made: float, looked: float) -> None:
        self._kept.pop(name, None)
        self._kept[name] = (edition, made, looked)  # the one used last stands last
        while len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]


def as_json(value: Any) -> bytes:
    """Strict JSON, in ASCII: a lone surrogate in a file's name is no UTF-8."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
