"""Where recording's time goes: what is watched is counted, and is as before afterwards."""

import collections

import lrscope
import recording_cost


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
