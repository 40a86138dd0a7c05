"""Curves from plain arrays and from a study."""

import numpy as np
import polars as pl

from lrscope.diagnosis.curve import Curve, Track, read_curves
from lrscope.plan import Plan
from lrscope.record import Record, Series
from lrscope.store.recorder import Recorder

PLAN = Plan(
    problem="p",
    rates=(0.1, 1.0),
    seeds=(0,),
    epochs=2,
    steps_per_epoch=3,
    batch_size=1,
    tensors=("w", "b"),
    shapes=((2,), (1,)),
    tracked=(("w", (0,)),),
    metrics=("accuracy",),
)
SERIES = (
    Series("loss", "", "scalar", ""),
    Series("val_loss", "", "scalar", ""),
    Series("accuracy", "", "scalar", ""),
    Series("weight_norm", "", "tensor", ""),
    Series("trajectory", "", "trajectory", ""),
)
LANES = np.array([0, 1], np.int32)


def record(name, steps, values):
    return Record(name, np.array(steps, np.int64), LANES, np.array(values, np.float64))


def study(broken_at=None, until=6):
    loss = np.array([[5.0, 5.0], [4.0, 4.0], [3.0, 3.0], [2.0, 2.0], [1.5, 1.5], [1.0, 1.0]])[:until]
    if broken_at is not None:
        loss[broken_at:, 1] = np.nan
    epochs = [step for step in (0, 3, 6) if step <= until]
    recorder = Recorder(None, PLAN, SERIES, overwrite=False, about={})
    with recorder:
        recorder.write(record("loss", range(until), loss))
        recorder.write(record("val_loss", epochs, [[5.0, 5.0], [3.0, 3.0], [1.0, 1.0]][: len(epochs)]))
        recorder.write(record("accuracy", epochs, [[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]][: len(epochs)]))
        recorder.write(record("weight_norm", epochs, np.ones((len(epochs), 2, 2))))
        recorder.write(record("trajectory", range(until + 1), np.ones((until + 1, 2, 1))))
    return recorder.study_file()


def test_a_study_becomes_curves():
    first, second = read_curves(study())
    assert (first.lane, first.rate, first.seed, second.rate) == (0, 0.1, 0, 1.0)
    assert first.loss.tolist() == [5.0, 4.0, 3.0, 2.0, 1.5, 1.0]
    assert first.stopped_step is None
    assert first.val.steps.tolist() == [0, 3, 6]
    assert first.val.values.tolist() == [5.0, 3.0, 1.0]
    assert first.metrics["accuracy"].values.tolist() == [0.1, 0.5, 0.9]
    assert first.tensors["weight_norm"].values.shape == (3, 2)
    assert first.trajectory.values.shape == (7, 1)


def test_a_lane_that_stopped_is_cut_and_its_neighbour_is_not():
    whole, stopped = read_curves(study(broken_at=4))
    assert whole.steps == 6
    assert stopped.loss.tolist() == [5.0, 4.0, 3.0, 2.0]
    assert stopped.stopped_step == 4
    assert stopped.val.steps.tolist() == [0, 3]
    assert stopped.trajectory.steps.tolist() == [0, 1, 2, 3, 4]


def test_an_interrupted_study_gives_what_it_has():
    lane, _ = read_curves(study(until=4))
    assert lane.steps == 4
    assert lane.stopped_step is None
    assert lane.val.steps.tolist() == [0, 3]


class Running:
    """A study still being written: the second lane lags behind the first."""

    plan = PLAN
    series = SERIES[:2]

    def lanes(self):
        steps, states = [6, 4], ["finished", "running"]
        return pl.DataFrame(
            {"lane": [0, 1], "rate": [0.1, 1.0], "seed": [0, 0], "state": states, "steps": steps}
        ).with_columns(stopped_step=pl.lit(None, pl.Int64))

    def array(self, name):
        if name == "loss":
            values = np.ones((6, 2))
            values[4:, 1] = np.nan
            return np.arange(6), values
        return np.array([0, 3, 6]), np.array([[1.0, 1.0], [np.nan, np.nan], [np.nan, np.nan]])


def test_what_is_not_written_yet_is_not_what_was_not_finite():
    finished, running = read_curves(Running())
    assert (running.steps, running.stopped_step) == (4, None)
    assert running.val.steps.tolist() == [0]
    assert finished.val.steps.tolist() == [0, 3, 6]
    assert np.isnan(finished.val.values[-1])


def test_a_loss_that_is_not_finite_stops_a_curve():
    curve = Curve(0, 0.1, 0, np.array([1.0, 2.0, np.inf, 3.0]))
    assert (curve.steps, curve.stopped_step) == (2, 2)
    assert Curve(0, 0.1, 0, np.ones(3)).stopped_step is None


def test_a_shorter_curve_has_nothing_from_later():
    curve = Curve(
        0,
        0.1,
        0,
        np.arange(10.0),
        val=Track(np.array([0, 5, 10]), np.ones(3)),
        tensors={"weight_norm": Track(np.array([0, 4, 8]), np.ones((3, 1)))},
        trajectory=Track(np.arange(11), np.ones((11, 1))),
    )
    short = curve.until(5)
    assert short.steps == 5
    assert short.val.steps.tolist() == [0, 5]
    assert short.tensors["weight_norm"].steps.tolist() == [0, 4]
    assert short.trajectory.steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert curve.until(50) is curve


def test_the_last_quarter_has_at_least_so_many_points():
    track = Track(np.arange(0, 100, 10), np.arange(10.0))
    assert track.last_quarter(100, 1).tolist() == [8.0, 9.0]
    assert track.last_quarter(100, 4).tolist() == [6.0, 7.0, 8.0, 9.0]
