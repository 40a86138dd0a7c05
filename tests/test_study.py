"""Study: the facade. What is below it has its own tests; here it has to hold together."""

import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import lrscope
from lrscope import _sweep as sweeping
from lrscope.errors import StudyError
from lrscope.output.json_document import document, strict
from lrscope.output.report import parts
from lrscope.output.terminal import show
from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record, Series
from lrscope.store.recorder import Recorder
from lrscope.study import Study, open_study

RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
EPOCHS, STEPS_PER_EPOCH = 6, 50
STEPS = EPOCHS * STEPS_PER_EPOCH
PLAN = Plan(
    problem="decay",
    rates=RATES,
    seeds=(0,),
    epochs=EPOCHS,
    steps_per_epoch=STEPS_PER_EPOCH,
    batch_size=8,
    train_size=400,
    val_size=100,
    optimizer="SGD",
    loss="CrossEntropyLoss",
    constant_loss=2.3,
    tensors=("0.weight",),
    shapes=((3,),),
    tracked=(("0.weight", (1,)),),
    metrics=("accuracy",),
)
SERIES = (
    Series("loss", "nats", "scalar", "at w_t"),
    Series("val_loss", "nats", "scalar", "eval mode"),
    Series("accuracy", "share", "scalar", "eval mode"),
    Series("weight_norm", "1", "tensor", "2-norm"),
    Series("trajectory", "1", "trajectory", "tracked"),
)
STOPPED = 7
"""The step at which the highest rate's loss is no number any more."""


def record(path: Any, steps: int = STEPS, error: BaseException | None = None) -> Study:
    """Losses that decay from 2.3 to 0.1 faster the higher the rate; the highest breaks."""
    rng = np.random.default_rng(0)
    t = np.arange(STEPS + 1)[:, None]
    losses = 0.1 + 2.2 * np.exp(-np.array(RATES) * t) + 0.01 * rng.random((STEPS + 1, len(RATES)))
    losses[0] = 2.3
    losses[STOPPED:, -1] = np.inf
    ends = np.arange(0, steps + 1, STEPS_PER_EPOCH)
    lanes = np.arange(len(RATES), dtype=np.int32)
    writer = Recorder(path, PLAN, SERIES, about={"versions": {"lrscope": "0.1.0"}})
    try:
        with writer:
            writer.note("how", "5 lanes in one pass")
            writer.note("notes", ["made up"])
            writer.note("seconds", 1.5)
            writer.write(Record("loss", np.arange(steps), lanes, losses[:steps]))
            writer.write(Record("val_loss", ends, lanes, losses[ends] + 0.1))
            writer.write(Record("accuracy", ends, lanes, np.exp(-losses[ends])))
            writer.write(Record("weight_norm", ends, lanes, np.ones((len(ends), len(RATES), 1))))
            every = np.arange(steps + 1)
            writer.write(Record("trajectory", every, lanes, losses[: steps + 1, :, None]))
            counts, none = np.ones((len(RATES), 2), np.uint32), np.zeros(len(RATES), np.uint32)
            for epoch in range(len(ends)):
                writer.write(HistogramRecord(epoch, lanes, (np.arange(3.0),), (counts,), (none,)))
            if error is not None:
                raise error
    except KeyboardInterrupt:
        pass
    return Study(writer.study_file())


@pytest.fixture(scope="module")
def study() -> Study:
    return record(None)


def test_frames_are_those_of_the_file(study: Study) -> None:
    assert study.plan == PLAN
    assert study.state == "finished"
    assert study.path is None
    assert study.note("how") == "5 lanes in one pass"
    assert study.about == {"versions": {"lrscope": "0.1.0"}}
    assert [one.name for one in study.series] == ["loss", "val_loss", "accuracy", "weight_norm", "trajectory"]
    assert study.lanes["state"].to_list() == ["finished"] * 4 + ["stopped"]
    assert study.scalars("loss").height == 4 * STEPS + STOPPED + 1
    assert study.scalars("accuracy")["lane"].value_counts().sort("lane")["count"].to_list() == [7, 7, 7, 7, 1]
    assert study.tensors("weight_norm").height == 29
    assert study.trajectories().height == 4 * (STEPS + 1) + STOPPED + 1
    assert study.histograms().height == 29


