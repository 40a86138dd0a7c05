"""Visits: a report or a live page, opened in Chromium, and when it stood."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TIMES = ("first content", "first chart", "all charts")
PATIENCE = 120
"""Seconds after which a page that does not stand is given up."""

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
