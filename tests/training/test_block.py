"""Blocks: the rule that cuts lanes into them reads sizes only, and loses no lane."""

from hypothesis import given
from hypothesis import strategies as st

from lrscope.plan import LaneKey
from lrscope.training.block import CACHE, LARGE_PASS, Execution, Layout, Limits, Sizes, cut, lay_out

sizes = st.builds(
    Sizes, st.integers(1, 10**8), st.integers(1, 512), st.integers(0, 2**28), st.integers(0, 2**32)
)
limits = st.builds(
    Limits,
    vectorised=st.booleans(),
    asked=st.none() | st.integers(1, 40),
    processors=st.integers(1, 16),
    separable=st.booleans(),
    shared_data=st.booleans(),
    fitting=st.none() | st.integers(1, 40),
)


@st.composite
def lanes(draw: st.DrawFn) -> list[LaneKey]:
    """Lanes of several seeds, as a search has them: other rates for each."""
    seeds = draw(st.lists(st.integers(0, 3), min_size=1, max_size=40))
    return [LaneKey(7 + 2 * place, 1e-3 * (place + 1), seed) for place, seed in enumerate(seeds)]


@given(lanes(), st.integers(1, 10**6), sizes, limits)
def test_every_lane_is_in_one_block_of_its_seed_and_sizes_are_respected(
    keys: list[LaneKey], steps: int, own: Sizes, given_limits: Limits
) -> None:
    layout = lay_out(keys, steps, own, given_limits)
    blocks = list(cut(keys, layout))
    assert sorted(key for block in blocks for key in block.keys) == keys
    of_seed = {seed: [key for key in keys if key.seed == seed] for seed in {key.seed for key in keys}}
    for seed, mine in of_seed.items():
        parts = [block for block in blocks if block.seed == seed]
        assert [key for block in parts for key in block.keys] == mine, "in order"
        lengths = [len(block.keys) for block in parts]
        assert max(lengths) - min(lengths) <= 1
        assert max(lengths) <= layout.lanes_per_block
        if given_limits.shared_data and layout.processes == 1:
            assert len(parts) == 1
    for block in blocks:
        assert {key.seed for key in block.keys} == {block.seed}
        assert 1 <= block.lanes_per_call <= min(layout.lanes_per_call, len(block.keys))
        if not given_limits.vectorised:
            assert block.lanes_per_call == 1
        elif given_limits.asked is not None:
            assert block.lanes_per_call <= given_limits.asked
        elif given_limits.fitting is not None:
            assert block.lanes_per_call <= given_limits.fitting
        elif own.activations > LARGE_PASS:
            assert block.lanes_per_call == 1
        else:
            assert (
                block.lanes_per_call * (own.lasting + own.activations) <= CACHE or block.lanes_per_call == 1
            )
    assert 1 <= layout.processes <= (given_limits.processors if given_limits.separable else 1)
    assert layout.processes == 1 or layout.threads == 1
    assert layout.threads <= given_limits.processors
    assert lay_out(keys, steps, own, given_limits) == layout, "no clock has a say"


def keys(rates: int, seeds: int = 1) -> list[LaneKey]:
    return [LaneKey(k, 10.0**-k, k // rates) for k in range(rates * seeds)]


def test_work_is_shared_out_where_there_is_enough_of_it() -> None:
    digits = Sizes(7_510, 32, 40_000, 120_000)
    two = Limits(vectorised=True, processors=2, separable=True)
    assert lay_out(keys(16), 300, digits, two) == Layout(16, 16, 1, 1), "over in a second"
    assert lay_out(keys(16), 9_000, digits, two) == Layout(8, 8, 2, 1)
    assert lay_out(keys(16), 9_000, digits, two._replace(separable=False)) == Layout(16, 16, 1, 1)
    large = Sizes(10**7, 128, 2**26, 2**28)
    assert lay_out(keys(4), 100, large, two._replace(separable=False)) == Layout(1, 1, 1, 2), "threads"
    shared = two._replace(separable=False, shared_data=True)
    assert lay_out(keys(4), 100, large, shared).lanes_per_block == 4, "each batch is got once"


def test_how_lanes_are_trained_is_said() -> None:
    said = {
        Execution(1, Layout(1, 1)): "1 lane",
        Execution(16, Layout(16, 16)): "16 lanes in one pass",
        Execution(16, Layout(8, 8), 2): "16 lanes, those of a seed in one pass",
        Execution(16, Layout(4, 4)): "16 lanes in blocks of 4",
        Execution(16, Layout(8, 8, 2)): "16 lanes in 2 processes in blocks of 8",
        Execution(16, Layout(1, 1)): "16 lanes, one after another",
        Execution(16, Layout(1, 1, 2), 1, "it branches"): (
            "16 lanes in 2 processes, one after another: it branches"
        ),
        Execution(16, Layout(4, 4, 1, 2)): "16 lanes in blocks of 4, in 2 threads",
    }
    for execution, words in said.items():
        assert execution.words == words
