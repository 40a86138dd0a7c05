"""Recording's cost is measured over every schedule, in turn."""

import recording_cost
from performance import Setting


def test_every_round_has_each_schedule_once() -> None:
    seconds = recording_cost.measure(Setting("digits", (1e-3, 1e-2), 48), rounds=2)
    assert set(seconds) == {"full", "light", "losses"}
    assert all(len(times) == 2 and min(times) > 0 for times in seconds.values())
    assert recording_cost.ratio(seconds, "losses").startswith("1.000")
