"""The studies that a live page offers: the list of a folder, and each study as it is shown after one commit.

Making charts costs more than anything else here, on a machine that may be training at the same time. So all
tabs see the same version of a study, each part of it is made once and when it is asked for, and the next
version waits for several times as long as this one took.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from lrscope.charts import CHARTS
from lrscope.charts.chart import Readable
from lrscope.charts.names import rate_labels
from lrscope.charts.snapshot import Snapshot
from lrscope.charts.valley import VALLEY
from lrscope.diagnosis.evidence import times_text
from lrscope.diagnosis.figures import FIRST_FAILING, MARGIN
from lrscope.diagnosis.recommendation import CONFIDENCE
from lrscope.errors import StudyError
from lrscope.language import said, say, speaking
from lrscope.outlets.report import SECTIONS, parts
from lrscope.outlets.text import number_text, one_line, printable, state_text
from lrscope.outlets.web_chart import web_chart
from lrscope.rates import format_rate
from lrscope.store.schema import APPLICATION_ID
from lrscope.store.still import Still
from lrscope.store.study_file import StudyFile

Read = Callable[[StudyFile], Readable]
"""How a study file becomes a study: `lrscope.Study`."""

MAX_LISTED = 500
"""Files of a folder that are listed, the newest first."""

LEAST_SECONDS = 0.5
"""Between two versions: a recorder does not commit more often."""

REST = 4.0
"""For every second spent on a version so many pass before the next: at most a fifth of a core is taken."""

LOOK_SECONDS = 0.2
"""Between two readings of a file's last commit, whatever the number of tabs."""

_MAX_CACHED = 6
"""Studies that are kept in memory."""

_MAGIC = b"SQLite format 3\x00"
_ID_AT = 68
"""Where SQLite keeps the application's number (https://sqlite.org/fileformat.html, 1.3)."""


class Listed(NamedTuple):
    """A file of the list, in words.

    Attributes:
        name: how it is asked for.
        modified: when it was written to last, in seconds since 1970.
        state: of the study; "waiting" where it is not there yet, "unreadable" where `reason` says why.
        problem, step, steps, rates, seeds: what it is, and how far.
        reason: one line, "" where nothing is wrong.
    """

    name: str
    modified: float
    state: str
    problem: str = ""
    step: int = 0
    steps: int = 0
    rates: int = 0
    seeds: int = 0
    reason: str = ""


class Studies:
    """Studies by name. A name is looked up among those that were found: it is never made into a path.

    Args:
        path: of a study, or of a folder with studies: files that end in .lrscope or are studies by content.
        wait: the study may not be there yet.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self.path = path
        self.is_folder = path.is_dir()
        self._wait = wait
        self._known: dict[str, tuple[tuple[int, ...], Listed]] = {}

    def find(self, name: str) -> Path | None:
        """Return the file of that name, None where there is none."""
        return self._files().get(name)

    def open(self, path: Path, read: Callable[[Path], StudyFile] = StudyFile) -> StudyFile:
        """Open a file of the list. In a folder, a link that leads out of it is not followed.

        Raises:
            StudyError: it is no readable study.
        """
        if self.is_folder and not path.resolve().is_relative_to(self.path.resolve()):
            raise StudyError(f"{path} is a link out of its folder: serve what it leads to")
        return read(path)

    def is_awaited(self, path: Path) -> bool:
        """Return True if the study is not there yet, and may come."""
        return self._wait and not path.exists()

    def listed(self) -> list[Listed]:
        """Return all files: the one written to last comes first, unreadable ones last.

        Only a file that changed is opened again.
        """
        files = self._files()
        self._known = {name: known for name, known in self._known.items() if name in files}
        every = [self._listed(name, path) for name, path in files.items()]
        return sorted(every, key=lambda entry: (entry.state == "unreadable", -entry.modified, entry.name))

    def _listed(self, name: str, path: Path) -> Listed:
        stamp = _stamp(path)
        known = self._known.get(name)
        # A running study may have been killed since: that does not show in its file.
        if known is None or known[0] != stamp or known[1].state == "running":
            self._known[name] = known = (stamp, self._read(name, path, stamp))
        return known[1]

    def _read(self, name: str, path: Path, stamp: tuple[int, ...]) -> Listed:
        modified = max(stamp[::3], default=0) / 1e9
        if self.is_awaited(path):
            return Listed(name, modified, "waiting")
        try:
            with contextlib.closing(self.open(path)) as file:
                plan, state, lanes = file.plan, file.state, file.lanes()
        except (StudyError, OSError) as error:
            return Listed(name, modified, "unreadable", reason=one_line(str(error)))
        step = max(lanes["steps"].to_list(), default=0)
        return Listed(name, modified, state, plan.problem, step, plan.steps, len(plan.rates), len(plan.seeds))

    def _files(self) -> dict[str, Path]:
        if not self.is_folder:
            return {_name(self.path.name): self.path}
        paths: list[Path] = []
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            shown = (entry for entry in entries if not entry.name.startswith("."))
            paths += (self.path / entry.name for entry in shown if _is_study(entry))
        newest = sorted(paths, key=lambda path: (-next(iter(_stamp(path)), 0), path))
        return {_name(path.name): path for path in newest[:MAX_LISTED]}


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a study or its log is written to; empty where there is no such file."""
    stamp: list[int] = []
    for part in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(OSError, ValueError):
            status = part.stat()
            stamp += (status.st_mtime_ns, status.st_ino, status.st_size)
    return tuple(stamp)


