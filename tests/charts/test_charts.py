"""Every chart of the tuple keeps the same promises on every study: being listed is being tested here."""

import json
import warnings
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import vl_convert
from altair.utils.schemapi import debug_mode
from studies import STUDIES

from lrscope.charts import CHARTS, DARK, LIGHT
from lrscope.charts.chart import Chart
from lrscope.charts.envelope import POINTS_PER_CHART
from lrscope.charts.scales import RATE_TICK
from lrscope.charts.snapshot import Snapshot

EVERY = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
EVERYWHERE = pytest.mark.parametrize("name", ["usual", "seeds", "ringing", "hostile", "empty"])

CHECKED = ("seeds", "empty")

_drawn: dict[tuple[str, str], tuple[pl.DataFrame, dict[str, Any]]] = {}
_read: dict[str, Snapshot] = {}


def drawn(chart: Chart, name: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The frame and the Vega-Lite specification of a chart in light, made once."""
    if (chart.name, name) not in _drawn:
        if name not in _read:
            _read[name] = Snapshot(STUDIES[name]())
        frame = chart.frame(_read[name])
        # Checked against the schema of Vega-Lite as a whole, not part by part, and where studies differ most.
        with debug_mode(False):
            drawing = chart.draw(frame, LIGHT)
            spec = drawing.to_dict(validate=name in CHECKED)
        _drawn[chart.name, name] = frame, spec
    return _drawn[chart.name, name]


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every dict inside a specification, but for its data and its theme."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in ("datasets", "config"):
                yield from parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner)


def points(spec: dict[str, Any]) -> int:
    """How many rows the data of a specification has once its arrays are spread out."""
    rows = (row for data in spec["datasets"].values() for row in data)
    return sum(
        max((len(value) for value in row.values() if isinstance(value, list)), default=1) for row in rows
    )


def test_names_are_those_a_user_types_and_no_two_are_alike() -> None:
    names = [chart.name for chart in CHARTS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    assert all(chart.question.strip().endswith(("?", ")")) for chart in CHARTS)


@EVERY
@EVERYWHERE
def test_a_chart_keeps_the_promises_of_every_chart(chart: Chart, name: str) -> None:
    frame, spec = drawn(chart, name)
    assert spec["title"]["text"] == chart.title
    assert spec["title"]["subtitle"][0] == chart.question
    assert len(spec["description"]) > 20
    # Strict JSON of bounded size.
    assert len(json.dumps(spec, allow_nan=False)) < 700_000
    if chart.name == "histogram":
        # Of all epochs together; a slider shows one of them, and the one before training.
        epochs = max(frame["epoch"].n_unique(), 1)
        assert 2 * points(spec) / epochs <= POINTS_PER_CHART
    else:
        assert points(spec) <= POINTS_PER_CHART
        assert frame.height <= POINTS_PER_CHART
    # The same columns whatever the study.
    assert frame.schema == drawn(chart, "seeds")[0].schema
    # Every axis that is shown has a title, and every tooltip lists its fields, which no row lacks.
    lists = [part["tooltip"] for part in parts(spec) if "tooltip" in part]
    assert all(isinstance(one, list) and all("field" in field for field in one) for one in lists)
    for field, data, known in tooltips(spec, None, frozenset()):
        assert field in known or all(field in row for row in spec["datasets"][data]), field
    if not frame.height:
        return
    for part in parts(spec):
        for side in ("x", "y"):
            channel = part.get(side)
            if not isinstance(channel, dict) or "field" not in channel or channel.get("axis", {}) is None:
                continue
            assert channel["axis"]["title"], part


def made_by(transforms: list[dict[str, Any]]) -> set[str]:
    """The fields that transforms make for every row."""
    named = [one.get("as", ()) for one in transforms]
    flat = {name for one in named for name in ([one] if isinstance(one, str) else one)}
    return flat | {name for one in transforms if "aggregate" in one for name in one.get("groupby", ())}


def tooltips(
    view: dict[str, Any], rows: Any, known: frozenset[str]
) -> Iterator[tuple[str, Any, frozenset[str]]]:
    """Every field of a tooltip with the rows of its data and the fields that transforms make."""
    rows = view["data"]["name"] if "data" in view else rows
    known = known | made_by(view.get("transform", []))
    for field in view.get("encoding", {}).get("tooltip", ()):
        yield field["field"], rows, known
    for key in ("layer", "hconcat", "vconcat", "concat"):
        for inner in view.get(key, ()):
            yield from tooltips(inner, rows, known)
    if "spec" in view:
        yield from tooltips(view["spec"], rows, known)


@EVERY
def test_rate_axes_are_logarithmic_with_ticks_as_people_type_them(chart: Chart) -> None:
    _, spec = drawn(chart, "seeds")
    rates = [part for part in parts(spec) if part.get("field") == "rate" and "scale" in part]
    assert bool(rates) == (chart.name in ("valley", "spread", "horizon", "overfitting"))
    for channel in rates:
        assert channel["scale"]["type"] == "log"
        assert channel["axis"]["labelExpr"] == RATE_TICK
        assert "learning rate" in channel["axis"]["title"]


@EVERY
def test_no_name_from_outside_is_in_an_expression_or_a_field(chart: Chart) -> None:
    _, spec = drawn(chart, "hostile")
    # Nor does a menu send the study to another machine.
    actions = spec["usermeta"]["embedOptions"]["actions"]
    assert [name for name, shown in actions.items() if shown] == ["export"]
    keys = ("field", "filter", "labelExpr", "expr", "calculate", "test", "lookup", "flatten")
    code = [json.dumps(part[key]) for part in parts(spec) for key in keys if key in part]
    assert code
    for text in code:
        for hostile in ("alert", "script", "a.b", "néme", "datum.x;"):
            assert hostile not in text


@EVERY
def test_dark_differs_from_light_in_looks_only(chart: Chart) -> None:
    frame, light = drawn(chart, "seeds")
    with debug_mode(False):
        dark = chart.draw(frame, DARK).to_dict(validate=False)
    assert dark["datasets"].keys() == light["datasets"].keys()
    assert dark["config"]["background"] == DARK.background
    assert light["config"]["background"] == LIGHT.background
    assert [sorted(part) for part in parts(dark)] == [sorted(part) for part in parts(light)]


@EVERY
@pytest.mark.parametrize("name", ["hostile", "empty"])
def test_vega_draws_it_without_a_word_of_complaint(
    chart: Chart, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    _, spec = drawn(chart, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = vl_convert.vegalite_to_svg(json.dumps(spec))
    printed = capfd.readouterr()
    assert printed.err + printed.out == ""
    assert "undefined" not in svg
    assert "NaN" not in svg
    assert chart.title in svg


@EVERY
def test_an_empty_study_is_told_in_a_sentence(chart: Chart) -> None:
    frame, spec = drawn(chart, "empty")
    assert not frame.height or chart.name == "valley"
    rows = [row for data in spec["datasets"].values() for row in data]
    assert len(rows) == 1
    assert rows[0]["why"].endswith(".")


@EVERY
def test_high_rates_are_drawn_first(chart: Chart) -> None:
    _, spec = drawn(chart, "seeds")
    if chart.name not in ("loss", "validation", "trajectory", "gradients", "updates"):
        return
    lines = [data for data in spec["datasets"].values() if data and isinstance(data[0].get("x"), list)]
    assert lines
    assert all(float(data[0]["label"]) >= float(data[-1]["label"]) for data in lines)


def test_a_snapshot_asks_a_study_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = STUDIES["alone"]()
    asked: list[str] = []
    for name in ("verdicts", "recommendation", "histograms", "trajectories", "scalars", "tensors"):
        kept = getattr(study, name)

        def ask(*arguments: str, name: str = name, kept: Any = kept) -> Any:
            asked.append(" ".join((name, *arguments)))
            return kept(*arguments)

        monkeypatch.setattr(study, name, ask)
    snapshot = Snapshot(study)
    for chart in CHARTS:
        chart.frame(snapshot)
    assert "verdicts" in asked
    # Once for the charts, once from inside of the study, for its conclusions.
    assert asked.count("recommendation") <= 2
    asked = [one for one in asked if one != "recommendation"]
    assert sorted(asked) == sorted(set(asked))
