"""How large the report and the live page are, and when Chromium has painted them, in both themes.

Studies: the digits at 16 rates as built in; made-up ones of 16 and 64 lanes (4 tensors, 20 epochs, 10,000
steps, no lane lost: the most there is to draw); the line at one rate. The report is opened as a file. The
live page is opened at once when its server has said its address ("live, just begun": the server still loads,
and makes Vega's bundle) and again by a fresh browser window ("live"); its charts are opened in turn.

Seconds are since navigation began, to the end of the frame in which it stands: the first content, the first
chart, all charts. Bytes are the file's, or of all answers of the server. `left` counts requests to anything
but the file or the server; `errors` everything the console was told, warnings too. Medians of the rounds.

    python benchmarks/show.py [--cases digits-16,made-16,made-64,line-1] [--rounds 3] [--out show.json]
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import lrscope
from lrscope.plan import Plan
from lrscope.quantities.observe import series
from lrscope.record import HistogramRecord, Record
from lrscope.store.recorder import Recorder

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
THEMES = ("light", "dark")
TIMES = ("first content", "first chart", "all charts")
PATIENCE = 120
"""Seconds after which a page that does not stand is given up."""

EPOCHS, STEPS_PER_EPOCH, BINS = 20, 500, 40
SHAPES = {"0.weight": (64, 100), "0.bias": (100,), "2.weight": (100, 10), "2.bias": (10,)}

# Before any script of the page: every mark, once the frame after it is done. Not evaluated by the page, so
# its policy is not in the way.
WATCH = """(() => {
  const stood = (window.stood = []);
  const framed = (then) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = then;
    port2.postMessage(null);
  });
  window.framed = framed;
  new PerformanceObserver((list) => {
    for (const { name } of list.getEntries()) framed(() => stood.push([name, performance.now()]));
  }).observe({ type: "mark", buffered: true });
})()"""

SO_FAR = """() => ({
  content: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
  stood: window.stood,
  canvases: document.querySelectorAll(".plot canvas").length,
})"""

# Opens every chart of the live page, each when the one before it stands; the time of the last, and how many.
WALK = """async (theme) => {
  const root = document.documentElement;
  const links = [...document.querySelectorAll("#charts a")];
  for (const link of links) {
    const wanted = `${link.dataset.chart} ${theme}`;
    if (root.dataset.drawn === wanted) continue; // the first one, which stands
    link.click();
    await new Promise((next) => {
      const look = () => {
        if (root.dataset.drawn !== wanted) return;
        watching.disconnect();
        next();
      };
      const watching = new MutationObserver(look);
      watching.observe(root, { attributes: true, attributeFilter: ["data-drawn"] });
      look();
    });
  }
  await new Promise((next) => window.framed(next));
  window.walked = [performance.now(), links.length];
}"""


def digits(path: Path) -> None:
    lrscope.sweep("digits", "1e-5:1:16", path=path).close()


def line(path: Path) -> None:
    lrscope.sweep("line", "0.1", path=path).close()


def made_up(path: Path, lanes: int) -> None:
    """A study of numbers that nobody trained: noisy losses, wandering weights, histograms that widen."""
    draw = np.random.default_rng(0)
    names, rates = tuple(SHAPES), np.geomspace(1e-5, 1e-1, lanes)
    plan = Plan(
        problem=f"made up, {lanes} lanes",
        rates=tuple(rates.tolist()),
        seeds=(0,),
        epochs=EPOCHS,
        steps_per_epoch=STEPS_PER_EPOCH,
        batch_size=32,
        train_size=32 * STEPS_PER_EPOCH,
        val_size=1000,
        optimizer="Adam",
        loss="CrossEntropyLoss",
        constant_loss=2.3,
        tensors=names,
        shapes=tuple(SHAPES.values()),
        tracked=tuple((name, (0,) * len(shape)) for name, shape in SHAPES.items()),
        metrics=("accuracy",),
    )
    steps, ids = np.arange(plan.steps), np.arange(lanes, dtype=np.int32)
    ends = np.arange(EPOCHS + 1) * STEPS_PER_EPOCH
    best = np.abs(np.log10(rates / 1e-3)) / 2
    falling = 2.3 * np.exp(-np.linspace(0, 4, plan.steps + 1)[:, None] * np.exp(-best))
    loss = falling[:-1] * draw.lognormal(0, 0.2, (plan.steps, lanes))
    path_of = np.cumsum(draw.normal(0, rates[:, None], (plan.steps + 1, lanes, len(names))), axis=0)
    points = np.unique(np.linspace(0, plan.steps - 1, 80).astype(np.int64))
    announced = series(plan)
    with Recorder(path, plan, announced, about={"versions": {"lrscope": version("lrscope")}}) as writer:
        writer.write(Record("loss", steps, ids, loss))
        writer.write(
            Record("val_loss", ends, ids, falling[ends] * draw.lognormal(0, 0.02, (EPOCHS + 1, lanes)))
        )
        writer.write(Record("accuracy", ends, ids, np.exp(-falling[ends])))
        writer.write(Record("trajectory", np.arange(plan.steps + 1), ids, path_of))
        for one in announced:
            if one.kind == "tensor":
                values = draw.lognormal(-3, 0.5, (len(points), lanes, len(names)))
                writer.write(Record(one.name, points, ids, values))
        for epoch in range(EPOCHS + 1):
            edges = tuple(np.linspace(-1, 1, BINS + 1) for _ in names)
            widths = 0.1 + 0.02 * epoch * np.linspace(0, 1, lanes)
            weights = [np.exp(-0.5 * ((edge[:-1] + edge[1:]) / 2 / widths[:, None]) ** 2) for edge in edges]
            counts = tuple(
                draw.poisson(one / one.sum(1, keepdims=True) * np.prod(shape)).astype(np.uint32)
                for one, shape in zip(weights, SHAPES.values(), strict=True)
            )
            none = tuple(np.zeros(lanes, np.uint32) for _ in names)
            writer.write(HistogramRecord(epoch, ids, edges, counts, none))


CASES: dict[str, Callable[[Path], None]] = {
    "digits-16": digits,
    "made-16": lambda path: made_up(path, 16),
    "made-64": lambda path: made_up(path, 64),
    "line-1": line,
}


class Visit:
    """One window with a page: what it asked for and complained of.

    Args:
        browser: Chromium.
        address: what is opened.
        own: how the addresses begin that the page may ask for.
        theme: "light" or "dark", as the system has it.
    """

    def __init__(self, browser: Any, address: str, own: str, theme: str) -> None:
        self.left: list[str] = []
        self.complaints: list[str] = []
        self._finished: list[Any] = []
        self._own = (own, "data:", "blob:")
        self._window = browser.new_context(viewport={"width": 1180, "height": 900}, color_scheme=theme)
        self._window.add_init_script(WATCH)
        self.tab = self._window.new_page()
        self.tab.on("request", self._asked)
        self.tab.on("requestfinished", lambda request: self._finished.append(request))
        self.tab.on("console", self._told)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.goto(address, wait_until="commit", timeout=1000 * PATIENCE)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(self._own):
            self.left.append(request.url)

    def _told(self, message: Any) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(message.text)

    def wait_for(self, what: str, script: str, wanted: Callable[[Any], Any]) -> Any:
        """What a script gives once it is wanted. Asked rarely: an answer takes the page's time."""
        deadline = time.monotonic() + PATIENCE
        while not wanted(found := self.tab.evaluate(script)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} after {PATIENCE} s: {self.complaints or 'no complaint'}")
            self.tab.wait_for_timeout(100)
        return found

    def received(self) -> int:
        """Bytes of all answers, without headers."""
        return sum(request.sizes()["responseBodySize"] for request in self._finished)

    def close(self, **figures: float) -> dict[str, Any]:
        self._window.close()
        return {**figures, "left": self.left, "errors": self.complaints}


