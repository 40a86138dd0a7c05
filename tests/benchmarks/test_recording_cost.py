"""Where recording's time goes: what is watched is counted, and is as before afterwards."""

import collections

import lrscope
import recording_cost
from performance import Setting


def test_every_part_of_a_small_sweep_is_timed() -> None:
    before = [getattr(owner, name) for _, owner, name in recording_cost.PARTS]
    spent: collections.Counter[str] = collections.Counter()
    with recording_cost.watched(spent):
        lrscope.sweep("line", "0.01,0.1", epochs=60).close()
        inside = [getattr(owner, name) for _, owner, name in recording_cost.PARTS]
    assert set(spent) == {label for label, _, _ in recording_cost.PARTS}
    assert all(seconds > 0 for seconds in spent.values())
    assert [getattr(owner, name) for _, owner, name in recording_cost.PARTS] == before
    assert not any(one is other for one, other in zip(inside, before, strict=True))


def test_every_round_has_each_run_once() -> None:
    cost = recording_cost.measure(Setting("digits", (1e-3, 1e-2), 48), rounds=2)
    assert set(cost.of_runs) == {"recorded", "losses_only", "unrecorded"}
    assert all(len(times) == 2 and min(times) > 0 for times in cost.of_runs.values())
    assert all(len(times) == 2 for times in cost.of_parts.values())
    assert min(cost.of_parts["points copied"]) > 0
