"""Everything is said in every language, and in Chinese nothing is said in English."""

import ast
import copy
import html
import io
import json
import os
import pickle
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jinja2 import Environment, nodes

import lrscope
from lrscope.charts import CHARTS
from lrscope.cli import main
from lrscope.errors import UsageError
from lrscope.language import LANGUAGES, SEMICOLON, Text, joined, said, say, speaking, spoken
from lrscope.outlets import figure
from lrscope.outlets.figure import has_chinese

SOURCES = Path(lrscope.__file__).parent


def catalogue() -> Iterator[tuple[str, str, str, set[str]]]:
    """Place, English, Chinese and the names given of every text in modules and templates."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                of_language = name == "say" or (name == "Text" and len(node.args) == 2)
                if of_language and all(isinstance(one, ast.Constant) for one in node.args[:2]):
                    en, zh = (ast.literal_eval(one) for one in node.args[:2])
                    given = {one.arg or "**" for one in node.keywords} if name == "say" else set()
                    yield f"{path.relative_to(SOURCES)}:{node.lineno}", en, zh, given
    for path in sorted(SOURCES.rglob("*.html")):
        for call in Environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "say":
                en, zh = (one.as_const() for one in call.args)  # an error where it is no constant
                yield f"{path.name}:{call.lineno}", en, zh, {one.key for one in call.kwargs}


def gaps(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_entry_of_the_catalogue_has_both_languages_and_the_same_gaps() -> None:
    entries = list(catalogue())
    assert len(entries) > 300
    assert any(place.startswith("live.html") for place, *_ in entries)
    for place, en, zh, given in entries:
        assert gaps(en) == gaps(zh), f"{place}: {en!r} and {zh!r} have different gaps"
        assert not re.search(r"[\u4e00-\u9fff]", en), place
        chinese = re.search(r"[\u3000-\u9fff\uff00-\uffef]", zh)
        assert (
            chinese
            or not re.search(r"[a-z]{2}", re.sub(r"\{\w+\}", "", en))
            or place.startswith("language.py")
        ), f"{place}: {en!r} has no Chinese"
        if given and "**" not in given:
            assert given == gaps(en), f"{place}: the gaps are {gaps(en)}, filled are {given}"


def test_nothing_is_said_in_one_language_only() -> None:
    """`say` and `Text` take literals only, so that what is above sees them all."""
    for path in sorted(SOURCES.rglob("*.py")):
        if path.name == "language.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
                assert all(isinstance(one, ast.Constant) for one in node.args), f"{path}:{node.lineno}"
                assert len(node.args) == 2, f"{path}:{node.lineno}"


def test_a_text_is_its_english_one_to_programs() -> None:
    text = Text("{count} lanes of {kind}", "{kind}有 {count} 条").format(count=3, kind=Text("two", "两种"))
    assert text == "3 lanes of two"
    assert json.dumps(text) == '"3 lanes of two"'
    assert {text: 1}["3 lanes of two"] == 1
    assert text.zh == "两种有 3 条"
    for again in (copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert (again, again.zh) == (text, text.zh)


def test_a_language_is_spoken_as_long_as_it_lasts() -> None:
    text = joined(("one", Text("two", "二")), SEMICOLON)
    assert (spoken(), said(text), say("yes", "是")) == ("en", "one; two", "yes")
    with speaking("zh"):
        assert (spoken(), said(text), say("yes", "是")) == ("zh", "one；二", "是")
        with speaking(None):
            assert spoken() == "zh"
        with pytest.raises(ZeroDivisionError), speaking("en"):
            raise ZeroDivisionError
        assert spoken() == "zh"
    assert spoken() == "en"


@pytest.mark.parametrize("language", ["fr", "ZH", "", 3, ("en",)])
def test_an_unknown_language_is_told_in_one_line(language: Any) -> None:
    with (
        pytest.raises(UsageError, match=r"^lang= wants en \(English\) or zh \(Chinese\); got"),
        speaking(language),
    ):
        pass


# What a study says.

NAMES = (
    r"lrscope (sweep|find|live)\b[^<\"]*|lrscope\.\w+\([^)]*\)|--[a-z-]+[^，。；、）]*|curvature=True|"
    r"\blrscope\b|\bdigits\b|\d\.(weight|bias)|\bAdam\b|\bCrossEntropyLoss\b|\baccuracy\b|\bnats\b|\bfloat32\b|"
    r"\bcpu\b|\bpython [\d.]+|\btorch [^，,<]*|\bnumpy [\d.]+|x86_64|aarch64|arm64|AMD64|"
    r"Vega(-Lite)?|BSD 3-Clause|"
    r"\bSVG\b|\bPNG\b|\bLanczos\b|\bHessian\b|\beval\b"
)
"""Names, units and what is to be typed: the same in every language."""


def english(text: str) -> list[str]:
    """English words that are left where names are taken out."""
    return re.findall(r"[A-Za-z]{2,}", re.sub(NAMES, " ", text))


@pytest.fixture(scope="module")
def study() -> lrscope.Study:
    return lrscope.sweep("digits", rates="1e-4:3:4", epochs=3, seeds=2)


def texts_of(spec: Any) -> Iterator[str]:
    """All that a chart shows: titles, labels, legends, and the words of its rows."""
    shown = {
        "title",
        "text",
        "subtitle",
        "name",
        "description",
        "note",
        "why",
        "verdict",
        "finding",
        "comparison",
    }

    def walk(value: Any, key: str = "") -> Iterator[str]:
        if isinstance(value, dict):
            for name, one in value.items():
                yield from walk(one, name)
        elif isinstance(value, list):
            for one in value:
                yield from walk(one, key)
        elif isinstance(value, str) and key in shown | {"domain"}:
            yield value

    inside = {
        name: value for name, value in spec.items() if name not in ("config", "usermeta", "params", "$schema")
    }
    yield from walk(inside)
    yield from spec["usermeta"]["embedOptions"]["i18n"].values()
    for param in spec.get("params", []):
        if "bind" in param:
            yield param["bind"].get("name", "")


@pytest.fixture(scope="module")
def line() -> lrscope.Study:
    """Three rates of the line, with curvature."""
    return lrscope.sweep("line", rates=[0.01, 0.1, 0.13], epochs=30)


def test_a_chart_without_data_is_refused_in_chinese(study: lrscope.Study) -> None:
    with pytest.raises(UsageError) as refused:
        study.charts.sharpness(lang="zh")
    assert english(str(refused.value).replace("'sharpness'", "")) == []


@pytest.mark.parametrize("name", [chart.name for chart in CHARTS])
def test_no_chart_says_anything_in_english(study: lrscope.Study, line: lrscope.Study, name: str) -> None:
    measured = line if name == "sharpness" else study
    spec = getattr(measured.charts, name)(lang="zh").to_dict(validate=False)
    # Data, selections and the signal of the slider have names that nobody sees.
    unseen = r"data-[0-9a-f]+|(lanes|layer|view|concat)_\d+\w*|hover|epoch"
    found = [one for one in texts_of(spec) if not re.fullmatch(unseen, one)]
    assert any(re.search(r"[\u4e00-\u9fff]", one) for one in found)
    assert not [one for one in found if english(one)]
    tooltips = re.findall(r'"title": "([^"]*)"', json.dumps(spec, ensure_ascii=False))
    assert not [one for one in tooltips if english(one)]


def visible(page: str) -> str:
    body = page[page.index("<body") :]
    for tag in ("script", "style", "code"):
        body = re.sub(rf"<{tag}\b.*?</{tag}>", " ", body, flags=re.DOTALL)
    said_aloud = " ".join(
        re.findall(r'(?:aria-label|data-\w+-?\w*|title)="([^"]*)"', re.sub(r'data-picture="\w+"', "", body))
    )
    return html.unescape(re.sub(r"<[^>]*>", " ", body) + " " + said_aloud)


def test_no_report_says_anything_in_english(study: lrscope.Study, tmp_path: Path) -> None:
    path = tmp_path / "study.html"
    study.report(path, lang="zh")
    page = path.read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    assert "digits：学习率对比" in page
    assert "推荐的学习率" in page or "下不了结论" in page
    assert english(visible(page)) == []
    assert "lrscope sweep digits --rates 1e-4:3:4 --seeds 2 --epochs 3" in page


def test_the_terminal_says_nothing_in_english(study: lrscope.Study) -> None:
    from lrscope.outlets.json_document import document
    from lrscope.outlets.terminal import show

    for width in (40, 80, 140):
        stream = io.StringIO()
        with speaking("zh"):
            show(document(study), stream, width)
        assert "学习率" in stream.getvalue()
        assert english(stream.getvalue()) == [], width


def test_verdicts_advice_and_conclusions_are_told_in_chinese(study: lrscope.Study) -> None:
    advice = study.recommendation()
    told = [*study.verdicts(lang="zh")["evidence"], advice.sentence(lang="zh")]
    with speaking("zh"):
        told.append(said(advice.next_experiment or "无"))
    for one in study.conclusions():
        told += [one.sentence(lang="zh"), one.headline(lang="zh"), one.verdict_text(lang="zh")]
    for text in told:
        assert re.search(r"[\u4e00-\u9fff]", text)
        assert english(text) == [], text
    plain = [*study.verdicts()["evidence"], advice.sentence(), study.conclusions()[0].headline()]
    assert not any(re.search(r"[\u4e00-\u9fff]", text) for text in plain)
    with pytest.raises(UsageError, match="lang= wants en"):
        advice.sentence(lang="de")


def test_json_keeps_its_tokens_in_every_language(study: lrscope.Study) -> None:
    from lrscope.outlets.json_document import document

    pages = []
    for language in LANGUAGES:
        with speaking(language):
            pages.append(json.loads(json.dumps(document(study), allow_nan=False)))
    en, zh = pages
    for key in ("objective", "confidence", "rate", "low", "high"):
        assert en["recommendation"][key] == zh["recommendation"][key]
    assert [lane["verdict"] for lane in en["lanes"]] == [lane["verdict"] for lane in zh["lanes"]]
    assert en["lanes"][0]["evidence"] != zh["lanes"][0]["evidence"]
    assert [one["verdict"] for one in en["conclusions"]] == [one["verdict"] for one in zh["conclusions"]]


def test_notes_are_kept_in_every_language(tmp_path: Path) -> None:
    path = tmp_path / "line.lrscope"
    lrscope.sweep("line", rates=[0.01, 0.1], epochs=30, path=path)
    with lrscope.open(path) as study:
        [note] = study.note("notes")
        assert note == "plain gradient descent on this line is stable below a rate of 0.1198"
        with speaking("zh"):
            assert said(note) == "在这条直线上，普通的梯度下降在学习率低于 0.1198 时稳定"
            assert english(said(study.note("how"))) == []


COMMANDS = ("sweep", "find", "range", "show", "report", "chart", "live")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_shows_something_takes_a_language(command: str) -> None:
    told = CliRunner().invoke(main, [command, "--help"])
    assert "--lang en|zh" in told.output
    given = CliRunner().invoke(main, [command, "--lang", "fr", *["line"] * (2 if command == "chart" else 1)])
    assert given.exit_code == 2
    assert given.stderr == "lrscope: --lang wants en (English) or zh (Chinese); got 'fr'\n"


def test_the_language_of_a_command_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "line.lrscope"
    lrscope.sweep("line", rates=[0.01, 0.1, 0.13], epochs=30, path=path).close()
    runner = CliRunner()
    for asked in (
        runner.invoke(main, ["show", str(path), "--lang", "zh"]),
        runner.invoke(main, ["show", str(path)], env={"LRSCOPE_LANG": "zh"}),
    ):
        assert asked.exit_code == 0
        assert "用 0.0" in asked.output
    plain = runner.invoke(main, ["show", str(path)])
    assert "Use 0.0" in plain.output
    svg = tmp_path / "valley.svg"
    made = runner.invoke(
        main, ["chart", str(path), "valley", "-o", str(svg), "--lang", "zh", "--width", "84mm"]
    )
    assert made.exit_code == 0
    drawn = svg.read_text(encoding="utf-8")
    assert "学习率" in drawn
    assert "Noto Sans CJK SC" in drawn
    assert "WenQuanYi Micro Hei" in drawn
    assert "sans-serif" in drawn


def test_a_range_test_is_told_in_chinese() -> None:
    arguments = ["range", "line", "--steps", "40", "--seeds", "1", "--lang", "zh", "-q"]
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 0
    # The rules have names, of programs and people.
    rules = r"minimum|valley|slide|steepest|torch-lr-finder|Lightning|Smith, max|divergence|SGD|\bline\b"
    assert english(re.sub(rules, " ", told.stdout)) == []


def _drawn(folder: Path, path: Path, ending: str, fonts: str | None) -> tuple[Path, str]:
    """A chart in Chinese, drawn by a process that finds these fonts, and what it said."""
    target = folder / f"valley.{ending}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"FONTCONFIG_FILE": fonts} if fonts else {})
    arguments = ["chart", str(path), "valley", "-o", str(target), "--lang", "zh"]
    ran = subprocess.run(
        [sys.executable, "-m", "lrscope", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return target, ran.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="fonts are chosen by fontconfig")
def test_a_picture_without_a_font_for_chinese_is_written_with_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "line.lrscope"
    lrscope.sweep("line", rates=[0.01, 0.1, 0.13], epochs=30, path=path).close()
    fonts = tmp_path / "fonts.conf"
    (tmp_path / "fonts").mkdir()
    fonts.write_text(f"<fontconfig><dir>{tmp_path}/fonts</dir><cachedir>{tmp_path}/c</cachedir></fontconfig>")
    target, told = _drawn(tmp_path, path, "png", str(fonts))
    assert target.stat().st_size > 5_000
    assert told.count("warning") == 1
    _, told = _drawn(tmp_path, path, "svg", str(fonts))
    assert "warning" not in told


def test_a_picture_with_a_font_for_chinese_is_drawn_without_a_word(
    line: lrscope.Study, tmp_path: Path
) -> None:
    if not has_chinese():
        pytest.skip("no font of this machine has Chinese characters")
    target = tmp_path / "valley.png"
    line.charts.valley(lang="zh").save(str(target))  # a warning would fail this test
    assert target.read_bytes().startswith(b"\x89PNG")


def test_a_missing_font_is_warned_of_where_no_command_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure, "has_chinese", lambda: False)
    figure.warn_of_boxes("<svg><text>learning rate</text></svg>")
    with pytest.warns(figure.GlyphWarning, match="no font of this machine"):
        figure.warn_of_boxes("<svg><text>学习率</text></svg>")
