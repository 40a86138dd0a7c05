"""Histograms count exactly, on slices of a grid that the start alone decides."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from runs import trained
from test_observer import RATES, problem
from torch import Tensor

from lrscope.recording.histogram import grids, histograms


def counted(values: Tensor, start: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The grid, the edges, the counts and how many are not finite."""
    grid = grids({"w": start})["w"]
    record = histograms(3, range(len(values)), {"w": values}, {"w": grid}, {})
    assert record.epoch == 3
    assert record.lanes.tolist() == list(range(len(values)))
    return grid.numpy(), record.edges[0], record.counts[0], record.nonfinite[0]


def check(values: Tensor, start: Tensor) -> None:
    grid, edges, counts, nonfinite = counted(values, start)
    begin = int(np.searchsorted(grid, edges[0]))
    assert np.array_equal(grid[begin : begin + len(edges)], edges), "a slice of the grid"
    for lane, own in enumerate(values.double().numpy()):
        finite = own[np.isfinite(own)]
        assert counts[lane].tolist() == np.histogram(finite, edges)[0].tolist()
        assert counts[lane].sum() == len(finite), "no number is outside"
        assert nonfinite[lane] == len(own) - len(finite)
    if counts.any():
        assert counts[:, 0].any(), "and no wider than its numbers"
        assert counts[:, -1].any()


@given(
    st.sampled_from([np.float32, np.float64]).flatmap(
        lambda dtype: st.tuples(
            arrays(dtype, (2, 9), elements=st.floats(width=np.dtype(dtype).itemsize * 8)),
            arrays(dtype, 7, elements=st.floats(-1e6, 1e6, width=32)),
        )
    )
)
def test_any_numbers_on_the_grid_of_any_start(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    values, start = map(torch.from_numpy, drawn)
    check(values, start)
    grid = grids({"w": start})["w"]
    edges = grid[torch.linspace(0, len(grid) - 1, 18).long()].to(values.dtype).reshape(2, 9)
    check(edges, start)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("scale", "centre"), [(0.3, 0.0), (1e-3, 1.0), (0.0, 1.0), (0.0, 0.0)])
def test_narrow_and_wide_lanes_are_shown_together(dtype: torch.dtype, scale: float, centre: float) -> None:
    """Also of a norm layer's ones and of zeros, whose own spread says nothing."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(3, 5000, generator=generator)
    widths = torch.tensor([[0.3], [1.0], [100.0]]) * (scale or 0.01)
    values = (centre + noise * widths).to(dtype)
    check(values, (centre + scale * noise[0]).to(dtype))
    _, _, counts, _ = counted(values, (centre + scale * noise[0]).to(dtype))
    coarse = dtype == torch.bfloat16 and centre == 1.0
    for lane in range(3):
        assert (counts[lane] > 0).sum() >= (1 if coarse else 8), "a lane is flattened into a few bins"


def test_a_run_counts_at_its_epochs_and_blocks_count_into_the_same_bins() -> None:
    run = trained(problem(), RATES, each=True)
    assert [record.epoch for record in run.histograms] == [0, 1, 2, 3, 4]
    alone = trained(problem(), RATES, lanes_per_block=1)
    for record in run.histograms:
        for tensor, name in enumerate(run.prepared.plan.tensors):
            edges, counts = record.edges[tensor], record.counts[tensor]
            assert (record.nonfinite[tensor] == 0).all()
            for lane in record.lanes.tolist():
                values = run.weights[3 * record.epoch][lane][name].flatten().numpy()
                assert counts[lane].tolist() == np.histogram(values, edges)[0].tolist()
                (own,) = (one for one in alone.histograms if one.epoch == record.epoch and lane in one.lanes)
                first = int(np.searchsorted(edges, own.edges[tensor][0]))
                bins = len(own.counts[tensor][0])
                assert np.array_equal(edges[first : first + bins + 1], own.edges[tensor])
                assert own.counts[tensor][0].tolist() == counts[lane][first : first + bins].tolist()
                assert own.counts[tensor][0].sum() == counts[lane].sum()
