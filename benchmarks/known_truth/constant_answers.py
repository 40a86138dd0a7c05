"""Constant answers: networks under cross-entropy at rates so high that the weights are re-drawn.

Truth: the loss over all examples after training is that of the labels' entropy, within 1%, and the answers to
different examples are the same: the spread of the logits over examples, in units of one, is below a tenth.
Both are measured by a metric of the benchmark's own on all training data, at rates ten
times and more above those that learn. A lane that ended otherwise is "otherwise".

Letters: n examples, C classes.
"""

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

import lrscope

from .judged import Judged, Truth, judged

CLASSES, EACH, FEATURES, STEPS = 8, 12, 16, 200
GOOD = (0.003, 0.01, 0.03)


def network(width: int, depth: int) -> nn.Module:
    """ReLU layers."""
    sizes = [FEATURES] + [width] * depth
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


def spread(logits: Tensor, _: Tensor) -> Tensor:
    """Standard deviation over examples of the differences between logits: 0 for a constant answer."""
    return (logits - logits.mean(dim=1, keepdim=True)).std(dim=0).mean()


def constant_answers(amount: float) -> Iterator[Judged]:
    """9 tasks of 3 rates that learn and 12 that are far too high, 4 seeds each, times `amount`."""
    for number in range(math.ceil(9 * amount)):
        rng = np.random.default_rng(number)
        labels = np.arange(CLASSES * EACH) % CLASSES
        centres = rng.normal(size=(CLASSES, FEATURES))
        inputs = np.abs(centres[labels] + 0.4 * rng.normal(size=(len(labels), FEATURES)))
        data = (torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels))
        rates = [*GOOD, *np.geomspace(0.2, 2.0, 12)]
        problem = lrscope.Problem(
            name="constant answer",
            model=functools.partial(network, int(rng.choice([24, 48])), int(rng.choice([2, 3]))),
            train=data,
            val=data,
            loss=nn.CrossEntropyLoss(),
            optimizer=torch.optim.Adam,
            batch_size=0,
            epochs=STEPS,
            metrics={"spread": spread},
        )
        study = lrscope.sweep(problem, rates, seeds=4)
        with study:
            losses, spreads = (
                study.scalars(name)
                .filter(study.scalars(name)["step"] == STEPS)
                .sort("lane")["value"]
                .to_list()
                for name in ("val_loss", "spread")
            )
            keys = study.plan.lanes
        truths = []
        for key, loss, wide in zip(keys, losses, spreads, strict=True):
            same = loss is not None and abs(loss / math.log(CLASSES) - 1) < 0.01 and wide < 0.1
            kind = "any" if key.rate <= GOOD[-1] else "collapsed" if same else "otherwise"
            about = f"task {number}: loss {loss} of entropy {math.log(CLASSES):.4f}, logits spread {wide},"
            truths.append(Truth(kind, about=about))
        yield from judged(study, truths)
