"""A chart whose data a study lacks: an error from Python and the command line, left out of a report."""

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import lrscope
from lrscope.charts import CHARTS
from lrscope.cli import main
from lrscope.finding import search
from lrscope.study import Study

torch.manual_seed(0)
INPUTS = torch.randn(32, 2)
DATA = (INPUTS, INPUTS @ torch.tensor([[1.0], [2.0]]))
RATES = (0.01, 0.1)

problem = functools.partial(
    lrscope.Problem,
    name="plane",
    model=lambda: nn.Linear(2, 1),
    train=DATA,
    loss=nn.MSELoss(),
    optimizer=torch.optim.SGD,
    batch_size=16,
    epochs=2,
)
without_finite_loss = functools.partial(problem, loss=lambda output, target: (output - target).sum() / 0 * 0)

STUDIES: dict[str, tuple[Callable[[Path], Study], set[str]]] = {
    "built-in": (
        lambda path: lrscope.sweep("digits", RATES, epochs=1, curvature=False, path=path),
        {"sharpness"},
    ),
    "curvature": (
        lambda path: lrscope.sweep(problem(), RATES, curvature=True, path=path),
        {"validation", "overfitting"},
    ),
    "one rate": (
        lambda path: lrscope.sweep(problem(val=DATA), RATES[1:], path=path),
        {"sensitivity", "horizon", "overfitting", "sharpness"},
    ),
    "losses only": (
        lambda path: lrscope.sweep(problem(val=DATA), RATES, record="losses", path=path),
        {"histogram", "spread", "gradients", "updates", "sharpness"},
    ),
    "one weight": (
        lambda path: lrscope.sweep(problem(), RATES, track=["bias[0]"], path=path),
        {"path", "validation", "overfitting", "sharpness"},
    ),
    "no finite loss": (
        lambda path: lrscope.sweep(without_finite_loss(), RATES, path=path),
        {
            "valley",
            "sensitivity",
            "loss",
            "validation",
            "horizon",
            "overfitting",
            "gradients",
            "updates",
            "sharpness",
        },
    ),
    "search": (
        lambda path: search(problem(val=DATA), 2, path=path),
        {"sharpness"},
    ),
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_chart_is_drawn_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    make, absent = STUDIES[name]
    path, page = tmp_path / "some.lrscope", tmp_path / "page.html"
    with make(path) as study:
        refused = {}
        for chart in CHARTS:
            try:
                assert getattr(study.charts, chart.name)().to_dict(validate=False)["datasets"]
            except lrscope.UsageError as error:
                refused[chart.name] = str(error)
                assert chart.name in refused[chart.name]
                assert "\n" not in refused[chart.name]
        assert refused.keys() >= absent
        # The others take rates that differ enough, or scalars that a search need not track.
        searched = {"trajectory", "path"} if name == "search" else set()
        assert refused.keys() - absent <= {"horizon", "overfitting", *searched}
        study.report(page)
    text = page.read_text(encoding="utf-8")
    shown = set(re.findall(r'<figure id="chart-(\w+)"', text))
    assert shown == {chart.name for chart in CHARTS} - refused.keys()
    assert len(re.findall("<section", text)) == len(re.findall(r'<a href="#\w+">', text))
    for chart_name, message in refused.items():
        out = tmp_path / "figure.svg"
        ended = CliRunner().invoke(main, ["chart", str(path), chart_name, "-o", str(out)])
        assert (ended.exit_code, ended.stdout, ended.stderr) == (2, "", f"lrscope: {message}\n")
        assert not out.exists()


def test_the_command_that_is_told_records_what_was_missing(tmp_path: Path) -> None:
    path = tmp_path / "line.lrscope"
    with lrscope.sweep("line", RATES, epochs=3, curvature=False) as study:
        with pytest.raises(lrscope.UsageError) as told:
            study.charts.sharpness(lang="zh")
        with pytest.raises(lrscope.UsageError) as refused:
            study.charts.sharpness()
    assert "锐度" in str(told.value)
    command = re.search(r"type: lrscope (.+)$", str(refused.value))
    assert command is not None
    words = [*command[1].split(), "--rates", "0.01,0.1", "--epochs", "3", "--out", str(path), "-q"]
    assert CliRunner().invoke(main, words).exit_code == 0
    with lrscope.open(path) as study:
        assert study.charts.sharpness().to_dict(validate=False)["datasets"]


def test_a_range_test_without_a_finite_loss_has_no_picture(tmp_path: Path) -> None:
    out = tmp_path / "range.svg"
    with pytest.raises(lrscope.UsageError, match="finite"):
        lrscope.range_test(without_finite_loss(), seeds=1).save(out)
    assert not out.exists()
