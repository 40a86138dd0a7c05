import numpy as np
import pytest

from scores import Answer, paired, score, sign_test, wilson
from truth import Truth


def truth():
    losses = np.array([[0.6] * 3, [0.2] * 3, [1.0] * 3])
    return Truth(np.array([0.01, 0.1, 1.0]), np.ones(3), losses, losses, losses, steps=10)


def test_a_score_counts_silence_as_regret_1():
    answers = [Answer("t", 0, 0.1, spent=2.0), Answer("t", 1, 0.01, spent=4.0), Answer("t", 2, None)]
    found = score(answers, {"t": truth()})
    assert found.answers == 3
    assert found.silent == 1
    assert found.regrets == pytest.approx((0.0, 0.5, 1.0))
    assert found.excesses == pytest.approx((0.0, 2.0, 4.0))
    assert found.over(0.5) == 1
    assert found.over(0.4) == 2
    assert found.spent == pytest.approx(2.0)
    assert len(found.errors) == 2


def test_errors_and_intervals_are_against_the_optimum():
    optimum = truth().optimum
    answers = [
        Answer("t", 0, 10 * optimum, 0.5 * optimum, 20 * optimum),
        Answer("t", 1, optimum / 10, optimum / 100, optimum / 5),
        Answer("t", 2, 0.1, 0.1, 0.1),
    ]
    found = score(answers, {"t": truth()})
    assert found.errors[:2] == pytest.approx((1.0, 1.0))
    assert found.covered == 1
    assert found.covered_as_good == 2
    assert found.widths == pytest.approx((np.log10(40), np.log10(20), 0.0))


def test_a_finder_without_intervals_covers_nothing_and_is_not_blamed():
    found = score([Answer("t", 0, 0.1)], {"t": truth()})
    assert found.covered is None
    assert found.widths == ()


def test_a_wilson_interval_stays_within_0_and_1():
    assert wilson(0, 8) == pytest.approx((0.0, 0.3244), abs=1e-4)
    assert wilson(40, 80) == pytest.approx((0.3929, 0.6071), abs=1e-4)
    assert wilson(80, 80)[1] == 1.0


def test_wilson_of_nothing_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_sign_test_is_the_binomial_test_without_ties():
    ours, theirs = [0, 0, 0, 0, 0, 0, 5, 1], [1, 1, 1, 1, 1, 1, 1, 1]
    found = sign_test(ours, theirs)
    assert (found.better, found.worse, found.ties) == (6, 1, 1)
    assert found.chance == pytest.approx(2 * (1 + 7) / 2**7)
    assert sign_test([1.0], [1.0]).chance == 1.0


def test_pairs_are_the_tasks_and_seeds_both_have_answered():
    ours = [Answer("a", 0, 1.0), Answer("a", 1, 3.0), Answer("b", 0, 5.0), Answer("c", 0, 7.0)]
    theirs = [Answer("b", 0, 50.0), Answer("a", 1, 30.0), Answer("a", 0, 10.0)]

    def rate(answer):
        return answer.rate

    assert paired(ours, theirs, rate, by_task=False) == ([1.0, 3.0, 5.0], [10.0, 30.0, 50.0])
    assert paired(ours, theirs, rate, by_task=True) == ([2.0, 5.0], [20.0, 50.0])