def test_verdicts_are_a_frame_of_one_row_a_lane(study: Study) -> None:
    verdicts = study.verdicts()
    assert verdicts.schema == pl.Schema(
        {
            "lane": pl.Int64,
            "rate": pl.Float64,
            "seed": pl.Int64,
            "verdict": pl.String,
            "attributes": pl.List(pl.String),
            "step": pl.Int64,
            "evidence": pl.String,
        }
    )
    assert verdicts.select("lane", "rate", "seed").rows() == [tuple(key) for key in PLAN.lanes]
    assert verdicts["verdict"][-1] == "diverged"
    assert verdicts["verdict"][3] == "good"
    assert all(verdicts["evidence"].str.len_chars() > 0)


def test_a_recommendation_has_what_is_promised_of_it(study: Study) -> None:
    advice = study.recommendation()
    for name in ("rate", "low", "high", "first_failing", "margin", "confidence", "cannot_tell", "spent"):
        assert hasattr(advice, name)
    assert advice.first_failing == 1.0
    assert isinstance(advice, lrscope.Recommendation)


def test_a_study_is_judged_again_only_after_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lrscope.study

    judged = []

    def judge(*arguments: Any) -> tuple[()]:
        judged.append(arguments)
        return ()

    monkeypatch.setattr(lrscope.study, "judge", judge)
    unknown = lrscope.Recommendation(None, None, None, None, None, "low", "nothing was judged", 0.0, "loss")
    monkeypatch.setattr(lrscope.study, "recommend", lambda curves, verdicts, plan: unknown)
    lanes = np.arange(len(RATES), dtype=np.int32)
    with Recorder(tmp_path / "x.lrscope", PLAN, SERIES, about={}) as writer:
        study = open_study(tmp_path / "x.lrscope")
        study.verdicts()
        study.recommendation()
        assert len(judged) == 1
        writer.write(Record("loss", np.arange(3), lanes, np.ones((3, len(RATES)))))
        study.verdicts()
        assert len(judged) == 1
        writer.commit()
        study.verdicts()
        study.recommendation()
        assert len(judged) == 2
    assert study.verdicts().height == 0
    assert len(judged) == 3


def test_a_study_is_opened_shown_and_closed(tmp_path: Path) -> None:
    record(tmp_path / "x.lrscope").close()
    with lrscope.open(tmp_path / "x.lrscope") as study:
        assert isinstance(study, lrscope.Study)
        assert repr(study) == f"<Study of decay: 5 lanes, finished, {tmp_path / 'x.lrscope'}>"
        assert study.path == tmp_path / "x.lrscope"
    with pytest.raises(StudyError, match="is closed"):
        study.scalars("loss")
    with pytest.raises(lrscope.UsageError, match="is not there"):
        lrscope.open(str(tmp_path / "y.lrscope"))
    assert repr(record(None)) == "<Study of decay: 5 lanes, finished, in memory>"


