"""Starts: the module that each seed's lanes begin with."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn

from lrscope.errors import ProblemError
from lrscope.problems.problem import Problem
from lrscope.training.random_state import Stream


def starting_modules(
    problem: Problem, seeds: Sequence[int], device: torch.device
) -> tuple[dict[int, nn.Module], dict[int, Stream]]:
    """Make each seed's model under `torch.manual_seed(seed)`; the stream goes on where the factory left it.

    The module is a copy: a factory that hands out the same object twice loses nothing.

    Raises:
        ProblemError: the factory raised, or made something that cannot be trained.
    """
    modules: dict[int, nn.Module] = {}
    streams: dict[int, Stream] = {}
    for seed in seeds:
        stream = Stream.seeded(seed)
        with stream.entered():
            made = _make(problem.model).to(device)
            # As every loop does; submodules that the factory set to eval inside a training model stay.
            modules[seed] = made if made.training else made.train()
        streams[seed] = stream
    shapes = [[(n, p.shape) for n, p in module.named_parameters()] for module in modules.values()]
    if any(shape != shapes[0] for shape in shapes):
        raise ProblemError(
            "model() makes different parameters for different seeds; lanes need one architecture"
        )
    return modules, streams


def _make(factory: Callable[[], nn.Module]) -> nn.Module:
    try:
        made = factory()
    except Exception as error:
        raise ProblemError(f"model() raised {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise ProblemError(f"model() must make an nn.Module; it made a {type(made).__name__}")
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in made.parameters()):
        raise ProblemError(
            "model() has lazy parameters without a shape; run one batch through it in the factory"
        )
    if not any(parameter.requires_grad for parameter in made.parameters()):
        raise ProblemError("model() has no parameter that requires a gradient: there is nothing to train")
    try:
        return copy.deepcopy(made)
    except Exception as error:
        raise ProblemError(f"model() makes a module that cannot be copied: {error}") from error