def marked(found: dict[str, Any], name: str) -> float | None:
    """When the first mark of a name stood."""
    return next((at for mark, at in found["stood"] if mark == name), None)


def open_report(browser: Any, file: Path, theme: str) -> dict[str, Any]:
    visit = Visit(browser, file.as_uri(), file.as_uri(), theme)
    found = visit.wait_for(
        "the report does not stand",
        SO_FAR,
        lambda one: one["content"] is not None and marked(one, "all-charts") is not None,
    )
    return visit.close(
        **dict(
            zip(
                TIMES,
                (found["content"], marked(found, "first-chart"), marked(found, "all-charts")),
                strict=True,
            )
        ),
        bytes=file.stat().st_size,
        charts=found["canvases"],
    )


def open_live(browser: Any, address: str, theme: str) -> dict[str, Any]:
    visit = Visit(browser, address, address.partition("?")[0], theme)
    found = visit.wait_for(
        "no first chart stands",
        SO_FAR,
        lambda one: one["content"] is not None and marked(one, "chart") is not None,
    )
    # Not awaited: a chart that never comes would hold this up without an end.
    visit.tab.evaluate(f"(theme) => {{ ({WALK})(theme); }}", theme)
    ended, charts = visit.wait_for("not all charts stand", "window.walked ?? null", bool)
    return visit.close(
        **dict(zip(TIMES, (found["content"], marked(found, "chart"), ended), strict=True)),
        bytes=visit.received(),
        charts=charts,
    )


