"""Choice and names: what is shown of much, and how it is written."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lrscope.charts.choice import chosen_lanes, chosen_tensors, evenly
from lrscope.charts.names import shown


@given(st.integers(1, 300), st.integers(2, 40), st.lists(st.integers(0, 299), max_size=2))
def test_a_choice_has_both_ends_and_what_was_wanted(count: int, most: int, keep: list[int]) -> None:
    chosen = evenly(count, most, keep)
    assert len(chosen) <= max(most, count if count <= most else 0)
    assert chosen == sorted(set(chosen))
    assert {0, count - 1} <= set(chosen)
    if most > len(keep) + 2:
        assert {i for i in keep if i < count} <= set(chosen)


def test_too_many_lanes_lose_their_further_seeds_first_then_rates_but_never_the_recommended() -> None:
    rates = [10.0 ** (-i / 8) for i in range(40)]
    lanes = pl.DataFrame(
        [(i, rate, seed) for seed in range(3) for i, rate in enumerate(rates)],
        schema=["lane", "rate", "seed"],
        orient="row",
    )
    shown_lanes, note = chosen_lanes(lanes, 16, rates[17])
    assert shown_lanes.height == 16
    assert shown_lanes["seed"].unique().to_list() == [0]
    assert rates[17] in shown_lanes["rate"]
    assert note == "Shown: seed 0 of 3, 16 of 40 rates."
    same, silence = chosen_lanes(lanes.head(5), 16, None)
    assert same.height == 5
    assert silence == ""


def test_matrices_come_before_biases() -> None:
    shapes = [(8, 8), (8,)] * 20
    chosen = chosen_tensors(shapes, 6)
    assert len(chosen) == 6
    assert all(len(shapes[i]) == 2 for i in chosen)
    assert chosen_tensors([(3,), (4,)], 6) == [0, 1]
    assert len(chosen_tensors([(3,)] * 20, 6)) == 6


def test_names_from_outside_are_one_short_line() -> None:
    assert shown("0.weight") == "0.weight"
    assert shown("a\nb\x1bc\u2028d\u202ee") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    long = shown("transformer.h.11." + "x" * 80 + ".weight", 30)
    assert len(long) == 30
    assert long.startswith("transformer")
    assert long.endswith(".weight")