def _is_study(entry: os.DirEntry[str]) -> bool:
    """Return True for a file that ends in .lrscope, whatever is in it, or begins as a study does."""
    try:
        if entry.name.endswith(".lrscope"):
            return not entry.is_dir()
        if not entry.is_file():  # opening a pipe would wait for its other end
            return False
        with open(entry.path, "rb") as file:
            start = file.read(_ID_AT + 4)
    except OSError:
        return False
    return start.startswith(_MAGIC) and start[_ID_AT:] == APPLICATION_ID.to_bytes(4, "big")


def _name(file_name: str) -> str:
    """Return a name for URLs: the file's own, unless it holds what cannot be shown or sent."""
    if printable(file_name) == file_name:
        return file_name
    return f"study-{hashlib.sha256(os.fsencode(file_name)).hexdigest()[:12]}"


def etag(name: str, path: Path, file: StudyFile) -> str:
    """Return what changes with everything a page may show: the study, its last commit, its state, lrscope.

    A file that another has replaced is another study, also where its plan is the same.
    """
    status = path.stat()
    facts = [_lrscope_version(), name, status.st_dev, status.st_ino, file.plan, file.commits, file.state]
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:24]


@functools.cache
def _lrscope_version() -> str:
    return version("lrscope")


class ShownStudy:
    """A study after one commit, as JSON for the page; each part is made once.

    Args:
        tag: differs from that of every other version; the ETag of everything in it.
        study: its data, which do not change.
        language: of the page.
    """

    def __init__(self, tag: str, study: Readable, language: str) -> None:
        self.tag = tag
        self.seconds = 0.0
        self.made = self.looked = time.monotonic()
        self._study = Snapshot(study)
        self._language = language
        self._cache: dict[str, bytes] = {}

    def text(self) -> bytes:
        """Return all but the charts."""
        return self._once("", lambda: _text(self._study))

    def chart(self, name: str) -> bytes:
        """Return a chart of `CHARTS` by name."""
        [chart] = [chart for chart in CHARTS if chart.name == name]
        return self._once(name, lambda: web_chart(chart, self._study)._asdict())

    def _once(self, name: str, make: Callable[[], dict[str, Any]]) -> bytes:
        if name not in self._cache:
            began = time.monotonic()
            try:
                with speaking(self._language):
                    self._cache[name] = as_json(make())
            finally:
                self.seconds += time.monotonic() - began
        return self._cache[name]


