"""Other learning-rate finders on an lrscope problem: real packages, at their defaults, and published rules.

torch-lr-finder and Lightning are called as their own documentation shows and asked for their own suggestion.
The published rules read one classic range test of lrscope's. A rival that fails or declines suggests None.
None of them looks at a schedule: their ramps are constant-rate optimizers whose rate they set themselves.
"""

import contextlib
import io
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lrscope import Problem
from lrscope.diagnosis.range_rules import read_rules
from lrscope.ramp import ramp

BASELINE = "minimum / 10"
"""The rule to beat: nearly free, and hard to beat."""

RULES_COMPARED = (BASELINE, "valley", "slide", "steepest", "Smith, max / 3", "divergence / 10")
"""Those of the packages are left to the packages themselves."""

RAMP_STEPS = 100
"""Steps of a range test: the default of both packages, and of fastai's."""

FIRST_RATE = 1e-7
"""Where torch-lr-finder's README lets its ramp begin; by default it begins at the optimizer's own rate."""


class Suggestion(NamedTuple):
    """What a rival says.

    Attributes:
        rate: the rate it suggests; None where it has none.
        steps: training steps that it took.
        why: what it said where it has none.
    """

    rate: float | None
    steps: int
    why: str = ""


def torch_lr_finder(problem: Problem, seed: int) -> dict[str, Suggestion]:
    """`LRFinder.range_test`, and the suggestion of its `plot`: the steepest point."""
    from matplotlib.figure import Figure
    from torch_lr_finder import LRFinder

    with _quiet():
        model, loader = _ready(problem, seed)
        optimizer = problem.optimizer(list(model.parameters()), lr=FIRST_RATE)
        finder = LRFinder(model, optimizer, problem.loss, device="cpu")
        try:
            finder.range_test(loader, start_lr=FIRST_RATE, end_lr=10, num_iter=RAMP_STEPS)
            _, rate = finder.plot(ax=Figure().subplots())
        except Exception as error:
            return {"torch-lr-finder": _declined(error, len(finder.history["lr"]))}
        return {"torch-lr-finder": _suggestion(rate, len(finder.history["lr"]))}


def lightning(problem: Problem, seed: int) -> dict[str, Suggestion]:
    """`Tuner(trainer).lr_find(model)` and its `suggestion()`."""
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model, self.lr = model, 1e-3

        def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
            return problem.loss(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return problem.optimizer(list(self.parameters()), lr=self.lr)

    from lightning.pytorch.tuner import Tuner

    with _quiet(), tempfile.TemporaryDirectory() as folder:
        model, loader = _ready(problem, seed)
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        try:
            found = Tuner(trainer).lr_find(Module(model), train_dataloaders=loader)
            rate = None if found is None else found.suggestion()
        except Exception as error:
            return {"Lightning": _declined(error, RAMP_STEPS)}
        return {"Lightning": _suggestion(rate, len(found.results["lr"]) if found is not None else 0)}


def range_test(problem: Problem, seed: int) -> dict[str, Suggestion]:
    """The published rules on one ramp of one seed."""
    measured = ramp(problem, [seed], steps=RAMP_STEPS)
    said = {one.rule.name: one.rate for one in read_rules(measured.rates, measured.losses)}
    return {name: _suggestion(said[name], measured.losses.size) for name in RULES_COMPARED}


RIVALS: dict[str, Callable[[Problem, int], dict[str, Suggestion]]] = {
    "range test": range_test,
    "torch-lr-finder": torch_lr_finder,
    "Lightning": lightning,
}
"""What can be run: each gives a suggestion for every rule it has."""

FINDERS_OF = {
    "range test": RULES_COMPARED,
    "torch-lr-finder": ("torch-lr-finder",),
    "Lightning": ("Lightning",),
}
"""The rules of each."""


def _ready(problem: Problem, seed: int) -> tuple[nn.Module, DataLoader]:
    """A model started from the seed and a shuffling loader of its training data."""
    torch.manual_seed(seed)
    model = problem.model()
    data = TensorDataset(*problem.train)
    return model, DataLoader(data, batch_size=problem.batch_size or len(data), shuffle=True)


def _suggestion(rate: float | None, steps: int) -> Suggestion:
    if rate is None or not math.isfinite(rate):
        return Suggestion(None, steps, "no suggestion")
    return Suggestion(float(rate), steps)


def _declined(error: Exception, steps: int) -> Suggestion:
    first = (str(error).splitlines() or [""])[0]
    return Suggestion(None, steps, f"{type(error).__name__}: {first}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let them neither print, log nor warn, nor move the global random state."""
    logging.getLogger("lightning.pytorch").setLevel(logging.CRITICAL)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        torch.random.fork_rng(devices=[]),
    ):
        warnings.simplefilter("ignore")
        yield
