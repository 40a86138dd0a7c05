"""The published rules, against the packages they come from and against curves whose answer is known."""

import math
import types
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from lrscope.diagnosis.range_curve import end_of, smoothed, stop_of
from lrscope.diagnosis.range_rules import RULES, Suggestion, centre, geometric_mean, read_rules

RATES = 1e-7 * np.exp(np.linspace(0, math.log(1e8), 100))
BY_NAME = {rule.name: rule for rule in RULES}


def ramp_losses(
    seed: int, *, noise: float = 0.05, cliff: float = 0.5, finite: bool = True
) -> NDArray[np.float64]:
    """A loss that falls around 1e-2 and blows up from a cliff on, with noise."""
    random = np.random.default_rng(seed)
    losses = 2.3 - 1.8 / (1 + (1e-2 / RATES) ** 0.8) + (RATES / cliff) ** 3
    losses = losses * (1 + noise * random.standard_normal(len(RATES)))
    if not finite:
        losses[90 + seed % 8 :] = np.nan
    return losses


CASES = [
    pytest.param(ramp_losses(seed, noise=noise, cliff=cliff, finite=finite), id=f"{seed}")
    for seed, (noise, cliff, finite) in enumerate(
        [(0.05, 0.5, True), (0.2, 0.5, True), (0.0, 0.01, True), (0.1, 100.0, True), (0.05, 1.0, False)] * 4
    )
]


def test_the_moving_mean_is_unbiased_from_the_first_step_on() -> None:
    np.testing.assert_allclose(smoothed(np.full(50, 3.0)), 3.0)
    assert smoothed(np.array([1.0, 2.0]), weight=0.5)[1] == pytest.approx((0.25 + 1.0) / 0.75)


def test_a_ramp_stops_at_a_multiple_of_its_lowest() -> None:
    assert stop_of(np.array([2.0, 1.0, 3.9, 4.1, 9.0])) == 3
    assert stop_of(np.array([2.0, 1.0, np.nan, 3.0])) is None


@pytest.mark.parametrize("losses", CASES)
def test_minimum_and_steepest_by_their_definition(losses: NDArray[np.float64]) -> None:
    """The slow twin of fastai's points: one step after the other."""
    kept: list[tuple[float, float]] = []
    mean, lowest = 0.0, math.inf
    for step, (rate, loss) in enumerate(zip(RATES, losses, strict=True)):
        mean = 0.98 * mean + 0.02 * loss
        corrected = mean / (1 - 0.98 ** (step + 1))
        kept.append((rate, corrected))
        lowest = min(lowest, corrected) if corrected == corrected else lowest
        if corrected > 4 * lowest:
            break
    kept = [point for point in kept[10:-5] if math.isfinite(point[1])]
    lowest_rate = min(kept, key=lambda point: point[1])[0]
    slopes = [((b[1] - a[1]) / math.log(b[0] / a[0]), a[0]) for a, b in pairwise(kept)]
    assert BY_NAME["minimum / 10"].suggest(RATES, losses) == pytest.approx(lowest_rate / 10)
    assert BY_NAME["Smith, max / 3"].suggest(RATES, losses) == pytest.approx(lowest_rate / 3)
    assert BY_NAME["steepest"].suggest(RATES, losses) == pytest.approx(min(slopes)[1])


def test_valley_lies_halfway_into_a_fall_without_gaps() -> None:
    """100 points, the first 10 and last 5 left out: 40 points that rise a little, then a fall to the end."""
    losses = np.concatenate([np.linspace(1.0, 1.001, 50), np.linspace(0.9, 0.0, 50)])
    rate = BY_NAME["valley"].suggest(RATES, losses)
    # Of the 85 points seen, 10 to 94, the longest fall ends at the last and is 46 long: it begins 46 before
    # that, and a third and half a third of it, in whole points, are passed.
    assert rate == pytest.approx(RATES[10 + (84 - 46) + 15 + 7])


def test_slide_depends_on_the_unit_of_the_loss_and_minimum_does_not() -> None:
    losses = ramp_losses(3, noise=0.0)
    scaled = losses * 1e-3
    assert BY_NAME["slide"].suggest(RATES, losses) != BY_NAME["slide"].suggest(RATES, scaled)
    assert BY_NAME["minimum / 10"].suggest(RATES, losses) == BY_NAME["minimum / 10"].suggest(RATES, scaled)


def test_divergence_finds_nothing_where_nothing_diverges() -> None:
    calm = np.linspace(2.0, 1.0, 100)
    assert BY_NAME["divergence / 10"].suggest(RATES, calm) is None
    broken = np.where(np.arange(100) < 80, calm, np.nan)
    assert BY_NAME["divergence / 10"].suggest(RATES, broken) == pytest.approx(RATES[80] / 10)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("losses", CASES)
def test_torch_lr_finder_says_the_same(losses: NDArray[np.float64]) -> None:
    finder_module = pytest.importorskip("torch_lr_finder")
    pytest.importorskip("matplotlib").use("Agg")
    torch = pytest.importorskip("torch")
    from matplotlib.figure import Figure

    given = iter(losses.tolist())

    class Finder(finder_module.LRFinder):
        def _train_batch(self, *args: object, **settings: object) -> float:
            self.optimizer.step()
            return next(given)

    model = torch.nn.Linear(1, 1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(1, 1), torch.zeros(1, 1)))
    finder = Finder(model, torch.optim.SGD(model.parameters(), lr=1e-7), torch.nn.MSELoss())
    finder.range_test(loader, end_lr=10, num_iter=100)
    if not np.isfinite(finder.history["loss"]).all():
        pytest.skip("its argmin over NaN is the first NaN: a slip that is not repeated")
    _, rate = finder.plot(ax=Figure().subplots(), suggest_lr=True)
    assert BY_NAME["torch-lr-finder"].suggest(RATES, losses) == pytest.approx(rate)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("losses", CASES)
