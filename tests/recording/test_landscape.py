"""The plane of two weights against the closed form of y = 3x."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrscope
from lrscope.problems import line
from lrscope.recording.landscape import landscape


def test_the_whole_surface_of_the_line_is_exact() -> None:
    with lrscope.sweep("line", "0.01,0.1,0.3", epochs=60) as study:
        found = study.note("landscape")
    assert found["scalars"] == ["0.weight[0, 0]", "0.bias[0]"]
    w, b = np.meshgrid(found["x"], found["y"])
    x = np.arange(1.0, 5.0)
    exact = ((w[..., None] * x + b[..., None] - 3 * x) ** 2).mean(-1)
    assert np.array(found["loss"], dtype=float) == pytest.approx(exact, rel=1e-4, abs=1e-5)
    # The lane at 0.3 runs away; the plane is made for the others.
    assert found["x"][0] < 0 < 3 < found["x"][-1] < 20


def test_there_is_no_plane_where_no_lane_is_finite() -> None:
    with lrscope.sweep("line", "10,20", epochs=200) as study:
        assert study.note("landscape") is None


def test_the_plane_has_no_loss_where_the_model_raises() -> None:
    def bounded(weights: dict[str, Tensor]) -> Tensor:
        if bool((weights["w"][:, 0] > 1).any()):
            raise ValueError("too large")
        return weights["w"].sum(dim=1)

    ends, paths = torch.tensor([[0.5, 0.0], [3.0, 0.0]]), np.array([[[0.0, 0.0]] * 2, [[2.0, 1.0]] * 2])
    found = landscape(bounded, {"w": ends}, (("w", (0,)), ("w", (1,))), paths, 1)
    assert found is not None
    for row in found["loss"]:
        assert [value is None for value in row] == [x > 1 for x in found["x"]]


def test_a_model_that_counts_its_calls_has_a_plane_too() -> None:
    class Counting(nn.Linear):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(x)

    counting = dataclasses.replace(line.make(), model=lambda: Counting(1, 1), reference=None)
    with lrscope.sweep(counting, "0.01,0.1", epochs=20, curvature=True) as study:
        assert study.note("landscape") is not None


def test_a_long_path_is_drawn_from_and_losses_alone_measure_no_plane() -> None:
    with lrscope.sweep("line", "0.01,0.1", epochs=2_500) as study:
        assert study.note("landscape")["x"][0] < 0 < 3 < study.note("landscape")["x"][-1]
    with lrscope.sweep("line", "0.01,0.1", epochs=60, record="losses") as study:
        assert study.note("landscape") is None
        assert "sharpness" not in {one.name for one in study.series}
