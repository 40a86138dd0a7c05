"""Steps compiled by torch where the user asks: the same but for rounding, and captured where that fails."""

import shutil

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrscope
from lrscope.errors import TrainingError, UsageError
from lrscope.training import capture, compiled
from lrscope.training.compiled import near

RATES = (1e-3, 1e-2, 1e-1)


def problem(model: object = None, **options: object) -> lrscope.Problem:
    generator = torch.Generator().manual_seed(3)
    X = torch.randn(96, 6, generator=generator)
    return lrscope.Problem(
        name="small",
        model=model or (lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))),  # type: ignore[arg-type]
        train=(X, X[:, :3].argmax(1)),
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam,
        batch_size=32,
        epochs=16,
        **options,
    )


def losses(subject: lrscope.Problem, **options: object) -> tuple[np.ndarray, lrscope.Study]:
    study = lrscope.sweep(subject, RATES, record="losses", **options)  # type: ignore[arg-type]
    return study.scalars("loss")["value"].to_numpy(), study


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Capture steps of short runs too."""
    monkeypatch.setattr(capture, "WORTH_CALLS", 0)


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """The losses of captured steps."""
    return losses(problem())[0]


@pytest.mark.skipif(shutil.which("g++") is None, reason="NO C++ COMPILER HERE: --compile IS NOT TESTED")
def test_compiled_lanes_are_the_same_but_for_rounding(
    expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "COMPILED_AFTER", 8)
    made: list[object] = []
    real = compiled.compiled
    monkeypatch.setattr(capture, "compiled", lambda *some: made.append(real(*some)) or made[-1])
    found, study = losses(problem(), compile=True)
    assert len(made) == 1, "one shape of batch"
    assert study.note("how") == "3 lanes in one pass, compiled"
    assert study.note("notes") == []
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_what_cannot_be_compiled_stays_captured(
    expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise TrainingError("InvalidCxxCompiler: no compiler")

    monkeypatch.setattr(capture, "COMPILED_AFTER", 8)
    monkeypatch.setattr(capture, "compiled", refuse)
    found, study = losses(problem(), compile=True)
    np.testing.assert_array_equal(found, expected)
    assert study.note("notes") == ["steps are captured, but not compiled: InvalidCxxCompiler: no compiler"]


def test_compiled_steps_with_other_numbers_are_not_used(
    expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(graph: torch.fx.GraphModule, _: object) -> object:
        return lambda *inputs: [1.01 * value for value in graph.forward(*inputs)]

    monkeypatch.setattr(capture, "COMPILED_AFTER", 8)
    monkeypatch.setattr(capture, "compiled", wrong)
    found, study = losses(problem(), compile=True)
    np.testing.assert_array_equal(found, expected)
    assert "not compiled: the compiled step's numbers are others" in study.note("notes")[0]


def test_it_is_refused_where_no_step_is_made_by_all_lanes() -> None:
    class Counting(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            self.calls = getattr(self, "calls", 0) + 1
            return super().forward(x)

    with pytest.raises(UsageError, match="may keep something"):
        lrscope.sweep(problem(lambda: Counting(6, 3)), RATES, compile=True)
    with pytest.raises(UsageError, match="NumPy's; leave out --compile"):
        lrscope.sweep("line", RATES, compile=True, gradient="finite-difference")
    with lrscope.sweep(problem(), RATES, compile=True, lanes_per_block=1) as study:
        assert study.note("notes") == ["lanes run one after another: no step is compiled"]


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ([1.0, 2.0], [1.0, 2.00001], True),
        ([1.0, 2.0], [1.0, 2.01], False),
        ([1.0, float("nan")], [1.0, float("nan")], True),
        ([1.0, float("nan")], [1.0, 2.0], False),
        ([float("inf"), 1.0], [1.0, 1.0], False),
        ([], [], True),
    ],
)
def test_near_is_but_for_rounding(found: list[float], expected: list[float], same: bool) -> None:
    assert near(torch.tensor(found), torch.tensor(expected)) is same


def test_near_whole_numbers_are_equal() -> None:
    assert near(torch.tensor([3]), torch.tensor([3]))
    assert not near(torch.tensor([3]), torch.tensor([4]))