def test_lightning_says_the_same(losses: NDArray[np.float64]) -> None:
    tuner = pytest.importorskip("lightning.pytorch.tuner.lr_finder")
    callback = tuner._LRCallback(num_training=100, progress_bar_refresh_rate=0)
    trainer = types.SimpleNamespace(
        fit_loop=types.SimpleNamespace(batch_idx=0),
        accumulate_grad_batches=1,
        global_step=0,
        should_stop=False,
        strategy=types.SimpleNamespace(broadcast=lambda stop: stop),
    )
    torch = pytest.importorskip("torch")
    for loss in losses:
        trainer.global_step += 1
        callback.on_train_batch_end(trainer, None, torch.tensor(loss), None, 0)
        if trainer.should_stop:
            break
    finder = tuner._LRFinder("exponential", 1e-7, 10.0, 100)
    finder.results = {"lr": RATES[: len(callback.losses)].tolist(), "loss": callback.losses}
    assert BY_NAME["Lightning 2.5.3+"].suggest(RATES, losses) == pytest.approx(finder.suggestion())


def test_older_lightning_takes_the_steepest_fall_a_step() -> None:
    losses = np.concatenate([np.full(60, 2.0), np.linspace(2.0, 1.0, 10), np.full(30, 1.0)])
    rate = BY_NAME["Lightning < 2.5.3"].suggest(RATES, losses)
    assert rate is not None
    assert RATES[60] <= rate <= RATES[75]


@pytest.mark.parametrize(
    "losses",
    [
        np.full((2, 100), np.nan),
        np.where(np.arange(100) < 1, 1.0, np.nan)[None],
        np.where(np.arange(100) < 12, 1.0, np.nan)[None],
        np.full((1, 100), 2.0),
        np.zeros((1, 100)),
        -ramp_losses(1)[None],
        np.where(np.arange(100) < 60, 1.0, 1e300)[None],
        np.ones((1, 20)),
    ],
    ids=["all nan", "one", "twelve", "constant", "zero", "negative", "huge", "short"],
)
def test_every_rule_survives_every_ramp(losses: NDArray[np.float64]) -> None:
    rates = RATES[: losses.shape[1]]
    suggestions = read_rules(rates, losses)
    assert [one.rule for one in suggestions] == list(RULES)
    for one in suggestions:
        assert len(one.rates) == len(losses)
        assert all(rates[0] / 10 <= rate <= rates[-1] for rate in one.found)
    found = centre(rates, losses)
    assert found is None or math.isfinite(found)


def test_a_suggestion_sums_up_its_seeds() -> None:
    one = Suggestion(RULES[0], (1e-3, None, 1e-1))
    assert (one.found, one.rate, one.decades) == ((1e-3, 1e-1), pytest.approx(1e-2), pytest.approx(2.0))
    assert Suggestion(RULES[0], (None,)).rate is None
    assert Suggestion(RULES[0], (0.1, None)).decades is None
    assert geometric_mean(()) is None


def test_the_end_of_a_ramp() -> None:
    calm = np.linspace(2.0, 1.0, 100)
    assert end_of(calm) == 100
    assert end_of(np.where(np.arange(100) < 70, calm, np.inf)) == 70
    assert 60 < end_of(np.where(np.arange(100) < 60, calm, 1e6)) + 1 <= 62
    # The same in another unit, and below zero: what counts is how far it had fallen.
    assert end_of(1e-6 * ramp_losses(2)) == end_of(ramp_losses(2)) < 100
    assert end_of(np.where(np.arange(100) < 60, calm - 5, 1e6)) <= 61
    assert end_of(calm - 5) == 100
    assert end_of(np.full(100, np.nan)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_centre_is_minimum_over_10_where_the_loss_is_positive_and_falls(seed: int) -> None:
    losses = np.stack([ramp_losses(seed), ramp_losses(seed + 50)])
    expected = geometric_mean([BY_NAME["minimum / 10"].suggest(RATES, row) or 0.0 for row in losses])
    assert centre(RATES, losses) == pytest.approx(expected)


@pytest.mark.parametrize("change", [lambda x: 1e-4 * x, lambda x: x - 50.0], ids=["unit", "negative"])
def test_the_centre_stays_near_in_another_unit_and_below_zero(change: Callable[[NDArray], NDArray]) -> None:
    losses = ramp_losses(7)[None]
    there, here = centre(RATES, losses), centre(RATES, change(losses))
    assert there is not None
    assert here is not None
    assert abs(math.log10(here / there)) < 0.5


def test_there_is_no_centre_where_nothing_falls() -> None:
    assert centre(RATES, np.full((2, 100), 2.0)) is None
    assert centre(RATES, np.linspace(1.0, 2.0, 100)[None]) is None
    assert centre(RATES, np.full((2, 100), np.nan)) is None


def test_pure_noise_seldom_has_a_centre() -> None:
    random = np.random.default_rng(0)
    found = [centre(RATES, 1 + 0.1 * random.standard_normal((1, 100))) for _ in range(200)]
    assert sum(one is not None for one in found) < 60