@contextlib.contextmanager
def served(study: Path) -> Iterator[str]:
    """The address of a live page, in a process of its own with a token of its own."""
    with tempfile.TemporaryDirectory() as state:
        process = subprocess.Popen(
            [sys.executable, "-m", "lrscope", "live", str(study), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": state},
        )
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError(f"lrscope live {study} said no address")
            yield address
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def measure(browser: Any, cases: Sequence[str], rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each study, page and theme."""
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases):
            study = Path(folder) / f"{case}.lrscope"
            file = study.with_suffix(".html")
            say(f"{case}: the study and its report are made")
            CASES[case](study)
            with lrscope.open(study) as opened:
                opened.report(file)
            if number == 0:  # warms up: fonts, the browser's own pages
                open_report(browser, file, "light")
            visits: dict[tuple[str, str], list[dict[str, Any]]] = {
                (page, theme): [] for page in ("report", "live, just begun", "live") for theme in THEMES
            }
            for round_ in range(rounds):
                for theme in THEMES:
                    visits["report", theme].append(open_report(browser, file, theme))
                    with served(study) as address:
                        visits["live, just begun", theme].append(open_live(browser, address, theme))
                        visits["live", theme].append(open_live(browser, address, theme))
                say(f"{case}: round {round_ + 1} of {rounds}")
            for (page, theme), found in visits.items():
                yield {"case": case, "page": page, "theme": theme, "rounds": found}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


HEADING = (
    f"{'study':11}{'page':18}{'theme':7}{'MB':>7}{'charts':>8}"
    + "".join(f"{name + ' s':>17}" for name in TIMES)
    + f"{'left':>6}{'errors':>8}"
)


def median(row: dict[str, Any], name: str) -> float:
    return statistics.median(one[name] for one in row["rounds"])


def line_of(row: dict[str, Any]) -> str:
    left, errors = (sum(len(one[name]) for one in row["rounds"]) for name in ("left", "errors"))
    return (
        f"{row['case']:11}{row['page']:18}{row['theme']:7}{median(row, 'bytes') / 1e6:7.2f}"
        f"{median(row, 'charts'):8.0f}"
        + "".join(f"{median(row, name) / 1000:17.2f}" for name in TIMES)
        + f"{left:6}{errors:8}"
    )


def skipped(reason: str) -> None:
    say(f"!!! NO PAGE WAS OPENED AND NOTHING WAS MEASURED: {reason} !!!")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=lambda text: text.split(","), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="FILE", help="the table and every visit as JSON")
    options = parser.parse_args(arguments)
    unknown = [case for case in options.cases if case not in CASES]
    if unknown:
        parser.error(f"there is no case {unknown[0]!r}; there is: {', '.join(CASES)}")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: one round is the least")
    if options.out is not None and not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: the folder {options.out.parent} does not exist; make it first")
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        return skipped(f"there is no Chromium on the PATH ({', '.join(BROWSERS)})")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return skipped("playwright is not installed: pip install -e .[test]")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        about = {
            "lrscope": version("lrscope"),
            "Chromium": browser.version,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "rounds": options.rounds,
        }
        print(", ".join(f"{key} {value}" for key, value in about.items()))
        print(HEADING, flush=True)
        rows = []
        for row in measure(browser, options.cases, options.rounds):
            rows.append(row)
            print(line_of(row), flush=True)
        browser.close()
    for row in rows:
        for text in {text for one in row["rounds"] for text in (*one["left"], *one["errors"])}:
            say(f"!!! {row['case']}, {row['page']}, {row['theme']}: {text}")
    if options.out is not None:
        # Milliseconds in the visits, as the browser gives them; bytes are bytes.
        names = (*TIMES, "bytes", "charts")
        table = [{**row, "median": {name: median(row, name) for name in names}} for row in rows]
        options.out.write_text(json.dumps({"about": about, "unit": "ms", "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