def test_a_study_is_read_without_torch_or_altair(tmp_path: Path) -> None:
    record(tmp_path / "x.lrscope").close()
    script = f"""
import sys, lrscope
from lrscope.output.json_document import document
with lrscope.open({str(tmp_path / "x.lrscope")!r}) as study:
    study.lanes, study.scalars("loss"), study.histograms(), study.trajectories()
    study.verdicts(), study.recommendation(), document(study)
loaded = {{"torch", "altair", "sklearn", "pandas"}} & set(sys.modules)
sys.exit(f"loads {{loaded}}" if loaded else 0)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_document_says_what_the_study_says_of_the_three_sayings(study: Study) -> None:
    said = document(study)["conclusions"]
    assert [one["conclusion"] for one in said] == ["too_high", "medium", "too_low"]
    for one, conclusion in zip(said, study.conclusions(), strict=True):
        assert one["sentence"] == conclusion.sentence()
        assert one["verdict"] in ("confirmed", "refuted", "cannot_tell", "partly")
        assert all(claim["verdict"] in ("confirmed", "refuted", "cannot_tell") for claim in one["claims"])
    stream = io.StringIO()
    show(document(study), stream, width=120)
    assert "too high: unstable? confirmed (1 of 1 lanes)" in stream.getvalue()


def test_every_chart_is_a_method(study: Study) -> None:
    from lrscope.charts import CHARTS, DARK

    assert set(dir(study.charts)) == {chart.name for chart in CHARTS}
    assert "vega-lite" in study.charts.loss().to_dict()["$schema"]
    assert study.charts.valley(DARK).to_dict() != study.charts.valley().to_dict()
    with pytest.raises(AttributeError, match="no chart 'hill'; there are valley, "):
        study.charts.hill()
    assert not hasattr(study.charts, "_repr_html_")


def test_a_report_is_one_page(study: Study, tmp_path: Path) -> None:
    study.report(str(tmp_path / "x.html"))
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert text.lower().startswith("<!doctype html>")
    assert "decay" in text


LANE_KEYS = [
    "lane",
    "rate",
    "seed",
    "state",
    "verdict",
    "attributes",
    "evidence",
    "step",
    "steps",
    "stopped_step",
    "final_train_loss",
    "final_val_loss",
    "best_val_loss",
    "best_val_step",
    "metrics",
]


def test_the_document_is_strict_json_with_the_promised_names(study: Study) -> None:
    content = document(study)
    text = json.dumps(content, allow_nan=False)
    assert json.loads(text) == content
    assert content["schema"] == 1
    assert content["problem"] == "decay"
    assert Plan.from_json(json.dumps(content["plan"])) == PLAN
    assert (content["how"], content["notes"], content["seconds"]) == ("5 lanes in one pass", ["made up"], 1.5)
    assert content["state"] == "finished"
    assert [list(lane) for lane in content["lanes"]] == [LANE_KEYS] * 5
    promised = {"rate", "low", "high", "first_failing", "margin", "confidence", "cannot_tell", "spent"}
    assert promised <= set(content["recommendation"])
    assert content["recommendation"]["sentence"] == study.recommendation().sentence()


def test_the_document_has_the_numbers_of_the_frames(study: Study) -> None:
    lanes = document(study)["lanes"]
    loss, val = study.scalars("loss"), study.scalars("val_loss")
    for lane in lanes[:4]:
        own = loss.filter(pl.col("lane") == lane["lane"])["value"].to_list()
        assert lane["final_train_loss"] == pytest.approx(math.fsum(own[-STEPS_PER_EPOCH:]) / STEPS_PER_EPOCH)
        points = val.filter(pl.col("lane") == lane["lane"]).select("value", "step").rows()
        assert lane["final_val_loss"] == points[-1][0]
        assert (lane["best_val_loss"], lane["best_val_step"]) == min(points)
        assert list(lane["metrics"]) == ["accuracy"]
        assert 0 < lane["metrics"]["accuracy"] < 1
    broken = lanes[4]
    assert broken["state"] == "stopped"
    assert (broken["stopped_step"], broken["steps"]) == (STOPPED, STOPPED)
    assert broken["final_train_loss"] is broken["final_val_loss"] is broken["metrics"]["accuracy"] is None
    assert broken["best_val_step"] == 0


def test_an_interrupted_study_tells_how_far_it_came(tmp_path: Path) -> None:
    done = 3 * STEPS_PER_EPOCH
    content = document(record(tmp_path / "x.lrscope", done, KeyboardInterrupt()))
    json.dumps(content, allow_nan=False)
    assert content["state"] == "interrupted"
    lane = content["lanes"][0]
    assert (lane["state"], lane["steps"]) == ("interrupted", done)
    assert lane["final_train_loss"] == pytest.approx(0.1 + 2.2 * math.exp(-1e-4 * 125) + 0.005, abs=0.01)


def test_a_study_without_validation_or_any_record_has_a_document(tmp_path: Path) -> None:
    bare = Plan("bare", (0.1, 1.0), (0,), 1, 2, 8)
    with Recorder(None, bare, SERIES[:1], about={}) as writer:
        content = document(Study(writer.study_file()))
        assert [lane["final_train_loss"] for lane in content["lanes"]] == [None, None]
        assert [lane["best_val_loss"] for lane in content["lanes"]] == [None, None]
        assert content["recommendation"]["rate"] is None
        assert content["recommendation"]["cannot_tell"]
        assert content["how"] is None
        assert content["notes"] == []


def test_strict_json_has_null_for_what_is_not_finite() -> None:
    assert strict({"a": (1, math.nan, [math.inf]), 2: {"b": -math.inf}}) == {
        "a": [1, None, [None]],
        "2": {"b": None},
    }
    assert strict([True, None, "x", 1.5, 3]) == [True, None, "x", 1.5, 3]


def test_it_keeps_how_many_threads_a_process_trained_with(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sweeping.prepare

    def threaded(*arguments: Any, **options: Any) -> Any:
        prepared = made(*arguments, **options)
        prepared.layout = prepared.layout._replace(threads=2)
        return prepared

    monkeypatch.setattr(sweeping, "prepare", threaded)
    with lrscope.sweep("line", "0.01,0.1", epochs=30) as study:
        assert study.about["threads"] == 2
        assert "threads of a process: 2" in parts(study)["method"]
