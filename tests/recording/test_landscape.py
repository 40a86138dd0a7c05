"""The plane of two weights against the closed form of y = 3x."""

import numpy as np
import pytest
import torch
from lrscope.quantities.landscape import PATH_POINTS, Paths, landscape
from torch import Tensor

import lrscope


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


@pytest.mark.parametrize("steps", [10, 999, 1_000, 7_777, 30_000])
@pytest.mark.parametrize("cuts", [[], [1], [3, 400, 401, 5_000]])
def test_a_path_is_thinned_evenly_wherever_it_is_cut(steps: int, cuts: list[int]) -> None:
    """Every s-th step, s odd, from the first one on; lanes that leave on the way are not asked for."""
    tracked = (("w", (0,)), ("w", (1,)), ("b", ()))
    whole_nkL = np.arange((steps + 1) * 3 * 4, dtype=np.float32).reshape(steps + 1, 3, 4)
    paths = Paths(steps, tracked)
    ends = [*(cut for cut in cuts if cut <= steps), steps + 1]
    for begin, end in zip([0, *ends], ends, strict=False):
        lanes = [0, 1, 2, 3] if begin == 0 else [0, 2, 3]
        paths.add(begin, whole_nkL[begin:end][:, :, lanes], lanes)
    found = paths.of([0, 3])
    stride = max(1, steps // PATH_POINTS) | 1
    assert stride % 2 == 1
    assert len(found) >= min(steps + 1, PATH_POINTS // 2)
    assert np.array_equal(found, np.moveaxis(whole_nkL[::stride, :2][:, :, [0, 3]], 1, 2))


def test_no_path_is_kept_of_a_single_scalar() -> None:
    paths = Paths(10, (("w", ()),))
    paths.add(0, np.zeros((11, 1, 2)), [0, 1])
    assert paths.of([0, 1]).shape == (0, 2, 2)


def test_a_budget_of_nothing_measures_no_plane() -> None:
    with lrscope.sweep("line", "0.01,0.1", epochs=60, record="losses") as study:
        assert study.note("landscape") is None
        assert "sharpness" not in {one.name for one in study.series}
