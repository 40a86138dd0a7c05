"""The live page, opened: painted, following, compared, in both themes, in ten tabs, over a restart."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Serving, serving

BACKGROUND = "getComputedStyle(document.body).backgroundColor"

_INK = """() => [...document.querySelectorAll('.plot canvas')].map((canvas) => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let ink = 0;
  for (let i = 3; i < pixels.length; i += 4) ink += pixels[i] > 0;
  return ink;
})"""

TRAINING = """
import sys, time
from lrscope._sweep import sweep
sweep("digits", "0.001,0.01,0.1", epochs=100_000, path=sys.argv[1], progress=lambda _: time.sleep(0.02))
"""


@pytest.fixture(scope="module")
def live(place: Path, environment: dict[str, str]) -> Iterator[Serving]:
    with serving("live", place, "--port", "0", environment=environment) as started:
        yield started


class Opened:
    """A window with the page, all it complained of and all it asked for."""

    def __init__(self, browser: Any, live: Serving, query: str = "", **options: Any) -> None:
        self.live = live
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.window = browser.new_context(viewport={"width": 1180, "height": 900}, **options)
        self.tab = self.new_tab(live.url + query.replace("?", "&"))

    def new_tab(self, address: str) -> Any:
        tab = self.window.new_page()
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.goto(address)
        return tab

    def drawn(self, what: str = "valley light") -> None:
        """Wait until a chart stands. A selector: the page's policy forbids evaluated code."""
        self.tab.wait_for_selector(f'html[data-drawn="{what}"]', timeout=60_000, state="attached")

    def close(self) -> None:
        """No complaint, and no request but to the server itself."""
        self.window.close()
        assert self.complaints == []
        assert self.requests
        assert {re.match(r"[a-z]+://[^/]*/|data:", url)[0] for url in self.requests} <= {
            self.live.base,
            "data:",
        }  # type: ignore[index]


def test_the_slider_stands_in_the_address_and_comes_back(browser: Any, live: Serving) -> None:
    page = Opened(browser, live, "?study=line.lrscope&chart=histogram&epoch=4")
    page.drawn("histogram light")
    slider = page.tab.locator("input[type=range]")
    assert slider.input_value() == "4"
    plot = page.tab.locator(".plot canvas")
    before = plot.screenshot()
    slider.fill("40")
    page.tab.wait_for_url(f"{live.base}?study=line.lrscope&chart=histogram")
    assert plot.screenshot() != before
    slider.fill("8")
    page.tab.wait_for_url(f"{live.base}?study=line.lrscope&chart=histogram&epoch=8")
    page.tab.reload()
    page.drawn("histogram light")
    assert page.tab.locator("input[type=range]").input_value() == "8"
    for none in ("99999999999999999999", "NaN", "", "3.7"):  # then it is the last one
        page.tab.goto(f"{live.base}?study=line.lrscope&chart=histogram&epoch={none}&theme=pink&with=x")
        page.drawn("histogram light")
        assert page.tab.locator("input[type=range]").input_value() == "40"
    page.close()


def test_the_theme_is_kept_and_the_chart_follows_it(browser: Any, live: Serving) -> None:
    page = Opened(browser, live, "?study=line.lrscope", color_scheme="dark")
    page.drawn("valley dark")
    assert page.tab.evaluate(BACKGROUND) == "rgb(18, 18, 18)"
    page.tab.get_by_role("button", name="Switch to the light theme").click()
    page.drawn("valley light")
    assert page.tab.url.endswith("&theme=light")
    page.tab.reload()
    page.drawn("valley light")
    assert page.tab.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    page.close()


def test_a_folder_is_listed_and_a_study_opened_from_it(browser: Any, live: Serving) -> None:
    page = Opened(browser, live)
    page.tab.wait_for_selector("#shelf table")
    text = page.tab.locator("#shelf").inner_text()
    assert "letter.lrscope cannot be read" in " ".join(text.split())
    page.tab.get_by_role("link", name="line.lrscope").click()
    page.drawn()
    page.tab.get_by_role("link", name="Training loss").click()
    page.drawn("loss light")
    assert page.tab.url == f"{live.base}?study=line.lrscope&chart=loss"
    page.tab.go_back()
    page.drawn("valley light")
    page.tab.go_back()
    page.tab.wait_for_selector("#shelf table")
    page.close()


def test_a_damaged_study_is_told_in_its_place(browser: Any, live: Serving) -> None:
    page = Opened(browser, live, "?study=letter.lrscope&with=line.lrscope")
    page.tab.wait_for_selector("#told .notice.wrong")
    assert "letter.lrscope cannot be read" in page.tab.locator("#told").inner_text()
    page.tab.wait_for_selector("#drawn canvas")
    page.close()


def test_it_follows_a_study_that_another_process_trains(
    browser: Any, live: Serving, place: Path, environment: dict[str, str]
) -> None:
    page = Opened(browser, live)
    page.tab.wait_for_selector("#shelf table")
    with subprocess.Popen(
        [sys.executable, "-c", TRAINING, place / "new.lrscope"], env=environment
    ) as process:
        try:
            page.tab.get_by_role("link", name="new.lrscope").click(timeout=150_000)
            page.drawn()
            seen, pictures = set(), set()
            for _ in range(600):
                seen.add(page.tab.locator(".state").inner_text())
                # Between two drawings there is none for a moment.
                drawn = page.tab.evaluate("document.querySelector('.plot canvas')?.toDataURL()")
                pictures |= {drawn} if drawn else set()
                if len(seen) > 2 and len(pictures) > 1:
                    break
                page.tab.wait_for_timeout(100)
            title = page.tab.title()
        finally:
            process.kill()
    assert len(seen) > 2
    assert len(pictures) > 1
    assert all("still running, at step" in text for text in seen)
    assert re.match(r"\d+% digits", title)
    page.close()


def test_hostile_names_are_shown_and_do_nothing(
    browser: Any, live: Serving, place: Path, finished: Path
) -> None:
    evil = "<img src=x onerror=document.title='evil'>.lrscope"
    shutil.copy(finished, place / evil)
    page = Opened(browser, live)
    page.tab.get_by_role("link", name=evil).click()
    page.drawn()
    assert page.tab.evaluate("document.images.length") == 0
    assert page.tab.title() == "line · lrscope live"
    page.tab.goto(f"{live.base}?study=%3Cscript%3Ealert(1)%3C/script%3E")
    page.tab.wait_for_selector("#problem")
    assert "<script>alert(1)</script>" in page.tab.locator("#problem").inner_text()
    page.close()


def test_another_site_cannot_read_it(browser: Any, live: Serving) -> None:
    page = Opened(browser, live, "?study=line.lrscope")
    page.drawn()
    foreign = page.window.new_page()
    foreign.route(
        "http://evil.example/**", lambda route: route.fulfill(body="<p>evil", content_type="text/html")
    )
    foreign.goto("http://evil.example/")
    said = foreign.evaluate(
        f"""async () => {{
          try {{ return (await fetch("{live.base}studies", {{ credentials: "include" }})).status; }}
          catch (error) {{ return "refused"; }}
        }}"""
    )
    assert said == "refused"
    page.close()
