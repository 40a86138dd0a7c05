"""The report: one file, nothing fetched, nothing from outside run, written whole or not at all."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from studies import STUDIES, cut_off, hostile, lost, train_digits, usual

from lrscope.charts import CHARTS, DARK, LIGHT
from lrscope.charts.histogram import HISTOGRAM
from lrscope.charts.valley import VALLEY
from lrscope.errors import UsageError
from lrscope.outlets import report as module
from lrscope.outlets.report import body, page, report
from lrscope.outlets.web_chart import WebChart, web_charts
from lrscope.outlets.web_page import script_json
from lrscope.rates import format_rate
from lrscope.study import Study

Pages: TypeAlias = Callable[[str], str]

PICTURES = [WebChart(chart.name, "title", "question", "", "about", False, {}, []) for chart in CHARTS]
"""Where only the words of a page matter."""


class Reader(HTMLParser):
    """What a page is made of: its elements, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "br", "hr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def within(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def data_of(text: str) -> dict[str, Any]:
    """The charts of a page."""
    found = re.search(r'<script type="application/json" id="pictures">(.*?)</script>', text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_it_opens_with_the_answer_and_ends_with_the_method(page_of: Pages) -> None:
    reader = Reader(page_of("usual"))
    advice = usual().recommendation()
    headings = reader.within("h2")
    assert headings[0] == "The answer"
    assert headings[-1] == "Method"
    anchors = [attributes["id"] for attributes in reader.all("section")]
    assert anchors == [link["href"][1:] for link in reader.all("a") if link["href"]]
    assert reader.within("strong")[0] == format_rate(advice.rate or 0)
    assert (
        "".join(text for tag, text in reader.texts if tag in ("p", "code", "span")).count(advice.sentence())
        == 1
    )
    drawn = [attributes["data-picture"] for attributes in reader.all("div") if "data-picture" in attributes]
    assert drawn[0] == "valley"
    assert sorted(drawn) == sorted(chart.name for chart in CHARTS if chart.name != "sharpness")


def test_the_table_has_a_row_a_lane_with_its_verdict_in_a_word_and_a_sign(page_of: Pages) -> None:
    reader = Reader(page_of("usual"))
    rows = [attributes for attributes in reader.all("th") if attributes.get("scope") == "row"]
    assert len(rows) == 16
    words = [text for tag, text in reader.texts if tag == "span"]
    assert {"◀", "●", "too slow", "good", "failed"} <= set(words)
    assert words.count("recommended") == 1
    assert len([row for row in reader.all("tr") if row.get("class") == "chosen"]) == 1
    heads = [text for text in reader.within("th") if not re.match(r"[\d.e-]+$", text)]
    assert heads == [
        "rate",
        "verdict",
        "final training loss",
        "final val. loss",
        "best val. loss",
        "accuracy",
        "why",
    ]
    assert len([head for head in reader.all("th") if head.get("scope") == "col"]) == 7
    assert len(reader.all("caption")) == 1


@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_nothing_is_fetched_and_only_its_own_two_scripts_may_run(name: str, page_of: Pages) -> None:
    text = page_of(name)
    reader = Reader(text)
    policy = next(
        str(meta["content"])
        for meta in reader.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert (len(scripts), len(styles)) == (2, 1)
    for code in (*scripts, *styles):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert [attributes for attributes in reader.all("script") if "src" in attributes] == []
    for tag in ("img", "link", "iframe", "object", "base", "form"):
        assert reader.all(tag) == []
    for tag, attributes in reader.elements:
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
        assert tag == "a" or "href" not in attributes
    assert not re.search(r"url\(|@import", styles[0])


def test_names_from_outside_are_shown_and_never_run(page_of: Pages) -> None:
    text = page_of("hostile")
    reader = Reader(text)
    assert len(reader.all("script")) == 3
    assert reader.within("h1") == ["</script><script>document.title='run'</script>\\n\\x1b[31m & <b>"]
    assert "onerror" not in {key for _, attributes in reader.elements for key in attributes}
    embedded = re.search(r'id="pictures">(.*?)</script>', text, re.DOTALL)
    assert embedded
    assert not set("<>&\u2028\u2029") & set(embedded[1])
    assert hostile().plan.problem in "".join(reader.within("h1")).replace("\\n", "\n").replace(
        "\\x1b", "\x1b"
    )


def test_json_in_a_page_is_strict_and_cannot_end_its_element() -> None:
    awkward = {"a": "</script>&<!--\u2028\u2029\x1b\x85\ud83d", "b": [1.5, None], "学": "率😀"}
    text = script_json(awkward)
    assert json.loads(text) == awkward
    assert not set("<>&\u2028\u2029\x1b\x85\ud83d") & set(text)
    assert '"学":"率😀"' in text
    text.encode("utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json({"a": float("nan")})


def test_dark_is_light_with_some_values_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrscope.outlets.web_chart.CHARTS", (VALLEY, HISTOGRAM))
    for picture, chart in zip(web_charts(cut_off()), (VALLEY, HISTOGRAM), strict=True):
        frame = chart.frame(cut_off())
        dark = chart.draw(frame, DARK).to_dict(validate=False)
        spec = json.loads(json.dumps(picture.spec))
        for path, value in picture.dark:
            at = spec
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = value
        del dark["title"]
        assert spec == json.loads(json.dumps(dark))
        assert picture.spec["config"]["background"] == LIGHT.background
        assert 0 < len(picture.dark) < 250


def test_16_lanes_4_tensors_and_20_epochs_stay_below_2_mb(tmp_path: Path, page_of: Pages) -> None:
    (tmp_path / "page.html").write_text(page_of("usual"), encoding="utf-8")
    size = (tmp_path / "page.html").stat().st_size
    assert 1_000_000 < size < 1_960_000
    data = data_of(page_of("usual"))
    epochs = data["histogram"]["spec"]["params"][0]["bind"]
    assert (epochs["min"], epochs["max"], epochs["step"]) == (0, 20, 1)


def test_a_model_of_20_tensors_is_bounded_too() -> None:
    wide = train_digits(np.geomspace(1e-3, 1e-1, 3), epochs=1, hidden=(8,) * 9)
    assert len(wide.plan.tensors) == 20
    text = page(wide)
    assert len(text) < 1_500_000
    assert "6 of 20 tensors" in text
    assert "and 8 more" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cut_off", "interrupted at step 46 of 460"),
        ("empty", "interrupted at step 0 of 12"),
    ],
)
def test_a_study_that_is_not_finished_says_so(name: str, words: str) -> None:
    reader = Reader(body(STUDIES[name](), PICTURES))
    (state,) = [text for tag, text in reader.texts if words in text]
    assert state.startswith("This study was interrupted")
    assert any(attributes.get("role") == "status" for attributes in reader.all("p"))


def test_a_running_study_has_a_page_that_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "state", property(lambda self: "running"))
    assert "still running, at step 46 of 460: all that follows is as of now" in body(cut_off(), PICTURES)
    monkeypatch.setattr(Study, "state", property(lambda self: "unfinished"))
    assert "This study is unfinished, at step 46 of 460" in body(cut_off(), PICTURES)