class ShownStudies:
    """The current version of every study that is looked at.

    Args:
        studies: where studies are found.
        read: how a study file becomes a study.
        language: of the page.
    """

    def __init__(self, studies: Studies, read: Read, language: str) -> None:
        self._studies = studies
        self._read = read
        self._language = language
        self._cache: dict[str, ShownStudy] = {}

    def current(self, name: str, path: Path) -> ShownStudy:
        """Return the version to show: the one there is, or a new one after a commit when it is time.

        Raises:
            StudyError: the file is no readable study.
            OSError: it went away while it was opened.
        """
        shown = self._cache.pop(name, None)
        if shown is None or self._is_outdated(shown, name, path):
            copy = self._studies.open(path, Still)
            shown = ShownStudy(etag(name, path, copy), self._read(copy), self._language)
        self._cache[name] = shown  # the study used last stands last
        while len(self._cache) > _MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        return shown

    def _is_outdated(self, shown: ShownStudy, name: str, path: Path) -> bool:
        now = time.monotonic()
        if now - shown.looked < LOOK_SECONDS or now - shown.made < max(LEAST_SECONDS, REST * shown.seconds):
            return False
        shown.looked = now
        with contextlib.closing(self._studies.open(path)) as file:
            return etag(name, path, file) != shown.tag


def as_json(value: Any) -> bytes:
    """Return strict JSON in ASCII: a lone surrogate in a file's name is no UTF-8."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def _text(study: Readable) -> dict[str, Any]:
    plan, html = study.plan, parts(study)
    return {
        "title": plan.problem,
        "state": study.state,
        "step": max(study.lanes["steps"].to_list(), default=0),
        "steps": plan.steps,
        "head": html["heading"],
        "answer": html["answer"],
        "sections": [
            {"name": name, "heading": said(SECTIONS[name][1]), "html": html[name]}
            for name in ("lanes", "conclusions", "method")
        ],
        "results": _results(study),
        "settings": _settings(study),
    }


def _results(study: Readable) -> list[tuple[str, str]]:
    """Return pairs of name and value, the same names for every study, that a comparison sets side by side."""
    advice = study.recommendation()
    lowest = VALLEY.frame(study)["loss"].drop_nulls()
    rate, failing, margin = advice.rate, advice.first_failing, advice.margin
    interval = ""
    if rate is not None and advice.low is not None and advice.high is not None:
        interval = f"{format_rate(advice.low)} – {format_rate(advice.high)}"
    best = say("cannot tell", "下不了结论") if rate is None else format_rate(rate)
    return [
        (say("recommended rate", "推荐的学习率"), best),
        (say("as good", "同样好"), interval),
        (said(FIRST_FAILING.name), "" if failing is None else format_rate(failing)),
        (said(MARGIN.name), "" if margin is None else f"×{times_text(margin)}"),
        (say("confidence", "可信度"), "" if rate is None else said(CONFIDENCE[advice.confidence])),
        (say("rates compared by", "学习率的比较依据"), said(advice.objective)),
        (say("lowest such loss", "该损失的最低值"), number_text(min(lowest)) if len(lowest) else ""),
        (say("state", "状态"), state_text(study.state)),
    ]


def _settings(study: Readable) -> list[tuple[str, str]]:
    """Return pairs of name and value of what was asked, the same names for every study."""
    plan = study.plan
    options = "".join(f", {name}={value}" for name, value in plan.optimizer_options.items())
    labels = list(rate_labels(plan.rates).values())
    full = not plan.batch_size or plan.batch_size == plan.train_size
    none = say("none", "无")
    return [
        (say("problem", "问题"), plan.problem),
        (say("optimizer", "优化器"), plan.optimizer + options),
        (say("schedule", "学习率计划"), plan.schedule or none),
        (say("epochs", "轮数"), f"{plan.epochs:,}"),
        (say("steps", "步数"), f"{plan.steps:,}"),
        (say("batch", "批次"), say("all examples", "全部样本") if full else f"{plan.batch_size:,}"),
        (say("gradient clipping", "梯度裁剪"), none if plan.clip_norm is None else f"{plan.clip_norm:g}"),
        (say("rates", "学习率"), f"{len(labels)}: {labels[0]} – {labels[-1]}" if labels[1:] else labels[0]),
        (say("seeds", "种子"), f"{len(plan.seeds):,}"),
        (say("parameters", "参数"), f"{sum(math.prod(shape) for shape in plan.shapes):,}"),
        (say("gradient", "梯度"), plan.gradient),
        (say("precision, device", "精度，设备"), f"{plan.dtype}, {plan.device}"),
    ]
