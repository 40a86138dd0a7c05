import pytest
import torch

pytest.importorskip("torch_lr_finder")
pytest.importorskip("lightning.pytorch")

from rivals import BASELINE, FINDERS_OF, RIVALS, lightning, range_test, torch_lr_finder
from tasks import TASKS


@pytest.fixture(scope="module")
def problem():
    return TASKS["membrane-linear-nesterov"].problem()


@pytest.mark.parametrize("rival", RIVALS)
def test_a_rival_answers_every_rule_of_its_own_alike_each_time_and_quietly(rival, problem, capfd):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, again = RIVALS[rival](problem, 0), RIVALS[rival](problem, 0)
    assert tuple(one) == FINDERS_OF[rival]
    assert one == again
    assert torch.equal(torch.rand(1), expected)
    assert capfd.readouterr() == ("", "")


def test_rates_are_within_the_ramps(problem):
    assert 1e-7 <= torch_lr_finder(problem, 0)["torch-lr-finder"].rate <= 10
    assert 1e-8 <= lightning(problem, 0)["Lightning"].rate <= 1
    baseline = range_test(problem, 0)[BASELINE]
    assert 1e-8 <= baseline.rate <= 1
    assert baseline.steps == 100