def test_where_it_cannot_be_told_the_page_says_why_and_what_to_try() -> None:
    reader = Reader(body(lost(), PICTURES))
    assert reader.within("strong")[0] == "Cannot tell"
    assert any("every rate diverged" in text for text in reader.within("p"))
    assert any(text.startswith("--rates ") for text in reader.within("code"))


def test_a_page_is_replaced_whole_or_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "page", lambda study: "first")
    study, target = usual(), tmp_path / "page.html"
    report(study, target)
    first = target.read_text(encoding="utf-8")
    assert first == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(module, "page", lambda study: "second")
    with pytest.raises(UsageError, match="No space left on device"):
        report(study, target)
    assert target.read_text(encoding="utf-8") == first
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_place_where_nothing_can_be_written_is_refused_in_one_line_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "page", lambda study: pytest.fail("worked for nothing"))
    for target, words in ((tmp_path / "no" / "page.html", "does not exist"), (tmp_path, "is a folder")):
        with pytest.raises(UsageError, match=words) as caught:
            report(usual(), target)
        assert "\n" not in str(caught.value)
        assert str(target) in str(caught.value)


def test_a_study_writes_its_page_readable_by_whom_other_new_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "page", lambda study: "<!doctype html>")
    (tmp_path / "other").write_text("x")
    cut_off().report(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_the_still_chart_has_no_style_that_the_policy_refuses(
    name: str, page_of: Callable[[str], str]
) -> None:
    text = page_of(name)
    still = text[text.index('<div class="still"') : text.index('<div class="plot"')]
    assert still.count("<path") > 1
    assert not re.search(r"\sstyle=|<style|<script|href|\son\w+=|\x1b", still)


def test_a_chart_with_nothing_to_draw_is_left_out(page_of: Pages) -> None:
    text = page_of("empty")
    assert "<figure" not in text
    assert 'class="plot"' not in text
    assert 'class="still"' not in text
    assert re.search(r'<script type="application/json" id="pictures">(.*?)</script>', text)[1] == "{}"  # type: ignore[index]
