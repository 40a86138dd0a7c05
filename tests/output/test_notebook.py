"""What a notebook is given, and how a chart in the user's hand saves itself."""

import base64
import dataclasses
import html
import io
import pickle
import re
from pathlib import Path

import altair as alt
import pytest
from studies import STUDIES

import lrscope
from lrscope.charts import CHARTS

HOSTILE = re.compile(r"<script>document|<img|\x1b")


def test_a_chart_is_an_altair_chart_that_shows_itself() -> None:
    chart = STUDIES["alone"]().charts.valley()
    assert isinstance(chart, alt.LayerChart)
    assert chart.to_dict()["title"]["text"] == "Where each learning rate ends"
    shown = chart.properties(width=300)._repr_mimebundle_()
    assert sorted(shown) == ["image/png", "text/html", "text/plain"]
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    inside = html.unescape(shown["text/html"])
    assert "default-src 'none'" in inside
    assert '"width":300' in inside
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", inside.replace("srcdoc", ""))


def test_every_chart_of_a_study_can_be_listed_and_shows_itself() -> None:
    charts = STUDIES["ringing"]().charts
    assert dir(charts) == sorted(chart.name for chart in CHARTS)
    for name in ("histogram", "trajectory"):  # one of every kind of drawing
        shown = getattr(charts, name)()._repr_mimebundle_()
        assert len(shown["text/plain"]) > 20


def test_a_study_shows_its_answer_and_hostile_names_run_nothing() -> None:
    study = STUDIES["hostile"]()
    shown = study._repr_mimebundle_()
    assert html.escape(study.recommendation().sentence()) in shown["text/html"]
    assert not HOSTILE.search(shown["text/html"])
    assert shown["text/plain"].endswith(study.recommendation().sentence())
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")


def test_a_recommendation_shows_its_sentence_and_the_valley() -> None:
    study = STUDIES["hostile"]()
    advice = study.recommendation()
    shown = advice._repr_mimebundle_()
    assert shown["text/plain"] == advice.sentence()
    assert html.escape(advice.sentence()) in shown["text/html"]
    assert shown["image/png"] == study._repr_mimebundle_()["image/png"]
    assert not HOSTILE.search(shown["text/html"])
    assert "default-src 'none'" in html.unescape(shown["text/html"])


def test_a_recommendation_draws_what_it_says_itself() -> None:
    study = STUDIES["usual"]()
    shown = study.recommendation("train-loss")._repr_mimebundle_()
    assert "smoothed training loss at the end (nats)" in html.unescape(shown["text/html"])
    assert shown["image/png"] != study.recommendation()._repr_mimebundle_()["image/png"]


def test_a_recommendation_outlives_its_study_and_shows_less_without_it(tmp_path: Path) -> None:
    path = tmp_path / "line.lrscope"
    with lrscope.sweep("line", "0.01,0.1", epochs=5, path=path) as study:
        advice = study.recommendation()
    assert base64.b64decode(advice._repr_mimebundle_()["image/png"]).startswith(b"\x89PNG")
    path.unlink()
    assert advice._repr_mimebundle_() == {
        "text/plain": advice.sentence(),
        "text/html": f"<p><b>{html.escape(advice.sentence())}</b></p>",
    }


def test_a_recommendation_is_printed_copied_and_written_without_its_study() -> None:
    advice = STUDIES["usual"]().recommendation()
    assert isinstance(advice, lrscope.Recommendation)
    again = pickle.loads(pickle.dumps(advice))
    assert type(again) is lrscope.Recommendation
    assert repr(advice) == repr(again)
    assert dataclasses.asdict(advice) == dataclasses.asdict(again)
    changed = dataclasses.replace(advice, rate=1.0)
    assert changed._repr_mimebundle_() == dataclasses.replace(again, rate=1.0)._repr_mimebundle_()


@pytest.mark.parametrize("ending", ["svg", "pdf", "html"])
def test_a_chart_saves_itself_to_a_path_or_a_file(ending: str, tmp_path: Path) -> None:
    chart = STUDIES["alone"]().charts.valley()
    chart.save(tmp_path / f"chart.{ending}")
    content = (tmp_path / f"chart.{ending}").read_bytes()
    file = io.StringIO() if ending in ("svg", "html", "json") else io.BytesIO()
    chart.save(file, format=ending)
    kept = file.getvalue()
    # Of a PDF the date differs, and nothing else.
    assert len(kept.encode() if isinstance(kept, str) else kept) == pytest.approx(len(content), abs=64)
    if ending == "svg":
        assert 'font-family="&quot;Liberation Sans&quot;, Arial, Helvetica' in content.decode()
    if ending == "html":
        assert b"https://cdn" not in content
